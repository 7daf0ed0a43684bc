"""A process with a plugin in it, for tests to kill: starts the attempts it is told of and writes down what it hears.

python -m tests.integration.propeller_plugins.driver JOB, where JOB is a JSON file written by `Job.write`
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elevon_idl.core import v1 as core

from tests.integration.propeller_plugins.process_testing import Listener, Place

REPOSITORY = Path(__file__).parents[3]


@dataclass
class Job:
    """What a driver does: each attempt is a name, a task and its inputs."""

    place: Place
    settings: dict[str, Any] = field(default_factory=dict)
    attempts: list[tuple[str, core.TaskTemplate, dict[str, Any]]] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        """Run a driver; it ends when all attempts have ended, or when it is killed."""
        file = self.place.folder / "job.json"
        attempts = [
            [name, base64.b64encode(task.SerializeToString()).decode(), inputs] for name, task, inputs in self.attempts
        ]
        place = [str(self.place.folder), str(self.place.python)]
        file.write_text(json.dumps({"place": place, "settings": self.settings, "attempts": attempts}))
        module = "tests.integration.propeller_plugins.driver"
        return subprocess.Popen([sys.executable, "-m", module, str(file)], cwd=REPOSITORY, stdin=subprocess.DEVNULL)


async def drive(job: dict[str, Any]) -> None:
    """Open, start everything, wait for everything."""
    place = Place(*(Path(path) for path in job["place"]))
    plugin = place.plugin(**job["settings"])
    await plugin.open()
    listeners = []
    for name, task, inputs in job["attempts"]:
        template = core.TaskTemplate.FromString(base64.b64decode(task))
        listeners.append(Listener())
        await plugin.start(place.attempt(template, inputs, name), listeners[-1])
    await asyncio.gather(*(listener.final() for listener in listeners))
    await plugin.close()


if __name__ == "__main__":
    asyncio.run(drive(json.loads(Path(sys.argv[1]).read_text())))
