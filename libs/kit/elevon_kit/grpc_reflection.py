"""Reflection under both names: the original's descriptors are ours with the packages renamed, made when asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from elevon_idl.names import ORIGINAL_PACKAGES, ORIGINAL_SERVICES
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

V1ALPHA = "grpc.reflection.v1alpha.ServerReflection"
V1 = "grpc.reflection.v1.ServerReflection"
"""The two versions differ in nothing but the name, and clients ask for either."""


def reflection_servicer(services: Iterable[str]) -> object:
    """Make the servicer that lists the services and describes them."""
    from grpc_reflection.v1alpha._async import ReflectionServicer

    return ReflectionServicer(tuple(services), pool=BothNames())


class BothNames:
    """Answers a reflection servicer's look-ups: ours from the default pool, the original's from a renamed copy."""

    def __init__(self) -> None:
        self._renamed: DescriptorPool | None = None

    def __getattr__(self, look_up: str) -> Any:
        """Answer the look-up of this name that tries both pools."""

        def find(*arguments: Any) -> Any:
            try:
                return getattr(descriptor_pool.Default(), look_up)(*arguments)
            except KeyError:
                return getattr(self._original(), look_up)(*arguments)

        return find

    def _original(self) -> DescriptorPool:
        if self._renamed is None:
            self._renamed = renamed_pool(ORIGINAL_SERVICES)
        return self._renamed


def renamed_pool(services: Mapping[str, str]) -> DescriptorPool:
    """Build a pool with the loaded ones among the services (ours → original), and all they refer to, renamed."""
    pool = DescriptorPool()
    added: set[str] = set()
    for ours, original in services.items():
        try:
            service = descriptor_pool.Default().FindServiceByName(ours)
        except KeyError:
            continue
        for dependency in service.file.dependencies:
            _add_renamed(pool, dependency, added)
        _add_service(pool, service.file, service.name, original, added)
    return pool


def _add_renamed(pool: DescriptorPool, file: FileDescriptor, added: set[str]) -> None:
    name = _file_name(file)
    if name in added:
        return
    added.add(name)
    for dependency in file.dependencies:
        _add_renamed(pool, dependency, added)
    proto = _renamed_proto(file)
    del proto.service[:]
    pool.AddSerializedFile(proto.SerializeToString())


def _add_service(pool: DescriptorPool, file: FileDescriptor, name: str, original: str, added: set[str]) -> None:
    _add_renamed(pool, file, added)
    proto = _renamed_proto(file)
    methods = next(service for service in proto.service if service.name == name)
    holder = descriptor_pb2.FileDescriptorProto(
        name=f"original/{original.replace('.', '/')}.proto",
        package=original.rpartition(".")[0],
        dependency=[*proto.dependency, proto.name],
        syntax="proto3",
        service=[methods],
    )
    pool.AddSerializedFile(holder.SerializeToString())


def _renamed_proto(file: FileDescriptor) -> descriptor_pb2.FileDescriptorProto:
    proto = descriptor_pb2.FileDescriptorProto.FromString(file.serialized_pb)
    if file.package not in ORIGINAL_PACKAGES:
        return proto
    proto.name = _file_name(file)
    proto.package = ORIGINAL_PACKAGES[file.package]
    proto.dependency[:] = [_file_name(dependency) for dependency in file.dependencies]
    _rename_references(proto)
    return proto


def _file_name(file: FileDescriptor) -> str:
    return f"original/{file.name}" if file.package in ORIGINAL_PACKAGES else file.name


def _rename_references(proto: descriptor_pb2.FileDescriptorProto) -> None:
    remaining = list(proto.message_type)
    while remaining:
        message = remaining.pop()
        remaining.extend(message.nested_type)
        for field in message.field:
            if field.type_name:
                field.type_name = _rename(field.type_name)
    for service in proto.service:
        for method in service.method:
            method.input_type = _rename(method.input_type)
            method.output_type = _rename(method.output_type)


def _rename(reference: str) -> str:
    match = re.match(r"^\.((?:[a-z0-9_]+\.)+)", reference)
    package = match.group(1).rstrip(".") if match else ""
    if package not in ORIGINAL_PACKAGES:
        return reference
    return f".{ORIGINAL_PACKAGES[package]}{reference[len(package) + 1 :]}"
