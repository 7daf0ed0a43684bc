"""Which attempts may share what a fork server imported, and what the watch on imports tells."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from elevon_propeller.plugins.process.warm.imports import ImportWatch
from elevon_propeller.plugins.process.warm.preloaded import Preloaded, reads_the_attempt


@pytest.fixture
def preloaded() -> Preloaded:
    made = Preloaded()
    made.modules, made.variables, made.values = ["heavy", "heavy.part"], {"HEAVY_MODE", "HOME"}, {"HOME": "/server"}
    return made


def spec(folder: Path, **environment: str) -> dict[str, Any]:
    return {"environment": environment, "working_folder": str(folder)}


@pytest.mark.parametrize("environment", [{}, {"HOME": "/attempt"}, {"OTHER": "1"}, {"FLYTE_X": "1"}])
def test_ordinary_attempts_share(preloaded: Preloaded, tmp_path: Path, environment: dict[str, str]) -> None:
    assert preloaded.unfit_for(spec(tmp_path, **environment)) is None


@pytest.mark.parametrize("name", ["HEAVY_MODE", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "OPENBLAS_CORETYPE"])
def test_another_value_of_what_was_read_needs_an_interpreter(preloaded: Preloaded, tmp_path: Path, name: str) -> None:
    assert preloaded.unfit_for(spec(tmp_path, **{name: "1"})) == f"{name} differs"


def test_a_value_only_the_server_has_counts_as_well(preloaded: Preloaded, tmp_path: Path) -> None:
    preloaded.values["HEAVY_MODE"] = "fast"
    assert preloaded.unfit_for(spec(tmp_path)) == "HEAVY_MODE differs"
    assert preloaded.unfit_for(spec(tmp_path, HEAVY_MODE="fast")) is None


@pytest.mark.parametrize("file", ["heavy.py", "heavy/__init__.py"])
@pytest.mark.parametrize("where", ["work", "path"])
def test_modules_of_the_user_win(preloaded: Preloaded, tmp_path: Path, file: str, where: str) -> None:
    place = tmp_path / where / file
    place.parent.mkdir(parents=True)
    place.touch()
    reason = preloaded.unfit_for(spec(tmp_path / "work", PYTHONPATH=f"/none:{tmp_path / 'path'}"))
    assert reason == f"{tmp_path / where / 'heavy'} hides an installed package"


def test_a_folder_that_is_no_package_hides_nothing(preloaded: Preloaded, tmp_path: Path) -> None:
    (tmp_path / "heavy").mkdir()
    assert preloaded.unfit_for(spec(tmp_path)) is None


def test_without_modules_nothing_matters(preloaded: Preloaded, tmp_path: Path) -> None:
    preloaded.modules = []
    assert preloaded.unfit_for(spec(tmp_path, OMP_NUM_THREADS="1")) is None


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"HOME"}, ""),
        ({"A", "FLYTE_SDK_X"}, "FLYTE_SDK_X"),
        ({"_F_PN"}, "_F_PN"),
        ({"ELEVON_ATTEMPT"}, "ELEVON_ATTEMPT"),
    ],
)
def test_readers_of_the_attempt_are_found(variables: set[str], found: str) -> None:
    assert reads_the_attempt(variables) == found


def test_the_watch_tells_installed_modules_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("installed_one", "users_one"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text("import time\ntime.sleep(0.01)\n")
        monkeypatch.syspath_prepend(str(tmp_path / name))
    folders = "elevon_propeller.plugins.process.warm.imports.site_folders"
    monkeypatch.setattr(folders, lambda: [str(tmp_path / "installed_one")])
    with ImportWatch(frozenset(sys.modules)) as watch:
        for name in ("installed_one", "users_one"):
            importlib.import_module(name)
    report = watch.report()
    for name in ("installed_one", "users_one"):
        del sys.modules[name]
    assert report["modules"] == ["installed_one"]
    assert report["seconds"] >= 0.01
    assert watch not in sys.meta_path
