"""Tasks that cannot run here whatever one does again."""

from __future__ import annotations

from elevon_core.errors import ElevonError, ErrorKind


class Refusal(ElevonError):
    """The attempt fails for good; `code` is the code of its error, the message tells the user what to do."""

    kind = ErrorKind.FAILED_PRECONDITION

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
