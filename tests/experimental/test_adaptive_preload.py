"""What a fork server learns to import, what it must not, and that nothing it tries does harm."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import AttemptPhase, Report
from elevon_propeller.plugins.process.plugin import ProcessPlugin

from tests.integration.propeller_plugins.process_testing import Listener, Place, described, plain, run

Templates = dict[str, core.TaskTemplate]

_SLOW = "import time\ntime.sleep(0.05)\n"
_USES = """import {modules}
import os, sys
from flytekit import task
@task
def look() -> dict[str, str]:
    first = sys.modules["{first}"]
    return {{"server": str(os.getppid()), "born": str(getattr(first, "BORN", "")), "me": str(os.getpid()),
            "word": str(getattr(first, "WORD", "")), "file": str(first.__file__)}}
"""


@pytest.fixture
def python(tmp_path: Path, flytekit_python: Path) -> Path:
    """A virtual environment of its own, whose packages are added by the test, on top of the one with flytekit."""
    subprocess.run([flytekit_python, "-m", "venv", "--without-pip", tmp_path / "environment"], check=True)
    (packages_of(tmp_path) / "flytekit.pth").write_text(site_packages(flytekit_python.parent.parent).as_posix())
    return tmp_path / "environment" / "bin" / "python"


def site_packages(environment: Path) -> Path:
    """Where a virtual environment has its packages; all are of one version of Python here."""
    version = sysconfig.get_python_version()
    return environment / "lib" / f"python{version}" / "site-packages"


def packages_of(folder: Path) -> Path:
    return site_packages(folder / "environment")


@pytest.fixture
def place(tmp_path: Path, python: Path) -> Iterator[Place]:
    made = Place(tmp_path, python)
    yield made
    for file in (tmp_path / "processes" / "servers").glob("*/pid"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGKILL)


@asynccontextmanager
async def opened(place: Place, **settings: Any) -> AsyncIterator[ProcessPlugin]:
    plugin = place.plugin(python_path=[place.folder / "code"], adaptive_preload=True, **settings)
    await plugin.open()
    try:
        yield plugin
    finally:
        await plugin.close()


def installed(place: Place, **modules: str) -> None:
    for name, source in modules.items():
        (packages_of(place.folder) / f"{name}.py").write_text(source)


def task_that_imports(place: Place, *modules: str) -> core.TaskTemplate:
    code = place.folder / "code"
    code.mkdir(exist_ok=True)
    (code / "user_tasks.py").write_text(_USES.format(modules=", ".join(modules), first=modules[0]))
    return described(place.python, "user_tasks", folder=code)["look"]


class Runs:
    """Attempts of one task, one after the other."""

    def __init__(self, plugin: ProcessPlugin, place: Place, task: core.TaskTemplate) -> None:
        self._plugin, self._place, self._task, self._count = plugin, place, task, 0

    async def once(self, environment: dict[str, str] | None = None) -> dict[str, str]:
        self._count += 1
        attempt = self._place.attempt(self._task, {}, f"x-n{self._count}-0", environment)
        report: Report = await run(self._plugin, attempt)
        assert report.phase is AttemptPhase.SUCCEEDED, report.error
        assert report.outputs is not None
        return dict(plain(report.outputs.literals["o0"]))

    async def until_shared(self) -> dict[str, str]:
        """Run until the first module was imported by another process than the attempt's."""
        while True:
            seen = await self.once()
            if seen["born"] != seen["me"]:
                return seen
            await asyncio.sleep(0.05)


def learned(place: Place) -> dict[str, Any]:
    """What the server has written down; empty when it has not."""
    for file in (place.folder / "processes" / "servers").glob("*/modules.json"):
        return dict(json.loads(file.read_text()))
    return {"modules": [], "rejected": {}}


async def until_rejected(place: Place, name: str) -> str:
    while name not in learned(place)["rejected"]:
        await asyncio.sleep(0.02)
    return str(learned(place)["rejected"][name])


_BORN = f"{_SLOW}import os\nBORN = os.getpid()\n"


