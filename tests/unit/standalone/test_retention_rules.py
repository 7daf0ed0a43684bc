"""What is said when a rule of retention is removed, or none is there."""

from __future__ import annotations

import io
from typing import cast

import grpc
import pytest
from elevon.commands import printing, retention
from elevon.commands.connection import CommandFailed
from elevon_client import Client
from elevon_idl.admin import v1 as admin
from grpc.aio import AioRpcError, Metadata
from rich.console import Console


class Rules:
    """A control plane with the project `p`, its domain `d`, and some rules."""

    def __init__(self, *rules: tuple[str, str]) -> None:
        self.rules = list(rules)
        self.admin = self.retention = self

    async def ListRetentionPolicies(self, _: admin.ListRetentionPoliciesRequest) -> admin.ListRetentionPoliciesResponse:
        policies = [admin.RetentionPolicy(project=project, domain=domain) for project, domain in self.rules]
        return admin.ListRetentionPoliciesResponse(policies=policies)

    async def DeleteRetentionPolicy(self, request: admin.DeleteRetentionPolicyRequest) -> None:
        self.rules = [rule for rule in self.rules if rule != (request.project, request.domain)]

    async def GetProject(self, request: admin.ProjectGetRequest) -> admin.Project:
        if request.id != "p":
            raise AioRpcError(grpc.StatusCode.NOT_FOUND, Metadata(), Metadata())
        return admin.Project(id="p", domains=[admin.Domain(id="d")])

    async def ListProjects(self, _: admin.ProjectListRequest) -> admin.Projects:
        return admin.Projects(projects=[admin.Project(id="p")])


@pytest.mark.parametrize("domain", ["d", ""])
async def test_a_rule_is_removed_once(domain: str) -> None:
    plane = Rules(("p", domain), ("p", "other"))
    client = cast("Client", plane)
    assert await retention.removed(client, "p", domain)
    assert plane.rules == [("p", "other")]
    assert not await retention.removed(client, "p", domain)


async def test_the_rule_of_a_domain_that_is_gone_can_be_removed() -> None:
    assert await retention.removed(cast("Client", Rules(("p", "gone"))), "p", "gone")


@pytest.mark.parametrize(
    ("project", "domain", "told"),
    [
        ("q", "d", "there is no project 'q'; there are: p"),
        ("q", "", "there is no project 'q'; there are: p"),
        ("p", "e", "project p has no domain 'e'; there are: d"),
    ],
)
async def test_where_no_rule_can_be(project: str, domain: str, told: str) -> None:
    with pytest.raises(CommandFailed, match=told):
        await retention.removed(cast("Client", Rules()), project, domain)


@pytest.mark.parametrize(
    ("width", "shown"), [(80, ["beyond", "cache", "data"]), (55, ["beyond", "data"]), (50, ["beyond"]), (40, [])]
)
def test_rules_on_a_narrow_terminal(width: int, shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rule = admin.RetentionPolicy(project="flytesnacks", domain="development")
    rule.executions_max_age.FromSeconds(86_400)
    answer = admin.ListRetentionPoliciesResponse(policies=[rule])
    terminal = Console(file=io.StringIO(), width=width, highlight=False)
    monkeypatch.setattr(printing, "console", lambda: terminal)
    monkeypatch.setattr(retention, "run", lambda target, ask: answer)
    retention.list_rules(output=printing.Format.TABLE)
    assert isinstance(terminal.file, io.StringIO)
    lines = terminal.file.getvalue().splitlines()
    assert sorted({"beyond", "cache", "data"} & set(" ".join(lines[:-1]).split())) == shown
    assert lines[-1].split() == ["flytesnacks", "development", "1d"]


def test_what_is_said_of_a_removal() -> None:
    others = "the domains of project p that have no rule of their own"
    assert retention.removal("p", "d", True) == "removed; p/d has no rule of its own"
    assert retention.removal("p", "d", False) == "there was nothing to remove: p/d has no rule of its own"
    assert retention.removal("p", "", True) == f"removed; nothing is deleted of {others}"
    assert retention.removal("p", "", False) == f"there was no rule for {others}"
