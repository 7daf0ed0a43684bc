"""The OpenAPI document of the HTTP API, made from the descriptors and the rules."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from elevon_admin.gateway.openapi_schemas import REFERENCE, STATUS, Schema, Schemas, plain_schema, query_fields
from elevon_admin.gateway.routes import Route
from elevon_admin.gateway.templates import Template

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")
ABOUT = (
    "Elevon admin over HTTP. Content-Type and Accept choose the encoding: `application/json` has the field names shown "
    "here, `application/octet-stream` is the protobuf message, and any other type is JSON with names in camel case."
)


def openapi_json(routes: Iterable[Route]) -> bytes:
    """Answer the document as JSON text."""
    return json.dumps(openapi_document(routes), ensure_ascii=False, separators=(",", ":")).encode()


def openapi_document(routes: Iterable[Route]) -> dict[str, Any]:
    """Answer the document, OpenAPI 3.1."""
    schemas = Schemas()
    paths: dict[str, dict[str, Any]] = {}
    names = PathNames()
    identities: dict[str, int] = {}
    tags: dict[str, None] = {}
    for route in routes:
        path, parameters = names.of(route)
        number = identities[route.rule.rpc] = identities.get(route.rule.rpc, 0) + 1
        identity = route.method.name + (str(number) if number > 1 else "")
        paths.setdefault(path, {})[route.rule.verb.lower()] = _operation(route, identity, parameters, schemas)
        tags[_tag(route)] = None
    return {
        "openapi": "3.1.0",
        "info": {"title": "Elevon", "description": ABOUT, "version": version("elevon-admin")},
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {"schemas": schemas.components},
    }


class PathNames:
    """Gives paths of one shape the same names of variables, as OpenAPI demands; without dots, which few tools take."""

    def __init__(self) -> None:
        self._known: dict[tuple[str | None, ...], Template] = {}

    def of(self, route: Route) -> tuple[str, list[Schema]]:
        """Answer the path as the document writes it, and its parameters."""
        template = self._known.setdefault(route.template.segments, route.template)
        names = _plain_names(template.variables)
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": plain_schema(field.leaf)}
            for name, field in zip(names, route.path_fields, strict=True)
        ]
        left = iter(names)
        path = "/".join(f"{{{next(left)}}}" if segment is None else segment for segment in template.segments)
        return f"/{path}", parameters


def _plain_names(variables: Iterable[str]) -> list[str]:
    """Names with underscores for dots; two that would be the same are told apart."""
    names: list[str] = []
    for variable in variables:
        name = variable.replace(".", "_")
        while name in names:
            name += "_"
        names.append(name)
    return names


def _operation(route: Route, identity: str, parameters: list[Schema], schemas: Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": identity,
        "tags": [_tag(route)],
        "summary": " ".join(WORD.findall(route.method.name)).capitalize(),
        "description": _comment(route.method),
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done.", "content": _content(schemas.reference(route.method.output_type))},
            "default": {"description": "It failed.", "content": _content({"$ref": REFERENCE + STATUS})},
        },
    }
    if route.rule.body:
        operation["requestBody"] = {"content": _content(schemas.reference(route.method.input_type))}
    else:
        parameters += _query(route)
    return operation


def _query(route: Route) -> list[Schema]:
    bound = {field.name for field in route.path_fields}
    return [
        {"name": name, "in": "query", "schema": schema}
        for name, schema in query_fields(route.method.input_type)
        if name not in bound
    ]


def _content(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}, "application/octet-stream": {}}


def _tag(route: Route) -> str:
    return route.rule.service.rpartition(".")[2]


def _comment(method: MethodDescriptor) -> str:
    """The comment in the protos, which the stubs keep."""
    service = method.containing_service
    module = service.file.name.removesuffix(".proto").replace("/", ".")
    stubs = importlib.import_module(f"elevon_idl.{module.removeprefix('elevon.')}_pb2_grpc")
    function = getattr(getattr(stubs, f"{service.name}Servicer"), method.name)
    return " ".join((inspect.getdoc(function) or "").split())
