"""What a code distribution may hold, for a Python whose tarfile has no filters."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from elevon_propeller.plugins.process.distribution import refuse_outside


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "inside",
    [
        member("module.py"),
        member("package", tarfile.DIRTYPE),
        member("package/link", tarfile.SYMTYPE, "../module.py"),
        member("hard", tarfile.LNKTYPE, "module.py"),
    ],
    ids=lambda info: info.name,
)
def test_what_stays_inside_is_taken(inside: tarfile.TarInfo, tmp_path: Path) -> None:
    refuse_outside(inside, tmp_path)


@pytest.mark.parametrize(
    "outside",
    [
        member("../module.py"),
        member("/etc/passwd"),
        member("package/link", tarfile.SYMTYPE, "../../secret"),
        member("hard", tarfile.LNKTYPE, "../secret"),
        member("device", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: info.name,
)
def test_what_leads_out_is_refused(outside: tarfile.TarInfo, tmp_path: Path) -> None:
    with pytest.raises(tarfile.TarError):
        refuse_outside(outside, tmp_path)
