"""Calls from inside the process: the same wrapper as over a socket, and the same ends."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from elevon_core.errors import NotFound
from elevon_idl.admin import v1 as admin
from elevon_idl.admin.v1 import admin_service_pb2
from elevon_kit.grpc_local import CallFailed, LocalCalls
from elevon_kit.grpc_server import GrpcServer
from elevon_kit.settings import GrpcSettings

SERVICE = admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name


class Servicer:
    """Ends calls in every way there is; `seen` are their contexts."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def GetVersion(self, request: admin.GetVersionRequest, context: Any) -> admin.GetVersionResponse:
        """Answer."""
        self.seen.append(context)
        context.set_trailing_metadata((("a", "b"),))
        return admin.GetVersionResponse(control_plane_version=admin.Version(Version="v1"))

    async def GetProject(self, request: admin.ProjectGetRequest, context: Any) -> admin.Project:
        """Raise an error of ours."""
        raise NotFound("no project", details=[admin.InactiveProject(id=request.id)])

    async def GetDomains(self, request: admin.GetDomainRequest, context: Any) -> admin.GetDomainsResponse:
        """Raise one of nobody's."""
        raise KeyError("defect")

    async def ListProjects(self, request: admin.ProjectListRequest, context: Any) -> admin.Projects:
        """End the call by hand."""
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "by hand")
        return admin.Projects()

    async def UpdateProject(self, request: admin.Project, context: Any) -> admin.ProjectUpdateResponse:
        """Note a code and answer all the same."""
        context.set_code(grpc.StatusCode.ABORTED)
        context.set_details("noted")
        return admin.ProjectUpdateResponse()


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
def calls(servicer: Servicer) -> LocalCalls:
    server = GrpcServer(GrpcSettings(), "admin")
    server.add(servicer, SERVICE)
    return LocalCalls(server)


async def failed(calls: LocalCalls, method: str, request: bytes = b"") -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await calls.call(f"/{SERVICE}/{method}", request)
    return caught.value


async def test_an_answer_comes_as_bytes(calls: LocalCalls, servicer: Servicer) -> None:
    answer = await calls.call(f"/{SERVICE}/GetVersion", b"", (("k", "v"),), "http:1.2.3.4")
    assert admin.GetVersionResponse.FromString(answer).control_plane_version.Version == "v1"
    (context,) = servicer.seen
    assert (context.invocation_metadata(), context.peer()) == ((("k", "v"),), "http:1.2.3.4")
    assert (context.time_remaining(), context.peer_identities(), dict(context.auth_context())) == (None, None, {})


async def test_the_original_name_works_as_well(calls: LocalCalls) -> None:
    assert await calls.call("/flyteidl.service.AdminService/GetVersion", b"")


async def test_errors_keep_code_message_and_details(calls: LocalCalls) -> None:
    failure = await failed(calls, "GetProject", admin.ProjectGetRequest(id="p").SerializeToString())
    assert (failure.code, failure.message) == (grpc.StatusCode.NOT_FOUND, "no project")
    assert [key for key, _value in failure.trailers] == ["grpc-status-details-bin"]


async def test_defects_are_internal_with_a_reference(calls: LocalCalls) -> None:
    failure = await failed(calls, "GetDomains")
    assert failure.code is grpc.StatusCode.INTERNAL
    assert "reference" in failure.message
    assert "defect" not in failure.message


async def test_codes_given_by_hand_count(calls: LocalCalls) -> None:
    failure = await failed(calls, "ListProjects")
    assert (failure.code, failure.message) == (grpc.StatusCode.PERMISSION_DENIED, "by hand")
    failure = await failed(calls, "UpdateProject")
    assert (failure.code, failure.message) == (grpc.StatusCode.ABORTED, "noted")


async def test_bytes_that_are_no_message_are_refused(calls: LocalCalls) -> None:
    assert (await failed(calls, "GetProject", b"\xff")).code is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_is_not_there_is_unimplemented(calls: LocalCalls) -> None:
    assert (await failed(calls, "GetTask")).code is grpc.StatusCode.UNIMPLEMENTED
    failure = await failed(calls, "NoSuchMethod")
    assert failure.code is grpc.StatusCode.UNIMPLEMENTED
    assert "NoSuchMethod is not served here" in failure.message
