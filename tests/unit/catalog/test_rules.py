"""The pure rules: names, places, documents, pages, replacement."""

from __future__ import annotations

import re

import pytest
from elevon_catalog.domain import filters, validation
from elevon_catalog.domain.documents import InlineLimits, artifact_message, divide
from elevon_catalog.domain.leases import LeasePolicy
from elevon_catalog.domain.locations import LONGEST_PART, cache_location, escaped, value_location
from elevon_catalog.domain.names import DatasetKey, TagKey, digest
from elevon_catalog.domain.records import ArtifactRecord, DatasetRecord, Generation, Replacement
from elevon_core.errors import InvalidArgument
from elevon_idl.catalog import v1 as catalog
from elevon_idl.core import v1 as core
from elevon_kit.blobs import parse
from hypothesis import example, given
from hypothesis import strategies as st

NAMES = st.text(min_size=1, max_size=300)
KEYS = st.builds(DatasetKey, NAMES, NAMES, NAMES, NAMES)


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_digests_tell_lists_of_names_apart(one: list[str], other: list[str]) -> None:
    assert (digest(*one) == digest(*other)) == (one == other)


@given(KEYS, KEYS, NAMES)
def test_the_digest_of_a_tag_depends_on_every_name(one: DatasetKey, other: DatasetKey, tag: str) -> None:
    assert (TagKey(one, tag).digest == TagKey(other, tag).digest) == (one == other)
    assert TagKey(one, tag).digest != one.digest


@given(st.text(max_size=400), st.text(max_size=400))
def test_escaped_parts_are_plain_short_and_distinct(one: str, other: str) -> None:
    text = escaped(one)

    assert re.fullmatch(r"[A-Za-z0-9_=-][A-Za-z0-9_.=-]*", text)
    assert len(text) <= LONGEST_PART
    assert (text == escaped(other)) == (one == other)


def test_parts_that_agree_for_long_are_distinct_too() -> None:
    assert escaped("x" * 500 + "a") != escaped("x" * 500 + "b")
    assert len(escaped("x" * 500)) == LONGEST_PART


@given(KEYS, NAMES, NAMES)
def test_a_place_is_below_its_base_and_can_be_read_back(key: DatasetKey, artifact_id: str, name: str) -> None:
    place = value_location("s3://bucket/metadata/", key, artifact_id, name, "u1")

    assert parse(place).key.startswith("metadata/")
    assert place.count("/") == "s3://bucket/metadata/p/d/n/v/a/x/u.pb".count("/")
    assert parse(cache_location("file:///base", name, "u1")).key.startswith("base/")


@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.binary(max_size=60), min_size=1, max_size=8),
    st.integers(0, 80),
    st.integers(0, 200),
)
def test_what_is_divided_is_put_together_again(values: dict[str, bytes], limit: int, total: int) -> None:
    data = [
        catalog.ArtifactData(
            name=name, value=core.Literal(scalar=core.Scalar(binary=core.Binary(value=value, tag="x")))
        )
        for name, value in values.items()
    ]
    metadata = catalog.Metadata(key_map={"a": "b"})

    content, writes = divide(data, metadata, InlineLimits(limit, total), lambda name: f"place {name}")

    dataset = DatasetRecord(DatasetKey("p", "d", "n", "v"), "uuid", b"", (), 1)
    record = ArtifactRecord(1, dataset, "a", content, (("k", "v"),), 1_000, 2_000)
    message = artifact_message(record, writes, ["t"])
    inline = [item for item in data if item.name not in {value.name for value in content.external}]
    assert sorted(message.data, key=lambda item: item.name) == sorted(data, key=lambda item: item.name)
    assert message.metadata == metadata
    assert content.size == sum(item.value.ByteSize() for item in data)
    assert all(item.value.ByteSize() <= limit for item in inline)
    assert sum(item.value.ByteSize() for item in inline) <= total
    assert set(writes) == set(content.locations)


@pytest.mark.parametrize(
    ("replacement", "permitted"),
    [
        (Replacement(), False),
        (Replacement(always=True), True),
        (Replacement(written_before=100), False),
        (Replacement(written_before=101), True),
        (Replacement(broken=Generation(7, 100)), True),
        (Replacement(broken=Generation(7, 99)), False),
        (Replacement(broken=Generation(8, 100)), False),
    ],
)
def test_which_entries_give_way(replacement: Replacement, permitted: bool) -> None:
    assert replacement.permits(Generation(7, 100)) == permitted


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.integers(1, 10))
def test_a_lease_lasts_as_many_heartbeats_as_configured(longest: int, asked: int, multiplier: int) -> None:
    policy = LeasePolicy(longest, multiplier)

    request = policy.request(b"s", "label", "owner", asked, now=5)

    assert request.interval == min(longest, asked)
    assert request.expires_at == 5 + request.interval * multiplier
    assert policy.interval(None) == longest


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.booleans())
def test_pages_are_read_as_they_are_meant(offset: int, limit: int, ascending: bool) -> None:
    options = catalog.PaginationOptions(limit=limit, token=str(offset))
    if ascending:
        options.sortOrder = catalog.PaginationOptions.ASCENDING

    page = filters.page(options, present=True)

    assert (page.offset, page.ascending) == (offset, ascending)
    assert page.limit == (min(limit, 1000) or 50)
    assert page.next_token(3) == str(offset + 3)
    assert page.next_token(0) == ""


@example("0\x1f")
@example("\xa00")
@given(st.text(max_size=12))
def test_any_token_is_a_number_or_refused(token: str) -> None:
    options = catalog.PaginationOptions(token=token)
    if re.fullmatch(r"\s*[0-9]*\s*", token, re.ASCII) and int(token.strip() or 0) < 2**32:
        assert filters.page(options, present=True).offset == int(token.strip() or 0)
    elif not token.strip():
        assert filters.page(options, present=True).offset == 0
    else:
        with pytest.raises(InvalidArgument, match="Invalid token value"):
            filters.page(options, present=True)


@given(st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=4, unique=True), st.data())
def test_partitions_match_when_they_are_the_keys_in_any_order(keys: list[str], data: st.DataObject) -> None:
    names = data.draw(st.one_of(st.permutations(keys), st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=4)))
    partitions = [catalog.Partition(key=name, value="v") for name in names]

    if sorted(names) == sorted(keys):
        validation.match_partitions(partitions, keys)
    else:
        with pytest.raises(InvalidArgument, match="partition"):
            validation.match_partitions(partitions, keys)


@given(st.text(max_size=1100))
def test_a_required_name_is_kept_as_it_is_or_refused(name: str) -> None:
    if name and "\0" not in name and len(name.encode()) <= validation.LONGEST_NAME:
        assert validation.required(name, "name") == name
    else:
        with pytest.raises(InvalidArgument, match=r"missing name|invalid value for name"):
            validation.required(name, "name")
