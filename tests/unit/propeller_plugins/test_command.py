"""What a container's command becomes outside of a container."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from elevon_idl.core import v1 as core
from elevon_propeller.plugins.contract import Attempt
from elevon_propeller.plugins.process import warm
from elevon_propeller.plugins.process.command import Command, container_of, image_of, parse, runnable
from elevon_propeller.plugins.process.refusal import Refusal
from google.protobuf import json_format

PYTHON = Path("/env/bin/python")
PATH = {"PATH": "/usr/bin:/bin"}


@pytest.mark.parametrize("program", ["pyflyte-execute", "/opt/venv/bin/pyflyte-execute"])
def test_an_entry_point_is_known_wherever_it_is(program: str) -> None:
    assert parse([program, "--inputs", "i"]) == Command("pyflyte-execute", ("--inputs", "i"))


@pytest.mark.parametrize(
    "options",
    [
        ["--additional-distribution", "s3://b/fast.tar.gz", "--dest-dir", "/root", "--"],
        ["--additional-distribution=s3://b/fast.tar.gz", "--dest-dir=/root"],
    ],
)
def test_fast_execution_is_taken_apart_and_told_to_the_resolver(options: list[str]) -> None:
    command = parse(["pyflyte-fast-execute", *options, "pyflyte-map-execute", "--inputs", "i", "--resolver", "r", "--"])
    told = ("--dynamic-addl-distro", "s3://b/fast.tar.gz", "--dynamic-dest-dir", "/root")
    assert command.entry == "pyflyte-map-execute"
    assert command.arguments == ("--inputs", "i", *told, "--resolver", "r", "--")
    assert command.distribution == "s3://b/fast.tar.gz"


def test_any_command_may_be_wrapped_for_fast_execution() -> None:
    command = parse(["pyflyte-fast-execute", "--additional-distribution", "s3://b/c.tar.gz", "--", "bash", "run.sh"])
    assert command == Command("", ("bash", "run.sh"), "s3://b/c.tar.gz")


def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(Refusal, match="neither command nor args"):
        parse([])


def test_interpreters_of_images_are_replaced() -> None:
    for program in ("/usr/local/bin/python3.11", "/opt/venv/bin/python"):
        assert runnable(parse([program, "-m", "x"]), PYTHON, PATH).arguments == (str(PYTHON), "-m", "x")


def test_programs_are_looked_up(tmp_path: Path) -> None:
    assert runnable(parse(["sh", "-c", "x"]), PYTHON, PATH).arguments == ("sh", "-c", "x")
    assert runnable(parse(["/bin/sh"]), PYTHON, PATH).arguments == ("/bin/sh",)
    assert runnable(parse(["./run.sh"]), PYTHON, PATH).arguments == ("./run.sh",)
    tool = tmp_path / "tool"
    tool.touch(mode=0o755)
    assert runnable(parse(["/opt/bin/tool"]), tmp_path / "python", PATH).arguments == (str(tool),)


@pytest.mark.parametrize("program", ["no-such-program", "/opt/bin/no-such-program"])
def test_an_absent_program_is_named(program: str) -> None:
    with pytest.raises(Refusal, match=program) as refused:
        runnable(parse([program]), PYTHON, PATH)
    assert refused.value.code == "CommandNotFound"


def test_a_variable_for_interpreters_forces_a_new_one() -> None:
    command = runnable(parse(["pyflyte-execute", "a"]), PYTHON, PATH | {"PYTHONHASHSEED": "1"})
    assert command == Command("", (str(PYTHON), warm.RUN, warm.ANEW, "pyflyte-execute", "a"))
    assert runnable(parse(["pyflyte-execute", "a"]), PYTHON, PATH | {"PYTHONPATH": "/x"}).entry == "pyflyte-execute"


def test_the_primary_container_of_a_pod_is_found(attempt_of: Callable[..., Attempt]) -> None:
    spec = {
        "containers": [
            {"name": "side", "image": "other"},
            {
                "name": "main",
                "image": "image",
                "command": ["c"],
                "args": ["a"],
                "env": [{"name": "E", "value": "v"}, {"name": "S", "valueFrom": {"secretKeyRef": {}}}],
            },
        ]
    }
    task = core.TaskTemplate(config={"primary_container_name": "main"})
    json_format.ParseDict(spec, task.k8s_pod.pod_spec)
    attempt = replace(attempt_of("sidecar", {}, {}), task=task)
    container = container_of(attempt)
    assert (container.image, list(container.command), list(container.args)) == ("image", ["c"], ["a"])
    assert [(pair.key, pair.value) for pair in container.env] == [("E", "v")]
    task.config["primary_container_name"] = "absent"
    with pytest.raises(Refusal, match="'absent'"):
        container_of(attempt)


def test_the_pod_of_a_node_replaces_the_container_of_its_task(attempt_of: Callable[..., Attempt]) -> None:
    attempt = attempt_of("container", {}, {})
    attempt.task.container.args.append("of the task")
    overrides = core.TaskNodeOverrides()
    attempt = replace(attempt, overrides=overrides)
    assert list(container_of(attempt).args) == ["of the task"]
    overrides.pod_template.primary_container_name = "main"
    spec = {"containers": [{"name": "main", "args": ["of the node"], "env": [{"name": "E", "value": "v"}]}]}
    json_format.ParseDict(spec, overrides.pod_template.pod_spec)
    container = container_of(attempt)
    assert (list(container.args), container.env[0].value) == (["of the node"], "v")


def test_the_image_of_the_node_wins(attempt_of: Callable[..., Attempt]) -> None:
    attempt = attempt_of("container", {}, {})
    assert image_of(attempt, core.Container(image="task")) == "task"
