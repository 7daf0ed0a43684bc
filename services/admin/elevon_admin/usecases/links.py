"""Addresses that let clients read what belongs to this installation, for a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from elevon_admin.execution_ports import UrlSigner

LOCAL = "file://"
"""Clients are told local files without it: flytekit opens files, folders and pickles of inputs by plain paths only."""


class Links:
    """Signs addresses of objects below `readable`, the URIs of folders; `longest` is how long they live at most."""

    def __init__(self, signer: UrlSigner, readable: Sequence[str], longest: timedelta) -> None:
        self._signer = signer
        self._readable = readable
        self.longest = longest

    async def to(self, uri: str, expires: timedelta | None = None) -> str | None:
        """The address of an object, a URI or a local path; None for one that is not this installation's to show."""
        if uri.startswith("/"):
            uri = LOCAL + uri
        if not any(uri.startswith(folder.rstrip("/") + "/") for folder in self._readable):
            return None
        return await self._signer.sign("GET", uri, self.longest if expires is None else expires, {})
