"""Tasks as users write them; they run in the environment of flytekit."""

# mypy: ignore-errors
# Runs in the environment of flytekit, which mypy does not see.

from __future__ import annotations

import fcntl
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import flytekit
from flytekit import ContainerTask, dynamic, kwtypes, map_task, task
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile


@task
def double(number: int) -> int:
    print(f"doubling {number}")
    return 2 * number


@task
def nothing() -> None:
    print("nothing to do")


@task
def refuse(number: int) -> int:
    if number:
        raise ValueError(f"{number} is refused")
    return number


@task(retries=2)
def try_again(number: int) -> int:
    if number:
        raise FlyteRecoverableException("not this time")
    return number


@task
def leave(code: int) -> int:
    print("leaving early")
    sys.exit(code)
    return code


@task
def kill_myself(number: int) -> int:
    os.kill(os.getpid(), number)
    time.sleep(60)
    return 0


@task
def look_around() -> dict[str, str]:
    return {**os.environ, "cwd": os.getcwd(), "files": " ".join(sorted(os.listdir("."))), "main": sys.argv[0]}


@task
def remember(word: str) -> str:
    """Leaves traces in modules and answers the ones it found."""
    found = getattr(flytekit, "left_behind", "nothing")
    flytekit.left_behind = word
    return str(found)


@task
def draw() -> float:
    return random.random()


@task
def guarded(folder: str, patience: float) -> str:
    """Proves that no other of its kind runs in the folder, and waits for the file `go`."""
    place = pathlib.Path(folder)
    with (place / "guard").open("a") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (place / "overlap").touch()
        with (place / "starts").open("a") as starts:
            starts.write(f"{os.getpid()}\n")
        end = time.monotonic() + patience
        while not (place / "go").exists() and time.monotonic() < end:
            time.sleep(0.01)
    return "went"


@task
def with_children(folder: str) -> str:
    """Starts one child in its group, one in a session of its own, one that ignores SIGTERM; all outlive it."""
    script = (
        "import os, sys, time, signal; signal.signal(15, signal.SIG_IGN); "
        "open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
    )
    for name, apart in (("near", False), ("far", True)):
        subprocess.Popen([sys.executable, "-c", script, os.path.join(folder, name)], start_new_session=apart)
    if os.fork() == 0:
        os.setsid()
        pathlib.Path(folder, "forked").write_text(str(os.getpid()))
        time.sleep(600)
        os._exit(0)
    names = ("near", "far", "forked")
    while not all(pathlib.Path(folder, name).exists() and pathlib.Path(folder, name).read_text() for name in names):
        time.sleep(0.01)
    pathlib.Path(folder, "ready").touch()
    while not pathlib.Path(folder, "go").exists():
        time.sleep(0.01)
    return "went"


@task
def ignore_signals(folder: str) -> str:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path(folder, "ready").touch()
    time.sleep(600)
    return "went"


@task
def big(megabytes: int) -> str:
    return "x" * (megabytes * 1024 * 1024)


@task(enable_deck=True)
def decked(number: int) -> int:
    flytekit.Deck("shown", f"<b>{number}</b>")
    return number


@dynamic
def fan_out(count: int) -> list[int]:
    return [double(number=number) for number in range(count)]


@task
def square(number: int) -> int:
    return number * number


squares = map_task(square)


measure = ContainerTask(
    name="measure",
    image="example.org/shell",
    input_data_dir="/var/inputs",
    output_data_dir="/var/outputs",
    inputs=kwtypes(words=list[str], number=int, text=FlyteFile),
    outputs=kwtypes(total=int, share=float, late=bool, said=str, kept=FlyteFile, many=FlyteDirectory),
    command=[
        "sh",
        "-c",
        "cat /var/inputs/words/1 /var/inputs/text > /var/outputs/said && echo $((1 + $(cat /var/inputs/number))) > "
        "/var/outputs/total && echo 0.5 > /var/outputs/share && echo true > /var/outputs/late.txt && "
        "cp /var/inputs/inputs.json /var/outputs/kept && mkdir -p /var/outputs/many/deep && "
        "echo x > /var/outputs/many/deep/file",
    ],
)

complain = ContainerTask(
    name="complain",
    image="example.org/shell",
    input_data_dir="/var/inputs",
    output_data_dir="/var/outputs",
    inputs=kwtypes(number=int),
    outputs=kwtypes(total=int),
    command=["sh", "-c", 'if [ "{{.inputs.number}}" = 1 ]; then echo enough > /var/outputs/_ERROR; fi'],
)
