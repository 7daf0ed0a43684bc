"""What a code distribution may hold, also for a Python whose tarfile has no filters."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from elevon_propeller.plugins.process.distribution import extract, refuse_outside, without_way_out


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


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("package/module.py", "package/module.py"),
        ("../venv/bin/pyflyte", "venv/bin/pyflyte"),
        ("../../a", "a"),
        ("a/../../b/c", "b/c"),
        ("/etc/passwd", "etc/passwd"),
        ("..//etc/passwd", "etc/passwd"),
        ("a/..b/..c", "a/..b/..c"),
        ("..", "."),
        ("a/..", "."),
    ],
)
def test_names_lose_what_gnu_tar_takes(name: str, kept: str) -> None:
    assert without_way_out(name) == kept


def packed(*members: tarfile.TarInfo) -> tarfile.TarFile:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for info in members:
            content = info.name.encode() if info.isfile() else b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return tarfile.open(fileobj=io.BytesIO(data.getvalue()))


@pytest.fixture(params=["with filters", "without"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where to unpack, with the rules of either kind of Python."""
    if request.param == "without":
        monkeypatch.delattr(tarfile, "data_filter")
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    return inner


@pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")
def test_what_lay_beside_the_project_is_unpacked_inside(folder: Path) -> None:
    beside, hard = member("../venv/bin/pyflyte"), member("../venv/again", tarfile.LNKTYPE, "../venv/bin/pyflyte")
    with packed(member("module.py"), member("..", tarfile.DIRTYPE), beside, hard) as archive:
        extract(archive, folder)
    assert (folder / "venv/bin/pyflyte").read_text() == "../venv/bin/pyflyte"
    assert (folder / "venv/again").read_text() == "../venv/bin/pyflyte"
    assert [path.name for path in folder.parent.iterdir()] == ["inner"]


@pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")
@pytest.mark.parametrize("target", ["../..", "/tmp"])
def test_nothing_is_written_through_links(folder: Path, target: str) -> None:
    with (
        packed(member("out", tarfile.SYMTYPE, target), member("out/written")) as archive,
        pytest.raises(tarfile.TarError),
    ):
        extract(archive, folder)
    assert not (folder.parent.parent / "written").exists()
