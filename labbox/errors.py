"""The one family of errors: what went wrong, in a sentence, and what to do next."""

from __future__ import annotations

from typing import Final, Literal

Code = Literal[
    "usage",  # the words of a command do not fit its form
    "invalid",  # a value or a file that a person wrote is wrong
    "not_found",
    "forbidden",
    "unauthenticated",
    "conflict",  # the thing is not in a state that allows this
    "limit",  # a limit of the user or of the box stands in the way
    "unavailable",  # a part that is needed does not answer now: engine, daemon, disk
    "internal",
]

HTTP_STATUS: Final[dict[Code, int]] = {
    "usage": 400,
    "invalid": 422,
    "not_found": 404,
    "forbidden": 403,
    "unauthenticated": 401,
    "conflict": 409,
    "limit": 429,
    "unavailable": 503,
    "internal": 500,
}


class LabboxError(Exception):
    """Something labbox could not do.

    `message` starts with "cannot …" and names the thing; `hint` says what to do next and may be empty.
    """

    def __init__(self, code: Code, message: str, hint: str = "") -> None:
        """Keep the three parts; `str()` gives the message alone."""
        super().__init__(message)
        self.code: Code = code
        self.message = message
        self.hint = hint

    @property
    def http_status(self) -> int:
        """The HTTP status that carries this code over the API."""
        return HTTP_STATUS[self.code]

    @property
    def exit_code(self) -> int:
        """2 for a wrong use of a command, 1 for everything else."""
        return 2 if self.code == "usage" else 1
