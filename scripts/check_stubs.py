"""Fail when the committed stubs are not what the protos generate."""

from __future__ import annotations

import filecmp
import shutil
import sys
import tempfile
from pathlib import Path

from generate_stubs import PACKAGE, ROOT, generate

COMMITTED = ROOT / "libs" / "idl" / PACKAGE


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / PACKAGE
        fresh.mkdir()
        generate(fresh)
        stale = differences(fresh)
    for name in stale:
        print(f"stub drift: {name}")
    if stale:
        print("run `make protos` and commit the result")
    return 1 if stale else 0


def differences(fresh: Path) -> list[str]:
    """Files that differ, are missing or are left over, as paths inside the package."""
    generated = {path.relative_to(fresh) for path in fresh.rglob("*.py*")}
    committed = {
        path.relative_to(COMMITTED)
        for path in COMMITTED.rglob("*.py*")
        if "__pycache__" not in path.parts and path.parent != COMMITTED
    }
    unequal = {name for name in generated & committed if not filecmp.cmp(fresh / name, COMMITTED / name, shallow=False)}
    return sorted(str(name) for name in (generated ^ committed) | unequal)


if __name__ == "__main__":
    if shutil.which("protoc-gen-mypy") is None:
        sys.exit("protoc-gen-mypy is not on PATH; run this through `make check`")
    sys.exit(main())
