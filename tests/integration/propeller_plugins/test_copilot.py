"""Container tasks that read and write files, as processes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from elevon_idl.core import v1 as core
from elevon_kit.blobs_obstore import ObjectBlobStore
from elevon_propeller.plugins.contract import AttemptPhase
from elevon_propeller.plugins.process.plugin import ProcessPlugin

from tests.integration.propeller_plugins.process_testing import Names, Place, Templates, plain, run

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_files_become_outputs(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text(" from a file")
    attempt = place.attempt(templates["measure"], {"words": ["a", "bee"], "number": 41}, fresh_name())
    attempt.inputs.literals["text"].scalar.blob.uri = f"file://{tmp_path}/text.txt"
    report = await run(plugin, attempt)
    assert report.phase is AttemptPhase.SUCCEEDED, report.error
    assert report.outputs is not None
    found = report.outputs.literals
    assert {name: plain(found[name]) for name in ("total", "share", "late", "said")} == {
        "total": 42,
        "share": 0.5,
        "late": True,
        "said": "bee from a file",
    }
    blobs = ObjectBlobStore()
    together = json.loads(await blobs.read(found["kept"].scalar.blob.uri))
    assert (together["words"], together["number"]) == (["a", "bee"], 41)
    (only,) = await blobs.list(found["many"].scalar.blob.uri)
    assert only.endswith("/many/deep/file")
    assert only.startswith(attempt.paths.raw_output_prefix)
    assert found["many"].scalar.blob.uri.startswith("/")


@pytest.mark.parametrize(("number", "words"), [(1, "User Error: enough"), (2, "output total")])
async def test_errors_and_missing_files_are_told(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names, number: int, words: str
) -> None:
    report = await run(plugin, place.attempt(templates["complain"], {"number": number}, fresh_name()))
    assert report.phase is AttemptPhase.RETRYABLE_FAILURE
    assert report.error is not None
    code = "UserError" if number == 1 else "OutputUploadFailed"
    assert (report.error.code, report.error.kind) == (code, core.ExecutionError.USER)
    assert words in report.error.message


async def test_a_missing_input_file_fails_the_attempt(
    plugin: ProcessPlugin, place: Place, templates: Templates, fresh_name: Names
) -> None:
    attempt = place.attempt(templates["measure"], {"words": ["a", "b"], "number": 1}, fresh_name())
    attempt.inputs.literals["text"].scalar.blob.uri = "file:///not/there"
    report = await run(plugin, replace(attempt))
    assert report.error is not None
    assert (report.phase, report.error.code) == (AttemptPhase.PERMANENT_FAILURE, "InputDownloadFailed")
