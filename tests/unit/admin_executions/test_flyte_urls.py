"""`flyte://` URLs, there and back."""

from __future__ import annotations

import pytest
from elevon_admin.domain.flyte_urls import ArtifactKind, FlyteUrl, node_urls, parse_flyte_url, task_urls
from elevon_admin.domain.records import ExecutionKey, NodeKey, TaskKey
from elevon_core.errors import InvalidArgument
from hypothesis import given
from hypothesis import strategies as st

parts = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
nodes = st.builds(NodeKey, st.builds(ExecutionKey, parts, parts, parts), parts)


@given(nodes, st.booleans())
def test_urls_of_nodes_are_read_back(node: NodeKey, deck: bool) -> None:
    urls = node_urls(node, deck=deck)
    assert parse_flyte_url(urls.inputs) == FlyteUrl(node, ArtifactKind.INPUTS)
    assert parse_flyte_url(urls.outputs) == FlyteUrl(node, ArtifactKind.OUTPUTS)
    assert (parse_flyte_url(urls.deck) == FlyteUrl(node, ArtifactKind.DECK)) if deck else not urls.deck


@given(nodes, st.integers(0, 2**32 - 1), parts)
def test_urls_of_attempts_are_read_back(node: NodeKey, attempt: int, name: str) -> None:
    urls = task_urls(TaskKey(node, "p", "d", "n", "v", attempt))
    assert parse_flyte_url(urls.outputs) == FlyteUrl(node, ArtifactKind.OUTPUTS, attempt)
    assert parse_flyte_url(f"{urls.inputs}/{name}") == FlyteUrl(node, ArtifactKind.INPUTS, attempt, name)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "flyte://v2/p/d/e/n/i",
        "http://v1/p/d/e/n/i",
        "flyte://v1/p/d/e/n",
        "flyte://v1/p/d/e/n/x",
        "flyte://v1/p/d/e/n/1/2/i",
        "flyte://v1/p/d/e/n/d/name",
        "flyte://v1/p/d/e/n/0/d",
        "flyte://v1/p/d/e/n.x/i",
        "flyte://v1/p/d/e/n/99999999999/i",
        "flyte://v1/p/d/e/n/i/a/b",
        " flyte://v1/p/d/e/n/i",
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument, match="flyte_url"):
        parse_flyte_url(url)
