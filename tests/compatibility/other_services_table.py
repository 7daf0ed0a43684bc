"""What admin answers about signals, data and, as long as nobody is authenticated, identities."""

from __future__ import annotations

from typing import Any

from tests.compatibility.admin_words import filtered, integer, literals, paged
from tests.compatibility.cases import (
    EXISTS,
    INVALID,
    MISSING,
    PLACE,
    UNIMPLEMENTED,
    Case,
    Json,
    Rpc,
    Service,
    execution,
    node,
)

BOOLEAN = {"simple": "BOOLEAN"}
YES = {"scalar": {"primitive": {"boolean": True}}}


def signal(name: str, of: str = "x", **changes: Any) -> dict[str, Any]:
    return {"id": {"executionId": execution(of), "signalId": name}, **changes}


def unidentified(request: Json) -> tuple[Case, ...]:
    """Refusals of a request whose `id` is not that of a signal."""
    without = {name: value for name, value in request.items() if name != "id"}
    return (
        Case("no identifier", without, INVALID, "missing"),
        Case("no signal", {**request, **signal("")}, INVALID, "missing signal_id"),
        Case("no execution", {**request, "id": {"signalId": "go"}}, INVALID, "missing execution_id"),
        Case("an execution without a name", {**request, **signal("go", "")}, INVALID, "missing name"),
    )


GO: Json = signal("go", type=BOOLEAN)
"""The signal that execution `x` waits for."""

LISTED: Json = {"workflowExecutionId": execution("x"), "limit": 10}

SIGNALS = Service(
    "flyteidl.service.SignalService",
    (
        Rpc(
            "GetOrCreateSignal",
            (
                Case("one that exists", GO, answer=GO),
                Case("a new one", signal("new", "y", type=BOOLEAN), answer=signal("new", "y", type=BOOLEAN)),
                Case(
                    "one of another type", signal("go", type={"simple": "INTEGER"}), EXISTS, "exists with another type"
                ),
                Case(
                    "in what does not exist",
                    signal("s", "absent", type=BOOLEAN),
                    MISSING,
                    "missing entity of type execution",
                ),
                Case("no type", signal("s"), INVALID, "missing type"),
                *unidentified({"type": BOOLEAN}),
            ),
            better="Signals of executions that do not exist are refused.",
        ),
        Rpc(
            "ListSignals",
            (
                Case("all", LISTED, answer={"signals": [GO]}),
                Case("with a filter", {**LISTED, "filters": "eq(signal_id,go)"}, answer={"signals": [GO]}),
                Case(
                    "a page",
                    {**LISTED, "workflowExecutionId": execution("failed"), "limit": 1},
                    answer={"signals": [...], "token": "1"},
                ),
                Case("of an execution that has none", {**LISTED, "workflowExecutionId": execution("done")}, answer={}),
                Case("no execution", {"limit": 10}, INVALID, "missing execution_id"),
                *paged(LISTED),
                *filtered(LISTED, foreign="task.name"),
            ),
        ),
        Rpc(
            "SetSignal",
            (
                Case("a value", signal("go", value=YES)),
                Case("no value", signal("go"), INVALID, "missing value"),
                Case("a value of another type", signal("go", value=integer()), INVALID, "invalid value for value"),
                Case(
                    "one that does not exist",
                    signal("absent", value=YES),
                    INVALID,
                    "failed to validate that signal [absent] exists",
                ),
                *unidentified({"value": YES}),
            ),
            better="The value is pushed to the gate, which does not poll; types are compared the right way round.",
            alone=True,
        ),
    ),
)


def upload(**changes: Any) -> dict[str, Any]:
    return {**PLACE, "filename": "f", "contentMd5": "1B2M2Y8AsgTpgAmY7PhCfg==", **changes}


def bad_upload(title: str, words: str, **changes: Any) -> Case:
    return Case(title, upload(**changes), INVALID, words)


def address(rest: str) -> dict[str, Any]:
    return {"flyteUrl": f"flyte://v1/flytesnacks/development/{rest}"}


def deck(**changes: Any) -> dict[str, Any]:
    return {"artifactType": "ARTIFACT_TYPE_DECK", "nodeExecutionId": node("done"), **changes}


PLACED: Json = {"signedUrl": ..., "nativeUrl": ..., "expiresAt": ...}

STORED = "{store}/there/f"
"""A file that the world has."""

