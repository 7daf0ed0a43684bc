"""Queues that tasks hand their own children to: an execution gets one by the tags it carries."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from elevon_idl.core import v1 as core

QUEUE_KEY = "child_queue"
"""The entry of a container's configuration that names the queue."""


@dataclass(frozen=True, slots=True)
class ExecutionQueues:
    """Queue names to their tags, and domains to the tags that count where attributes are silent.

    The tags of the domain `""` count where a domain has none.
    """

    tags_of_queues: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tags_of_domains: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def choose(self, tags: Sequence[str], domain: str, execution: str) -> str:
        """The queue of an execution: one that has the first tag any queue has; always the same, empty if none has."""
        if not self.tags_of_queues:
            return ""
        of_domain = self.tags_of_domains.get(domain) or self.tags_of_domains.get("", ())
        for tag in (*tags, *of_domain):
            queues = [name for name, own in self.tags_of_queues.items() if tag in own]
            if queues:
                return queues[zlib.crc32(execution.encode()) % len(queues)]
        return ""


def assign_queue(closure: core.CompiledWorkflowClosure, queue: str) -> None:
    """Tell every container of the closure its queue; the closure is changed in place."""
    for task in closure.tasks:
        if queue and task.template.HasField("container"):
            task.template.container.config.add(key=QUEUE_KEY, value=queue)
