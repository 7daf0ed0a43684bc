"""How a repeated registration is recognized: by a hash of what was asked, and one of what was made of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from elevon_core.hashing import canonical_digest
from google.protobuf.message import Message

from elevon_admin.domain.entities import Digests


def request_digest(messages: Iterable[Message]) -> bytes:
    """32 bytes for the messages in their order; cheap, and equal whenever a client sends the same again.

    A difference says nothing yet: what was made of the requests may still be equal, which `structure_digest` tells.
    """
    digest = hashlib.sha256()
    for message in messages:
        content = message.SerializeToString(deterministic=True)
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    return digest.digest()


def digests(requested: bytes, made: Message) -> Digests:
    """Both digests of a registration."""
    return Digests(requested, canonical_digest(made))
