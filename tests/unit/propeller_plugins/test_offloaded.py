"""Who reads inputs in files of their own, and what the others get."""

from __future__ import annotations

import pytest
from elevon_core import literals
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from elevon_kit.blobs_memory import MemoryBlobStore
from elevon_propeller.plugins.offloaded import has_offloaded, loaded, reads_offloaded

FLYTEKIT = core.RuntimeMetadata.FLYTE_SDK


@pytest.mark.parametrize(
    ("kind", "version", "reads"),
    [
        (FLYTEKIT, "1.13.14", True),
        (FLYTEKIT, "v1.16.3", True),
        (FLYTEKIT, "2.0.0b1", True),
        (FLYTEKIT, "1.13.9", False),
        (FLYTEKIT, "1.9.20", False),
        (FLYTEKIT, "dev", False),
        (FLYTEKIT, "", False),
        (core.RuntimeMetadata.OTHER, "1.16.0", False),
    ],
)
def test_new_enough_sdks_read_them(kind: core.RuntimeMetadata.RuntimeType.ValueType, version: str, reads: bool) -> None:
    runtime = core.RuntimeMetadata(type=kind, version=version)
    assert reads_offloaded(core.TaskTemplate(metadata=core.TaskMetadata(runtime=runtime))) is reads


def reference(uri: str) -> core.Literal:
    return core.Literal(offloaded_metadata=core.LiteralOffloadedMetadata(uri=uri))


async def test_everything_is_put_in_place() -> None:
    blobs = MemoryBlobStore()
    await blobs.write("s3://b/far", literals.integer(7).SerializeToString())
    far, near = reference("s3://b/far"), literals.integer(1)
    inputs = core.LiteralMap(
        literals={"far": far, "near": near, "list": literals.collection([near, far]), "map": literals.map_({"k": far})}
    )
    assert has_offloaded(inputs)
    found = await loaded(inputs, blobs)
    seven = literals.integer(7)
    assert found == core.LiteralMap(
        literals={
            "far": seven,
            "near": near,
            "list": literals.collection([near, seven]),
            "map": literals.map_({"k": seven}),
        }
    )
    assert not has_offloaded(found)
    assert has_offloaded(inputs)


@pytest.mark.parametrize(("uri", "words"), [("s3://b/absent", "not there"), ("s3://b/broken", "no Literal")])
async def test_what_cannot_be_read_is_named(uri: str, words: str) -> None:
    blobs = MemoryBlobStore()
    await blobs.write("s3://b/broken", b"\xff\xff")
    with pytest.raises(InvalidArgument, match=f"input x .*{words}"):
        await loaded(core.LiteralMap(literals={"x": reference(uri)}), blobs)
