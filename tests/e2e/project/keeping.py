"""Workflows whose values are files that others may come to refer to, for the end-to-end tests of retention."""

from pathlib import Path

from flytekit import map_task, task, workflow
from flytekit.types.file import FlyteFile


def written(n: int) -> FlyteFile:
    """A file that says its number."""
    path = Path("made.txt")
    path.write_text(f"file {n}")
    return FlyteFile(str(path))


@task
def make(n: int) -> FlyteFile:
    return written(n)


@task(cache=True, cache_version="1")
def make_cached(n: int) -> FlyteFile:
    return written(n)


@task
def read(file: FlyteFile) -> str:
    return Path(file).read_text()


@task
def read_if_allowed(file: FlyteFile, witness: str) -> str:
    if not (Path(witness) / "ok").exists():
        raise ValueError("not yet")
    return Path(file).read_text()


@workflow
def made(n: int) -> FlyteFile:
    return make(n=n)


@workflow
def cached(n: int) -> tuple[FlyteFile, str]:
    file = make_cached(n=n)
    return file, read(file=file)


@workflow
def mapped(numbers: list[int]) -> list[FlyteFile]:
    return map_task(make_cached)(n=numbers)


@workflow
def handed_over(file: FlyteFile) -> str:
    return read(file=file)


@workflow
def half_way(n: int, witness: str) -> tuple[FlyteFile, str]:
    file = make(n=n)
    return file, read_if_allowed(file=file, witness=witness)
