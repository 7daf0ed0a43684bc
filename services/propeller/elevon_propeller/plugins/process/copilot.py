"""Inputs and outputs as files, for containers that know nothing of Flyte.

Inputs are laid out in a folder before the program starts, outputs are taken from another one when it has ended. The
paths by which a task knows these folders are those inside its container; here they stand for folders of the attempt.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core
from elevon_kit.blobs import BlobStore

from elevon_propeller.plugins.contract import Attempt
from elevon_propeller.plugins.process import copilot_inputs, copilot_outputs

INPUT_PATH, OUTPUT_PATH = "/var/flyte/inputs", "/var/flyte/outputs"
_TOGETHER = {core.DataLoadingConfig.JSON: "inputs.json", core.DataLoadingConfig.YAML: "inputs.yaml"}


@dataclass(frozen=True, slots=True)
class Copilot:
    """The two folders of an attempt, and the paths its task knows them by."""

    inputs: Path
    outputs: Path
    known_inputs: str
    known_outputs: str
    format: core.DataLoadingConfig.LiteralMapFormat.ValueType

    def translated(self, text: str) -> str:
        """A piece of the command or of the environment, with the paths of this machine."""
        for known, here in ((self.known_inputs, self.inputs), (self.known_outputs, self.outputs)):
            text = re.sub(rf"{re.escape(known)}(?![\w-])", str(here).replace("\\", r"\\"), text)
        return text


def copilot_of(task: core.TaskTemplate, folder: Path) -> Copilot | None:
    """The folders below an attempt's own, where its task asks for them; else None."""
    config = task.k8s_pod.data_config if task.HasField("k8s_pod") else task.container.data_config
    if not config.enabled:
        return None
    return Copilot(
        inputs=folder / "inputs",
        outputs=folder / "outputs",
        known_inputs=(config.input_path or INPUT_PATH).rstrip("/"),
        known_outputs=(config.output_path or OUTPUT_PATH).rstrip("/"),
        format=config.format,
    )


async def lay_out_inputs(copilot: Copilot, inputs: core.LiteralMap, blobs: BlobStore) -> None:
    """Write a file for each input, all together as inputs.pb, and in the format the task asks for."""
    for folder in (copilot.inputs, copilot.outputs):
        await asyncio.to_thread(partial(folder.mkdir, parents=True, exist_ok=True))
    local = core.LiteralMap()
    local.CopyFrom(inputs)
    plain = {
        name: await copilot_inputs.lay_out(literal, copilot.inputs / name, blobs)
        for name, literal in local.literals.items()
    }
    await asyncio.to_thread(_write_together, copilot, plain, local)


async def take_outputs(copilot: Copilot, attempt: Attempt, blobs: BlobStore, *, succeeded: bool = True) -> None:
    """Turn the files a program left into outputs.pb, or into error.pb when it left an error or what does not fit.

    Of a program that has not `succeeded` only the error is taken.
    """
    complaint = await asyncio.to_thread(copilot_outputs.complaint, copilot.outputs)
    if complaint:
        await _write_error(attempt, "UserError", f"User Error: {complaint}", blobs)
    elif succeeded:
        try:
            outputs = await copilot_outputs.collect(copilot.outputs, attempt, blobs)
        except InvalidArgument as error:
            await _write_error(attempt, "OutputUploadFailed", error.message, blobs)
        else:
            await blobs.write(attempt.paths.outputs, outputs.SerializeToString(deterministic=True))


async def _write_error(attempt: Attempt, code: str, message: str, blobs: BlobStore) -> None:
    document = core.ErrorDocument()
    document.error.code = code
    document.error.message = message
    document.error.kind = core.ContainerError.RECOVERABLE
    document.error.origin = core.ExecutionError.USER
    await blobs.write(attempt.paths.error, document.SerializeToString())


def _write_together(copilot: Copilot, plain: dict[str, Any], local: core.LiteralMap) -> None:
    (copilot.inputs / "inputs.pb").write_bytes(local.SerializeToString(deterministic=True))
    name = _TOGETHER.get(copilot.format)
    if name is not None:
        text = json.dumps(plain) if name.endswith("json") else _as_yaml(plain)
        (copilot.inputs / name).write_text(text)


def _as_yaml(plain: dict[str, Any]) -> str:
    import yaml  # few containers ask for it

    return str(yaml.safe_dump(plain, sort_keys=True))
