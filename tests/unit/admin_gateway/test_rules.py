"""The file of rules: where it is, that it says what the original says, and what is refused in it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
from elevon_admin.gateway.routes import Routes, compile_route
from elevon_admin.gateway.rules import Rule, load_rules, parse_rules
from elevon_core.errors import InvalidArgument
from flyteidl.service import admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2
from google.api import annotations_pb2  # type: ignore[import-untyped]  # googleapis ships no type information
from grpc_health.v1 import health_pb2

PROTOS = Path(__file__).resolve().parents[3] / "protos" / "elevon" / "admin" / "v1" / "http.yaml"
ORIGINALS = (admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2)
ADMIN = "elevon.admin.v1.AdminService"


def original_bindings() -> set[tuple[str, str, str, bool]]:
    """Service, method, verb with path, and whether there is a body, as the published descriptors are annotated."""
    found = set()
    for module in ORIGINALS:
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                rule = method.GetOptions().Extensions[annotations_pb2.http]
                for binding in (rule, *rule.additional_bindings):
                    if verb := binding.WhichOneof("pattern"):
                        place = f"{verb.upper()} {getattr(binding, verb)}"
                        found.add((service.name, method.name, place, binding.body == "*"))
    return found


def test_the_rules_are_those_of_the_original() -> None:
    ours = {
        (rule.service.removeprefix("elevon.admin.v1."), rule.method, f"{rule.verb} {rule.path}", rule.body)
        for rule in load_rules()
    }
    assert ours == original_bindings()


def test_the_protos_show_the_file_that_is_shipped() -> None:
    assert PROTOS.read_text() == resources.files("elevon_admin.gateway").joinpath("http.yaml").read_text()


def test_all_rules_compile() -> None:
    assert len(Routes(load_rules()).all) == len(load_rules()) == len(original_bindings())


def document(rule: str) -> str:
    return f"type: google.api.Service\nhttp:\n  rules:\n    - {{selector: {ADMIN}.GetVersion, {rule}}}\n"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("get: /a, put: /b", "one verb is needed"),
        ("body: '*'", "one verb is needed"),
        ("post: /a, body: spec", "not read"),
        ("get: /a, response_body: spec", "does not know such a key"),
    ],
)
def test_what_the_gateway_cannot_do_is_refused(rule: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        parse_rules(document(rule))


def test_another_kind_of_document_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"google\.api\.Service"):
        parse_rules("type: something.Else\n")
    with pytest.raises(InvalidArgument, match="name a method in full"):
        parse_rules("type: google.api.Service\nhttp: {rules: [{selector: GetVersion, get: /a}]}")


@pytest.mark.parametrize(
    ("service", "method", "path", "words"),
    [
        (ADMIN, "GetNothing", "/a", "no such method"),
        (health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, "Watch", "/a", "streams"),
        (ADMIN, "GetTask", "/a/{id.nothing}", "no such field"),
        (ADMIN, "GetTask", "/a/{id}", "no such field"),
        (ADMIN, "GetTask", "/a/{nothing.name}", "no such field"),
        (ADMIN, "GetTask", "/a/{id.name=**}", "neither plain text"),
        (ADMIN, "GetTask", "/a:verb", "neither plain text"),
        (ADMIN, "GetTask", "a", "slash"),
    ],
)
def test_rules_that_name_what_is_not_there_are_refused(service: str, method: str, path: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        compile_route(Rule(service, method, "GET", path, body=False))


def test_two_rules_for_one_place_are_refused() -> None:
    first = Rule(ADMIN, "GetTask", "GET", "/a/{id.name}", body=False)
    second = Rule(ADMIN, "GetProject", "GET", "/a/{id}", body=False)
    with pytest.raises(InvalidArgument, match="GetTask has it already"):
        Routes([first, second])
