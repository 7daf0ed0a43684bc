"""Secrets of webhooks, as standardwebhooks.com writes them; apart from what sends, so that settings can check them."""

from __future__ import annotations

import base64
import binascii

_SECRET_PREFIX = "whsec_"  # noqa: S105 - marks a secret, is none


def signing_key(secret: str) -> bytes:
    """The key of a secret: the base64 after `whsec_`, in either alphabet, or the text itself.

    Raises ValueError, which does not show the secret, when there is no base64, or nothing in it.
    """
    if not secret.startswith(_SECRET_PREFIX):
        return secret.encode()
    text = secret.removeprefix(_SECRET_PREFIX).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"what follows {_SECRET_PREFIX} must be base64") from None
    if not key:
        raise ValueError(f"a key must follow {_SECRET_PREFIX}")
    return key
