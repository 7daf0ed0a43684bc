"""The three encodings of requests and answers, and which of them a request means."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from elevon_core.errors import InvalidArgument
from google.protobuf.message import DecodeError, Message
from starlette.datastructures import Headers

from elevon_admin.gateway.json_form import Name, camel_case_name, from_json, proto_name, to_json

THREAD_FROM_BYTES = 32 * 1024
"""JSON of more than this is read and written in a thread, so that other requests go on meanwhile."""


class Marshaler(Protocol):
    """Encodes messages."""

    @property
    def content_type(self) -> str:
        """The media type."""

    async def read(self, body: bytes, message: Message) -> None:
        """Read a body into an empty message; raises InvalidArgument."""

    async def convert(self, answer: bytes, response_type: type[Message]) -> bytes:
        """Answer the body for a serialized message."""

    def write(self, message: Message) -> bytes:
        """Answer the body for a small message."""


class ProtobufMarshaler:
    """Bytes as over gRPC."""

    content_type = "application/octet-stream"

    async def read(self, body: bytes, message: Message) -> None:
        """See Marshaler."""
        try:
            message.MergeFromString(body)
        except DecodeError:
            name = message.DESCRIPTOR.full_name
            raise InvalidArgument(f"invalid request: {len(body)} bytes are not a {name} message") from None

    async def convert(self, answer: bytes, response_type: type[Message]) -> bytes:
        """See Marshaler: there is nothing to do."""
        return answer

    def write(self, message: Message) -> bytes:
        """See Marshaler."""
        return message.SerializeToString()


@dataclass(frozen=True, slots=True)
class JsonMarshaler:
    """JSON with one of the two spellings of names; `strict` refuses request fields that are not known."""

    name: Name
    strict: bool
    content_type: str = "application/json"

    async def read(self, body: bytes, message: Message) -> None:
        """See Marshaler."""
        if len(body) < THREAD_FROM_BYTES:
            from_json(body, message, strict=self.strict)
        else:
            await asyncio.to_thread(from_json, body, message, strict=self.strict)

    async def convert(self, answer: bytes, response_type: type[Message]) -> bytes:
        """See Marshaler."""
        if len(answer) < THREAD_FROM_BYTES:
            return self.write(response_type.FromString(answer))
        return await asyncio.to_thread(lambda: self.write(response_type.FromString(answer)))

    def write(self, message: Message) -> bytes:
        """See Marshaler."""
        return to_json(message, self.name)


PROTOBUF = ProtobufMarshaler()
SNAKE_CASE = JsonMarshaler(proto_name, strict=True)
CAMEL_CASE = JsonMarshaler(camel_case_name, strict=False)
BY_TYPE: dict[str, Marshaler] = {"application/octet-stream": PROTOBUF, "application/json": SNAKE_CASE}


def choose(headers: Headers) -> tuple[Marshaler, Marshaler]:
    """Answer how the request is encoded and how its answer is to be.

    The first by the media type of Content-Type; the second by an Accept that is exactly one of the two known types,
    else like the first.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    inbound: Marshaler = BY_TYPE.get(media_type, CAMEL_CASE)
    for accepted in headers.getlist("accept"):
        if accepted in BY_TYPE:
            return inbound, BY_TYPE[accepted]
    return inbound, inbound
