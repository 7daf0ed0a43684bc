"""Kinds and codes, messages that fit, details that come back."""

from __future__ import annotations

from urllib.parse import quote

import grpc
import pytest
from elevon_core import errors
from elevon_core.errors import ElevonError, ErrorKind
from elevon_idl.admin import v1 as admin
from elevon_idl.core import v1 as core
from elevon_kit import grpc_status
from google.rpc import status_pb2  # type: ignore[import-untyped]  # googleapis ships no type information
from hypothesis import given
from hypothesis import strategies as st


def subclasses(of: type[ElevonError]) -> list[type[ElevonError]]:
    return [of, *(deeper for direct in of.__subclasses__() for deeper in subclasses(direct))]


def test_every_kind_has_a_code_and_none_is_unknown() -> None:
    assert set(grpc_status.STATUS_OF_KIND) == set(ErrorKind)
    assert grpc.StatusCode.UNKNOWN not in grpc_status.STATUS_OF_KIND.values()
    assert grpc.StatusCode.OK not in grpc_status.STATUS_OF_KIND.values()


def test_every_code_but_ok_comes_back_as_an_error() -> None:
    assert set(grpc_status.ERROR_OF_STATUS) == set(grpc.StatusCode) - {grpc.StatusCode.OK}


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_a_kind_survives_the_way_there_and_back(kind: ErrorKind) -> None:
    assert grpc_status.ERROR_OF_STATUS[grpc_status.STATUS_OF_KIND[kind]].kind == kind


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_an_error_within_an_answer_comes_back_as_its_kind(kind: ErrorKind) -> None:
    error = grpc_status.ERROR_OF_STATUS[grpc_status.STATUS_OF_KIND[kind]]("why")
    back = grpc_status.from_number(grpc_status.to_number(error), error.message, "catalog")
    assert (back.kind, back.message.removeprefix("catalog: ")) == (kind, "why")


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_an_error_reads_the_same_whether_a_call_failed_or_its_part(code: grpc.StatusCode) -> None:
    failed = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details="why")
    of_call = grpc_status.from_call(failed, "catalog")
    of_part = grpc_status.from_number(code.value[0], "why", "catalog")
    assert (of_part.kind, of_part.message) == (of_call.kind, of_call.message)
    blames_the_other = code.name in ("UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED", "UNIMPLEMENTED")
    blames_the_other |= code.name in ("INTERNAL", "UNKNOWN", "DATA_LOSS")
    assert of_part.message == ("catalog: why" if blames_the_other else "why")


def test_a_number_that_nobody_knows_is_internal() -> None:
    error = grpc_status.from_number(99, "why", "catalog")
    assert (error.kind, error.message) == (ErrorKind.INTERNAL, "catalog: why")


def test_details_travel_under_the_original_type_and_come_back_as_ours() -> None:
    reason = admin.EventFailureReason(
        already_in_terminal_state=admin.EventErrorAlreadyInTerminalState(current_phase="X")
    )
    known = core.WorkflowExecutionIdentifier(project="p", name="n")
    code, message, trailers = grpc_status.to_status(errors.FailedPrecondition("no", details=[reason, known]))
    assert (code, message) == (grpc.StatusCode.FAILED_PRECONDITION, "no")
    ((key, raw),) = trailers
    assert isinstance(raw, bytes)
    status = status_pb2.Status.FromString(raw)
    assert (status.code, status.message) == (9, "no")
    assert [detail.type_url for detail in status.details] == [
        "type.googleapis.com/flyteidl.admin.EventFailureReason",
        "type.googleapis.com/flyteidl.core.WorkflowExecutionIdentifier",
    ]
    assert grpc_status.unpack_details(grpc.aio.Metadata((key, raw))) == [reason, known]


def test_details_that_mean_nothing_here_are_left_out() -> None:
    status = status_pb2.Status(code=5)
    status.details.add(type_url="type.googleapis.com/nobody.Knows", value=b"x")
    metadata = grpc.aio.Metadata((grpc_status.DETAILS_KEY, status.SerializeToString()))
    assert grpc_status.unpack_details(metadata) == []
    assert grpc_status.unpack_details(grpc.aio.Metadata((grpc_status.DETAILS_KEY, b"\xff\xff\xff"))) == []
    assert grpc_status.unpack_details(None) == []


def encoded_size(message: str) -> int:
    printable = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
    return len(quote(message, safe=printable))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400), st.integers(16, 1200))
def test_a_cut_message_fits_and_starts_like_the_whole(message: str, limit: int) -> None:
    cut = grpc_status.cut(message, limit)
    assert encoded_size(cut) <= limit or cut == message
    assert message.startswith(cut.removesuffix("…"))
    if encoded_size(message) <= limit - 12:
        assert cut == message


def test_a_long_message_is_cut() -> None:
    _, message, _ = grpc_status.to_status(errors.InvalidArgument("ü" * 100_000))
    assert encoded_size(message) <= grpc_status.MESSAGE_LIMIT
    assert message.endswith("…")
    detail = core.WorkflowExecutionIdentifier(name="n")
    _, shorter, trailers = grpc_status.to_status(errors.InvalidArgument("x" * 100_000, details=[detail]))
    assert len(shorter) <= grpc_status.MESSAGE_LIMIT_WITH_DETAILS
    assert len(trailers[0][1]) < 4 * 1024


def test_all_errors_have_a_kind_in_the_table() -> None:
    assert all(error.kind in grpc_status.STATUS_OF_KIND for error in subclasses(ElevonError))
