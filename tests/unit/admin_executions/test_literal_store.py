"""How much is read of what others have written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from elevon_admin.domain.records import StoredLiterals
from elevon_admin.usecases.literals import WHOLE_LIMIT, LiteralStore
from elevon_core import literals
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobTooLarge
from elevon_kit.blobs_local import LocalBlobStore


async def test_values_in_files_of_their_own_are_read_up_to_a_limit(tmp_path: Path) -> None:
    store, file = LiteralStore(LocalBlobStore(), tmp_path.as_uri()), tmp_path / "value.pb"
    pointing = core.Literal(offloaded_metadata=core.LiteralOffloadedMetadata(uri=file.as_uri()))
    stored = StoredLiterals(data=core.LiteralMap(literals={"a": pointing}).SerializeToString())
    file.write_bytes(literals.integer(7).SerializeToString())
    assert (await store.read_whole(stored)).literals["a"] == literals.integer(7)
    os.truncate(file, WHOLE_LIMIT + 1)
    with pytest.raises(BlobTooLarge, match=f"has {WHOLE_LIMIT + 1} bytes, at most {WHOLE_LIMIT} are accepted"):
        await store.read_whole(stored)
    with pytest.raises(BlobTooLarge):
        await store.read_whole(StoredLiterals(uri=file.as_uri()))
