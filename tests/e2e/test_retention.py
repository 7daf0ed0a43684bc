"""Retention with real files: what a kept execution or a cached result points at is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlparse

import grpc
import pytest
from elevon_idl.admin import v1 as admin_v1
from elevon_idl.admin.v1 import retention_service_pb2_grpc
from elevon_idl.core import v1 as core_v1
from flyteidl.admin import execution_pb2
from flyteidl.core import catalog_pb2, literals_pb2

from tests.e2e.harness import DOMAIN, PROJECT, Id, Phase, Plane, inputs, integer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

VERSION = "keeping"
LiteralMap: TypeAlias = Any  # flyteidl carries no types: a literals_pb2.LiteralMap


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def keeping(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    fresh_postgres_database: Callable[[], str],
) -> Iterator[Plane]:
    """A control plane on each database, where nobody has to wait until files go."""
    environment = {"ELEVON_ADMIN_RETENTION__SETTLE_SECONDS": "0", "ELEVON_ADMIN_RETENTION__ENABLED": "false"}
    if request.param == "postgresql":
        services = ("ADMIN", "PROPELLER", "CATALOG")
        environment |= {f"ELEVON_{service}_DATABASE__URL": fresh_postgres_database() for service in services}
    running = Plane(tmp_path_factory.mktemp("keeping"), environment)
    try:
        running.register("keeping", VERSION)
        yield running
    finally:
        running.close()


def delete(plane: Plane, execution: Id, **fields: Any) -> admin_v1.DeleteExecutionResponse:
    """Delete an execution."""
    stub = retention_service_pb2_grpc.RetentionServiceStub(plane.channel)
    identifier = core_v1.WorkflowExecutionIdentifier.FromString(execution.SerializeToString())
    return stub.DeleteExecution(admin_v1.DeleteExecutionRequest(id=identifier, **fields), timeout=60)


def kept_by(plane: Plane, execution: Id, other: Id) -> None:
    """See that an execution is not deleted as long as another one refers to it, and that a dry run says so."""
    tried = delete(plane, execution, dry_run=True)
    assert (tried.counts.executions, tried.counts.cache_entries, tried.counts.kept) == (0, 0, 1)
    assert [each.name for each in tried.kept[0].referring] == [other.name]
    with pytest.raises(grpc.RpcError, match=f"kept because others refer to its data: .*{other.name}") as refused:
        delete(plane, execution)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION


def ended(plane: Plane, name: str, values: LiteralMap, phase: str = "SUCCEEDED") -> Id:
    """Launch a workflow and see how it ends."""
    execution = plane.launch(f"keeping.{name}", VERSION, values)
    closure = plane.wait(execution).closure
    assert Phase.Name(closure.phase) == phase, closure
    return execution


def file_of(literal: literals_pb2.Literal) -> Path:
    """Where the file lies that a literal points at."""
    uri = literal.scalar.blob.uri
    return Path(unquote(urlparse(uri).path))


def values(**given: literals_pb2.Literal) -> LiteralMap:
    return literals_pb2.LiteralMap(literals=given)


def status(plane: Plane, execution: Id) -> int:
    """What the cache said of the first node."""
    return int(plane.nodes(execution)["n0"].closure.task_node_metadata.cache_status)


def element_statuses(plane: Plane, execution: Id) -> set[int]:
    (array,) = [node for node in plane.nodes(execution).values() if node.metadata.is_array]
    return {found.cache_status for found in plane.attempts(array)[0].closure.metadata.external_resources}


def test_what_a_cached_result_points_at(keeping: Plane) -> None:
    plane = keeping
    first = ended(plane, "cached", inputs(n=1))
    second = ended(plane, "cached", inputs(n=1))
    assert status(plane, second) == catalog_pb2.CACHE_HIT
    kept_by(plane, first, second)
    file = file_of(plane.outputs(second)["o0"])
    assert file.read_text() == "file 1"
    third = ended(plane, "cached", inputs(n=1))
    assert status(plane, third) == catalog_pb2.CACHE_HIT
    for execution in (second, third):
        assert delete(plane, execution).counts.executions == 1
    assert file.read_text() == "file 1"
    tried = delete(plane, first, dry_run=True)
    # The file, and the text that was read from it.
    assert (tried.counts.executions, tried.counts.cache_entries) == (1, 1)
    assert delete(plane, first) == tried
    assert not file.exists()
    again = ended(plane, "cached", inputs(n=1))
    assert status(plane, again) == catalog_pb2.CACHE_POPULATED
    assert plane.outputs(again)["o1"].scalar.primitive.string_value == "file 1"


def test_what_cached_elements_of_an_array_point_at(keeping: Plane) -> None:
    plane = keeping
    numbers = values(
        numbers=literals_pb2.Literal(collection=literals_pb2.LiteralCollection(literals=[integer(21), integer(22)]))
    )
    first = ended(plane, "mapped", numbers)
    second = ended(plane, "mapped", numbers)
    assert element_statuses(plane, second) == {catalog_pb2.CACHE_HIT}
    kept_by(plane, first, second)
    files = [file_of(each) for each in plane.outputs(second)["o0"].collection.literals]
    assert [file.read_text() for file in files] == ["file 21", "file 22"]
    delete(plane, second)
    assert delete(plane, first).counts.cache_entries == 2
    assert [file.exists() for file in files] == [False, False]
    again = ended(plane, "mapped", numbers)
    assert element_statuses(plane, again) == {catalog_pb2.CACHE_POPULATED}


def test_what_a_recovered_execution_has_taken_over(keeping: Plane, tmp_path: Path) -> None:
    plane = keeping
    failed = ended(plane, "half_way", inputs(n=3, witness=str(tmp_path)), "FAILED")
    (tmp_path / "ok").touch()
    again = plane.admin.RecoverExecution(execution_pb2.ExecutionRecoverRequest(id=failed)).id
    plane.wait(again)
    outputs = plane.outputs(again)
    assert outputs["o1"].scalar.primitive.string_value == "file 3"
    kept_by(plane, failed, again)
    assert file_of(outputs["o0"]).read_text() == "file 3"
    delete(plane, failed, with_referring=True)
    assert not file_of(outputs["o0"]).exists()
    for execution in (failed, again):
        with pytest.raises(grpc.RpcError, match="missing entity"):
            plane.execution(execution)


def test_what_was_handed_over_by_hand(keeping: Plane) -> None:
    plane = keeping
    maker = ended(plane, "made", inputs(n=4))
    file = plane.outputs(maker)["o0"]
    reader = ended(plane, "handed_over", values(file=file))
    kept_by(plane, maker, reader)
    again = plane.admin.RelaunchExecution(execution_pb2.ExecutionRelaunchRequest(id=reader)).id
    assert plane.wait(again).closure.phase == Phase.Value("SUCCEEDED")
    delete(plane, reader)
    kept_by(plane, maker, again)
    delete(plane, again)
    delete(plane, maker)
    assert not file_of(file).exists()


def apply(plane: Plane, dry_run: bool, **limits: Any) -> tuple[admin_v1.RetentionCounts, Mapping[str, set[str]]]:
    """Apply a rule: what it has deleted, and what was kept because of whom."""
    stub = retention_service_pb2_grpc.RetentionServiceStub(plane.channel)
    policy = admin_v1.RetentionPolicy(project=PROJECT, domain=DOMAIN, **limits)
    stub.PutRetentionPolicy(admin_v1.PutRetentionPolicyRequest(policy=policy), timeout=60)
    request = admin_v1.ApplyRetentionPolicyRequest(project=PROJECT, domain=DOMAIN, dry_run=dry_run)
    messages = list(stub.ApplyRetentionPolicy(request, timeout=60))
    kept = {each.id.name: {other.name for other in each.referring} for message in messages for each in message.kept}
    return messages[-1].counts, kept


def test_a_rule_keeps_what_the_newest_refer_to(keeping: Plane) -> None:
    plane = keeping
    maker = ended(plane, "made", inputs(n=5))
    file = plane.outputs(maker)["o0"]
    between = [ended(plane, "handed_over", values(file=file)) for _ in range(2)]
    newest = ended(plane, "handed_over", values(file=file))
    for dry_run in (True, False):
        counts, kept = apply(plane, dry_run, executions_max_count=1)
        assert kept == {maker.name: {newest.name}}
        assert counts.kept == 1
        assert counts.executions >= len(between)
        assert file_of(file).read_text() == "file 5"
    assert plane.execution(maker).id == maker
    limit = admin_v1.RetentionPolicy()
    limit.executions_max_age.FromMilliseconds(1)
    counts, kept = apply(plane, False, executions_max_age=limit.executions_max_age)
    assert (counts.executions, kept) == (2, {})
    assert not file_of(file).exists()
