"""Calling what a table names, under the original names, with the official messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf import json_format, message_factory

from tests.compatibility.cases import Case, Rpc, Service


def methods_of(*files: Any) -> dict[str, Any]:
    """The methods of all services of some generated files, by full name."""
    return {
        method.full_name: method
        for file in files
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


async def call(address: str, method: Any, case: Case) -> tuple[str, str]:
    """The status and its message."""
    request = json_format.ParseDict(dict(case.request), message_factory.GetMessageClass(method.input_type)())
    answer_type = message_factory.GetMessageClass(method.output_type)
    path = f"/{method.containing_service.full_name}/{method.name}"
    async with grpc.aio.insecure_channel(address) as channel:
        rpc = channel.unary_unary(
            path, request_serializer=type(request).SerializeToString, response_deserializer=answer_type.FromString
        )
        try:
            await rpc(request)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details() or ""
        return "OK", ""


async def check(address: str, methods: Mapping[str, Any], service: Service, rpc: Rpc) -> None:
    """Assert that every case of an RPC is answered as its table says."""
    method = methods[f"{service.name}.{rpc.name}"]
    for case in rpc.cases:
        for which in ("first", "second")[: 2 if case.twice else 1]:
            code, message = await call(address, method, case)
            assert code == case.code, f"{case.title}, the {which} time: {message}"
            assert case.words in message, f"{case.title}, the {which} time"