async def test_what_tasks_import_is_imported_once_for_all(place: Place) -> None:
    installed(place, slow=_BORN)
    async with opened(place) as plugin:
        runs = Runs(plugin, place, task_that_imports(place, "slow"))
        first = await runs.once()
        assert first["born"] == first["me"]
        shared = await runs.until_shared()
        assert shared["born"] == shared["server"] != first["server"]
        (pid,) = (place.folder / "processes" / "servers").glob("*/pid")
        assert pid.read_text() == shared["server"]
    assert "slow" in learned(place)["modules"]
    async with opened(place) as plugin:  # and another server knows it from the beginning
        while not (await Runs(plugin, place, task_that_imports(place, "slow")).once())["born"]:
            await asyncio.sleep(0.05)


async def test_nothing_is_learned_when_not_wanted(place: Place) -> None:
    installed(place, slow=_BORN)
    async with opened(place, adaptive_preload=False) as plugin:
        runs = Runs(plugin, place, task_that_imports(place, "slow"))
        servers = {(await runs.once())["server"] for _ in range(4)}
        assert len(servers) == 1
    assert learned(place)["modules"] == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("if 'server' in os.getcwd(): os._exit(3)", "ended the process"),
        ("if 'server' in os.getcwd(): os.kill(os.getpid(), 11)", "ended the process"),
        ("if 'server' in os.getcwd(): time.sleep(100)", "did not end within"),
        ("if 'server' in os.getcwd(): raise SystemExit('enough')", "SystemExit: enough"),
        ("import threading; threading.Thread(target=time.sleep, args=(100,), daemon=True).start()", "threads running"),
        ("if 'server' in os.getcwd(): import subprocess; subprocess.Popen(['sleep', '100'])", "process running"),
        ("os.environ.get('FLYTE_INTERNAL_EXECUTION_ID')", "FLYTE_INTERNAL_EXECUTION_ID"),
        ("os.environ['MINE'] = 'here'", "changes the environment"),
    ],
    ids=["leaves", "crashes", "hangs", "exits", "threads", "processes", "reads the attempt", "writes variables"],
)
async def test_a_module_that_does_harm_is_left_to_the_tasks(place: Place, source: str, reason: str) -> None:
    installed(place, good=_BORN, harmful=f"import os, time\n{_SLOW}{source}\n")
    async with opened(place, adaptive_preload_timeout=timedelta(seconds=4)) as plugin:
        runs = Runs(plugin, place, task_that_imports(place, "good", "harmful"))
        first = await runs.once()
        assert reason in await until_rejected(place, "harmful")
        assert (await runs.once())["born"]
        shared = await runs.until_shared()
        assert shared["server"] != first["server"]
    assert list(learned(place)["rejected"]) == ["harmful"]
    assert learned(place)["modules"] == ["good"]


async def test_variables_that_modules_read_are_heeded(place: Place) -> None:
    installed(place, slow=f"{_BORN}WORD = os.environ.get('SLOW_WORD', 'none')\n")
    async with opened(place) as plugin:
        runs = Runs(plugin, place, task_that_imports(place, "slow"))
        assert (await runs.until_shared())["word"] == "none"
        told = await runs.once({"SLOW_WORD": "told"})
        assert (told["word"], told["born"]) == ("told", told["me"])
        native = await runs.once({"OMP_NUM_THREADS": "1"})
        assert native["born"] == native["me"]
        unrelated = await runs.once({"OTHER": "1"})
        assert unrelated["born"] != unrelated["me"]


async def test_the_users_own_modules_win_over_learned_ones(place: Place) -> None:
    installed(place, slow=_BORN)
    async with opened(place) as plugin:
        runs = Runs(plugin, place, task_that_imports(place, "slow"))
        await runs.until_shared()
        (place.folder / "code" / "slow.py").write_text("WORD = 'mine'\n")
        seen = await runs.once()
        assert (seen["word"], seen["file"]) == ("mine", str(place.folder / "code" / "slow.py"))


async def test_upgraded_packages_are_used_at_once_and_imported_anew(place: Place) -> None:
    installed(place, slow=f"{_BORN}WORD = 'old'\n")
    record = packages_of(place.folder) / "slow-1.dist-info"
    record.mkdir()
    async with opened(place) as plugin:
        runs = Runs(plugin, place, task_that_imports(place, "slow"))
        assert (await runs.until_shared())["word"] == "old"
        installed(place, slow=f"{_BORN}WORD = 'the new one'\n")
        record.rename(record.with_name("slow-2.dist-info"))
        seen = await runs.once()
        assert (seen["word"], seen["born"]) == ("the new one", seen["me"])
        assert (await runs.until_shared())["word"] == "the new one"


