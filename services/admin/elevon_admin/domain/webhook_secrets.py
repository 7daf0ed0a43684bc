"""Secrets of webhooks, as standardwebhooks.com writes them; apart from what sends, so that settings can check them."""

from __future__ import annotations

import base64

_SECRET_PREFIX = "whsec_"  # noqa: S105 - marks a secret, is none


def signing_key(secret: str) -> bytes:
    """The key of a secret: the base64 after `whsec_`, or the text itself."""
    if secret.startswith(_SECRET_PREFIX):
        return base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
    return secret.encode()
