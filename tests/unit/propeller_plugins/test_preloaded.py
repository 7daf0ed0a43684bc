"""Which attempts may share what a fork server imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from elevon_propeller.plugins.process.warm.preloaded import Preloaded


@pytest.fixture
def preloaded() -> Preloaded:
    made = Preloaded(["heavy", "heavy.part"])
    made.values = {}
    return made


def spec(folder: Path, **environment: str) -> dict[str, Any]:
    return {"environment": environment, "working_folder": str(folder)}


@pytest.mark.parametrize("environment", [{}, {"HOME": "/attempt"}, {"OTHER": "1"}, {"FLYTE_X": "1"}])
def test_ordinary_attempts_share(preloaded: Preloaded, tmp_path: Path, environment: dict[str, str]) -> None:
    assert preloaded.unfit_for(spec(tmp_path, **environment)) is None


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "OPENBLAS_CORETYPE"])
def test_what_libraries_read_when_loaded_needs_an_interpreter(preloaded: Preloaded, tmp_path: Path, name: str) -> None:
    assert preloaded.unfit_for(spec(tmp_path, **{name: "1"})) == f"{name} differs"


def test_a_value_only_the_server_has_counts_as_well(preloaded: Preloaded, tmp_path: Path) -> None:
    preloaded.values["OMP_NUM_THREADS"] = "2"
    assert preloaded.unfit_for(spec(tmp_path)) == "OMP_NUM_THREADS differs"
    assert preloaded.unfit_for(spec(tmp_path, OMP_NUM_THREADS="2")) is None


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


def test_without_modules_nothing_matters(tmp_path: Path) -> None:
    assert Preloaded().unfit_for(spec(tmp_path, OMP_NUM_THREADS="1")) is None


def test_other_packages_need_an_interpreter(preloaded: Preloaded, tmp_path: Path) -> None:
    preloaded.packages, preloaded._looked_at = "as they were", [0]
    assert preloaded.unfit_for(spec(tmp_path)) == "packages were installed or removed"
