"""One task per type flytekit knows, each of which needs its input whole, for the end-to-end tests."""

import enum
import importlib.util
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from flytekit import task, workflow
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile, JSONLFile
from flytekit.types.pickle import FlytePickle


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Leg:
    length: float
    tags: list[str] = field(default_factory=list)


@dataclass
class Animal:
    name: str
    legs: list[Leg]
    color: Color = Color.RED
    ages: dict[str, int] = field(default_factory=dict)
    nick: str | None = None


class Anything:
    """What only a pickle can carry."""

    def __init__(self, value: int) -> None:
        self.value = value


@task
def of_primitives(
    i: int, f: float, s: str, b: bool, d: datetime, t: timedelta
) -> tuple[int, float, str, bool, datetime, timedelta]:
    return i + 1, f * 2, s.upper(), not b, d + t, t * 2


@task
def of_enum(c: Color) -> Color:
    return Color.GREEN if c is Color.RED else Color.RED


@task
def of_union(x: int | str | list[int]) -> int | str | list[int]:
    return x * 2


@task
def of_optional(x: int | None = None) -> str | None:
    return None if x is None else f"given {x}"


@workflow
def of_optional_wf(x: int | None = None) -> str | None:
    return of_optional(x=x)


@task
def of_collections(x: dict[str, list[dict[str, int]]]) -> list[list[int]]:
    return [[item[key] for item in items for key in sorted(item)] for _, items in sorted(x.items())]


@task
def of_dict(x: dict) -> dict:
    return {**x, "more": [1, {"deep": True}]}


@task
def of_dataclass(x: Animal) -> Animal:
    x.legs.append(Leg(length=x.legs[0].length * 2, tags=["new"]))
    x.ages["new"] = 7
    return x


@dataclass
class Pen:
    animal: Animal | None = None


@task
def penned(x: Animal) -> Pen:
    return Pen(animal=x)


@task
def called(name: str, length: float) -> str:
    return f"{name} {length}"


@workflow
def of_optional_attributes(x: Animal) -> str:
    """Attributes of what may be absent, and is not."""
    pen = penned(x=x)
    return called(name=pen.animal.name, length=pen.animal.legs[0].length)


@task
def of_dataclasses(x: list[Animal]) -> dict[str, Animal]:
    return {animal.name: animal for animal in x}


@task
def of_file(x: FlyteFile) -> FlyteFile:
    out = Path("shouted.txt")
    out.write_text(Path(x.download()).read_text().upper())
    return FlyteFile(str(out))


@task
def of_kind_of_file(x: JSONLFile) -> JSONLFile:
    out = Path("twice.jsonl")
    out.write_text(Path(x.download()).read_text() * 2)
    return JSONLFile(str(out))


@task
def of_directory(x: FlyteDirectory) -> FlyteDirectory:
    out = Path("copied")
    (out / "below").mkdir(parents=True)
    for path in Path(x.download()).rglob("*"):
        if path.is_file():
            (out / "below" / path.name).write_text(path.read_text().upper())
    return FlyteDirectory(str(out))


@task
def of_pickle(x: FlytePickle[Anything]) -> FlytePickle[Anything]:
    return Anything(x.value + 1)


@task
def bytes_of(x: FlyteFile) -> int:
    """A large file, read as a stream."""
    with x.open("rb") as stream:
        return len(stream.read())


if importlib.util.find_spec("pydantic"):
    import pydantic

    class Model(pydantic.BaseModel):
        name: str
        parts: list[int]

    @task
    def of_pydantic(x: Model) -> Model:
        return Model(name=x.name * 2, parts=[*x.parts, 3])

    @task
    def name_of(name: str, part: int) -> str:
        return f"{name} {part}"

    @workflow
    def pydantic_attributes(x: Model) -> str:
        made = of_pydantic(x=x)
        return name_of(name=made.name, part=made.parts[1])
