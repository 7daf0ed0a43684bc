"""Calling what a table names, under the original names, with the official messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import json_format, message_factory
from google.rpc import status_pb2  # type: ignore[import-untyped]  # googleapis ships no type information

from tests.compatibility.cases import Case, Json, Reply, Rpc, Service, judge


def methods_of(*files: Any) -> dict[str, Any]:
    """The methods of all services of some generated files, by full name."""
    return {
        method.full_name: method
        for file in files
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


async def call(address: str, method: Any, case: Case, store: str = "") -> Reply:
    """Make the call of a case once."""
    request = json_format.ParseDict(placed(case.request, store), message_factory.GetMessageClass(method.input_type)())
    answer_type = message_factory.GetMessageClass(method.output_type)
    path = f"/{method.containing_service.full_name}/{method.name}"
    async with grpc.aio.insecure_channel(address) as channel:
        rpc = channel.unary_unary(
            path, request_serializer=type(request).SerializeToString, response_deserializer=answer_type.FromString
        )
        try:
            answer = await rpc(request)
        except grpc.aio.AioRpcError as error:
            return refusal(error.code().name, error.details() or "", status_in(error))
        return Reply("OK", answer=json_format.MessageToDict(answer))


def placed(request: Json, store: str) -> dict[str, Any]:
    """A request in which `{store}` is the folder that data is kept in."""
    found: dict[str, Any] = json.loads(json.dumps(request).replace("{store}", store))
    return found


def status_in(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """The status in the trailers of a failed call; an empty one where there is none."""
    found = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            found.ParseFromString(value)
    return found


def refusal(code: str, message: str, status: status_pb2.Status) -> Reply:
    """A refusal with the details of its status."""
    details = [json_format.MessageToDict(detail) for detail in status.details]
    return Reply(code, message, details=[(detail["@type"].rpartition("/")[2], detail) for detail in details])


async def check(address: str, methods: Mapping[str, Any], service: Service, rpc: Rpc, store: str = "") -> None:
    """Assert that every case of an RPC, and its repetition, is answered as its table says."""
    method = methods[f"{service.name}.{rpc.name}"]
    for case in rpc.cases:
        for repeated in (False, True):
            judge(case, await call(address, method, case, store), repeated=repeated)
