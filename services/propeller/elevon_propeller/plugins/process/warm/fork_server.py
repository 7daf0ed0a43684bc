"""The warm fork server: imports flytekit once, then forks for every attempt.

It runs with the Python of the tasks, is the parent of all attempts of one environment, and outlives the process that
started it; whoever connects to its socket speaks frames of JSON (see `frames`).

What it promises:

* every process of an attempt that was forked and not executed anew holds the folder's `lock`, every other one has
  its `ELEVON_ATTEMPT` in the environment: where neither is found, nothing of the attempt lives;
* `exit.json` appears in the folder, whole and on disk, when an attempt has ended by itself or was stopped;
* when the server dies, the kernel kills its attempts (Linux); when nobody is connected for the time of grace, it kills
  them and leaves, without an `exit.json`, so that they are run again.
"""

from __future__ import annotations

import argparse
import os

from .kernel import CHILD_SUBREAPER, ask_kernel
from .server import Server


def main() -> None:
    """Parse the command line, take the folder, warm up, serve."""
    options = parse()
    server = Server(options)
    server.begin()
    if os.fork():
        os._exit(0)  # tells the caller that the socket is there, and leaves the server to itself
    os.setsid()
    ask_kernel(CHILD_SUBREAPER, 1)
    write_pid(options.folder)
    server.warm_up()
    server.serve()


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Forks one process per attempt of a task.")
    parser.add_argument("--folder", required=True, help="where lock and log of the server are")
    parser.add_argument("--socket", required=True, help="where to listen")
    parser.add_argument("--identity", required=True, help="told to clients, to tell servers apart")
    parser.add_argument("--grace", type=float, required=True, help="seconds to live without a client")
    parser.add_argument("--kill-grace", type=float, required=True, help="seconds between SIGTERM and SIGKILL")
    parser.add_argument("--spares", type=int, default=0, help="processes forked ahead")
    parser.add_argument("--preload", nargs="*", default=[], help="modules to import before the first fork")
    return parser.parse_args()


def write_pid(folder: str) -> None:
    """Say in the server's folder which process the server is."""
    temporary = os.path.join(folder, f"pid.{os.getpid()}")
    with open(temporary, "w") as file:
        file.write(str(os.getpid()))
    os.replace(temporary, os.path.join(folder, "pid"))
