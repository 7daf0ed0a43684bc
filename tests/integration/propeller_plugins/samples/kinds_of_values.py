"""A task with an output of every kind that flytekit knows by itself."""

# mypy: ignore-errors
# Runs in the environment of flytekit, which mypy does not see.

from __future__ import annotations

import datetime
import enum
import pathlib
from dataclasses import dataclass

import pandas
from flytekit import task
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from flytekit.types.pickle import FlytePickle


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: float
    names: list[str]


@task
def all_kinds() -> tuple[
    bool,
    float,
    str,
    datetime.datetime,
    datetime.timedelta,
    list[int],
    dict[str, list[str]],
    int | None,
    int | str,
    Colour,
    Point,
    list[Point],
    FlyteFile,
    FlyteDirectory,
    pandas.DataFrame,
    FlytePickle,
    dict,
    list[dict[str, int]],
]:
    pathlib.Path("a.txt").write_text("a")
    pathlib.Path("folder").mkdir()
    pathlib.Path("folder/b.txt").write_text("b")
    return (
        True,
        1.5,
        "word",
        datetime.datetime(2025, 1, 2, tzinfo=datetime.UTC),
        datetime.timedelta(seconds=3),
        [1, 2],
        {"a": ["b"]},
        None,
        "either",
        Colour.BLUE,
        Point(1, 2.0, ["p"]),
        [],
        FlyteFile("a.txt"),
        FlyteDirectory("folder"),
        pandas.DataFrame({"n": [1, 2]}),
        {1, 2},
        {"any": [1, "thing"]},
        [],
    )
