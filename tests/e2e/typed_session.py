"""Values of all types sent and read back with FlyteRemote; run by the tests inside the tasks' environment.

`typed_session.py VERSION FOLDER` prints one line `case: ok` or `case: what is wrong` each.
"""

import os
import sys
import typing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "project"))

import framed
import pandas as pd
import typed
from flytekit import StructuredDataset
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote, FlyteWorkflowExecution
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile, JSONLFile

VERSION, FOLDER = sys.argv[1], Path(sys.argv[2])
Check = typing.Callable[[FlyteWorkflowExecution], Any]


def made_file(name: str, text: str) -> str:
    path = FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def made_folder(name: str, **files: str) -> str:
    for stem, text in files.items():
        made_file(f"{name}/{stem}.txt", text)
    return str(FOLDER / name)


def texts(folder: str) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in Path(folder).rglob("*") if path.is_file()}


def output(kind: Any) -> Check:
    """The first output as a value of a type."""
    return lambda execution: execution.outputs.get("o0", kind)


def contents(kind: Any) -> Check:
    return lambda execution: Path(execution.outputs.get("o0", kind).download()).read_text()


def frame(execution: FlyteWorkflowExecution) -> dict[str, list[Any]]:
    return execution.outputs.get("o0", pd.DataFrame).to_dict("list")


def dataset(execution: FlyteWorkflowExecution) -> dict[str, list[Any]]:
    return execution.outputs.get("o0", StructuredDataset).open(pd.DataFrame).all().to_dict("list")


def everything(execution: FlyteWorkflowExecution) -> list[Any]:
    return [execution.outputs[name] for name in ("o0", "o1", "o2", "o3", "o4", "o5")]


MOMENT = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
ANIMAL = typed.Animal("rex", [typed.Leg(1.5, ["left"])], typed.Color.GREEN, {"first": 1})
GROWN = typed.Animal(
    "rex", [typed.Leg(1.5, ["left"]), typed.Leg(3.0, ["new"])], typed.Color.GREEN, {"first": 1, "new": 7}
)


def cases() -> dict[str, tuple[Any, dict[str, Any], Check, Any]]:
    """What to run, with which inputs, how to read the outputs and what they are."""
    told: dict[str, tuple[Any, dict[str, Any], Check, Any]] = {
        "primitives": (
            typed.of_primitives,
            {"i": 2**53 + 1, "f": 0.1, "s": "é\n'", "b": False, "d": MOMENT, "t": timedelta(microseconds=1500)},
            everything,
            [
                2**53 + 2,
                0.2,
                "É\n'",
                True,
                MOMENT + timedelta(microseconds=1500),
                timedelta(microseconds=3000),
            ],
        ),
        "enum": (typed.of_enum, {"c": typed.Color.RED}, output(typed.Color), typed.Color.GREEN),
        "union, int": (typed.of_union, {"x": 3}, output(int | str | list[int]), 6),
        "union, str": (typed.of_union, {"x": "ab"}, output(int | str | list[int]), "abab"),
        "union, list": (typed.of_union, {"x": [1]}, output(int | str | list[int]), [1, 1]),
        "optional, given": (typed.of_optional, {"x": 3}, output(str | None), "given 3"),
        "optional, none": (typed.of_optional, {"x": None}, output(str | None), None),
        "optional, absent": (typed.of_optional_wf, {}, output(str | None), None),
        "collections": (
            typed.of_collections,
            {"x": {"b": [{"y": 2, "x": 1}], "a": [], "c": [{"z": 3}, {}]}},
            output(list[list[int]]),
            [[], [1, 2], [3]],
        ),
        "dict": (
            typed.of_dict,
            {"x": {"a": 1, "b": [True, None]}},
            output(dict),
            {"a": 1, "b": [True, None], "more": [1, {"deep": True}]},
        ),
        "dataclass": (typed.of_dataclass, {"x": ANIMAL}, output(typed.Animal), GROWN),
        "optional attributes": (typed.of_optional_attributes, {"x": ANIMAL}, output(str), "rex 1.5"),
        "dataclasses": (
            typed.of_dataclasses,
            {"x": [ANIMAL, GROWN]},
            output(dict[str, typed.Animal]),
            {"rex": GROWN},
        ),
        "file": (
            typed.of_file,
            {"x": FlyteFile(made_file("file.txt", "quiet"))},
            contents(FlyteFile),
            "QUIET",
        ),
        "kind of file": (
            typed.of_kind_of_file,
            {"x": JSONLFile(made_file("lines.jsonl", '{"a": 1}\n'))},
            contents(JSONLFile),
            '{"a": 1}\n{"a": 1}\n',
        ),
        "large file": (
            typed.bytes_of,
            {"x": FlyteFile(made_file("large.txt", "0123456789" * 500_000))},
            output(int),
            5_000_000,
        ),
        "directory": (
            typed.of_directory,
            {
                "x": FlyteDirectory(
                    str(Path(made_file("folder/one.txt", "one"), made_file("folder/two.txt", "two")).parent)
                )
            },
            lambda execution: texts(execution.outputs.get("o0", FlyteDirectory).download()),
            {"below/one.txt": "ONE", "below/two.txt": "TWO"},
        ),
        "frame": (
            framed.of_frame,
            {"x": pd.DataFrame({"n": [1, 2]})},
            frame,
            {"n": [1, 2], "doubled": [2, 4]},
        ),
        "dataset": (
            framed.of_dataset,
            {"x": StructuredDataset(dataframe=pd.DataFrame({"n": [1, 2], "name": ["a", "b"]}))},
            dataset,
            {"n": [2, 3], "name": ["a", "b"]},
        ),
        "pickle": (
            typed.of_pickle,
            {"x": typed.Anything(1)},
            lambda execution: execution.outputs.get("o0", typed.FlytePickle[typed.Anything]).value,
            2,
        ),
    }
    if hasattr(typed, "Model"):
        model = typed.Model(name="ab", parts=[1, 2])
        told["pydantic"] = (
            typed.of_pydantic,
            {"x": model},
            output(typed.Model),
            typed.Model(name="abab", parts=[1, 2, 3]),
        )
        told["pydantic attributes"] = (typed.pydantic_attributes, {"x": model}, output(str), "abab 2")
    return told


def main() -> None:
    config = Config.for_endpoint(os.environ["FLYTE_PLATFORM_URL"], insecure=True)
    remote = FlyteRemote(config, default_project="flytesnacks", default_domain="development")
    told = cases()
    running = {}
    for case, (entity, inputs, _, _) in told.items():
        running[case] = remote.execute(entity, inputs=inputs, version=VERSION)
    for case, execution in running.items():
        _, _, read, expected = told[case]
        ended = remote.wait(execution, timeout=timedelta(seconds=240), poll_interval=timedelta(seconds=0.2))
        if ended.closure.error:
            print(f"{case}: {ended.closure.error.message[-300:]!r}")
            continue
        found = read(ended)
        print(f"{case}: {'ok' if found == expected else f'{found!r} instead of {expected!r}'}")


if __name__ == "__main__":
    main()
