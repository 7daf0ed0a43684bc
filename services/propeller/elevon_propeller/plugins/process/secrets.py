"""Secrets of tasks, from files to the environment."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from elevon_idl.core import v1 as core

from elevon_propeller.plugins.process.refusal import Refusal


def secret_variables(secrets: Iterable[core.Secret], folder: Path | None) -> dict[str, str]:
    """Variables with the secrets a task asks for, read from `<folder>/<group>/<key>`; blocks for reading small files.

    Each is `_FSEC_<GROUP>_<KEY>` in capitals, as SDKs look for it, and the variable the task names, if it does. Raises
    Refusal for a secret that is not there.
    """
    variables: dict[str, str] = {}
    for secret in secrets:
        value = _read(secret, folder)
        name = "_".join(part for part in (secret.group, secret.key) if part)
        variables[f"_FSEC_{name}".upper()] = value
        if secret.env_var:
            variables[secret.env_var] = value
    return variables


def _read(secret: core.Secret, folder: Path | None) -> str:
    wanted = f"{secret.group}/{secret.key}"
    if folder is None:
        raise Refusal(
            "SecretNotFound",
            f"the task asks for the secret {wanted!r} and no folder of secrets is configured; set "
            "plugins.process.secrets_folder",
        )
    path = (folder / secret.group / secret.key).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise Refusal("SecretNotFound", f"the task asks for the secret {wanted!r}, and there is no file {path}")
    return path.read_text().rstrip("\n")
