"""Several replicas of propeller under one control plane."""

from __future__ import annotations

from pathlib import Path

import pytest
from elevon.control_plane import ControlPlane, Ports, service_of
from elevon.settings import StandaloneSettings
from elevon_core.errors import InvalidArgument


def test_replicas_start_behind_the_first_propeller(tmp_path: Path) -> None:
    control = ControlPlane(StandaloneSettings(data_dir=tmp_path, port=0, propellers=3))
    assert control.names == ("catalog", "propeller", "propeller-2", "propeller-3", "admin")
    assert [service_of(name) for name in control.names[1:4]] == [("propeller", 0), ("propeller", 1), ("propeller", 2)]
    assert len({control.ports.of(name) for name in control.names}) == 5


def test_admin_is_told_of_all_replicas() -> None:
    assert Ports(1, 2, 3, (4,)).propeller_address == "127.0.0.1:4"
    assert Ports(1, 2, 3, (4, 5)).propeller_address == "ipv4:127.0.0.1:4,127.0.0.1:5"


async def test_several_replicas_are_refused_on_sqlite(tmp_path: Path) -> None:
    control = ControlPlane(StandaloneSettings(data_dir=tmp_path, port=0, propellers=2))
    with pytest.raises(InvalidArgument, match=r"propellers.*PostgreSQL"):
        await control.start()
