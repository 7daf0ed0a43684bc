"""Task nodes: retries, a timeout, caching, and one node that overrides what its task says."""

import os
import random
from datetime import timedelta

from flytekit import task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


@task(retries=3, timeout=timedelta(minutes=1))
def unreliable(seed: int) -> int:
    """Fail the first time; a recoverable failure is tried again."""
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    if attempt == 0:
        raise FlyteRecoverableException("nobody answers the first call")
    return random.Random(seed).randrange(100)


@task(cache=True, cache_version="1")
def square(n: int) -> int:
    """Computed once for each n."""
    return n * n


@workflow
def tasks(seed: int = 7) -> int:
    number = unreliable(seed=seed).with_overrides(retries=1, node_name="the-unreliable-one")
    return square(n=number)
