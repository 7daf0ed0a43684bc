"""The table of routes: from verb and path to a call and the values of its path fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from elevon_core.errors import InvalidArgument, NotFound, Unimplemented
from elevon_idl.admin.v1 import (
    admin_service_pb2,
    auth_metadata_service_pb2,
    data_proxy_service_pb2,
    identity_service_pb2,
    signal_service_pb2,
)
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from elevon_admin.gateway.fields import FieldPath, field_path
from elevon_admin.gateway.query import fill_from_query
from elevon_admin.gateway.rules import Rule
from elevon_admin.gateway.templates import Template, parse_template, path_segments

SERVICES = (
    admin_service_pb2,
    auth_metadata_service_pb2,
    data_proxy_service_pb2,
    identity_service_pb2,
    signal_service_pb2,
)
"""Loaded so that the rules find their methods."""


@dataclass(frozen=True, slots=True)
class Route:
    """One verb and path of one call, compiled."""

    rule: Rule
    template: Template
    method: MethodDescriptor
    request_type: type[Message]
    response_type: type[Message]
    path_fields: tuple[FieldPath, ...]
    bound: frozenset[tuple[str, ...]]

    def fill(self, message: Message, values: Sequence[str], query: str) -> None:
        """Set the fields that path and query hold; raises InvalidArgument for values that do not fit."""
        for path_field, value in zip(self.path_fields, values, strict=True):
            path_field.assign(message, value)
        if query and not self.rule.body:
            fill_from_query(message, query, self.bound)


@dataclass(slots=True)
class Node:
    """A place in the tree of segments."""

    literals: dict[str, Node] = field(default_factory=dict)
    variable: Node | None = None
    routes: dict[str, Route] = field(default_factory=dict)


class Routes:
    """Finds routes in time that depends on the length of a path only; literal segments win over variables."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.all = [compile_route(rule) for rule in rules]
        self._root = Node()
        for route in self.all:
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in route.template.segments:
            if segment is not None:
                node = node.literals.setdefault(segment, Node())
            else:
                node.variable = node.variable or Node()
                node = node.variable
        other = node.routes.setdefault(route.rule.verb, route)
        if other is not route:
            place = f"{route.rule.verb} {route.template.text}"
            raise InvalidArgument.invalid("path", place, f"{other.rule.rpc} has it already")

    def find(self, verb: str, raw_path: bytes) -> tuple[Route, list[str]]:
        """Answer the route and the values of its path fields, in order.

        Raises NotFound for a path that has no route, Unimplemented for one that has it for other verbs, InvalidArgument
        for a path that cannot be decoded.
        """
        segments = path_segments(raw_path)
        verbs: set[str] = set()
        for node, values in _matches(self._root, segments, 0):
            if verb in node.routes:
                return node.routes[verb], values
            verbs.update(node.routes)
        path = raw_path.decode("latin-1")
        if verbs:
            raise Unimplemented(f"{verb} is not available at {path}: use {' or '.join(sorted(verbs))}")
        raise NotFound(f"nothing is at {path}")


def _matches(node: Node, segments: tuple[str, ...], index: int) -> Iterator[tuple[Node, list[str]]]:
    if index == len(segments):
        if node.routes:
            yield node, []
        return
    if (literal := node.literals.get(segments[index])) is not None:
        yield from _matches(literal, segments, index + 1)
    if node.variable is not None:
        for found, values in _matches(node.variable, segments, index + 1):
            yield found, [segments[index], *values]


def compile_route(rule: Rule) -> Route:
    """Find the call and the fields that a rule names; raises InvalidArgument when there are none."""
    template = parse_template(rule.path)
    try:
        method = descriptor_pool.Default().FindMethodByName(f"{rule.service}.{rule.method}")
    except KeyError:
        raise InvalidArgument.invalid("selector", rule.rpc, "there is no such method") from None
    if method.client_streaming or method.server_streaming:
        raise InvalidArgument.invalid("selector", rule.rpc, "streams are not available over HTTP")
    path_fields = tuple(field_path(method.input_type, name) for name in template.variables)
    return Route(
        rule=rule,
        template=template,
        method=method,
        request_type=message_factory.GetMessageClass(method.input_type),
        response_type=message_factory.GetMessageClass(method.output_type),
        path_fields=path_fields,
        bound=frozenset((*path.parents, path.leaf.name) for path in path_fields),
    )
