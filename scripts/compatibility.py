"""Write docs/compatibility.md from the tables of tests/compatibility; `--check` only says whether it is current."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "compatibility.md"
ROUTES = ROOT / "protos" / "elevon" / "admin" / "v1" / "http.yaml"
if TYPE_CHECKING:
    from tests.compatibility.cases import Case

VERBS = ("get", "put", "post", "delete", "patch")

HEAD = """# Compatibility

Written from the tables in `tests/compatibility`, which call every RPC of the original services under its original name,
with the messages of the published `flyteidl`, and over HTTP in both encodings; `make check` fails when this page is not
current. What is tried is listed with the status it is answered with and the message in the details of that status.
Everything is tried twice: the same call once more is answered with the same status, unless it is told what it is
*repeated*.
**Better** is what Elevon does beyond the original, so far as no client can be broken by it. Every service is also
served under a name of Elevon's own.

"""

OWN = """## Elevon's own services

Absent from the original, and in nobody's way: `EventService` (events in batches), `WatchService` (streams of changes),
`MemoizationService` (why a task hit or missed, and eviction), `RetentionService` (what is kept, and for how long),
`ScheduleService` (times ahead, and what became of those that have passed), `DeliveryService` (notifications and events
that wait or were given up), `PropellerService`, `MemoService` and `CatalogAdminService`.

## Absent

Authentication: its two services answer UNIMPLEMENTED, as the original does when it is off.
"""


def main() -> int:
    """Write or check the document."""
    text = document()
    if "--check" not in sys.argv:
        DOCUMENT.write_text(text)
        return 0
    if DOCUMENT.exists() and DOCUMENT.read_text() == text:
        return 0
    print("docs/compatibility.md is not what the tables say: run `make compatibility`", file=sys.stderr)
    return 1


def document() -> str:
    """The whole page."""
    sys.path.insert(0, str(ROOT))
    from tests.compatibility import admin_table, catalog_table

    routes = http_routes()
    parts = [HEAD]
    for service in (*admin_table.SERVICES, *catalog_table.SERVICES):
        parts.append(f"## {service.name}\n\n| RPC | tried | HTTP | better |\n|---|---|---|---|\n")
        for rpc in service.rpcs:
            tried = "<br>".join(map(_told, rpc.cases))
            over_http = (
                "<br>".join(f"`{route}`" for route in routes[rpc.name]) if "flyteidl.service" in service.name else ""
            )
            parts.append(f"| {rpc.name} | {tried} | {over_http} | {rpc.better} |\n")
        parts.append("\n")
    return "".join(parts) + OWN


def _told(case: Case) -> str:
    details = [] if case.detail is None else [f"`{case.detail[0].rpartition('.')[2]}`"]
    repeated = [f"repeated {case.again}"] if case.again else []
    return f"{case.title}: " + ", ".join([case.code, *details, *repeated])


def http_routes() -> defaultdict[str, list[str]]:
    """The routes of the gateway by the name of their RPC."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for rule in yaml.safe_load(ROUTES.read_text())["http"]["rules"]:
        found[rule["selector"].rpartition(".")[2]] += _paths(rule)
    return found


def _paths(rule: dict[str, object]) -> Iterator[str]:
    for binding in (rule, *(rule.get("additional_bindings") or ())):  # type: ignore[misc]  # what YAML holds
        for verb in VERBS:
            if verb in binding:
                yield f"{verb.upper()} {binding[verb]}"


if __name__ == "__main__":
    sys.exit(main())
