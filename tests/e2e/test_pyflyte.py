"""An unmodified pyflyte and FlyteRemote against a whole control plane."""

from __future__ import annotations

from pathlib import Path

import pytest
from flyteidl.admin import common_pb2

from tests.e2e.harness import DOMAIN, PROJECT, Plane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

REMOTE = Path(__file__).parent / "remote_session.py"


def registered(plane: Plane) -> dict[str, int]:
    """When each task of the version was registered; pyflyte tells of repetitions only by succeeding."""
    scope = common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN)
    request = common_pb2.ResourceListRequest(id=scope, limit=1000, filters="eq(version,registered)")
    return {task.id.name: task.closure.created_at.ToNanoseconds() for task in plane.admin.ListTasks(request).tasks}


def test_register_twice_then_change(plane: Plane, tmp_path: Path) -> None:
    assert "Successfully registered" in plane.register("basics", "registered")
    before = registered(plane)
    assert "Successfully registered" in plane.register("basics", "registered")
    assert registered(plane) == before
    changed = tmp_path / "basics.py"
    source = (Path(__file__).parent / "project" / "basics.py").read_text()
    changed.write_text(source.replace("def note(text: str)", "def note(text: str, copies: int = 1)"))
    refused = plane.flytekit("pyflyte", "register", "--version", "registered", str(changed), check=False)
    assert refused.returncode != 0
    assert "different structure" in refused.stdout + refused.stderr


def test_run_a_task(plane: Plane) -> None:
    done = plane.flytekit(
        "pyflyte", "run", "--remote", "--wait", "--poll-interval", "1", "basics.py", "add", "--a", "2", "--b", "3"
    )
    assert "SUCCEEDED" in done.stdout or "console" in done.stdout


def test_run_a_workflow(plane: Plane) -> None:
    plane.flytekit("pyflyte", "run", "--remote", "--wait", "--poll-interval", "1", "basics.py", "mixed", "--a", "2")


def test_a_failed_run_is_told_by_the_exit_code(plane: Plane, tmp_path: Path) -> None:
    run = (
        "pyflyte",
        "run",
        "--remote",
        "--wait",
        "--poll-interval",
        "1",
        "basics.py",
        "wrong_wf",
        "--witness",
        tmp_path,
    )
    failed = plane.flytekit(*run, check=False)
    assert failed.returncode != 0
    assert "this value is wrong for ever" in failed.stdout + failed.stderr


def test_flyte_remote(plane: Plane) -> None:
    done = plane.flytekit("python", REMOTE)
    assert done.stdout.strip().endswith("every step worked"), done.stdout + done.stderr
