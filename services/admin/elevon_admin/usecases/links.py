"""Addresses that let clients read what belongs to this installation, for a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from elevon_admin.execution_ports import DownloadSigner, UrlSigner

LOCAL = "file://"
"""Clients are told local files without it: flytekit opens files, folders and pickles of inputs by plain paths only."""


class Links:
    """Signs addresses of objects below `readable`, the URIs of folders; `longest` is how long they live at most."""

    def __init__(
        self, signer: UrlSigner, downloads: DownloadSigner | None, readable: Sequence[str], longest: timedelta
    ) -> None:
        self._signer = signer
        self._downloads = downloads
        self._readable = readable
        self.longest = longest

    async def to(self, uri: str, expires: timedelta | None = None) -> str | None:
        """The address of an object, a URI or a local path; None for one that is not this installation's to show."""
        whole = self._shown(uri)
        if whole is None:
            return None
        return await self._signer.sign("GET", whole, self.longest if expires is None else expires, {})

    def plain(self, uri: str) -> str | None:
        """As `to`, an address that flytekit can download from; None too where admin serves no HTTP."""
        whole = self._shown(uri)
        return None if whole is None or self._downloads is None else self._downloads.sign(whole, self.longest)

    def _shown(self, uri: str) -> str | None:
        whole = LOCAL + uri if uri.startswith("/") else uri
        return whole if any(whole.startswith(folder.rstrip("/") + "/") for folder in self._readable) else None
