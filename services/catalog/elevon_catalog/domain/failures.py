"""The errors of the catalog, in the wording that existing clients and their users know."""

from __future__ import annotations

from elevon_core.errors import AlreadyExists, NotFound
from elevon_idl.catalog import v1 as catalog
from google.protobuf import text_format

from elevon_catalog.domain.names import ArtifactKey, DatasetKey, Handle


def missing_entity(entity: str, identifier: str) -> NotFound:
    """Something that was named is not there."""
    return NotFound(f"missing entity of type {entity} with identifier {identifier}")


def missing_dataset(key: DatasetKey, uuid: str = "") -> NotFound:
    """There is no such dataset."""
    return missing_entity("Dataset", dataset_text(key, uuid))


def missing_artifact(handle: Handle, why: str = "") -> NotFound:
    """No artifact answers to this name; `why` when one did."""
    dataset = dataset_text(handle.dataset) if handle.dataset else ""
    if isinstance(handle, ArtifactKey):
        error = missing_entity("Artifact", f'id: "{handle.artifact_id}" {dataset}'.rstrip())
    else:
        error = missing_entity("Tag", f'name: "{handle.tag_name}" {dataset}')
    return NotFound(f"{error.message} ({why})") if why else error


def already_exists(entity: str, identifier: str) -> AlreadyExists:
    """Something of this name is there."""
    return AlreadyExists(f"value with matching already exists ({entity} {identifier})")


def dataset_text(key: DatasetKey, uuid: str = "") -> str:
    """The identifier in the text form of protobuf, on one line."""
    message = catalog.DatasetID(project=key.project, domain=key.domain, name=key.name, version=key.version, UUID=uuid)
    return text_format.MessageToString(message, as_one_line=True)
