"""Which settings of the services the user has made, so that the embedded control plane leaves them alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elevon_kit.settings import read_config


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the environment and the settings file say about the services; names are as in `DATABASE__URL`."""

    environment: Mapping[str, str]
    document: Mapping[str, Any]

    @classmethod
    def read(cls, config: Path | None) -> Overrides:
        """Read both. Raises InvalidArgument when the file cannot be understood."""
        environment = {name.upper(): value for name, value in os.environ.items()}
        return cls(environment, read_config(config) if config is not None else {})

    def get(self, service: str, name: str) -> Any:
        """The user's value of a setting; None when there is none."""
        variable = self.environment.get(f"ELEVON_{service.upper()}_{name}")
        return variable if variable is not None else self._in_file(service, name)

    def _in_file(self, service: str, name: str) -> Any:
        found: Any = self.document.get(service)
        for key in name.lower().split("__"):
            if not isinstance(found, Mapping):
                return None
            found = found.get(key)
        return found