async def test_a_successor_waits_for_running_attempts(place: Place) -> None:
    installed(place, slow=_BORN)
    task = task_that_imports(place, "slow")
    waiting = f"import pathlib, time\nwhile not pathlib.Path('{place.folder}/go').exists(): time.sleep(0.01)\n"
    with (place.folder / "code" / "long_task.py").open("w") as file:
        file.write("from flytekit import task\n@task\ndef long() -> int:\n")
        file.write("".join(f"    {line}\n" for line in waiting.splitlines()) + "    return 1\n")
    long = described(place.python, "long_task", folder=place.folder / "code")["long"]
    async with opened(place) as plugin:
        listener = Listener()
        await plugin.start(place.attempt(long, {}, "x-long-0"), listener)
        await listener.until(lambda report: report.phase is AttemptPhase.RUNNING)
        runs = Runs(plugin, place, task)
        before = await runs.once()
        while "slow" not in learned(place)["modules"]:
            await asyncio.sleep(0.02)
        during = await runs.once()
        assert (during["server"], during["born"]) == (before["server"], during["me"])
        (place.folder / "go").touch()
        assert (await listener.final()).phase is AttemptPhase.SUCCEEDED
        assert (await runs.until_shared())["server"] != before["server"]


async def test_a_successor_that_is_killed_does_no_harm(place: Place) -> None:
    leaves_a_trace = "if 'server' in os.getcwd():\n    open('../../../trial', 'w').write(str(os.getpid()))\n"
    installed(place, slow=_BORN + leaves_a_trace)
    async with opened(place) as plugin:
        runs = Runs(plugin, place, task_that_imports(place, "slow"))
        first = await runs.once()
        trial = place.folder / "trial"
        while not trial.exists() or not trial.read_text():
            await asyncio.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(trial.read_text()), signal.SIGKILL)
        seen = await runs.once()
        assert seen["server"] != trial.read_text()
        assert seen["server"] == first["server"] or "slow" in learned(place)["modules"]


async def test_no_helper_outlives_a_killed_server(place: Place) -> None:
    installed(place, slow=f"{_SLOW}import os\nif 'server' in os.getcwd():\n    time.sleep(60)\n")
    async with opened(place) as plugin:
        runs = Runs(plugin, place, task_that_imports(place, "slow"))
        server = int((await runs.once())["server"])
        children = Path(f"/proc/{server}/task/{server}/children")
        while len(children.read_text().split()) < 3:  # two who wait, and one that tries
            await asyncio.sleep(0.02)
        helpers = [int(pid) for pid in children.read_text().split()]
        os.kill(server, signal.SIGKILL)
        while any(is_alive(pid) for pid in helpers):
            await asyncio.sleep(0.01)
        assert (await runs.once())["server"] != str(server)


async def test_killed_spares_are_replaced(place: Place) -> None:
    installed(place, slow="")
    async with opened(place, spares=1) as plugin:
        runs = Runs(plugin, place, task_that_imports(place, "slow"))
        server = int((await runs.once())["server"])
        children = Path(f"/proc/{server}/task/{server}/children")
        for _ in range(2):
            while not (spares := children.read_text().split()):
                await asyncio.sleep(0.02)
            os.kill(int(spares[0]), signal.SIGKILL)
            while spares[0] in children.read_text().split():  # until the server has noticed
                await asyncio.sleep(0.01)
            seen = await runs.once()
            assert (int(seen["server"]), seen["me"]) != (server, spares[0])
            assert int(seen["server"]) == server


async def test_a_spare_becomes_the_next_attempt(place: Place) -> None:
    installed(place, slow="")
    async with opened(place, spares=1) as plugin:
        runs = Runs(plugin, place, task_that_imports(place, "slow"))
        server = int((await runs.once())["server"])
        children = Path(f"/proc/{server}/task/{server}/children")
        while not (spares := children.read_text().split()):
            await asyncio.sleep(0.02)
        assert (await runs.once())["me"] == spares[0]


def is_alive(pid: int) -> bool:
    try:
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
