"""Where workflows are compiled: at once, or beside other calls."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from elevon_admin.domain.entities import EntityKey, StoredTask
from elevon_admin.usecases import workflows
from elevon_idl.core import v1 as core


def union(variants: int) -> core.LiteralType:
    tagged = (core.TypeStructure(tag=f"t{number}") for number in range(variants))
    types = [core.LiteralType(simple=core.STRUCT, structure=structure) for structure in tagged]
    return core.LiteralType(union_type=core.UnionType(variants=types))


def stored(interface: core.TypedInterface) -> dict[EntityKey, StoredTask]:
    key = EntityKey("p", "d", "t", "v")
    template = core.TaskTemplate(id=key.identifier(core.TASK), interface=interface)
    return {key: StoredTask(1, key, 0, "", core.CompiledTask(template=template), 0)}


@pytest.mark.parametrize("variants", [2, 3_000])
@pytest.mark.parametrize("place", ["workflow", "task"])
async def test_large_types_are_compared_in_a_thread(monkeypatch: pytest.MonkeyPatch, variants: int, place: str) -> None:
    seen: list[threading.Thread] = []

    def compile_workflow(*_: Any) -> core.CompiledWorkflowClosure:
        seen.append(threading.current_thread())
        return core.CompiledWorkflowClosure()

    monkeypatch.setattr(workflows, "compile_workflow", compile_workflow)
    interface = core.TypedInterface()
    interface.inputs.variables["x"].type.CopyFrom(union(variants))
    template = core.WorkflowTemplate(interface=interface if place == "workflow" else None)
    await workflows.compiled(template, [], stored(interface) if place == "task" else {}, {})

    assert [thread is threading.main_thread() for thread in seen] == [variants == 2]
