"""Resources in the settings: what tasks would be refused for is refused at the start."""

from __future__ import annotations

import pytest
from elevon_admin.settings import AdminSettings
from elevon_core.errors import InvalidArgument


@pytest.mark.parametrize("kind", ["defaults", "limits"])
@pytest.mark.parametrize(
    ("given", "rule"), [("abc", "must be a number"), ("-1", "neither negative nor more"), ("1e999", "more than 8Ei")]
)
def test_what_is_no_quantity_is_refused_by_the_name_of_the_setting(kind: str, given: str, rule: str) -> None:
    with pytest.raises(InvalidArgument, match=f"task_resources.{kind}.memory: .*'{given}': .*{rule}"):
        AdminSettings.load([], database={"url": "sqlite+aiosqlite:///x"}, task_resources={kind: {"memory": given}})


def test_quantities_and_none_are_taken() -> None:
    resources = {"defaults": {"cpu": "500m"}, "limits": {"memory": "1Gi", "gpu": "0", "cpu": ""}}
    loaded = AdminSettings.load([], database={"url": "sqlite+aiosqlite:///x"}, task_resources=resources)
    assert loaded.task_resources.limits.memory == "1Gi"
