"""The data folder: paths, permissions, the lock, and what a reset takes away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from elevon.layout import LARGE_LOG_BYTES, SERVICES, FolderInUse, Layout, announce_end

HOLDER = """
import pathlib, sys
from elevon.layout import Layout, announce_end
lock = Layout(pathlib.Path(sys.argv[1])).lock()
print("held", flush=True)
if sys.stdin.readline().strip() == "drain":
    announce_end(lock)
    print("draining", flush=True)
    sys.stdin.readline()
"""


class Holder:
    """Another process that holds the folder."""

    def __init__(self, root: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.read() == "held"

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.communicate("\n\n")


def test_the_lock_keeps_other_processes_out_and_says_who_holds_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    holder = Holder(layout.root)
    with pytest.raises(
        FolderInUse, match=rf"already runs on {layout.root} \(process {holder.process.pid}\)"
    ) as refused:
        layout.lock(seconds=60)  # a control plane at work is not waited for
    assert not refused.value.ending
    holder.end()
    layout.lock().close()


def test_a_control_plane_that_drains_is_waited_for(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    holder = Holder(layout.root)
    holder.say("drain")
    assert holder.read() == "draining"
    with pytest.raises(FolderInUse, match="services that have not ended yet") as refused:
        layout.lock(seconds=0.15)
    assert refused.value.ending
    holder.say("")
    layout.lock(seconds=30).close()
    holder.end()


def test_services_that_outlive_their_supervisor_keep_the_folder(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    lock = layout.lock()
    service = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, pass_fds=(lock.fileno(),))
    lock.truncate(0)
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    lock.write(str(ended.pid))
    lock.close()
    with pytest.raises(FolderInUse, match="services that have not ended yet"):
        layout.lock()
    service.communicate()
    taken = layout.lock()
    assert (layout.root / "lock").read_text() == str(os.getpid())
    announce_end(taken)
    assert (layout.root / "lock").read_text() == ""
    taken.close()


def test_everything_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "deep" / "data")
    layout.lock().close()
    layout.prepare()
    folders = (layout.root, layout.blobs, layout.work, layout.run, layout.root / "logs")
    assert {oct(folder.stat().st_mode & 0o777) for folder in folders} == {"0o700"}
    assert oct(layout.signing_key.stat().st_mode & 0o777) == "0o600"


def test_the_signing_key_is_made_once(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.prepare()
    key = layout.signing_key.read_text()
    layout.prepare()
    assert layout.signing_key.read_text() == key
    assert len(bytes.fromhex(key)) == 32
    assert not layout.signing_key.with_suffix(".new").exists()


def test_a_reset_takes_what_is_elevons_and_nothing_else(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    lock = layout.lock()
    layout.prepare()
    (layout.blobs / "a").mkdir()
    (layout.blobs / "a" / "b").write_text("data")
    for service in SERVICES:
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"{service}.sqlite{suffix}").write_text("rows")
    (tmp_path / "thesis.txt").write_text("mine")
    (tmp_path / "project").mkdir()
    layout.reset()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "project", "thesis.txt"]
    assert (tmp_path / "lock").read_text() == str(os.getpid())
    lock.close()


def test_a_reset_follows_no_links(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept")
    layout = Layout(tmp_path / "data")
    layout.root.mkdir()
    layout.blobs.symlink_to(elsewhere)
    layout.reset()
    assert not layout.blobs.exists()
    assert (elsewhere / "kept").read_text() == "kept"


def test_a_log_that_grew_large_is_put_aside(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.prepare()
    with layout.log("admin").open("wb") as log:
        log.truncate(LARGE_LOG_BYTES + 1)
    layout.log("catalog").write_text("short")
    layout.prepare()
    assert not layout.log("admin").exists()
    assert layout.log("admin").with_suffix(".log.1").stat().st_size == LARGE_LOG_BYTES + 1
    assert layout.log("catalog").read_text() == "short"


def test_paths_are_inside_the_folder() -> None:
    layout = Layout(Path("/data"))
    assert layout.database("admin") == "sqlite+aiosqlite:////data/admin.sqlite"
    assert layout.ready("admin") == Path("/data/run/admin.ready")
    assert layout.log("admin") == Path("/data/logs/admin.log")
