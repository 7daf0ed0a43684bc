"""The shape of the house: sizes, names, versions, and what may not be said."""

from __future__ import annotations

import ast
import gc
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = [*sorted(ROOT.glob("libs/*")), *sorted(ROOT.glob("services/*")), ROOT / "clients" / "python"]
LARGEST_MODULE = 900
LONGEST_FUNCTION = 100
FORBIDDEN_NAMES = {"utils", "common", "helpers", "manager_impl", "misc"}


def tracked(*suffixes: str) -> list[Path]:
    """Files that belong to the project: tracked ones, and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    paths = [ROOT / name for name in listed]
    return [path for path in paths if path.suffix in suffixes and path.is_file()]


def written_modules() -> list[Path]:
    """Python files that people write; generated stubs are not among them."""
    stubs = ROOT / "libs" / "idl" / "elevon_idl"
    return [path for path in tracked(".py") if stubs not in path.parents or path.parent == stubs]


def parsed(source: str) -> ast.Module:
    """The syntax tree. CPython 3.11 cannot parse while it parses, which a collection of garbage in the middle brings
    about: it ends objects of earlier tests, their complaints are traced, and tracing parses."""
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        gc.enable()


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(parsed(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_module_is_larger_than_a_room() -> None:
    sizes = {relative(path): path.read_text().count("\n") for path in written_modules()}
    assert {name: lines for name, lines in sizes.items() if lines > LARGEST_MODULE} == {}


def test_no_function_is_longer_than_a_page() -> None:
    long = [
        f"{relative(path)} {name}: {length} lines"
        for path in written_modules()
        for name, length in functions(path)
        if length > LONGEST_FUNCTION
    ]
    assert long == []


def test_modules_are_named_for_what_they_hold() -> None:
    assert [relative(path) for path in written_modules() if path.stem in FORBIDDEN_NAMES] == []


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_every_member_has_the_one_version_and_floors(member: Path) -> None:
    project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
    workspace = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == workspace["version"]
    for requirement in project["dependencies"]:
        if requirement.startswith("elevon"):
            assert requirement.endswith(f"=={workspace['version']}"), requirement
        else:
            assert re.search(r">=\d", requirement), f"{requirement} has no floor version"


def test_plain_pip_installs_every_member() -> None:
    lines = (ROOT / "requirements-editable.txt").read_text().splitlines()
    assert sorted(line.removeprefix("-e ") for line in lines if line.startswith("-e")) == sorted(map(relative, MEMBERS))


def test_every_package_ships_its_types() -> None:
    assert [member.name for member in MEMBERS if not list(member.glob("elevon*/py.typed"))] == []


def test_ignores_say_why() -> None:
    pattern = re.compile(r"# (type: ignore(\[[^\]]*\])?|noqa(: [A-Z0-9, ]+)?)\s*$")
    silent = [
        f"{relative(path)}:{number}"
        for path in written_modules()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line) and path != Path(__file__)
    ]
    assert silent == []


def test_each_layer_imports_only_what_is_below() -> None:
    found = subprocess.run(
        [str(ROOT / ".venv" / "bin" / "lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


def test_who_reads_more_than_one_statement_takes_a_snapshot() -> None:
    torn = [
        f"{relative(path)}:{node.lineno}"
        for member in MEMBERS
        for path in member.glob("elevon*/**/store/*.py")
        for node in ast.walk(parsed(path.read_text()))
        if isinstance(node, ast.AsyncWith) and ast.unparse(node.items[0].context_expr).endswith(".reading()")
        if repeats(node, ast.unparse(node.items[0].optional_vars or node))
    ]
    assert torn == []


def repeats(block: ast.AsyncWith, connection: str) -> bool:
    """Whether a block may use its connection more than once."""
    uses = [node for node in ast.walk(block) if isinstance(node, ast.Name) and node.id == connection]
    again = [node for node in ast.walk(block) if isinstance(node, ast.For | ast.AsyncFor | ast.While)]
    bodies = [node for loop in again for part in loop.body for node in ast.walk(part)]
    made = [node.elt for node in ast.walk(block) if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp)]
    bodies += [node for each in made for node in ast.walk(each)]
    return len([use for use in uses if isinstance(use.ctx, ast.Load)]) > 1 or any(use in bodies for use in uses)


def test_documents_that_are_named_exist() -> None:
    names = {path.name for path in tracked(".md")}
    named = {
        (relative(path), found)
        for path in (*tracked(".py"), *tracked(".proto"), *tracked(".md"))
        for found in re.findall(r"\b[\w-]+\.md\b", path.read_text())
    }
    assert {(path, name) for path, name in named if name not in names} == set()
