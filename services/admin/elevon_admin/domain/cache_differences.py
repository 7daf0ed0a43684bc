"""Why one call of a cached task does not find what another call has left in the catalog."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from elevon_core.errors import InvalidArgument
from elevon_core.hashing import cache_tag
from elevon_core.rendering import render
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core

LONGEST_VALUE = 200
"""Characters of a value that are told."""

_SIGNATURE_LENGTH = 8
_TOLD_NODES = 20


class DatasetVersion(NamedTuple):
    """The parts of a dataset's version, `CACHE_VERSION-INPUTS-OUTPUTS`; the two signatures have a fixed length.

    A version that was not made for a task is all cache version.
    """

    cache_version: str
    inputs: str
    outputs: str

    @classmethod
    def parse(cls, text: str) -> DatasetVersion:
        """Take a version apart."""
        outputs, inputs = text[-_SIGNATURE_LENGTH:], text[-2 * _SIGNATURE_LENGTH - 1 : -_SIGNATURE_LENGTH - 1]
        version = text[: -2 * _SIGNATURE_LENGTH - 2]
        if not version or f"{version}-{inputs}-{outputs}" != text:
            return cls(text, "", "")
        return cls(version, inputs, outputs)


def version_differences(here: str, there: str) -> Sequence[admin.CacheDifference]:
    """What tells two datasets of one task apart, given their versions."""
    one, other = DatasetVersion.parse(here), DatasetVersion.parse(there)
    kinds = (
        admin.CacheDifference.KIND_CACHE_VERSION,
        admin.CacheDifference.KIND_INPUT_INTERFACE,
        admin.CacheDifference.KIND_OUTPUT_INTERFACE,
    )
    return [
        admin.CacheDifference(kind=kind, here=mine, there=theirs)
        for kind, mine, theirs in zip(kinds, one, other, strict=True)
        if mine != theirs
    ]


def input_differences(
    here: core.LiteralMap, there: core.LiteralMap, ignored: Collection[str]
) -> Sequence[admin.CacheDifference]:
    """The inputs whose values count and are not the same, by name."""
    names = sorted({*here.literals, *there.literals} - set(ignored))
    return [
        admin.CacheDifference(
            kind=admin.CacheDifference.KIND_INPUT_VALUE, name=name, here=_told(here, name), there=_told(there, name)
        )
        for name in names
        if _counted(here, name) != _counted(there, name)
    ]


def _counted(values: core.LiteralMap, name: str) -> str:
    """What of a value counts for a look-up, a literal's own hash among it."""
    if name not in values.literals:
        return ""
    only = core.LiteralMap(literals={name: values.literals[name]})
    try:
        return cache_tag(only, ())
    except InvalidArgument:
        return only.SerializeToString(deterministic=True).hex()


def _told(values: core.LiteralMap, name: str) -> str:
    if name not in values.literals:
        return "(not given)"
    literal = values.literals[name]
    try:
        text = render(literal)
    except InvalidArgument as error:
        text = f"({error.message})"
    if literal.hash:
        text = f"{text} (hash {literal.hash})"
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def alikeness(nearby: admin.NearbyEntry) -> tuple[bool, bool, bool, int]:
    """The key by which what did not match is sorted, the most alike first.

    An entry for other inputs of the same dataset is more alike than a dataset of another version; what was not there
    yet explains nothing.
    """
    gone = any(each.kind == admin.CacheDifference.KIND_SOURCE_GONE for each in nearby.differences)
    return nearby.later, not nearby.entry.HasField("artifact_tag"), gone, len(nearby.differences)


def explanation(
    status: core.CatalogCacheStatus.ValueType, *, entry: core.CatalogMetadata, present: bool, overwritten: bool = False
) -> str:
    """What a status means, in one sentence; `overwritten` when the execution was asked to overwrite the cache."""
    source = entry.source_task_execution.node_execution_id
    made_by = f"node {source.node_id} of execution {source.execution_id.name}"
    texts = {
        core.CACHE_DISABLED: "The task is not cached: nothing was looked for and nothing was kept.",
        core.CACHE_MISS: "Nothing was found for these inputs, and no outputs were kept: no attempt has succeeded.",
        core.CACHE_HIT: f"The outputs were found: {made_by} had kept them."
        if source.node_id
        else "The outputs were found.",
        core.CACHE_POPULATED: "Nothing was found for these inputs; the task ran and its outputs were kept.",
        core.CACHE_LOOKUP_FAILURE: "The catalog did not answer; the task ran, and nothing was looked for.",
        core.CACHE_PUT_FAILURE: "Nothing was found for these inputs; the task ran, but its outputs could not be kept.",
        core.CACHE_SKIPPED: "The execution was asked to overwrite the cache: nothing was looked for.",
        core.CACHE_EVICTED: "The entry was evicted.",
    }
    if overwritten:
        asked = "The execution was asked to overwrite the cache: nothing was looked for"
        texts[core.CACHE_POPULATED] = f"{asked}; the task ran, and its outputs replaced what was there."
        texts[core.CACHE_PUT_FAILURE] = f"{asked}; the task ran, but its outputs could not be kept."
    text = texts.get(status, "The engine reported nothing about the cache.")
    if entry.HasField("artifact_tag") and not present:
        text += " The entry is gone since."
    return text


def elements_explanation(statuses: Collection[core.CatalogCacheStatus.ValueType]) -> str:
    """What became of the look-ups of an array node's elements, in one sentence."""
    names = {status: core.CatalogCacheStatus.Name(status) for status in statuses}
    told = {name: name.removeprefix("CACHE_").lower().replace("_", " ") for name in names.values()}
    told["CACHE_DISABLED"] = "not looked up"
    counts = Counter(told[names[status]] for status in statuses)
    counted = ", ".join(f"{count} {text}" for text, count in sorted(counts.items())) or "none so far"
    return f"Each element is looked up by itself: {counted}."


def parent_explanation(inner: Sequence[str], child: str) -> str:
    """Where the look-ups are of a node that only stands for others; `child` is the execution that it runs."""
    if child:
        return f"The node is not looked up itself: it runs execution {child}, whose nodes are."
    if not inner:
        return "Neither the node nor one of those below it is cached."
    told = sorted(inner, key=_counted_up)
    if len(told) > _TOLD_NODES:
        told[_TOLD_NODES:] = [f"{len(told) - _TOLD_NODES} more"]
    return f"The node is not looked up itself, but nodes below it are: {', '.join(told)}."


def _counted_up(name: str) -> list[tuple[str, int]]:
    """The key by which names are sorted as people count: `dn10` after `dn2`."""
    return [(text, int(digits or -1)) for text, digits in re.findall(r"([^0-9]*)([0-9]*)", name)]
