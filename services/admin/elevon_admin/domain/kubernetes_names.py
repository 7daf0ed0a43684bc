"""What Kubernetes accepts as labels and names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from elevon_core.errors import InvalidArgument

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")

_LONGEST_NAME = 63
_LONGEST_PREFIX = 253


def check_dns_label(field: str, value: str) -> None:
    """A DNS-1123 label: at most 63 characters, lower-case letters, digits and `-`, alphanumeric at both ends."""
    if len(value) > _LONGEST_NAME or _DNS_LABEL.fullmatch(value) is None:
        rule = "a DNS-1123 label has at most 63 lower-case letters, digits or '-', alphanumeric at both ends"
        raise InvalidArgument.invalid(field, value, rule)


def check_labels(values: Mapping[str, str], most: int) -> None:
    """Labels as Kubernetes takes them, at most so many; every offending key and value is named."""
    if len(values) > most:
        raise InvalidArgument.invalid("labels", len(values), f"at most {most} entries")
    problems = [problem for key in sorted(values) for problem in _label_problems(key, values[key])]
    if problems:
        raise InvalidArgument("invalid labels: " + "; ".join(problems))


def _label_problems(key: str, value: str) -> list[str]:
    problems = []
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > _LONGEST_PREFIX or _DNS_SUBDOMAIN.fullmatch(prefix) is None):
        problems.append(f"invalid label key [{key[:200]}]: the part before '/' must be a DNS-1123 subdomain")
    if len(name) > _LONGEST_NAME or _NAME.fullmatch(name) is None:
        problems.append(
            f"invalid label key [{key[:200]}]: a qualified name has at most 63 letters, digits, '-', '_' or '.', "
            "alphanumeric at both ends"
        )
    if value and (len(value) > _LONGEST_NAME or _NAME.fullmatch(value) is None):
        problems.append(
            f"invalid label value [{value[:200]}]: a label value is empty or has at most 63 letters, digits, "
            "'-', '_' or '.', alphanumeric at both ends"
        )
    return problems
