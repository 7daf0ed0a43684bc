"""Literals as files, and back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from elevon_core import literals
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from elevon_kit.blobs_memory import MemoryBlobStore
from elevon_propeller.plugins.contract import Attempt
from elevon_propeller.plugins.process.copilot import Copilot, copilot_of, lay_out_inputs, take_outputs
from elevon_propeller.plugins.process.copilot_inputs import plain
from elevon_propeller.plugins.process.copilot_outputs import collect, parse_duration
from hypothesis import given
from hypothesis import strategies as st

Maker = Callable[..., Attempt]


def copilot(folder: Path, format_: core.DataLoadingConfig.LiteralMapFormat.ValueType) -> Copilot:
    return Copilot(folder / "in", folder / "out", "/var/inputs", "/var/outputs", format_)


def test_paths_of_the_container_are_translated(tmp_path: Path) -> None:
    made = copilot(tmp_path, core.DataLoadingConfig.JSON)
    given = "cat /var/inputs/a /var/inputs_old /var/outputs"
    assert made.translated(given) == f"cat {tmp_path}/in/a /var/inputs_old {tmp_path}/out"


def test_it_is_there_only_when_asked_for(tmp_path: Path) -> None:
    task = core.TaskTemplate(container=core.Container(args=["x"]))
    assert copilot_of(task, tmp_path) is None
    task.container.data_config.enabled = True
    made = copilot_of(task, tmp_path)
    assert made is not None
    assert (made.known_inputs, made.known_outputs) == ("/var/flyte/inputs", "/var/flyte/outputs")


async def test_every_input_has_its_file(tmp_path: Path) -> None:
    struct = core.Literal()
    struct.scalar.generic.update({"a": 1})
    blob = core.Literal()
    blob.scalar.blob.uri = "s3://b/folder"
    blob.scalar.blob.metadata.type.dimensionality = core.BlobType.MULTIPART
    blobs = MemoryBlobStore()
    await blobs.write("s3://b/folder/x/y", b"deep")
    inputs = core.LiteralMap(
        literals={
            "number": literals.integer(3),
            "words": literals.collection([literals.string("a"), literals.string("b")]),
            "map": literals.map_({"k": literals.boolean(True)}),
            "when": literals.datetime_(datetime(2025, 1, 2, tzinfo=UTC)),
            "long": literals.duration(timedelta(seconds=90)),
            "none": literals.none_literal(),
            "struct": struct,
            "blob": blob,
        }
    )
    made = copilot(tmp_path, core.DataLoadingConfig.YAML)
    await lay_out_inputs(made, inputs, blobs)
    files = {str(file.relative_to(made.inputs)): file.read_bytes() for file in made.inputs.rglob("*") if file.is_file()}
    local = core.LiteralMap.FromString(files.pop("inputs.pb"))
    assert local.literals["blob"].scalar.blob.uri == str(made.inputs / "blob")
    assert b"number: 3" in files.pop("inputs.yaml")
    assert files == {
        "number": b"3",
        "words/0": b"a",
        "words/1": b"b",
        "map/k": b"true",
        "when": b"2025-01-02T00:00:00Z",
        "long": b"90s",
        "none": b"null",
        "struct": b'{"a": 1.0}',
        "blob/x/y": b"deep",
    }
    assert inputs.literals["blob"].scalar.blob.uri == "s3://b/folder"


@pytest.mark.parametrize(
    ("simple", "text", "expected"),
    [
        (core.INTEGER, " 7\n", literals.integer(7)),
        (core.FLOAT, "1e3", literals.float_(1000.0)),
        (core.STRING, " a b \n", literals.string("a b")),
        (core.BOOLEAN, "True", literals.boolean(True)),
        (core.DATETIME, "2025-01-02T00:00:00Z", literals.datetime_(datetime(2025, 1, 2, tzinfo=UTC))),
        (core.DURATION, "1h2m3.5s", literals.duration(timedelta(hours=1, minutes=2, seconds=3.5))),
        (core.DURATION, "-10ms", literals.duration(timedelta(milliseconds=-10))),
    ],
)
async def test_files_read_as_their_types(
    attempt_of: Maker, tmp_path: Path, simple: int, text: str, expected: core.Literal
) -> None:
    (tmp_path / "o0.any").write_text(text)
    outputs = await collect(tmp_path, attempt_of("t", {}, {"o0": simple}), MemoryBlobStore())
    assert outputs == core.LiteralMap(literals={"o0": expected})


@pytest.mark.parametrize(
    ("simple", "text"),
    [
        (core.INTEGER, "seven"),
        (core.BOOLEAN, "perhaps"),
        (core.DATETIME, "today"),
        (core.DURATION, "5 minutes"),
        (core.STRUCT, "[1]"),
        (core.STRING, "x" * (1024 * 1024 + 1)),
        (core.NONE, ""),
    ],
)
async def test_what_does_not_read_is_named(attempt_of: Maker, tmp_path: Path, simple: int, text: str) -> None:
    (tmp_path / "o0").write_text(text)
    with pytest.raises(InvalidArgument, match="output o0"):
        await collect(tmp_path, attempt_of("t", {}, {"o0": simple}), MemoryBlobStore())


async def test_an_error_file_becomes_an_error_document(attempt_of: Maker, tmp_path: Path) -> None:
    made, blobs, attempt = copilot(tmp_path, core.DataLoadingConfig.PROTO), MemoryBlobStore(), attempt_of("t", {}, {})
    await lay_out_inputs(made, core.LiteralMap(), blobs)
    (made.outputs / "_ERROR").write_text("no more")
    await take_outputs(made, attempt, blobs)
    document = core.ErrorDocument.FromString(await blobs.read(attempt.paths.error))
    assert document.error.message == "User Error: no more"
    assert document.error.kind == core.ContainerError.RECOVERABLE


@given(st.integers(min_value=-(10**18), max_value=10**18))
def test_durations_survive_the_way_there_and_back(nanoseconds: int) -> None:
    literal = core.Literal()
    literal.scalar.primitive.duration.FromNanoseconds(nanoseconds)
    assert parse_duration(plain(literal)[1]) == literal
