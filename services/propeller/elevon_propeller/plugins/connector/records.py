"""What is remembered of a job, so that a propeller that starts again goes on with it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from elevon_propeller.plugins.connector.routes import Category
from elevon_propeller.plugins.contract import Attempt


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job that a connector service has; `resource_meta` is how that service finds it again.

    `node` names the node whose attempt it is, `number` the attempt: names of attempts alone are hashes.
    """

    endpoint: str
    category: Category
    resource_meta: bytes
    output_prefix: str
    node: str
    number: int

    def pack(self) -> bytes:
        """The record as bytes."""
        return json.dumps(
            {
                "endpoint": self.endpoint,
                "task_type": self.category.name,
                "version": self.category.version,
                "resource_meta": base64.b64encode(self.resource_meta).decode(),
                "output_prefix": self.output_prefix,
                "node": self.node,
                "number": self.number,
            }
        ).encode()

    @classmethod
    def unpack(cls, data: bytes) -> JobRecord:
        """The record that `pack` made; raises ValueError for anything else."""
        try:
            values = json.loads(data)
            return cls(
                endpoint=values["endpoint"],
                category=Category(values["task_type"], values["version"]),
                resource_meta=base64.b64decode(values["resource_meta"]),
                output_prefix=values["output_prefix"],
                node=values["node"],
                number=values["number"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no record of a job: {error!r}") from error


def node_of(attempt: Attempt) -> str:
    """Whose attempt it is, all retries together."""
    execution = attempt.execution_id
    return f"{execution.project}/{execution.domain}/{execution.name}/{attempt.node_id}"
