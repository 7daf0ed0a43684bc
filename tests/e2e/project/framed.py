"""Data frames and structured datasets, for the end-to-end tests; apart, as every attempt imports pandas anew."""

import typing
from pathlib import Path

import pandas as pd
from flytekit import HashMethod, StructuredDataset, kwtypes, task, workflow


@task
def of_frame(x: pd.DataFrame) -> pd.DataFrame:
    return x.assign(doubled=x["n"] * 2)


Columns = kwtypes(n=int, name=str)


@task
def of_dataset(x: typing.Annotated[StructuredDataset, Columns]) -> typing.Annotated[StructuredDataset, Columns]:
    frame = x.open(pd.DataFrame).all()
    return StructuredDataset(dataframe=frame.assign(n=frame["n"] + 1))


def _text(frame: pd.DataFrame) -> str:
    return str(sorted(frame["n"]))


@task
def made_by_hash(n: int) -> typing.Annotated[pd.DataFrame, HashMethod(_text)]:
    return pd.DataFrame({"n": [n, 1]})


@task(cache=True, cache_version="1")
def seen_by_hash(x: pd.DataFrame, witness: str) -> int:
    with Path(witness).open("a") as file:
        file.write("ran\n")
    return int(x["n"].sum())


@workflow
def hashed(n: int, witness: str) -> int:
    """The cache key is the hash of the data, not the address of the file."""
    return seen_by_hash(x=made_by_hash(n=n), witness=witness)
