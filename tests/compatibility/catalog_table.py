"""Catalog's services: every RPC with what it answers.

The world has dataset `d`, in it artifact `a` under tag `t`, and key `k` of the cache service.
"""

from __future__ import annotations

from typing import Any

from tests.compatibility.cases import EXISTS, INVALID, MISSING, PLACE, Case, Json, Rpc, Service

ONE = {"scalar": {"primitive": {"integer": "1"}}}


def dataset(name: str = "d") -> dict[str, Any]:
    return {**PLACE, "name": name, "version": "v1", "org": "", "UUID": ""}


def artifact(name: str, where: str = "d") -> dict[str, Any]:
    return {"artifact": {"id": name, "dataset": dataset(where), "data": [{"name": "o0", "value": ONE}]}}


def tag(name: str, of: str = "a") -> dict[str, Any]:
    return {"tag": {"name": name, "artifactId": of, "dataset": dataset()}}


def reservation(owner: str, name: str = "r") -> dict[str, Any]:
    return {
        "reservationId": {"datasetId": dataset(), "tagName": name},
        "ownerId": owner,
        "heartbeatInterval": "10s",
    }


def output(key: str, **changes: Any) -> dict[str, Any]:
    literals = {"outputLiterals": {"literals": {"o0": ONE}}}
    source = {"resourceType": "TASK", **PLACE, "name": "t", "version": "v1"}
    return {"key": key, "output": {**literals, "metadata": {"sourceIdentifier": source}}, **changes}


FOUND: Json = {"artifact": {"id": "a", "data": [{"name": "o0", "value": ONE}]}}

WORLD: tuple[tuple[str, Json], ...] = (
    ("datacatalog.DataCatalog.CreateDataset", {"dataset": {"id": dataset()}}),
    ("datacatalog.DataCatalog.CreateArtifact", artifact("a")),
    ("datacatalog.DataCatalog.AddTag", tag("t")),
    ("flyteidl.cacheservice.CacheService.Put", output("k")),
)
"""What is stored before each RPC's cases."""

CATALOG = Service(
    "datacatalog.DataCatalog",
    (
        Rpc(
            "CreateDataset",
            (
                Case("a new one", {"dataset": {"id": dataset("new")}}, again=EXISTS),
                Case("one that exists", {"dataset": {"id": dataset()}}, EXISTS, "value with matching already exists"),
                Case("no name", {"dataset": {"id": dataset("")}}, INVALID, "name"),
                Case("nothing", {}, INVALID, "missing"),
            ),
        ),
        Rpc(
            "GetDataset",
            (
                Case("one that exists", {"dataset": dataset()}, answer={"dataset": {"id": {"name": "d"}}}),
                Case("one that does not exist", {"dataset": dataset("absent")}, MISSING, "missing entity of type"),
                Case("nothing", {}, INVALID, "missing"),
            ),
        ),
        Rpc(
            "GetArtifact",
            (
                Case("by tag", {"dataset": dataset(), "tagName": "t"}, answer=FOUND),
                Case("by id", {"dataset": dataset(), "artifactId": "a"}, answer=FOUND),
                Case(
                    "a tag that does not exist",
                    {"dataset": dataset(), "tagName": "absent"},
                    MISSING,
                    "missing entity of type",
                ),
                Case("neither tag nor id", {"dataset": dataset()}, INVALID, "missing one of artifactID/tagName"),
            ),
        ),
        Rpc(
            "CreateArtifact",
            (
                Case("a new one", artifact("new"), again=EXISTS),
                Case("one that exists", artifact("a"), EXISTS, "value with matching already exists"),
                Case("in a dataset that does not exist", artifact("new", "absent"), MISSING, "missing entity of type"),
                Case("nothing", {}, INVALID, "missing"),
            ),
        ),
        Rpc(
            "AddTag",
            (
                Case("a new one", tag("new"), again=EXISTS),
                Case("one that exists", tag("t"), EXISTS, "value with matching already exists"),
                Case("of an artifact that does not exist", tag("new2", "absent"), MISSING, "missing entity of type"),
                Case("nothing", {}, INVALID, "missing"),
            ),
        ),
        Rpc(
            "ListArtifacts",
            (
                Case("a page", {"dataset": dataset(), "pagination": {"limit": 1}}, answer={"artifacts": [...]}),
                Case(
                    "in a dataset that does not exist",
                    {"dataset": dataset("absent")},
                    MISSING,
                    "missing entity of type",
                ),
            ),
        ),
        Rpc(
            "ListDatasets",
            (
                Case(
                    "by name", {"filter": {"filters": [{"datasetFilter": {"name": "d"}}]}}, answer={"datasets": [...]}
                ),
                Case("a token that is none", {"pagination": {"limit": 1, "token": "x"}}, INVALID, "token"),
            ),
        ),
        Rpc(
            "UpdateArtifact",
            (
                Case("by tag", {"dataset": dataset(), "tagName": "t", "data": [{"name": "o0", "value": ONE}]}),
                Case(
                    "one that does not exist",
                    {"dataset": dataset(), "tagName": "absent", "data": [{"name": "o0", "value": ONE}]},
                    MISSING,
                    "missing entity of type",
                ),
                Case("no data", {"dataset": dataset(), "tagName": "t"}, INVALID, "missing artifactData"),
            ),
            better="Values are replaced at once: nobody reads half of the old and half of the new.",
        ),
        Rpc(
            "GetOrExtendReservation",
            (
                Case("a free one", reservation("me"), answer={"reservation": {"ownerId": "me"}}),
                Case("one that another has", reservation("you"), answer={"reservation": {"ownerId": "me"}}),
                Case("nothing", {}, INVALID, "missing"),
            ),
            better="The clock is the catalog's own, and a reservation that a failed node held is released.",
        ),
        Rpc(
            "ReleaseReservation",
            (
                Case("one's own", {"reservationId": reservation("me")["reservationId"], "ownerId": "me"}),
                Case("nothing", {}, INVALID, "missing"),
            ),
        ),
    ),
)

CACHE = Service(
    "flyteidl.cacheservice.CacheService",
    (
        Rpc(
            "Get",
            (
                Case(
                    "a key that exists", {"key": "k"}, answer={"output": {"outputLiterals": {"literals": {"o0": ONE}}}}
                ),
                Case("a key that does not exist", {"key": "absent"}, MISSING, "missing entity of type"),
                Case("no key", {}, INVALID, "missing key"),
            ),
        ),
        Rpc(
            "Put",
            (
                Case("a new key", output("new"), again=EXISTS),
                Case("a key that exists", output("k"), EXISTS, "value with matching already exists"),
                Case("a key that exists, overwritten", output("k", overwrite=True)),
                Case("no key", output(""), INVALID, "missing key"),
            ),
        ),
        Rpc(
            "Delete",
            (
                Case("a key that exists", {"key": "k"}, again=MISSING),
                Case("a key that does not exist", {"key": "absent"}, MISSING, "missing entity of type"),
            ),
            alone=True,
        ),
        Rpc(
            "GetOrExtendReservation",
            (
                Case("a free one", {"key": "r", "ownerId": "me", "heartbeatInterval": "10s"}),
                Case("no owner", {"key": "r", "heartbeatInterval": "10s"}, INVALID, "missing owner_id"),
            ),
        ),
        Rpc(
            "ReleaseReservation",
            (
                Case("one's own", {"key": "r", "ownerId": "me"}),
                Case("no key", {"ownerId": "me"}, INVALID, "missing key"),
            ),
        ),
    ),
)

SERVICES = (CATALOG, CACHE)
