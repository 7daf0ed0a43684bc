"""The rules of the gRPC API configuration file: which verb and path mean which call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

from elevon_core.errors import InvalidArgument

FILE = "http.yaml"
VERBS = ("get", "put", "post", "delete", "patch")
KEYS = frozenset({"selector", "body", "additional_bindings", *VERBS})


@dataclass(frozen=True, slots=True)
class Rule:
    """One verb and path of one call; `service` and `method` are names as in the protos."""

    service: str
    method: str
    verb: str
    path: str
    body: bool

    @property
    def rpc(self) -> str:
        """The path of the call over gRPC."""
        return f"/{self.service}/{self.method}"


def load_rules() -> list[Rule]:
    """Read the rules that this package ships."""
    return parse_rules(resources.files("elevon_admin.gateway").joinpath(FILE).read_text(encoding="utf-8"))


def parse_rules(text: str) -> list[Rule]:
    """Read rules; raises InvalidArgument for what the gateway cannot do, so that no rule is half obeyed."""
    import yaml  # only needed when the service starts

    document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    if not isinstance(document, dict) or document.get("type") != "google.api.Service":
        raise InvalidArgument(f"{FILE}: the type must be google.api.Service")
    return [rule for entry in document["http"]["rules"] for rule in _rules(entry)]


def _rules(entry: dict[str, Any]) -> Iterator[Rule]:
    selector = entry.get("selector", "")
    service, _, method = selector.rpartition(".")
    if not service:
        raise InvalidArgument.invalid("selector", selector, "it must name a method in full")
    for binding in (entry, *entry.get("additional_bindings", ())):
        yield _rule(service, method, binding)


def _rule(service: str, method: str, binding: dict[str, Any]) -> Rule:
    place = f"rule of {service}.{method}"
    if unknown := sorted(set(binding) - KEYS):
        raise InvalidArgument.invalid(place, ", ".join(unknown), "the gateway does not know such a key")
    verbs = [verb for verb in VERBS if verb in binding]
    if len(verbs) != 1:
        raise InvalidArgument.invalid(place, ", ".join(verbs), "one verb is needed")
    body = binding.get("body", "")
    if body not in ("", "*"):
        raise InvalidArgument.invalid(place, body, 'the body is either the whole message, "*", or not read')
    return Rule(service, method, verbs[0].upper(), binding[verbs[0]], bool(body))