DATA = Service(
    "flyteidl.service.DataProxyService",
    (
        Rpc(
            "CreateUploadLocation",
            (
                Case("a file", upload(), answer={"headers": {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}}),
                Case("a file of a folder", upload(filenameRoot="r"), answer=PLACED),
                Case("without a name", upload(filename=""), answer=PLACED),
                bad_upload("no project", "missing project", project=""),
                bad_upload("no domain", "missing domain", domain=""),
                bad_upload("neither digest nor folder", "content_md5 or filename_root is required", contentMd5=""),
                bad_upload("a digest that is none", "content_md5", contentMd5="AAAA"),
                bad_upload("a name that leads out", "filename", filename="../f"),
                bad_upload("a folder that leads out", "filename_root", filenameRoot=".."),
                bad_upload("for too long", "expires_in", expiresIn="7200s"),
                bad_upload("for less than no time", "expires_in", expiresIn="-1s"),
                Case(
                    "what is there with other content",
                    upload(filenameRoot="there", contentMd5="AAAAAAAAAAAAAAAAAAAAAA=="),
                    EXISTS,
                    "not with the content that is to be uploaded",
                ),
                Case("what is there with the same content", upload(filenameRoot="there"), answer=PLACED),
            ),
            better="Local folders need no object store: signed HTTP addresses of Elevon itself. Names that lead out of "
            "their folder are refused; no wrong `Content-Length` is asked for.",
        ),
        Rpc(
            "CreateDownloadLocation",
            (
                Case("a file", {"nativeUrl": STORED}, answer={"signedUrl": ..., "expiresAt": ...}),
                Case("no address", {}, INVALID, "missing native_url"),
                Case("a place outside of the store", {"nativeUrl": "s3://elsewhere/x"}, INVALID, "storage"),
                Case("for too long", {"nativeUrl": STORED, "expiresIn": "7200s"}, INVALID, "expires_in"),
            ),
            better="Nothing outside of the installation's own storage is signed.",
        ),
        Rpc(
            "CreateDownloadLink",
            (
                Case("a deck", deck(), answer={"preSignedUrls": {"signedUrl": [...], "expiresAt": ...}}),
                Case(
                    "of a node that has none", deck(nodeExecutionId=node("x")), MISSING, "no deckUrl found for request"
                ),
                Case("whose file is gone", deck(nodeExecutionId=node("done", "dynamic")), MISSING, "object not found"),
                Case(
                    "of a node that does not exist",
                    deck(nodeExecutionId=node("x", "absent")),
                    INVALID,
                    "node execution",
                ),
                Case("no kind", {"nodeExecutionId": node("done")}, INVALID, "artifact_type"),
                Case("no source", {"artifactType": "ARTIFACT_TYPE_DECK"}, INVALID, "missing node_execution_id"),
                Case("for too long", deck(expiresIn="7200s"), INVALID, "expires_in"),
                Case("for less than no time", deck(expiresIn="-1s"), INVALID, "expires_in"),
            ),
        ),
        Rpc(
            "GetData",
            (
                Case("inputs of a node", address("done/n0/i"), answer={"literalMap": {}}),
                Case("outputs of a node", address("done/n0/o"), answer={"literalMap": literals(o0=integer(7))}),
                Case("one output of a node", address("done/n0/o/o0"), answer={"literal": integer(7)}),
                Case("outputs of an attempt", address("done/n0/0/o"), answer={"literalMap": literals(o0=integer(7))}),
                Case("one output of an attempt", address("done/n0/0/o/o0"), answer={"literal": integer(7)}),
                Case("a deck", address("done/n0/d"), answer={"preSignedUrls": {"signedUrl": [...], "expiresAt": ...}}),
                Case("no address", {}, INVALID, "missing flyte_url"),
                Case("another kind of address", {"flyteUrl": "s3://bucket/x"}, INVALID, "flyte_url"),
                Case("an address that is none", {"flyteUrl": "flyte://v1/nonsense"}, INVALID, "flyte_url"),
                Case("an attempt that does not exist", address("done/n0/9/o"), INVALID, "no such attempt"),
                Case("a value that does not exist", address("done/n0/o/o9"), INVALID, "no literal o9"),
                Case("a deck of an attempt", address("done/n0/0/d"), INVALID, "flyte_url"),
                Case("a node that does not exist", address("done/absent/i"), MISSING, "node execution"),
            ),
        ),
    ),
)

IDENTITY = Service(
    "flyteidl.service.IdentityService",
    (Rpc("UserInfo", (Case("authentication is off", {}, UNIMPLEMENTED, "authentication is off"),)),),
)
AUTHENTICATION = Service(
    "flyteidl.service.AuthMetadataService",
    (
        Rpc("GetOAuth2Metadata", (Case("authentication is off", {}, UNIMPLEMENTED, "authentication is off"),)),
        Rpc("GetPublicClientConfig", (Case("authentication is off", {}, UNIMPLEMENTED, "authentication is off"),)),
    ),
)
