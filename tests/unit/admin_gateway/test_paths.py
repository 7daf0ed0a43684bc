"""Finding a route, against a reference that tries every template as a regular expression."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

import pytest
from elevon_admin.gateway.routes import Route, Routes
from elevon_admin.gateway.rules import load_rules
from elevon_admin.gateway.templates import parse_template, path_segments
from elevon_core.errors import InvalidArgument, NotFound, Unimplemented
from hypothesis import given
from hypothesis import strategies as st

ROUTES = Routes(load_rules())
VERBS = ("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS")
WORDS = sorted({segment for route in ROUTES.all for segment in route.template.segments if segment})

segments = st.one_of(st.sampled_from(WORDS), st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
"""Words of the routes, and any text: blanks, slashes, percent signs and nothing included."""


def reference(verb: str, raw_path: str) -> list[tuple[str, list[str]]] | None:
    """The calls that a verb and a path may mean, with their values; None for a path that no template fits."""
    fitting = []
    for route in ROUTES.all:
        pattern = re.sub(r"\\{[^}]*\\}", "([^/]+)", re.escape(route.template.text))
        if found := re.fullmatch(pattern, raw_path):
            fitting.append((route, [unquote(value, errors="strict") for value in found.groups()]))
    if any("/" in value for _route, values in fitting for value in values):
        return None
    if not fitting:
        return None
    return [(route.rule.rpc, values) for route, values in fitting if route.rule.verb == verb]


@given(st.sampled_from(VERBS), st.lists(segments, max_size=12))
def test_any_path_is_found_as_by_the_reference(verb: str, parts: list[str]) -> None:
    check(verb, "/" + "/".join(quote(part, safe="") for part in parts))


@given(st.sampled_from(ROUTES.all), st.sampled_from(VERBS), st.data())
def test_paths_made_from_templates_are_found_as_by_the_reference(route: Route, verb: str, data: st.DataObject) -> None:
    template = parse_template(route.rule.path)
    parts = [segment if segment is not None else data.draw(segments) for segment in template.segments]
    check(verb, "/" + "/".join(quote(part, safe="") for part in parts))


def check(verb: str, raw_path: str) -> None:
    expected = reference(verb, raw_path)
    if expected:
        route, values = ROUTES.find(verb, raw_path.encode())
        assert (route.rule.rpc, values) in expected
    else:
        with pytest.raises(NotFound if expected is None else Unimplemented):
            ROUTES.find(verb, raw_path.encode())


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1), min_size=1))
def test_segments_come_back_as_they_were(parts: list[str]) -> None:
    assert path_segments(("/" + "/".join(quote(part, safe="") for part in parts)).encode()) == tuple(parts)


@pytest.mark.parametrize("path", [b"/a%2Fb", b"/a%2fb/c", b"//a", b"/a/", b"/", b""])
def test_encoded_slashes_and_empty_segments_lead_nowhere(path: bytes) -> None:
    with pytest.raises(NotFound):
        path_segments(path)


@pytest.mark.parametrize("path", [b"/a%", b"/a%2", b"/a%zz", b"/%ff", b"/%c3"])
def test_broken_escapes_are_the_callers_error(path: bytes) -> None:
    with pytest.raises(InvalidArgument, match="path"):
        path_segments(path)


def test_a_plus_in_a_path_is_a_plus_and_a_colon_a_colon() -> None:
    _route, values = ROUTES.find("GET", b"/api/v1/projects/a+b:c")
    assert values == ["a+b:c"]


def test_a_literal_wins_over_a_variable() -> None:
    assert ROUTES.find("POST", b"/api/v1/executions/relaunch")[0].method.name == "RelaunchExecution"


def test_the_message_says_which_verbs_there_are() -> None:
    with pytest.raises(Unimplemented, match="use DELETE or GET or PUT"):
        ROUTES.find("POST", b"/api/v1/executions/p/d/e")
