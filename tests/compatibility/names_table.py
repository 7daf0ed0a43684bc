"""What admin answers about names, descriptions and its version."""

from __future__ import annotations

from tests.compatibility.admin_words import filtered, paged
from tests.compatibility.cases import INVALID, MISSING, PLACE, Case, Rpc, entity

NAME = {"resourceType": "WORKFLOW", "id": {**PLACE, "name": "w"}}
DESCRIBED = {"resourceType": "TASK", "id": {**PLACE, "name": "told"}, "limit": 10}

RPCS = (
    Rpc(
        "ListNamedEntities",
        (
            Case(
                "all",
                {"resourceType": "WORKFLOW", **PLACE, "limit": 10, "sortBy": {"key": "name", "direction": "ASCENDING"}},
                answer={"entities": [{"id": {"name": "timed"}}, {"id": {"name": "w"}}]},
            ),
            Case(
                "those that are not archived",
                {"resourceType": "LAUNCH_PLAN", **PLACE, "limit": 10, "filters": "eq(state,0)+eq(name,live)"},
                answer={"entities": [{"id": {"name": "live"}}]},
            ),
            Case(
                "a page",
                {"resourceType": "WORKFLOW", **PLACE, "limit": 1},
                answer={"entities": [...], "token": "1"},
            ),
            Case("no kind", {**PLACE, "limit": 10}, INVALID, "resource_type"),
            Case("a kind that has no names", {"resourceType": "DATASET", **PLACE, "limit": 10}, INVALID, "DATASET"),
            Case("no project", {"resourceType": "TASK", "domain": "development", "limit": 1}, INVALID, "project"),
            Case("no domain", {"resourceType": "TASK", "project": "flytesnacks", "limit": 1}, INVALID, "domain"),
            *paged({"resourceType": "WORKFLOW", **PLACE, "limit": 10}),
            *(
                case
                for case in filtered({"resourceType": "WORKFLOW", **PLACE, "limit": 10})
                if "time" not in case.title and "several" not in case.title
            ),
        ),
        better="Filtered before it is cut into pages.",
    ),
    Rpc(
        "GetNamedEntity",
        (
            Case("one that exists", NAME, answer=NAME),
            Case(
                "one that does not exist",
                {**NAME, "id": {**PLACE, "name": "absent"}},
                MISSING,
                "entry not found",
            ),
            Case("no kind", {"id": NAME["id"]}, INVALID, "resource_type"),
            Case("no identifier", {"resourceType": "WORKFLOW"}, INVALID, "missing id"),
            Case("no project", {**NAME, "id": {"domain": "development", "name": "w"}}, INVALID, "missing project"),
            Case("no name", {**NAME, "id": dict(PLACE)}, INVALID, "missing name"),
        ),
    ),
    Rpc(
        "UpdateNamedEntity",
        (
            Case("a description", {**NAME, "metadata": {"description": "x"}}),
            Case("archive", {**NAME, "metadata": {"state": "NAMED_ENTITY_ARCHIVED"}}),
            Case(
                "what does not exist",
                {**NAME, "id": {**PLACE, "name": "absent"}, "metadata": {"description": "x"}},
                MISSING,
                "entry not found",
            ),
            Case("no metadata", NAME, INVALID, "missing metadata"),
            Case("no kind", {"id": NAME["id"], "metadata": {}}, INVALID, "resource_type"),
            Case("no name", {**NAME, "id": dict(PLACE), "metadata": {}}, INVALID, "missing name"),
            Case("a state that is none", {**NAME, "metadata": {"state": 9}}, INVALID, "state"),
            Case(
                "a description that is too long",
                {**NAME, "metadata": {"description": "x" * 301}},
                INVALID,
                "invalid value for description",
            ),
        ),
        alone=True,
    ),
    Rpc(
        "GetDescriptionEntity",
        (
            Case(
                "one that exists",
                {"id": entity("TASK", "told")},
                answer={"id": entity("TASK", "told"), "shortDescription": "A task"},
            ),
            Case("of the same name and another kind", {"id": entity("WORKFLOW", "told")}, MISSING, "entry not found"),
            Case("one that does not exist", {"id": entity("WORKFLOW", "absent")}, MISSING, "entry not found"),
            Case("no identifier", {}, INVALID, "missing id"),
            Case("no name", {"id": entity("WORKFLOW", "")}, INVALID, "missing name"),
            Case("no version", {"id": entity("WORKFLOW", "told", "")}, INVALID, "missing version"),
        ),
        better="Descriptions of a task and a workflow of one name are told apart.",
    ),
    Rpc(
        "ListDescriptionEntities",
        (
            Case("of one name", DESCRIBED, answer={"descriptionEntities": [{"id": entity("TASK", "told")}]}),
            Case(
                "of all names",
                {**DESCRIBED, "id": dict(PLACE)},
                answer={"descriptionEntities": [{"id": {"name": "told"}}]},
            ),
            Case("no kind", {"id": DESCRIBED["id"], "limit": 10}, INVALID, "resource_type"),
            Case("no project", {**DESCRIBED, "id": {"domain": "development", "name": "t"}}, INVALID, "project"),
            *paged(DESCRIBED),
            Case("an unknown column", {**DESCRIBED, "filters": "eq(nonsense,1)"}, INVALID, "nonsense"),
            Case("an unknown sort key", {**DESCRIBED, "sortBy": {"key": "nonsense"}}, INVALID, "nonsense"),
        ),
        better="Those of all names too: the original's second route always fails.",
    ),
    Rpc("GetVersion", (Case("the version", {}, answer={"controlPlaneVersion": {"Version": ...}}),)),
)
