"""Serializes `flytekit_project.py` as `pyflyte register` would and keeps the bytes as fixtures.

Run by hand, in an environment with flytekit, whenever the project or the wanted flytekit version changes:

    python -m venv /tmp/venv && /tmp/venv/bin/pip install flytekit
    /tmp/venv/bin/python tests/unit/core/compiler/make_fixtures.py

The tests need neither flytekit nor this script: they read `fixtures/*.pb`. flytekit writes
upstream node ids in an order that changes from run to run, so a few bytes differ every time.
"""

# mypy: ignore-errors
# (flytekit is not among the dependencies: only the bytes made by this script are needed by the tests)

from __future__ import annotations

import importlib
import sys
from collections import OrderedDict
from pathlib import Path

from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.workflow import WorkflowBase
from flytekit.models.admin.workflow import WorkflowSpec
from flytekit.models.launch_plan import LaunchPlan
from flytekit.models.task import TaskSpec
from flytekit.tools.translator import get_serializable

HERE = Path(__file__).parent
SUFFIXES = {TaskSpec: "task", WorkflowSpec: "workflow", LaunchPlan: "launch_plan"}


def main() -> None:
    """Writes one file per entity, named `<entity>.<kind>.pb`; ids are complete, as after registration."""
    image = Image(name="default", fqn="localhost/elevon", tag="fixture")
    settings = SerializationSettings(
        image_config=ImageConfig(default_image=image, images=[image]),
        project="flytesnacks",
        domain="development",
        version="v1",
    )
    sys.path.insert(0, str(HERE))
    module = importlib.import_module("flytekit_project")
    target = HERE / "fixtures"
    target.mkdir(exist_ok=True)
    for old in target.glob("*.pb"):
        old.unlink()
    entities: OrderedDict[object, object] = OrderedDict()
    with FlyteContextManager.with_context(FlyteContextManager.current_context().with_serialization_settings(settings)):
        for value in list(vars(module).values()):
            if isinstance(value, WorkflowBase):
                get_serializable(entities, settings, value)
        dynamic = module.fan_out
        job = dynamic.compile_into_workflow(FlyteContextManager.current_context(), dynamic.task_function, n=3)
    for model in entities.values():
        write(model, target)
    (target / "fan_out.dynamic_job.pb").write_bytes(job.to_flyte_idl().SerializeToString(deterministic=True))


def write(model: object, target: Path) -> None:
    """Keeps what a client would register: specs of tasks and workflows, launch plans."""
    kind = SUFFIXES.get(type(model))
    if kind is None:
        return
    message = model.to_flyte_idl()
    identifier = message.id if kind == "launch_plan" else message.template.id
    name = identifier.name.removeprefix("flytekit_project.")
    (target / f"{name}.{kind}.pb").write_bytes(message.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
