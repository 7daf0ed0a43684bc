"""What the canonical line says a request is about."""

from __future__ import annotations

from typing import Any

import pytest
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit.grpc_subjects import subject_of

IDENTIFIER = core.Identifier(project="p", domain="d", name="n", version="v")
EXECUTION = core.WorkflowExecutionIdentifier(project="p", domain="d", name="n")


@pytest.mark.parametrize(
    ("request_message", "subject"),
    [
        (admin.ObjectGetRequest(id=IDENTIFIER), {"project": "p", "domain": "d", "name": "n", "version": "v"}),
        (admin.ExecutionCreateRequest(project="p", domain="d", name="n"), {"project": "p", "domain": "d", "name": "n"}),
        (admin.WorkflowExecutionGetRequest(id=EXECUTION), {"project": "p", "domain": "d", "name": "n"}),
        (admin.ResourceListRequest(id=admin.NamedEntityIdentifier(project="p")), {"project": "p"}),
        (
            admin.NodeExecutionGetRequest(id=core.NodeExecutionIdentifier(node_id="n0", execution_id=EXECUTION)),
            {"project": "p", "domain": "d", "name": "n"},
        ),
    ],
)
def test_a_request_names_its_subject(request_message: Any, subject: dict[str, str]) -> None:
    extract = subject_of(type(request_message).DESCRIPTOR)
    assert extract is not None
    assert extract(request_message) == subject


def test_some_requests_are_about_nothing() -> None:
    assert subject_of(admin.GetVersionRequest.DESCRIPTOR) is None


def test_a_request_is_not_changed_by_looking() -> None:
    request = admin.ObjectGetRequest()
    extract = subject_of(admin.ObjectGetRequest.DESCRIPTOR)
    assert extract is not None
    assert extract(request) == {}
    assert not request.HasField("id")
