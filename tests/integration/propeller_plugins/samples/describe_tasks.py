"""Prints the task templates of a module as flytekit registers them, one `name base64` a line."""

# mypy: ignore-errors
# Runs in the environment of flytekit, which mypy does not see.

from __future__ import annotations

import base64
import importlib
import sys
from collections import OrderedDict

from flytekit.configuration import FastSerializationSettings, Image, ImageConfig, SerializationSettings
from flytekit.core.array_node_map_task import ArrayNodeMapTask
from flytekit.core.base_task import PythonTask
from flytekit.tools.translator import get_serializable


def main() -> None:
    module = importlib.import_module(sys.argv[1])
    settings = SerializationSettings(
        project="flytesnacks",
        domain="development",
        version="v1",
        image_config=ImageConfig(default_image=Image("default", "example.org/image", "v1")),
    )
    if len(sys.argv) > 2:
        settings.fast_serialization_settings = FastSerializationSettings(True, "/root", sys.argv[2])
    settings = settings.with_serialized_context()
    for name, entity in vars(module).items():
        if isinstance(entity, (PythonTask, ArrayNodeMapTask)):
            template = get_serializable(OrderedDict(), settings, entity)
            template = getattr(template, "template", template)
            print(name, base64.b64encode(template.to_flyte_idl().SerializeToString()).decode())


if __name__ == "__main__":
    main()
