"""Log lines: JSON away from a terminal, values bound to a task, libraries included."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from elevon_kit.logging import bind, bound, configure_logging, get_logger
from elevon_kit.settings import LogSettings


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_json_with_everything_bound(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(), "catalog")
    with bound(execution="e1"):
        get_logger("store").info("done", rows=3)
    get_logger("store").info("after")
    first, second = lines(capsys)
    assert first["event"] == "done"
    assert (first["service"], first["component"], first["execution"], first["rows"]) == ("catalog", "store", "e1", 3)
    assert first["level"] == "info"
    assert first["timestamp"].endswith("Z")
    assert "execution" not in second


def test_levels_below_the_setting_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(level="warning"), "catalog")
    get_logger("x").info("quiet")
    get_logger("x").warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_libraries_join_in(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(), "catalog")
    logging.getLogger("uvicorn.error").info("not wanted")
    logging.getLogger("uvicorn.error").warning("careful %s", "now")
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["service"]) == ("careful now", "warning", "catalog")


def test_an_exception_is_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(), "catalog")
    try:
        raise ValueError("bad")
    except ValueError as error:
        get_logger("x").error("failed", exc_info=error)
    (line,) = lines(capsys)
    assert "ValueError: bad" in line["exception"]


@pytest.mark.parametrize("message", ["bad" * 1_000_000, "bad\n" * 1_000_000], ids=["line", "lines"])
@pytest.mark.parametrize("written", ["json", "text"])
def test_a_long_exception_is_cut(capsys: pytest.CaptureFixture[str], message: str, written: str) -> None:
    configure_logging(LogSettings.model_validate({"format": written}), "catalog")
    try:
        try:
            raise ValueError(f"{message} to the end")
        except ValueError as error:
            raise RuntimeError("the last words") from error
    except RuntimeError as error:
        get_logger("x").error("failed", exc_info=error)
    found = capsys.readouterr().err
    assert len(found) < 40_000
    for part in ("ValueError: bad", "characters left out", "RuntimeError: the last words"):
        assert part in found


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="text"), "catalog")
    get_logger("x").info("hello", n=1)
    written = capsys.readouterr().err
    assert "hello" in written
    assert not written.startswith("{")


async def test_what_a_task_binds_stays_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(), "catalog")

    async def serve(name: str) -> None:
        bind(call=name)
        await asyncio.sleep(0)
        get_logger("x").info("served")

    await asyncio.gather(asyncio.create_task(serve("a")), asyncio.create_task(serve("b")))
    get_logger("x").info("outside")
    first, second, outside = lines(capsys)
    assert {first["call"], second["call"]} == {"a", "b"}
    assert "call" not in outside
