"""Whom compressed answers are for."""

from __future__ import annotations

import pytest
from elevon_admin.gateway.codings import prefers_gzip

COMPRESSED = (
    "gzip", "GZIP", "x-gzip", "*", "deflate, gzip", "gzip;q=0.5", "gzip ; q=0.001", "br;q=1.0, gzip;q=0.8, *;q=0.1",
    "identity;q=0.5, gzip", "gzip, identity", "*;q=0.2", "deflate,,gzip", "identity;q=0, *;q=1",
)  # fmt: skip
PLAIN = (
    "", "identity", "gzip;q=0", "gzip;q=0.000", "GZIP; Q=0", "notgzip", "gzip2", "br", "*;q=0", "*, gzip;q=0",
    "identity;q=1, gzip;q=0.1", "gzip;q=x", "gzip;level=1", "g zip", "deflate;q=1, br",
)  # fmt: skip


@pytest.mark.parametrize("accepted", COMPRESSED)
def test_who_gets_gzip(accepted: str) -> None:
    assert prefers_gzip(accepted)


@pytest.mark.parametrize("accepted", PLAIN)
def test_who_gets_bytes_as_they_are(accepted: str) -> None:
    assert not prefers_gzip(accepted)
