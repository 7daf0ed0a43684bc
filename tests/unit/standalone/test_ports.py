"""The ports of a run."""

from __future__ import annotations

import socket

import pytest
from elevon.control_plane import Ports, bound_sockets, close_all


def test_ports_are_kept_until_a_service_listens_there() -> None:
    kept = bound_sockets(5)
    ports = Ports.of_sockets(kept)
    assert len({ports.catalog, ports.admin, ports.admin_http, *ports.propellers}) == 5
    assert ports.of("propeller-2") == ports.propellers[1]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports.admin), timeout=60)
    with socket.socket() as rude, pytest.raises(OSError, match="in use"):
        rude.bind(("127.0.0.1", ports.admin))
    for _ in range(2):  # and again when it has been killed
        with socket.create_server(("127.0.0.1", ports.admin)):
            socket.create_connection(("127.0.0.1", ports.admin), timeout=60).close()
    close_all(kept)
