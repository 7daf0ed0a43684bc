"""Where the data of executions lies, and whose data a value points at.

A place is the name of a folder that only one execution writes to: that of an attempt's raw data, that of an execution's
metadata, or, as `project/domain/name`, that of what admin keeps for an execution. Places are found in serialized values
of any kind, so that paths within structures count like those of files; a text that only looks like one does no harm.
"""

from __future__ import annotations

import re

from elevon_core import naming

_SHARD = re.compile(rb"/([a-z0-9]{2})/([^/\x00-\x20]{1,160})")
_HASHED = re.compile(rb"-[a-z1-6]{13}")
_METADATA = re.compile(rb"/([^/\x00-\x20]{1,400})/[^/\x00-\x20]{1,400}/data/")
_KEPT = re.compile(rb"/metadata/([^/\x00-\x20]{1,200})/([^/\x00-\x20]{1,200})/([^/\x00-\x20]{1,200})/")


def of_execution(project: str, domain: str, name: str) -> frozenset[str]:
    """The places of an execution itself; those of its attempts are `naming.attempt_name`."""
    return frozenset({naming.metadata_folder(project, domain, name), kept(project, domain, name)})


def kept(project: str, domain: str, name: str) -> str:
    """The place of what admin keeps for an execution; it stands for the whole execution as well."""
    return f"{project}/{domain}/{name}"


def named_in(data: bytes) -> set[str]:
    """All places that serialized values, or an URI, point at."""
    if b"/" not in data:
        return set()
    found = {match[1].decode(errors="replace") for match in _METADATA.finditer(data)}
    found |= {b"/".join(match.groups()).decode(errors="replace") for match in _KEPT.finditer(data)}
    for match in _SHARD.finditer(data):
        found |= _attempts(match[1].decode(), match[2])
    return found


def elsewhere(data: bytes, project: str, domain: str, name: str) -> set[str]:
    """The places that serialized values of an execution point at, without its own."""
    found = named_in(data)
    if not found:
        return found
    own = of_execution(project, domain, name)
    return {place for place in found if place not in own and not _is_own_attempt(place, project, domain, name)}


def _attempts(shard: str, segment: bytes) -> set[str]:
    """What may be the name of an attempt at the begin of a path's segment: the shard before it tells."""
    names = (segment[: match.end()].decode(errors="replace") for match in _HASHED.finditer(segment))
    return {name for name in names if naming.raw_output_shard(name) == shard}


def _is_own_attempt(place: str, project: str, domain: str, name: str) -> bool:
    readable, _, _ = place.rpartition("-")
    if not readable.startswith(f"{name}-"):
        return False
    node_id, _, number = readable.removeprefix(f"{name}-").rpartition("-")
    return number.isdecimal() and naming.attempt_name(project, domain, name, node_id, int(number)) == place
