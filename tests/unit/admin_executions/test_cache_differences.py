"""Why a look-up did not find what another call left."""

from __future__ import annotations

import pytest
from elevon_admin.domain.cache_differences import (
    LONGEST_VALUE,
    DatasetVersion,
    alikeness,
    elements_explanation,
    explanation,
    input_differences,
    parent_explanation,
    version_differences,
)
from elevon_core import hashing, literals
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from hypothesis import given
from hypothesis import strategies as st

INTEGER = core.LiteralType(simple=core.INTEGER)
Difference = admin.CacheDifference


def interface(inputs: str, outputs: str = "o0") -> core.TypedInterface:
    return core.TypedInterface(
        inputs=core.VariableMap(variables={name: core.Variable(type=INTEGER) for name in inputs.split()}),
        outputs=core.VariableMap(variables={name: core.Variable(type=INTEGER) for name in outputs.split()}),
    )


@given(st.text(min_size=1).filter(lambda text: text.strip(" ") == text))
def test_versions_are_taken_apart(cache_version: str) -> None:
    text = hashing.dataset_version(cache_version, interface("a"))
    parts = DatasetVersion.parse(text)
    assert parts.cache_version == cache_version
    assert "-".join(parts) == text


@pytest.mark.parametrize("text", ["", "1", "a-b-c", "-12345678-12345678", "x_12345678-12345678"])
def test_versions_of_other_datasets_stay_whole(text: str) -> None:
    assert DatasetVersion.parse(text) == (text, "", "")


def test_what_tells_datasets_apart() -> None:
    here = hashing.dataset_version("1", interface("a"))
    assert version_differences(here, here) == []
    (version,) = version_differences(here, hashing.dataset_version("2-b", interface("a")))
    assert (version.kind, version.here, version.there) == (Difference.KIND_CACHE_VERSION, "1", "2-b")
    (inputs,) = version_differences(here, hashing.dataset_version("1", interface("a b")))
    assert inputs.kind == Difference.KIND_INPUT_INTERFACE
    (outputs,) = version_differences(here, hashing.dataset_version("1", interface("a", "o0 o1")))
    assert outputs.kind == Difference.KIND_OUTPUT_INTERFACE


def values(**given: core.Literal) -> core.LiteralMap:
    return core.LiteralMap(literals=given)


def test_what_tells_inputs_apart() -> None:
    here = values(a=literals.integer(1), b=literals.string("x"), c=literals.integer(3))
    there = values(a=literals.integer(2), b=literals.string("x"), d=literals.integer(4))
    found = [(each.name, each.here, each.there) for each in input_differences(here, there, ["d"])]
    assert found == [("a", "1", "2"), ("c", "3", "(not given)")]


def test_a_hash_counts_instead_of_the_value() -> None:
    one, other = literals.string("here"), literals.string("there")
    one.hash = other.hash = "same"
    assert input_differences(values(a=one), values(a=other), ()) == []
    other.hash = "another"
    (difference,) = input_differences(values(a=one), values(a=other), ())
    assert (difference.here, difference.there) == ("here (hash same)", "there (hash another)")


def test_long_and_unspeakable_values() -> None:
    (difference,) = input_differences(values(a=literals.string("x" * 1000)), values(a=core.Literal()), ())
    assert difference.here == "x" * LONGEST_VALUE + "…"
    assert difference.there.startswith("(")


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)),
)
def test_no_differences_exactly_when_the_tags_are_equal(one: dict[str, int], other: dict[str, int]) -> None:
    here = values(**{name: literals.integer(value) for name, value in one.items()})
    there = values(**{name: literals.integer(value) for name, value in other.items()})
    equal = hashing.cache_tag(here, ["c"]) == hashing.cache_tag(there, ["c"])
    assert (input_differences(here, there, ["c"]) == []) is equal


@pytest.mark.parametrize("status", core.CatalogCacheStatus.values())
def test_every_status_is_explained(status: core.CatalogCacheStatus.ValueType) -> None:
    entry = core.CatalogMetadata(artifact_tag=core.CatalogArtifactTag(name="t"))
    text = explanation(status, entry=entry, present=True)
    assert not text.startswith("The engine reported nothing")
    assert explanation(status, entry=entry, present=False) == text + " The entry is gone since."


@pytest.mark.parametrize("status", [core.CACHE_POPULATED, core.CACHE_PUT_FAILURE, core.CACHE_SKIPPED])
def test_who_overwrites_has_looked_for_nothing(status: core.CatalogCacheStatus.ValueType) -> None:
    text = explanation(status, entry=core.CatalogMetadata(), present=False, overwritten=True)
    assert text.startswith("The execution was asked to overwrite the cache: nothing was looked for")


def test_nobody_is_named_whom_nobody_knows() -> None:
    entry = core.CatalogMetadata()
    assert explanation(core.CACHE_HIT, entry=entry, present=True) == "The outputs were found."
    entry.source_task_execution.node_execution_id.node_id = "n0"
    entry.source_task_execution.node_execution_id.execution_id.name = "e"
    told = "The outputs were found: node n0 of execution e had kept them."
    assert explanation(core.CACHE_HIT, entry=entry, present=True) == told


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        ([core.CACHE_HIT, core.CACHE_POPULATED, core.CACHE_HIT], "by itself: 2 hit, 1 populated."),
        ([core.CACHE_DISABLED, core.CACHE_LOOKUP_FAILURE], "by itself: 1 lookup failure, 1 not looked up."),
        ([], "by itself: none so far."),
    ],
)
def test_elements_are_counted(statuses: list[core.CatalogCacheStatus.ValueType], told: str) -> None:
    assert elements_explanation(statuses).endswith(told)


def test_parents_name_those_that_are_looked_up() -> None:
    assert parent_explanation(["a", "b"], "").endswith("nodes below it are: a, b.")
    assert parent_explanation(["a"] * 22, "").endswith("a, a, 2 more.")
    many = [f"n0-dn{number}" for number in sorted(range(22), key=str)]
    assert parent_explanation(many, "").endswith("n0-dn9, n0-dn10, " + ", ".join(many[3:12]) + ", 2 more.")
    assert "it runs execution x" in parent_explanation([], "x")
    assert parent_explanation([], "") == "Neither the node nor one of those below it is cached."


def test_entries_for_other_inputs_are_more_alike_than_other_versions() -> None:
    def nearby(name: str, *kinds: Difference.Kind.ValueType, tag: str = "t", later: bool = False) -> admin.NearbyEntry:
        entry = core.CatalogMetadata(dataset_id=core.Identifier(name=name))
        if tag:
            entry.artifact_tag.name = tag
        return admin.NearbyEntry(entry=entry, differences=[Difference(kind=kind) for kind in kinds], later=later)

    value = Difference.KIND_INPUT_VALUE
    expected = [
        nearby("one value", value),
        nearby("three values", value, value, value),
        nearby("gone", Difference.KIND_SOURCE_GONE),
        nearby("version", Difference.KIND_CACHE_VERSION, tag=""),
        nearby("version and types", Difference.KIND_CACHE_VERSION, Difference.KIND_INPUT_INTERFACE, tag=""),
        nearby("later", later=True),
    ]
    mixed = [expected[place] for place in (5, 2, 0, 4, 1, 3)]
    assert sorted(mixed, key=alikeness) == expected
