"""Which checkpoint an attempt goes on from."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from elevon_kit.blobs import BlobStore
from elevon_kit.retry import ATOMIC

from elevon_propeller.plugins.contract import AttemptPaths


async def with_latest_checkpoint(paths: AttemptPaths, blobs: BlobStore) -> AttemptPaths:
    """The same paths, where the only earlier checkpoint is the latest that was written.

    An attempt that ended before its first checkpoint hides that of the one before otherwise, and SDKs fail to read a
    folder that is not there.
    """
    for uri in paths.earlier_checkpoints:
        if await ATOMIC.run(partial(blobs.list, uri), what="look for a checkpoint"):
            return replace(paths, earlier_checkpoints=(uri,))
    return replace(paths, earlier_checkpoints=())
