"""A small flytekit project: measure flowers, clean the measurements, train three models, keep the best, write a report.

Nothing here knows of Elevon: it is what a user of Flyte writes.

    load ──> clean ──┬─> train (k=1) ──┐
                     ├─> train (k=5) ──┼─> evaluate ──> report
                     └─> train (k=25) ─┘
"""

import json
import os
import random
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import pandas as pd
from flytekit import HashMethod, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.file import FlyteFile

FEATURES = ["petal_length", "petal_width"]
SPECIES = {"small": (1.5, 0.3), "middle": (4.2, 1.3), "large": (5.6, 2.1)}


@dataclass
class Training:
    """How to train one model."""

    neighbours: int
    seed: int = 7
    held_out: float = 0.25


@dataclass
class Model:
    """A trained model and how well it did on what it had not seen."""

    neighbours: int
    accuracy: float
    examples: int


class Result(NamedTuple):
    """What the project answers: the best model, and a report for people."""

    best: Model
    report: FlyteFile


@task(retries=2)
def load(flowers: int) -> FlyteFile:
    """Fetch the raw measurements; the first attempt meets a connection that breaks, the second succeeds."""
    if os.environ.get("FLYTE_ATTEMPT_NUMBER", "0") == "0":
        raise FlyteRecoverableException("the connection broke; trying again helps")
    dice = random.Random(flowers)
    path = "measurements.csv"
    with open(path, "w") as out:
        out.write("species," + ",".join(FEATURES) + "\n")
        for _ in range(flowers):
            name = dice.choice(sorted(SPECIES))
            length, width = (dice.gauss(mean, 0.35) for mean in SPECIES[name])
            measured = "" if dice.random() < 0.02 else f"{length:.2f}"
            out.write(f"{name},{measured},{width:.2f}\n")
    return FlyteFile(path)


def content_hash(frame: pd.DataFrame) -> str:
    """Name a table by what is in it, so that a cache finds it wherever it is stored."""
    return str(pd.util.hash_pandas_object(frame).sum())


Measurements = Annotated[pd.DataFrame, HashMethod(content_hash)]


@task
def clean(raw: FlyteFile) -> Measurements:
    """Drop the rows with a measurement missing; the table travels as a structured dataset."""
    frame = pd.read_csv(raw).dropna().reset_index(drop=True)
    print(f"{len(frame)} flowers are complete")
    return frame


@task(cache=True, cache_version="1")
def train(measurements: pd.DataFrame, training: Training) -> Model:
    """Classify each held-out flower by its nearest neighbours; the same flowers are never trained on twice."""
    frame = measurements.sample(frac=1.0, random_state=training.seed)
    split = int(len(frame) * training.held_out)
    unseen, seen = frame[:split], frame[split:]
    right = 0
    for flower in unseen.itertuples():
        distance = sum((seen[name] - getattr(flower, name)) ** 2 for name in FEATURES)
        nearest = seen.loc[distance.nsmallest(training.neighbours).index, "species"]
        right += int(nearest.mode()[0] == flower.species)
    return Model(neighbours=training.neighbours, accuracy=right / max(split, 1), examples=len(seen))


@task
def evaluate(first: Model, second: Model, third: Model) -> Model:
    """Keep the model that was right most often."""
    return max(first, second, third, key=lambda model: model.accuracy)


@task
def report(best: Model) -> FlyteFile:
    """Write the result where a person finds it."""
    path = "report.json"
    with open(path, "w") as out:
        json.dump({"neighbours": best.neighbours, "accuracy": round(best.accuracy, 4)}, out, indent=2)
    return FlyteFile(path)


@workflow
def flowers(count: int = 400) -> Result:
    """The whole project."""
    measurements = clean(raw=load(flowers=count))
    first = train(measurements=measurements, training=Training(neighbours=1))
    second = train(measurements=measurements, training=Training(neighbours=5))
    third = train(measurements=measurements, training=Training(neighbours=25))
    best = evaluate(first=first, second=second, third=third)
    return Result(best=best, report=report(best=best))
