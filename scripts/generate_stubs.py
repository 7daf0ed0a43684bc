"""Generate the Python stubs of every file under protos/ into libs/idl/elevon_idl.

Runs with the pinned generator (see the Makefile's `protos` target). Proto packages are `elevon.<area>.v1`; the Python
package is `elevon_idl.<area>.v1`, so imports are rewritten. Each area gets an `__init__` that re-exports its messages:
`from elevon_idl.core import v1 as core`.
"""

from __future__ import annotations

import ast
import re
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
PACKAGE = "elevon_idl"
MODULE_REFERENCE = re.compile(r"\belevon((?:\.[a-z0-9_]+)+_pb2)\b")
FROM_IMPORT = re.compile(r"^from elevon\.", re.MULTILINE)


def generate(destination: Path) -> None:
    """Write the stubs of all protos into `destination`, an `elevon_idl` folder, replacing the earlier ones."""
    with tempfile.TemporaryDirectory() as scratch:
        run_protoc(Path(scratch))
        for area in sorted(path for path in destination.iterdir() if path.is_dir()):
            shutil.rmtree(area)
        for source in sorted(Path(scratch).rglob("*.py*")):
            if "_pb2_grpc." in source.name and "Servicer" not in source.read_text():
                continue  # a file without a service has nothing to serve
            target = destination / source.relative_to(Path(scratch) / "elevon")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(rewrite_imports(source.read_text()))
    for folder in sorted(path for path in destination.rglob("*") if path.is_dir() and path.name != "__pycache__"):
        write_package(folder)


def run_protoc(scratch: Path) -> None:
    files = [str(path.relative_to(PROTOS)) for path in sorted(PROTOS.rglob("*.proto"))]
    include = resources.files("grpc_tools") / "_proto"
    status = protoc.main(
        [
            "protoc",
            f"-I{PROTOS}",
            f"-I{include}",
            f"--python_out={scratch}",
            f"--grpc_python_out={scratch}",
            f"--mypy_out=quiet:{scratch}",
            f"--mypy_grpc_out=quiet:{scratch}",
            *files,
        ]
    )
    if status != 0:
        sys.exit(f"protoc failed with status {status}")


def rewrite_imports(text: str) -> str:
    """Point references to generated modules at elevon_idl; message names and RPC paths stay as they are."""
    return FROM_IMPORT.sub(f"from {PACKAGE}.", MODULE_REFERENCE.sub(rf"{PACKAGE}\1", text))


def write_package(folder: Path) -> None:
    lines = ['"""Generated; see scripts/generate_stubs.py."""', ""]
    for module in sorted(folder.glob("*_pb2.pyi")):
        names = public_names(module)
        if names:
            joined = ", ".join(f"{name} as {name}" for name in names)
            lines.append(f"from .{module.stem} import {joined}")
    (folder / "__init__.py").write_text("\n".join(lines).rstrip() + "\n")


def public_names(stub: Path) -> list[str]:
    """Message and enum names, and enum values, that a generated module defines at top level."""
    names: list[str] = []
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.append(node.target.id)
    return sorted(
        name for name in names if not name.startswith("_") and not name.startswith("global__") and name != "DESCRIPTOR"
    )


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "libs" / "idl" / PACKAGE)
