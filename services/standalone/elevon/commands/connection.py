"""How a command reaches the control plane, and what it says when that fails."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from elevon_core.errors import ElevonError

if TYPE_CHECKING:
    from elevon_client import Client
    from elevon_idl.core import v1 as core

Result = TypeVar("Result")

DEFAULT_PORT = 30080
DEFAULT_TARGET = f"localhost:{DEFAULT_PORT}"

PORTS = {"http": 80, "https": 443, "dns": DEFAULT_PORT}
"""The port of an address that begins with one of these and names none."""

GRPC_SCHEMES = frozenset({"ipv4", "ipv6", "unix", "unix-abstract", "vsock", "xds"})
"""Of addresses that are left to gRPC as they are; `dns` is one too, which flytekit's users type."""

Target = Annotated[
    str,
    typer.Option(
        "--target",
        envvar="ELEVON_TARGET",
        help=f"The control plane, HOST:PORT or HOST for port {DEFAULT_PORT}, http://HOST for 80, https://HOST for 443 "
        "and TLS; FLYTE_PLATFORM_URL counts when neither is given.",
    ),
]
Project = Annotated[str, typer.Option("--project", "-p", envvar="ELEVON_PROJECT", help="Project id.")]
Domain = Annotated[str, typer.Option("--domain", "-d", envvar="ELEVON_DOMAIN", help="Domain id.")]
Execution = Annotated[
    str, typer.Argument(metavar="EXECUTION", help="Name of an execution, or PROJECT/DOMAIN/NAME for one elsewhere.")
]

PROJECT = "flytesnacks"
DOMAIN = "development"


class CommandFailed(Exception):
    """The command cannot do what it was asked; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to call, as gRPC takes it, and whether over TLS."""

    where: str
    tls: bool = False


def address(target: str) -> Address:
    """The address to call: the one given, else the one flytekit uses, else the local default.

    Raises CommandFailed for what names no host, or more than a host and a port.
    """
    chosen = target or os.environ.get("FLYTE_PLATFORM_URL", "") or DEFAULT_TARGET
    scheme, separator, rest = chosen.partition("://")
    scheme = scheme.lower() if separator else ""
    if scheme in GRPC_SCHEMES or chosen.startswith(("unix:", "unix-abstract:")):
        return Address(chosen)
    if scheme and scheme not in PORTS:
        raise CommandFailed(f"the address {chosen!r} begins with neither http://, https:// nor dns:///")
    host = (rest.removeprefix("/") if scheme == "dns" else rest if scheme else chosen).rstrip("/")
    if not host or (host.startswith(":") and not host.startswith("::")):
        raise CommandFailed(f"the address {chosen!r} names no host")
    if set(host) & set("/?#@ "):
        raise CommandFailed(f"the address {chosen!r} has more than a host and a port")
    return Address(with_port(host, PORTS.get(scheme, DEFAULT_PORT)), scheme == "https")


def with_port(host: str, port: int = DEFAULT_PORT) -> str:
    """The address with a port: this one for a host alone, be it an IPv6 address with or without brackets."""
    if host.startswith("["):
        return f"{host.removesuffix(':')}:{port}" if host.endswith(("]", "]:")) else host
    numbers = host.partition("%")[0]
    if numbers.count(":") > 1 and set(numbers) <= set("0123456789abcdefABCDEF:."):
        return f"[{host}]:{port}"
    name, _, given = host.partition(":")
    return host if given else f"{name}:{port}"


def run(target: str, work: Callable[[Client], Awaitable[Result]]) -> Result:
    """Do the work with a client of the control plane; what fails is said in words, with exit code 1."""
    try:
        return asyncio.run(_with_client(address(target), work))
    except CommandFailed as error:
        message = str(error)
    except ElevonError as error:
        message = error.message
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    typer.echo(f"elevon: {message}", err=True)
    raise typer.Exit(1)


async def _with_client(to: Address, work: Callable[[Client], Awaitable[Result]]) -> Result:
    import grpc
    from elevon_client import Client

    async with Client(to.where, credentials=grpc.ssl_channel_credentials() if to.tls else None) as client:
        try:
            return await work(client)
        except grpc.aio.AioRpcError as error:
            raise CommandFailed(explain(error, f"{to.where} over TLS" if to.tls else to.where)) from None


async def check_scope(client: Client, project: str, domain: str = "") -> None:
    """Raise CommandFailed when there is no such project, or no such domain: lists of what is nowhere are empty.

    Asked only when nothing was found, so that what is found needs no second call.
    """
    import grpc
    from elevon_idl.admin import v1 as admin

    try:
        found = await client.admin.GetProject(admin.ProjectGetRequest(id=project))
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        known = (await client.admin.ListProjects(admin.ProjectListRequest(limit=1000))).projects
        raise CommandFailed(f"there is no project {project!r}; there are: {named(each.id for each in known)}") from None
    domains = [each.id for each in found.domains]
    if domain and domain not in domains:
        raise CommandFailed(f"project {project} has no domain {domain!r}; there are: {named(domains)}")


def named(names: Iterable[str], most: int = 20) -> str:
    """Names for a message, the first ones of many."""
    every = list(names)
    more = [f"{len(every) - most} more"] if len(every) > most else []
    return ", ".join([*every[:most], *more]) or "none"


def explain(error: object, where: str) -> str:
    """What an error of an RPC means to the person at the terminal."""
    import grpc

    assert isinstance(error, grpc.aio.AioRpcError)
    details = error.details() or error.code().name
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return f"no control plane answers on {where}: start one with `elevon up`, or name one with --target ({details})"
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return f"the control plane on {where} cannot do this: {details}"
    return details


def execution_id(text: str, project: str, domain: str) -> core.WorkflowExecutionIdentifier:
    """The execution that a command names: `NAME` in the project and domain given, or `PROJECT/DOMAIN/NAME`."""
    from elevon_idl.core import v1 as core

    parts = text.replace(":", "/").split("/")
    if len(parts) == 1:
        parts = [project, domain, text]
    if len(parts) != 3 or not all(parts):
        raise typer.BadParameter(f"{text!r} is neither NAME nor PROJECT/DOMAIN/NAME")
    return core.WorkflowExecutionIdentifier(project=parts[0], domain=parts[1], name=parts[2])


def reference(key: core.WorkflowExecutionIdentifier) -> str:
    """How an execution is named in a command that is to be typed, whatever project and domain are the usual ones."""
    return f"{key.project}/{key.domain}/{key.name}"
