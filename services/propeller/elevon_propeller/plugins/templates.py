"""Variables in the commands of tasks, such as `{{.outputPrefix}}`, and what they stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from elevon_core import literals, naming
from elevon_core.errors import InvalidArgument
from elevon_idl.core import v1 as core

from elevon_propeller.plugins.contract import Attempt

_VARIABLE = re.compile(r"\{\{\s*[.$]([^{}\s]+)\s*\}\}")
_INPUT = "inputs."
_NAMESPACE = re.compile(r"\{\{\s*[.$]namespace\s*\}\}", re.IGNORECASE)
_TASK_TEMPLATE = re.compile(r"\{\{\s*[.$]tasktemplatepath\s*\}\}", re.IGNORECASE)

NO_CHECKPOINT = '""'
"""What stands where there is no previous checkpoint; SDKs read these two characters as nothing."""


def render_all(texts: Iterable[str], attempt: Attempt, *, namespace: str = "") -> list[str]:
    """Every text with its variables replaced.

    Names of variables are case-insensitive, names of inputs are not; unknown variables stay as they are, because SDKs
    compare with the unrendered text to detect old back ends. Raises InvalidArgument for an input that is not there or
    whose value cannot be text.
    """
    values = variables(attempt)
    space = namespace or default_namespace(attempt)
    return [_NAMESPACE.sub(lambda _: space, _replace(text, values, attempt.inputs)) for text in texts]


def needs_task_template(texts: Iterable[str]) -> bool:
    """Whether task.pb must be written, since a text refers to it."""
    return any(_TASK_TEMPLATE.search(text) for text in texts)


def default_namespace(attempt: Attempt) -> str:
    """The namespace of an execution where none is configured: project and domain joined by a dash."""
    return f"{attempt.execution_id.project}-{attempt.execution_id.domain}"


def variables(attempt: Attempt) -> dict[str, str]:
    """The values of the variables, by lower-case name; without the namespace, which may occur inside other values."""
    paths = attempt.paths
    return {
        "input": paths.inputs,
        "inputprefix": paths.data_prefix,
        "outputprefix": paths.output_prefix,
        "rawoutputdataprefix": paths.raw_output_prefix,
        "checkpointoutputprefix": paths.checkpoint,
        "prevcheckpointprefix": paths.previous_checkpoint or NO_CHECKPOINT,
        "tasktemplatepath": paths.task_template,
        "perretryuniquekey": naming.per_retry_unique_key(attempt.name),
    }


def _replace(text: str, values: Mapping[str, str], inputs: core.LiteralMap) -> str:
    def value_of(match: re.Match[str]) -> str:
        name = match.group(1)
        if name.lower().startswith(_INPUT):
            return _input(name[len(_INPUT) :], inputs)
        return values.get(name.lower(), match.group(0))

    return _VARIABLE.sub(value_of, text)


def _input(name: str, inputs: core.LiteralMap) -> str:
    if name not in inputs.literals:
        raise InvalidArgument.invalid("command", f"{{{{.inputs.{name}}}}}", f"inputs are {sorted(inputs.literals)}")
    return literals.render(inputs.literals[name])
