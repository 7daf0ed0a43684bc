"""Code that was registered fast: fetched once, unpacked once, copied for every attempt."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import shutil
import tarfile
import time
import uuid
from datetime import timedelta
from pathlib import Path

from elevon_kit.blobs import BlobNotFound, BlobStore
from elevon_kit.retry import ATOMIC

from elevon_propeller.plugins.process.refusal import Refusal


class Distributions:
    """Unpacked distributions by URI, in one folder; a distribution never changes under its URI."""

    def __init__(self, folder: Path, blobs: BlobStore) -> None:
        self._folder = folder
        self._blobs = blobs
        self._fetching: dict[str, asyncio.Task[Path]] = {}

    async def place(self, uri: str, target: Path) -> None:
        """Put a copy of a distribution's files into a folder. Raises Refusal when it is missing or broken."""
        source = self._place_of(uri)
        if not source.exists():
            source = await self._fetch_once(uri)
        await asyncio.to_thread(_copy, source, target)

    def prune(self, unused_for: timedelta) -> None:
        """Remove what was not used for so long; blocks."""
        if not self._folder.exists():
            return
        oldest = time.time() - unused_for.total_seconds()
        for entry in self._folder.iterdir():
            if entry.stat().st_mtime < oldest:
                shutil.rmtree(entry, ignore_errors=True)

    async def _fetch_once(self, uri: str) -> Path:
        task = self._fetching.get(uri)
        if task is None:
            task = self._fetching[uri] = asyncio.create_task(self._fetch(uri))
            task.add_done_callback(lambda _: self._fetching.pop(uri, None))
        return await asyncio.shield(task)

    async def _fetch(self, uri: str) -> Path:
        try:
            data = await ATOMIC.run(lambda: self._blobs.read(uri), what="fetch a code distribution")
        except BlobNotFound as error:
            raise Refusal("DistributionNotFound", f"the task's code is not at {uri}; register it again") from error
        place = self._place_of(uri)
        await asyncio.to_thread(_unpack, data, uri, place)
        return place

    def _place_of(self, uri: str) -> Path:
        return self._folder / hashlib.sha256(uri.encode()).hexdigest()[:32]


def _unpack(data: bytes, uri: str, place: Path) -> None:
    temporary = place.with_name(f".{uuid.uuid4().hex}")
    temporary.mkdir(parents=True)
    try:
        if uri.endswith((".tar.gz", ".tgz", ".tar")):
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                extract(archive, temporary)
        else:
            (temporary / os.path.basename(uri)).write_bytes(data)
        if not place.exists():
            temporary.rename(place)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Refusal("DistributionBadFormat", f"the task's code at {uri} cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack nothing but files, folders and links that stay inside `folder`; anything else is a TarError.

    Names lose what GNU tar takes from them, with which Flyte's own images unpack: pyflyte packs what lies beside the
    project, an interpreter's `../venv/bin/pyflyte` say, under such names.
    """
    for member in archive.getmembers():
        member.name = without_way_out(member.name)
        if member.islnk():
            member.linkname = without_way_out(member.linkname)
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
        return
    for member in archive.getmembers():  # a Python before 3.11.4 has no filters: the same rule by hand
        refuse_outside(member, folder.resolve())
    archive.extractall(folder)  # noqa: S202  # every member was looked at above


def without_way_out(name: str) -> str:
    """The name without everything up to its last `..`, and without slashes at the beginning; `.` when nothing is left.

    What follows a `..` is all that is kept, so that `a/../../b` cannot lead out either.
    """
    parts = name.split("/")
    kept = parts[len(parts) - parts[::-1].index("..") :] if ".." in parts else parts
    return "/".join(kept).lstrip("/") or "."


def refuse_outside(member: tarfile.TarInfo, folder: Path) -> None:
    """Raise TarError for a member that is no file, folder or link, or that leads out of `folder`."""
    target = (folder / member.name).resolve()
    if member.issym():
        target = (target.parent / member.linkname).resolve()
    elif member.islnk():
        target = (folder / member.linkname).resolve()
    elif not (member.isfile() or member.isdir()):
        raise tarfile.TarError(f"{member.name} is neither file nor folder")
    if not target.is_relative_to(folder):
        raise tarfile.TarError(f"{member.name} leads out of the distribution")


def _copy(source: Path, target: Path) -> None:
    os.utime(source)
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
