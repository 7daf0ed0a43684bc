"""The OpenAPI document: valid, complete, and true about what is answered."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from elevon_admin.gateway.json_form import proto_name, to_document
from elevon_admin.gateway.openapi import openapi_document, openapi_json
from elevon_admin.gateway.routes import Route, Routes
from elevon_admin.gateway.rules import load_rules
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from google.protobuf.message import Message
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no type information
from openapi_spec_validator import validate

ROUTES = Routes(load_rules()).all
DOCUMENT = openapi_document(ROUTES)


def operations() -> list[dict[str, Any]]:
    return [operation for path in DOCUMENT["paths"].values() for operation in path.values()]


def operation_of(route: Route) -> dict[str, Any]:
    """Found as a client finds it: by the shape of the path."""

    def shape(path: str) -> str:
        return re.sub(r"\{[^}]*\}", "{}", path)

    found = [item for path, item in DOCUMENT["paths"].items() if shape(path) == shape(route.template.text)]
    assert len(found) == 1
    operation: dict[str, Any] = found[0][route.rule.verb.lower()]
    return operation


def test_it_is_valid() -> None:
    validate(json.loads(openapi_json(ROUTES)))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.rule.verb} {route.template.text}")
def test_every_route_is_in_it(route: Route) -> None:
    operation = operation_of(route)
    assert operation["operationId"].rstrip("0123456789") == route.method.name
    assert len(operation["description"]) > 10
    assert [p["in"] for p in operation["parameters"]].count("path") == len(route.template.variables)
    reference = f"#/components/schemas/{route.method.input_type.full_name}"
    content = operation.get("requestBody", {}).get("content", {})
    assert content.get("application/json", {}).get("schema") == ({"$ref": reference} if route.rule.body else None)


def test_variables_of_paths_have_names_that_every_tool_takes() -> None:
    for path, item in DOCUMENT["paths"].items():
        names = re.findall(r"\{([^}]*)\}", path)
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names), path
        assert len(names) == len(set(names)), path
        for operation in item.values():
            assert [each["name"] for each in operation["parameters"] if each["in"] == "path"] == names, path


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for operation in operations()]
    assert len(names) == len(set(names)) == len(ROUTES)


def test_the_query_is_told() -> None:
    listing = DOCUMENT["paths"]["/api/v1/tasks/{id_project}/{id_domain}"]["get"]
    query = {p["name"]: p["schema"] for p in listing["parameters"] if p["in"] == "query"}
    assert sorted(query) == ["filters", "id.name", "id.org", "limit", "sort_by.direction", "sort_by.key", "token"]
    assert query["sort_by.direction"] == {"type": "string", "enum": ["DESCENDING", "ASCENDING"]}


def launch_plan() -> admin.LaunchPlan:
    plan = admin.LaunchPlan(id=core.Identifier(resource_type=core.LAUNCH_PLAN, project="p", name="n"))
    parameter = core.Parameter(var=core.Variable(type=core.LiteralType(simple=core.STRING)), required=True)
    plan.spec.default_inputs.parameters["a"].CopyFrom(parameter)
    plan.spec.fixed_inputs.literals["b"].scalar.primitive.integer = 2**60
    plan.closure.created_at.GetCurrentTime()
    return plan


@pytest.mark.parametrize(
    "message", [admin.LaunchPlan(), launch_plan(), admin.Execution(spec=admin.ExecutionSpec()), admin.TaskList()]
)
def test_answers_are_as_the_schema_says(message: Message) -> None:
    schema = {"$ref": f"#/components/schemas/{message.DESCRIPTOR.full_name}", "components": DOCUMENT["components"]}
    Draft202012Validator(schema).validate(to_document(message, proto_name))
