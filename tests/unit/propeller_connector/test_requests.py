"""What connectors are told, and what is remembered of jobs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.connector import requests
from elevon_propeller.plugins.connector.grpc_service import target_of
from elevon_propeller.plugins.connector.records import JobRecord, Owner, owner_of
from elevon_propeller.plugins.connector.routes import Category
from elevon_propeller.plugins.connector.settings import ConnectorSettings
from elevon_propeller.plugins.contract import Attempt, AttemptPaths
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError


def made() -> Attempt:
    """An attempt with everything set."""
    task = core.TaskTemplate(type="spark", task_type_version=2)
    task.id.name = "Tasks.Train Model"
    task.container.args[:] = ["--in", "{{.inputPrefix}}", "{{ .inputs.x }}"]
    task.container.command[:] = ["{{.outputPrefix}}"]
    task.interface.outputs.variables["o"].type.simple = core.INTEGER
    inputs = core.LiteralMap()
    for name in ("z", "x", "a"):
        inputs.literals[name].scalar.primitive.integer = 4
    return Attempt(
        name="x-n0-3",
        execution_id=core.WorkflowExecutionIdentifier(project="p", domain="d", name="x"),
        workflow_name="flows.main",
        node_id="n0",
        spec_node_id="n0",
        number=3,
        task=task,
        inputs=inputs,
        paths=AttemptPaths("file:///m/x/n0/data", "file:///m/x/n0/data/3", "file:///r/aa/x-n0-3"),
        started_at=datetime(2025, 1, 1, tzinfo=UTC),
        environment={"LEVEL": "debug"},
        labels={"team": "blue", "project": "mine"},
        annotations={"note": "yes"},
        overrides=core.TaskNodeOverrides(container_image="img:2"),
        security_context=core.SecurityContext(
            run_as=core.Identity(k8s_service_account="robot", execution_identity="ann")
        ),
        interruptible=True,
    )


def test_the_request_has_everything_a_connector_may_ask_for() -> None:
    request = requests.create_task(made())
    told = request.task_execution_metadata
    assert told.task_execution_id.retry_attempt == 3
    assert told.task_execution_id.node_execution_id.execution_id.name == "x"
    assert told.task_execution_id.task_id.name == "Tasks.Train Model"
    assert told.namespace == "p-d"
    assert dict(told.environment_variables) == {"LEVEL": "debug"}
    assert dict(told.annotations) == {"note": "yes"}
    assert (told.k8s_service_account, told.identity.execution_identity) == ("robot", "ann")
    assert told.interruptible
    assert told.overrides.container_image == "img:2"
    assert told.labels["task-name"] == "tasks-train-model"
    assert (told.labels["project"], told.labels["team"]) == ("mine", "blue")


def test_arguments_are_rendered_and_places_are_plain_when_they_are_local() -> None:
    request = requests.create_task(made())
    assert list(request.template.container.args) == ["--in", "/m/x/n0/data", "4"]
    assert list(request.template.container.command) == ["{{.outputPrefix}}"]
    assert request.output_prefix == "/m/x/n0/data/3"
    assert request.template.task_type_version == 2


def test_the_request_is_the_same_whenever_it_is_made() -> None:
    first, second = (requests.create_task(made()).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


@given(st.text())
def test_labels_are_fit_to_be_values_of_labels(text: str) -> None:
    label = requests.as_label(text)
    assert len(label) <= 63
    assert label == label.strip("-")
    assert set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


OWNERS = st.builds(Owner, st.text(), st.text(), st.text(), st.text(), st.integers(0, 100))
CATEGORIES = st.builds(Category, st.text(), st.integers(0, 2**31 - 1))


@given(st.builds(JobRecord, OWNERS, st.text(), CATEGORIES, st.binary(), st.text(), st.booleans()))
def test_jobs_are_remembered_as_they_are(record: JobRecord) -> None:
    assert JobRecord.unpack(record.pack()) == record


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b'{"endpoint": 1}'])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no record of a job"):
        JobRecord.unpack(data)


def test_looks_and_deletions_name_the_category_twice() -> None:
    record = JobRecord(owner_of(made()), "default", Category("spark", 2), b"\x00job", "/m/x")
    assert record.owner.node == ("p", "d", "x", "n0")
    assert str(record.owner) == "p/d/x/n0/3"
    looked, deleted = requests.get_task(record), requests.delete_task(record)
    assert (looked.task_type, looked.task_category.name, looked.task_category.version) == ("spark", "spark", 2)
    assert (looked.resource_meta, looked.output_prefix) == (b"\x00job", "/m/x")
    assert (deleted.task_type, deleted.task_category.version, deleted.resource_meta) == ("spark", 2, b"\x00job")


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("localhost:8000", "localhost:8000"),
        ("dns:///connectors:8000", "dns:///connectors:8000"),
        ("k8s://flyteconnector.flyte:8000", "dns:///flyteconnector.flyte.svc.cluster.local:8000"),
        ("k8s:///flyteconnector.flyte:grpc", "dns:///flyteconnector.flyte.svc.cluster.local:grpc"),
    ],
)
def test_targets(address: str, target: str) -> None:
    assert target_of(address) == target


def test_task_types_are_assigned_to_endpoints_that_there_are() -> None:
    with pytest.raises(ValidationError, match=r"task_types\[spark\] names 'b'.*\['a'\]"):
        ConnectorSettings.model_validate({"endpoints": {"a": {"address": "a:1"}}, "task_types": {"spark": "b"}})
