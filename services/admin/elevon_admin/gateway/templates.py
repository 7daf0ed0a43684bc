"""Path templates, and the segments of a request's path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from elevon_core.errors import InvalidArgument, NotFound

VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)\}")
LITERAL = re.compile(r"[A-Za-z0-9._~-]+")
BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Template:
    """A path with variables: a segment is a literal, or None where a variable stands; `variables` in order."""

    text: str
    segments: tuple[str | None, ...]
    variables: tuple[str, ...]


def parse_template(text: str) -> Template:
    """Read a template such as `/api/v1/tasks/{id.project}`; raises InvalidArgument for wildcards and verbs."""
    if not text.startswith("/"):
        raise InvalidArgument.invalid("path", text, "it must begin with a slash")
    segments: list[str | None] = []
    variables: list[str] = []
    for segment in text[1:].split("/"):
        if found := VARIABLE.fullmatch(segment):
            segments.append(None)
            variables.append(found[1])
        elif LITERAL.fullmatch(segment):
            segments.append(segment)
        else:
            raise InvalidArgument.invalid("path", text, f"{segment!r} is neither plain text nor a {{field}}")
    return Template(text, tuple(segments), tuple(variables))


def path_segments(raw_path: bytes) -> tuple[str, ...]:
    """Split a path as it was sent and decode each segment.

    Raises InvalidArgument for broken escapes, NotFound for a segment that is empty or has an encoded slash in it: no
    name holds a slash, and to take it for a separator would read one name as two.
    """
    if BROKEN_ESCAPE.search(raw_path):
        rule = "a % must be followed by two hexadecimal digits"
        raise InvalidArgument.invalid("path", raw_path.decode("latin-1"), rule)
    decoded = [unquote_to_bytes(segment) for segment in raw_path.removeprefix(b"/").split(b"/")]
    if any(not segment or b"/" in segment for segment in decoded):
        raise NotFound(f"nothing is at {raw_path.decode('latin-1')}")
    try:
        return tuple(segment.decode() for segment in decoded)
    except UnicodeDecodeError:
        raise InvalidArgument.invalid("path", raw_path.decode("latin-1"), "its escapes must be UTF-8") from None
