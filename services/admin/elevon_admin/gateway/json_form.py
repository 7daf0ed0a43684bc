"""Messages as JSON, and back."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from elevon_core.errors import Internal, InvalidArgument
from elevon_kit.logging import get_logger
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from elevon_admin.gateway.fields import is_repeated
from elevon_admin.gateway.json_check import check_object

log = get_logger("gateway")

Name = Callable[[FieldDescriptor], str]

LONGEST_NAME = 4096
"""Characters of a member's name; every value below a member is looked for by a path that has the name in it."""


def proto_name(field: FieldDescriptor) -> str:
    """The name as in the protos."""
    return field.name


def camel_case_name(field: FieldDescriptor) -> str:
    """The name that JSON has unless told otherwise."""
    return field.json_name


def to_document(message: Message, name: Name) -> dict[str, Any]:
    """Answer a message as JSON values, fields that are not set included: messages among them are null.

    Raises Internal for a message without a JSON form, such as an Any of a type that is not known here.
    """
    try:
        written = json_format.MessageToDict(
            message, preserving_proto_field_name=name is proto_name, always_print_fields_with_no_presence=True
        )
    except (json_format.Error, TypeError, ValueError) as error:
        log.warning("answer without a JSON form", type=message.DESCRIPTOR.full_name, reason=str(error))
        raise Internal(f"the answer has no JSON form, ask for application/octet-stream: {error}") from error
    return _complete(written, cast(Descriptor, message.DESCRIPTOR), name)


def to_json(message: Message, name: Name) -> bytes:
    """Answer the text of `to_document`."""
    return json.dumps(to_document(message, name), ensure_ascii=False, separators=(",", ":")).encode()


def from_json(text: bytes, message: Message, *, strict: bool) -> None:
    """Read JSON into a message; an empty text is an empty message. Raises InvalidArgument.

    Both spellings of field names are read. Unknown fields are an error when `strict`, and ignored otherwise; unknown
    names of enum values always are.
    """
    if not text.strip():
        return
    descriptor = cast(Descriptor, message.DESCRIPTOR)
    try:
        document = _loaded(text)
        check_object(document, descriptor, strict=strict)
        json_format.ParseDict(document, message, ignore_unknown_fields=not strict)
    except InvalidArgument as error:
        raise InvalidArgument(f"invalid request: the body is not a {descriptor.full_name}: {error.message}") from None
    except (json_format.Error, TypeError, ValueError, ArithmeticError, RecursionError, SystemError) as error:
        raise InvalidArgument(f"invalid request: the body is not a {descriptor.full_name}: {_words(error)}") from None


def _loaded(text: bytes) -> dict[str, Any]:
    """The one object in a text; raises InvalidArgument."""
    try:
        document = json.loads(text.decode(), object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise InvalidArgument(f"no JSON: {error}") from None
    except UnicodeDecodeError:
        raise InvalidArgument("no JSON: it must be UTF-8") from None
    except RecursionError:
        raise InvalidArgument("too many values within values") from None
    except ValueError:
        raise InvalidArgument("a number has too many digits") from None
    if not isinstance(document, dict):
        raise InvalidArgument("no JSON object")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of members; which of two with one name counts would be anybody's guess."""
    members = dict(pairs)
    for name in members:
        if len(name) > LONGEST_NAME:
            rule = f"a member's name may have at most {LONGEST_NAME} characters, not {len(name)}"
            raise InvalidArgument.invalid(f"{name[:100]}…", "a member", rule)
    if len(members) < len(pairs):
        counted = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counted.items() if count > 1)
        raise InvalidArgument.invalid(twice, "twice", "a member can be given only once")
    return members


def _words(error: Exception) -> str:
    """What protobuf says, without the way down to the field, which it names at the end too."""
    if not isinstance(error, json_format.Error):
        return (
            "too many values within values" if isinstance(error, RecursionError) else "a value does not fit its field"
        )
    return re.sub(r"^(?:Failed to parse \w+ field: )+", "", str(error)).rstrip(".")


def _complete(written: dict[str, Any], descriptor: Descriptor, name: Name) -> dict[str, Any]:
    """Put null where a message could be and is not, in the order of the fields."""
    complete: dict[str, Any] = {}
    for field in descriptor.fields:
        key = name(field)
        if key in written:
            complete[key] = _completed(written[key], field, name)
        elif field.message_type is not None and not is_repeated(field) and field.containing_oneof is None:
            complete[key] = None
    return complete


def _completed(value: Any, field: FieldDescriptor, name: Name) -> Any:
    message = field.message_type
    if message is None or message.full_name.startswith("google.protobuf."):
        return value
    if message.GetOptions().map_entry:
        of = message.fields_by_name["value"]
        return {key: _completed(each, of, name) for key, each in value.items()}
    if is_repeated(field):
        return [_complete(each, message, name) for each in value]
    return _complete(value, message, name)
