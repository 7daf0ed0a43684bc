"""Our protos carry every message, field, enum and RPC of the published ones, with the same numbers and JSON."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import elevon_idl
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from tests.contract.idl import original

ROOT = Path(__file__).resolve().parents[3]
BUF = Path(sys.executable).parent / "buf"

NAMES = original.renames()
FILES = original.original_files()
POOL = descriptor_pool.Default()


@pytest.fixture(scope="module", autouse=True)
def our_stubs() -> None:
    for module in pkgutil.walk_packages(elevon_idl.__path__, "elevon_idl."):
        if module.name.endswith("_pb2"):
            importlib.import_module(module.name)


def all_messages() -> list[Descriptor]:
    found: list[Descriptor] = []

    def collect(message: Descriptor) -> None:
        found.append(message)
        for nested in message.nested_types:
            collect(nested)

    for file in FILES:
        for message in file.message_types_by_name.values():
            collect(message)
    return found


def all_enums() -> list[EnumDescriptor]:
    enums = [enum for file in FILES for enum in file.enum_types_by_name.values()]
    return enums + [enum for message in all_messages() for enum in message.enum_types]


def shape(field: FieldDescriptor) -> tuple[object, ...]:
    type_name = ""
    if field.message_type is not None:
        type_name = field.message_type.full_name
    if field.enum_type is not None:
        type_name = field.enum_type.full_name
    oneof = field.containing_oneof.name if field.containing_oneof is not None else ""
    name = original.renamed(type_name, NAMES)
    return (field.number, field.type, field.is_repeated, field.json_name, field.has_presence, oneof, name)


def test_the_wheel_declares_what_we_expect_to_find() -> None:
    assert len(FILES) >= 55
    assert len(all_messages()) >= 430
    assert sum(len(file.services_by_name) for file in FILES) == 11


@pytest.mark.parametrize("message", all_messages(), ids=lambda message: message.full_name)
def test_every_field_has_its_number_type_and_json_name(message: Descriptor) -> None:
    ours = POOL.FindMessageTypeByName(original.renamed(message.full_name, NAMES))
    assert {field.name: shape(field) for field in ours.fields} == {field.name: shape(field) for field in message.fields}


@pytest.mark.parametrize("enum", all_enums(), ids=lambda enum: enum.full_name)
def test_every_enum_value_has_its_number(enum: EnumDescriptor) -> None:
    ours = POOL.FindEnumTypeByName(original.renamed(enum.full_name, NAMES))
    assert {value.name: value.number for value in ours.values} == {value.name: value.number for value in enum.values}


def test_every_rpc_has_its_types() -> None:
    for file in FILES:
        for service in file.services_by_name.values():
            ours = POOL.FindServiceByName(original.renamed(service.full_name, NAMES))
            for method in service.methods:
                found = ours.methods_by_name[method.name]
                assert found.input_type.full_name == original.renamed(method.input_type.full_name, NAMES)
                assert found.output_type.full_name == original.renamed(method.output_type.full_name, NAMES)
                assert found.client_streaming == method.client_streaming
                assert found.server_streaming == method.server_streaming


def test_buf_finds_no_wire_or_json_breakage(tmp_path: Path) -> None:
    against = tmp_path / "original.binpb"
    against.write_bytes(original.renamed_file_set().SerializeToString())
    found = subprocess.run(
        [str(BUF), "breaking", str(ROOT), "--against", str(against)], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_buf_would_find_a_breakage(tmp_path: Path) -> None:
    against = tmp_path / "original.binpb"
    files = original.renamed_file_set()
    literal = next(file for file in files.file if file.name == "flyteidl/core/literals.proto")
    next(message for message in literal.message_type if message.name == "Literal").field[0].number = 77
    against.write_bytes(files.SerializeToString())
    found = subprocess.run(
        [str(BUF), "breaking", str(ROOT), "--against", str(against)], capture_output=True, text=True, check=False
    )
    assert found.returncode != 0
    assert "77" in found.stdout
