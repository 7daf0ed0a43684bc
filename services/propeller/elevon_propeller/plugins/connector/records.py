"""What is remembered of a job, so that a propeller that starts again goes on with it."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass

from elevon_propeller.plugins.connector.routes import Category
from elevon_propeller.plugins.contract import Attempt


@dataclass(frozen=True, slots=True)
class Owner:
    """The attempt that a job is for; names of attempts alone are hashes."""

    project: str
    domain: str
    execution: str
    node_id: str
    number: int

    @property
    def node(self) -> tuple[str, str, str, str]:
        """Whose attempt it is, all retries together."""
        return (self.project, self.domain, self.execution, self.node_id)

    def __str__(self) -> str:
        return "/".join((*self.node, str(self.number)))


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job that a connector service has; `resource_meta` is how that service finds it again.

    `given_up` says that the attempt has failed while the job may run: it is to be deleted when the engine lets go of
    the attempt.
    """

    owner: Owner
    endpoint: str
    category: Category
    resource_meta: bytes
    output_prefix: str
    given_up: bool = False

    def pack(self) -> bytes:
        """The record as bytes."""
        values = asdict(self) | {"resource_meta": base64.b64encode(self.resource_meta).decode()}
        return json.dumps(values).encode()

    @classmethod
    def unpack(cls, data: bytes) -> JobRecord:
        """The record that `pack` made; raises ValueError for anything else."""
        try:
            values = json.loads(data)
            return cls(
                owner=Owner(**values["owner"]),
                endpoint=values["endpoint"],
                category=Category(**values["category"]),
                resource_meta=base64.b64decode(values["resource_meta"]),
                output_prefix=values["output_prefix"],
                given_up=values["given_up"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no record of a job: {error!r}") from error


def owner_of(attempt: Attempt) -> Owner:
    """Whose job an attempt's is."""
    execution = attempt.execution_id
    return Owner(execution.project, execution.domain, execution.name, attempt.node_id, attempt.number)
