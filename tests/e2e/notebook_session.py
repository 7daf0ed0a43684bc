"""Tasks that are in no file, as in a notebook; run by the tests as `python -c`, inside the tasks' environment."""

import os
import sys
from datetime import timedelta

from flytekit import task, workflow
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote


@task
def triple(a: int) -> int:
    return 3 * a


@workflow
def tripled(a: int) -> int:
    return triple(a=triple(a=a))


config = Config.for_endpoint(os.environ["FLYTE_PLATFORM_URL"], insecure=True)
remote = FlyteRemote(config, default_project="flytesnacks", default_domain="development", interactive_mode_enabled=True)
for entity, expected in ((triple, 6), (tripled, 18)):
    execution = remote.execute(entity, inputs={"a": 2}, version=f"{sys.argv[1]}-{expected}")
    ended = remote.wait(execution, timeout=timedelta(seconds=200), poll_interval=timedelta(seconds=0.2))
    assert ended.outputs["o0"] == expected, ended.closure
print("every step worked")
