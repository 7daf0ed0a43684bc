"""Tasks that run at connector services: one that is part of flytekit, and those of `connectors.py`."""

from __future__ import annotations

import typing
from datetime import timedelta

from flytekit import task, workflow
from flytekit.core.base_task import PythonTask, TaskMetadata
from flytekit.core.interface import Interface
from flytekit.sensor.file_sensor import FileSensor

file_sensor = FileSensor(name="connected.file_sensor")


class JobTask(PythonTask):
    """A job of `connectors.JobConnector`, or of `connectors.AskConnector`."""

    def __init__(self, name: str, task_type: str = "job", returns: type = int, **metadata: typing.Any) -> None:
        interface = Interface(inputs={"folder": str, "behaviour": str}, outputs={"answer": returns})
        super().__init__(
            task_type=task_type, name=name, task_config=None, interface=interface, metadata=TaskMetadata(**metadata)
        )

    def execute(self, **kwargs: typing.Any) -> typing.Any:
        raise RuntimeError("it runs at a connector")


job = JobTask("connected.job")
ask = JobTask("connected.ask", "ask")
persistent = JobTask("connected.persistent", retries=2)
limited = JobTask("connected.limited", timeout=timedelta(seconds=4))


@task
def doubled(answer: int) -> int:
    return 2 * answer


@workflow
def sensed(path: str) -> None:
    file_sensor(path=path)


@workflow
def job_wf(folder: str, behaviour: str) -> int:
    return doubled(answer=job(folder=folder, behaviour=behaviour))


@workflow
def ask_wf(folder: str, behaviour: str) -> int:
    return doubled(answer=ask(folder=folder, behaviour=behaviour))


@workflow
def persistent_wf(folder: str, behaviour: str) -> int:
    return persistent(folder=folder, behaviour=behaviour)


@workflow
def limited_wf(folder: str, behaviour: str) -> int:
    return limited(folder=folder, behaviour=behaviour)
