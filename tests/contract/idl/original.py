"""The published descriptors, with their packages renamed to ours."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import flyteidl
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor

FILE_PACKAGES = {
    "flyteidl/admin/agent.proto": "elevon.connector.v1",
    "flyteidl/service/agent.proto": "elevon.connector.v1",
    "flyteidl/service/external_plugin_service.proto": "elevon.connector.external.v1",
}
"""Files that go elsewhere than their package does."""

PACKAGES = {
    "datacatalog": "elevon.catalog.v1",
    "flyteidl.admin": "elevon.admin.v1",
    "flyteidl.cacheservice": "elevon.cacheservice.v1",
    "flyteidl.core": "elevon.core.v1",
    "flyteidl.event": "elevon.event.v1",
    "flyteidl.plugins": "elevon.plugins.v1",
    "flyteidl.plugins.kubeflow": "elevon.plugins.kubeflow.v1",
    "flyteidl.service": "elevon.admin.v1",
}


def original_files() -> list[FileDescriptor]:
    """Every file of the wheel that declares a message, an enum or a service."""
    modules = [module.name for module in pkgutil.walk_packages(flyteidl.__path__, "flyteidl.")]
    files = [importlib.import_module(name).DESCRIPTOR for name in modules if name.endswith("_pb2")]
    return [file for file in files if file.message_types_by_name or file.enum_types_by_name or file.services_by_name]


def our_package(file: FileDescriptor) -> str:
    """The package of ours that takes a file's contents."""
    return FILE_PACKAGES.get(file.name) or PACKAGES[file.package]


def renames() -> dict[str, str]:
    """Full name of every top-level message, enum and service of the wheel to its name here."""
    names = {}
    for file in original_files():
        for local in (*file.message_types_by_name, *file.enum_types_by_name, *file.services_by_name):
            names[f"{file.package}.{local}"] = f"{our_package(file)}.{local}"
    return names


def renamed(full_name: str, names: dict[str, str]) -> str:
    """A full name as it is called here; nested names follow the message they are in."""
    parts = full_name.split(".")
    for length in range(len(parts), 0, -1):
        found = names.get(".".join(parts[:length]))
        if found is not None:
            return ".".join([found, *parts[length:]])
    return full_name


def renamed_file_set() -> descriptor_pb2.FileDescriptorSet:
    """All files as `buf breaking` takes them: our packages, no options of third parties, well-known types included."""
    names = renames()
    result = descriptor_pb2.FileDescriptorSet()
    known: set[str] = set()
    for file in original_files():
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        proto.package = our_package(file)
        kept = [name for name in proto.dependency if not name.startswith(("google/api/", "protoc-gen-openapiv2/"))]
        del proto.dependency[:]
        proto.dependency.extend(kept)
        proto.ClearField("options")
        for message in proto.message_type:
            rename_types(message, names)
        for service in proto.service:
            for method in service.method:
                method.ClearField("options")
                method.input_type = "." + renamed(method.input_type[1:], names)
                method.output_type = "." + renamed(method.output_type[1:], names)
        for dependency in well_known(file):
            if dependency.name not in known:
                known.add(dependency.name)
                dependency.CopyToProto(result.file.add())
        result.file.append(proto)
    return result


def rename_types(message: descriptor_pb2.DescriptorProto, names: dict[str, str]) -> None:
    """Point the fields of a message, and of those inside it, at our packages."""
    for field in message.field:
        if field.type_name:
            field.type_name = "." + renamed(field.type_name[1:], names)
    for nested in message.nested_type:
        rename_types(nested, names)


def well_known(file: FileDescriptor) -> Iterator[FileDescriptor]:
    """The google.protobuf files that a file imports."""
    for dependency in file.dependencies:
        if dependency.name.startswith("google/protobuf/") and dependency.name != "google/protobuf/descriptor.proto":
            yield dependency
