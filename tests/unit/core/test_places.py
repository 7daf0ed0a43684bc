"""Places: which executions' data values point at."""

from __future__ import annotations

from elevon_core import naming, places
from elevon_idl.core import v1 as core
from hypothesis import given
from hypothesis import strategies as st

PART = st.from_regex(r"\A[a-z][-a-z0-9]{0,30}\Z").map(str)
TEXT = st.text(max_size=20)


def raw_uri(prefix: str, name: str, rest: str = "") -> str:
    return f"{prefix}/{naming.raw_output_shard(name)}/{name}{rest}"


def literal(uri: str) -> core.Literal:
    return core.Literal(scalar=core.Scalar(blob=core.Blob(uri=uri)))


@given(
    PART, PART, PART, PART, st.integers(0, 12), st.sampled_from(["", "/", "/x.parquet", "/a/b"]), st.binary(max_size=9)
)
def test_raw_data_is_found_wherever_it_lies(
    project: str, domain: str, name: str, node: str, attempt: int, rest: str, noise: bytes
) -> None:
    place = naming.attempt_name(project, domain, name, node, attempt)
    values = core.LiteralMap(literals={"a": literal(raw_uri("s3://bucket/raw", place, rest)), "b": literal("none")})
    for text in (values.SerializeToString(), raw_uri("/data", place, rest).encode() + b"\x12" + noise):
        assert place in places.named_in(text)


@given(PART, PART, PART, PART, st.integers(0, 12))
def test_files_of_the_engine_and_of_admin_are_found(
    project: str, domain: str, name: str, node: str, attempt: int
) -> None:
    folder = naming.metadata_folder(project, domain, name)
    engine = f"file:///d/metadata/propeller/{folder}/{node}/data/{attempt}/o0_offloaded_metadata.pb"
    admin = f"file:///d/metadata/{project}/{domain}/{name}/{node}/offloaded_outputs/x.pb"
    assert folder in places.named_in(engine.encode())
    assert places.kept(project, domain, name) in places.named_in(admin.encode())
    assert places.elsewhere((engine + "\n" + admin).encode(), project, domain, name) <= {f"propeller/{folder}/{node}"}


@given(PART, PART, PART, PART, st.integers(0, 12))
def test_only_what_is_surely_own_is_left_out(project: str, domain: str, name: str, node: str, attempt: int) -> None:
    place = naming.attempt_name(project, domain, name, node, attempt)
    data = raw_uri("s3://b", place, "/f").encode()
    if len(f"{name}-{node}-{attempt}") <= 49:
        assert places.elsewhere(data, project, domain, name) == set()
    assert places.elsewhere(data, project + "x", domain, name) == {place}


def test_a_path_within_a_structure_counts() -> None:
    place = naming.attempt_name("p", "d", "e", "n0", 0)
    packed = b"\x81\xa4path\xd9\x40" + raw_uri("/raw", place, "/q").encode()
    values = core.LiteralMap()
    values.literals["a"].scalar.binary.value = packed
    assert places.named_in(values.SerializeToString()) == {place}


@given(TEXT)
def test_any_text_may_be_looked_through(text: str) -> None:
    assert places.elsewhere(text.encode(), "p", "d", "n") <= places.named_in(text.encode())
