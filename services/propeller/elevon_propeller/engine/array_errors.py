"""One error for an array from the errors of its elements: the same text once, with the ranges it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from elevon_idl.core import v1 as core

from elevon_propeller.engine.array_state import ArrayScope

MESSAGE_LIMIT = 102_400
FAILED = "ArrayNodeFailing"
_MORE = "... and many more."


def combined(scope: ArrayScope) -> core.ExecutionError:
    """Why the array fails: code and kind are those of the elements' errors where all agree."""
    errors = scope.errors
    if not errors:
        message = f"{scope.minimum} elements must succeed, and {scope.succeeded} of {scope.size} have"
        return core.ExecutionError(code=FAILED, message=message, kind=core.ExecutionError.USER)
    told = {index: error for index, error in errors.items() if error.code != _STOPPED} or errors
    codes = {error.code for error in told.values()}
    kinds = {error.kind for error in told.values()}
    return core.ExecutionError(
        code=codes.pop() if len(codes) == 1 else FAILED,
        message=grouped({index: error.message for index, error in told.items()}),
        kind=kinds.pop() if len(kinds) == 1 else core.ExecutionError.USER,
    )


def grouped(messages: Mapping[int, str]) -> str:
    """Lines like `[0][2-5]: text`, sorted by text, at most about 100 KiB."""
    places: dict[str, list[int]] = {}
    for index in sorted(messages):
        places.setdefault(messages[index], []).append(index)
    lines: list[str] = []
    size = 0
    for message in sorted(places):
        line = f"{ranges(places[message])}: {message}\n"
        size += len(line)
        if size > MESSAGE_LIMIT:
            if not lines:
                lines.append(line[:MESSAGE_LIMIT] + "\n")
            lines.append(_MORE)
            break
        lines.append(line)
    return "".join(lines)


def ranges(indexes: Iterable[int]) -> str:
    """Ascending numbers as `[0][2-5]`."""
    parts: list[tuple[int, int]] = []
    for index in indexes:
        if parts and parts[-1][1] == index - 1:
            parts[-1] = (parts[-1][0], index)
        else:
            parts.append((index, index))
    return "".join(f"[{first}]" if first == last else f"[{first}-{last}]" for first, last in parts)


_STOPPED = "NodeAborted"
"""Elements that were stopped because others had failed say nothing of the cause."""
