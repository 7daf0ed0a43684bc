"""Derived names: the vectors clients can observe, lengths and alphabets."""

from __future__ import annotations

import re

import pytest
from elevon_core import naming
from elevon_core.errors import InvalidArgument
from hypothesis import given
from hypothesis import strategies as st

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@pytest.mark.parametrize(
    ("text", "limit", "bits", "expected"),
    [
        ("x" * 24, 20, 32, "fuaa3aji"),
        ("first-name-is-pretty-large-hello-world-1", 20, 32, "fav2uxxi"),
        ("x-y-z-m-n-y-z-m-n-y-z-m-n", 15, 64, "fwp4bky2kucex5"),
        ("short", 20, 32, "short"),
        ("exactly-twenty-chars", 20, 32, "exactly-twenty-chars"),
    ],
)
def test_fit_gives_the_known_names(text: str, limit: int, bits: int, expected: str) -> None:
    assert naming.fit(text, limit, bits) == expected


@given(_texts, st.integers(14, 60), st.sampled_from([32, 64]))
def test_fit_keeps_or_hashes(text: str, limit: int, bits: int) -> None:
    fitted = naming.fit(text, limit, bits)
    if len(text.encode()) <= limit:
        assert fitted == text
    else:
        assert re.fullmatch(r"f[a-z1-6]{7}" if bits == 32 else r"f[a-z1-6]{13}", fitted)
    assert naming.fit(text, limit, bits) == fitted


def test_fit_refuses_a_limit_too_small_for_a_hash() -> None:
    with pytest.raises(InvalidArgument, match=r"limit: '7'.*8 characters"):
        naming.fit("x" * 9, 7)


def test_node_ids_carry_their_lineage() -> None:
    assert naming.unique_node_id("", 3, "a-node-id-longer-than-twenty-characters") == (
        "a-node-id-longer-than-twenty-characters"
    )
    assert naming.unique_node_id("n0", 0, "n1") == "n0-0-n1"
    assert naming.unique_node_id("n0-0-n1", 0, "n2") == "n0-0-n1-0-n2"
    assert naming.unique_node_id("n0", 0, "start-node") == "n0-0-start-node"
    assert naming.unique_node_id("n0", 2, "x" * 20) == naming.fit("n0-2-" + "x" * 20, 20)


def test_names_of_attempts() -> None:
    assert naming.generated_name("a9ss8w4mnkk8zttr9p7z", "n0", 0) == "a9ss8w4mnkk8zttr9p7z-n0-0"
    assert len(naming.generated_name("e" * 63, "n0", 0)) == 8
    assert naming.child_execution_name("exec", "n0", 0) == "exec-n0-0"
    assert len(naming.child_execution_name("a9ss8w4mnkk8zttr9p7z", "n0", 0)) == 14
    assert naming.generated_name("exec", "n0", 0, limit=8) == naming.fit("exec-n0-0", 8)


@given(st.text("pd-", min_size=1), st.text("pd-", min_size=1), st.text("pd-", min_size=1), st.integers(0, 99))
def test_attempts_of_all_executions_have_names_of_their_own(
    project: str, domain: str, execution: str, attempt: int
) -> None:
    name = naming.attempt_name(project, domain, execution, "n0", attempt)
    assert name == naming.attempt_name(project, domain, execution, "n0", attempt)
    others = [(project + "-", domain, execution), (project, domain + "-", execution), (domain, project, execution)]
    for other in set(others) - {(project, domain, execution)}:
        assert naming.attempt_name(*other, "n0", attempt) != name
    assert naming.attempt_name(project, domain, execution, "n0", attempt + 1) != name
    assert len(name) <= 63


@given(st.text("ab-", min_size=1, max_size=5), st.text("ab-", min_size=1, max_size=5), st.text("ab-", min_size=1))
def test_executions_have_folders_of_their_own(project: str, domain: str, execution: str) -> None:
    """However their parts are cut out of one text."""
    folder = naming.metadata_folder(project, domain, execution)
    assert folder.startswith(f"{project}-{domain}-{execution}")
    parts = f"{project}-{domain}-{execution}".split("-")
    cuts = [(one, two) for two in range(2, len(parts)) for one in range(1, two)]
    others = {
        ("-".join(parts[:first]), "-".join(parts[first:second]), "-".join(parts[second:])) for first, second in cuts
    }
    assert len({naming.metadata_folder(*other) for other in others}) == len(others)


def test_a_folder_is_the_plain_text_where_that_says_it_all() -> None:
    assert naming.metadata_folder("flytesnacks", "development", "a-b") == "flytesnacks-development-a-b"


def test_a_name_of_an_attempt_begins_readably() -> None:
    assert re.fullmatch(r"exec-n0-0-[a-z1-6]{13}", naming.attempt_name("p", "d", "exec", "n0", 0))


def test_raw_output_shard() -> None:
    assert naming.raw_output_shard("a9ss8w4mnkk8zttr9p7z-n0-0") == "oz"


@given(_texts)
def test_raw_output_shard_is_two_characters(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]{2}", naming.raw_output_shard(name))


@pytest.mark.parametrize(
    ("name", "key"), [("f9-n0-0", "f9_n0_0"), ("9f-n0", "af_n0"), ("-9-a", "aa"), ("a.b--c", "a_b_c"), ("_x", "_x")]
)
def test_per_retry_unique_key(name: str, key: str) -> None:
    assert naming.per_retry_unique_key(name) == key


@given(st.binary(min_size=16, max_size=32))
def test_random_execution_names_are_valid(randomness: bytes) -> None:
    name = naming.random_execution_name(randomness)
    assert re.fullmatch(r"a[bcdfghjklmnpqrstvwxz2456789]{19}", name)
    assert naming.random_execution_name(randomness) == name


@given(st.lists(st.integers(0, 27**19 - 1), min_size=2, max_size=2, unique=True))
def test_random_execution_names_use_all_their_bits(numbers: list[int]) -> None:
    first, second = (naming.random_execution_name(number.to_bytes(16, "big")) for number in numbers)
    assert first != second


def test_random_execution_names_need_randomness() -> None:
    with pytest.raises(InvalidArgument, match="at least 16"):
        naming.random_execution_name(b"short")
