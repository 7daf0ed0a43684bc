"""Literals in files of their own: taken apart where a node needs a part, across crashes; written for large lists."""

from __future__ import annotations

from elevon_core import hashing, literals
from elevon_idl.core import v1 as core
from elevon_kit.blobs_memory import MemoryBlobStore
from elevon_propeller.plugins.contract import Attempt, AttemptPhase, Report
from elevon_propeller.runtime.offloading import offloaded
from elevon_propeller.simulation import closures
from elevon_propeller.simulation.closures import TaskNodeSpec

from tests.integration.propeller_engine.engines import Begin, echo, eventually, identifier, report

URI = "mem://b/far"


def part_of_offloaded() -> core.CompiledWorkflowClosure:
    """The second node takes an item of what the first yields."""
    closure = closures.closure([TaskNodeSpec("n0"), TaskNodeSpec("n1", source="n0")], outputs={"x": "n1"})
    for node in closure.primary.template.nodes:
        if node.id == "n1":
            node.inputs[0].binding.promise.attr_path.add(int_value=1)
    return closure


def yields_offloaded(attempt: Attempt) -> Report | None:
    if attempt.node_id != "n0":
        return None
    far = core.Literal(offloaded_metadata=core.LiteralOffloadedMetadata(uri=URI))
    return report(AttemptPhase.SUCCEEDED, outputs=core.LiteralMap(literals={"x": far}))


async def test_a_part_is_taken_again_after_a_crash(begin: Begin) -> None:
    given: list[core.LiteralMap] = []

    def goes_on(attempt: Attempt) -> Report:
        given.append(attempt.inputs)
        return echo(attempt)

    first = await begin(yields_offloaded)
    await first.blobs.write(URI, literals.collection([literals.integer(5), literals.integer(6)]).SerializeToString())
    await first.create("parted", part_of_offloaded())
    await eventually(lambda: "parted-n1-0" in first.plugin.running)
    await first.stop(dead=True)
    second = await begin(goes_on)
    assert await second.wait("parted") == "SUCCEEDED"
    assert given == [core.LiteralMap(literals={"x": literals.integer(6)})]


async def test_a_file_that_is_not_there_fails_the_node_that_needs_it(begin: Begin) -> None:
    engine = await begin(yields_offloaded)
    await engine.create("absent", part_of_offloaded())
    assert await engine.wait("absent") == "FAILED"
    error = (await engine.watching.describe(identifier("absent"))).error
    assert (error.code, error.kind) == ("BindingResolutionFailure", core.ExecutionError.SYSTEM)
    assert URI in error.message


async def test_large_literals_get_files_and_references_with_hashes() -> None:
    blobs = MemoryBlobStore()
    large = literals.collection([literals.string("x" * 100)])
    hashed = core.Literal(scalar=large.collection.literals[0].scalar, hash="by the user")
    untyped = core.Literal(collection=core.LiteralCollection(literals=[core.Literal()] * 200))
    outputs = core.LiteralMap(
        literals={"large": large, "hashed": hashed, "small": literals.integer(1), "untyped": untyped}
    )
    written = await offloaded(outputs, "mem://b/0", 100, blobs.write)
    assert written.literals["small"] == literals.integer(1)
    assert written.literals["untyped"] == untyped
    reference = written.literals["large"]
    assert reference.offloaded_metadata.uri == "mem://b/0/large_offloaded_metadata.pb"
    assert reference.offloaded_metadata.size_bytes == large.ByteSize()
    assert reference.offloaded_metadata.inferred_type == literals.literal_type(large)
    assert reference.hash == hashing.base64_hash(large)
    assert written.literals["hashed"].hash == "by the user"
    assert core.Literal.FromString(await blobs.read(reference.offloaded_metadata.uri)) == large
    assert await offloaded(written, "mem://b/1", 0, blobs.write) != written
    assert await offloaded(written, "mem://b/1", 10_000, blobs.write) is written
