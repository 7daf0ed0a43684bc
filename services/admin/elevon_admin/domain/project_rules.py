"""Rules of projects and domains."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from elevon_core.errors import InvalidArgument
from elevon_idl.admin import v1 as admin

from elevon_admin.domain.entities import StoredProject
from elevon_admin.domain.kubernetes_names import check_dns_label, check_labels
from elevon_admin.domain.stored_text import check_text

LONGEST_NAME = 64
LONGEST_DESCRIPTION = 300


def check_place(project: str, state: int | None, domain: str, domains: Collection[str]) -> None:
    """Raise InvalidArgument unless the project exists (`state` is not None) and is active, and the domain is known."""
    if state is None:
        raise InvalidArgument(
            f"failed to validate that project [{project}] and domain [{domain}] are registered, "
            f"err: [project [{project}] not found]"
        )
    check_active(project, state)
    if domain not in domains:
        raise InvalidArgument(f"domain [{domain}] is unrecognized by system (domains: {', '.join(domains)})")


def check_active(project: str, state: int | None) -> None:
    """Raise InvalidArgument unless the project exists (`state` is not None) and is active."""
    check_exists(project, state)
    if state != admin.Project.ACTIVE:
        raise InvalidArgument(f"project [{project}] is not active", details=[admin.InactiveProject(id=project)])


def check_exists(project: str, state: int | None) -> None:
    """Raise InvalidArgument unless the project exists (`state` is not None)."""
    if state is None:
        raise InvalidArgument(
            f"failed to validate that project [{project}] is registered, err: [project [{project}] not found]"
        )


def new_project(project: admin.Project, most_labels: int) -> StoredProject:
    """The project to store; raises InvalidArgument for the first rule that is broken."""
    if not project.name:
        raise InvalidArgument.missing("project_name")
    _check(project, most_labels)
    return StoredProject(project.id, project.name, project.description, _labels(project), project.state)


def check_update(project: admin.Project, most_labels: int) -> None:
    """Raise InvalidArgument for the first rule that an update breaks; a name is not needed."""
    _check(project, most_labels)


def updated(stored: StoredProject, project: admin.Project) -> StoredProject:
    """The project after an update: empty texts and absent labels keep what is stored, the state is always written."""
    return replace(
        stored,
        name=project.name or stored.name,
        description=project.description or stored.description,
        labels=_labels(project) if project.HasField("labels") else stored.labels,
        state=project.state,
    )


def _labels(project: admin.Project) -> admin.Labels | None:
    return admin.Labels(values=project.labels.values) if project.HasField("labels") else None


def _check(project: admin.Project, most_labels: int) -> None:
    if not project.id:
        raise InvalidArgument.missing("project_id")
    check_labels(project.labels.values, most_labels)
    check_dns_label("project_id", project.id)
    _check_length("project_name", project.name, LONGEST_NAME)
    _check_length("description", project.description, LONGEST_DESCRIPTION)
    if project.domains:
        raise InvalidArgument.invalid(
            "domains", ", ".join(domain.id for domain in project.domains), "domains are set system-wide, not by project"
        )
    if project.state not in admin.Project.ProjectState.values():
        raise InvalidArgument.invalid("state", project.state, "must be a ProjectState")


def _check_length(field: str, value: str, most: int) -> None:
    if len(value.encode()) > most:
        raise InvalidArgument.invalid(field, value, f"at most {most} bytes")
    check_text(field, value)
