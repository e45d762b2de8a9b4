"""What a route's query may hold: declared once, for the check, the conversion and the documentation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from labbox.errors import LabboxError

PAGE_LIMIT: Final = 1000
_SHOWN: Final = 100  # characters of a wrong word that are repeated
_YES: Final = frozenset({"1", "true", "yes"})
_NO: Final = frozenset({"0", "false", "no"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One key of a query; `about` is its line in the documentation, `low` and `high` bound a number."""

    name: str
    about: str
    kind: Literal["text", "number", "flag"] = "text"
    low: int = 0
    high: int = 1 << 62

    def number(self, text: str) -> int:
        """The number that was written; LabboxError where it is none, or out of bounds."""
        try:
            number = int(text[:40])
        except ValueError as error:
            raise LabboxError("invalid", f"cannot read {self.name}={text[:_SHOWN]!r} as a number") from error
        if not self.low <= number <= self.high:
            raise LabboxError(
                "invalid", f"cannot use {self.name}={number}: it must be from {self.low} to {self.high}"
            )
        return number

    def flag(self, text: str) -> bool:
        """The yes or no that was written."""
        word = text.lower()
        if word in _YES or word in _NO:
            return word in _YES
        raise LabboxError("invalid", f"cannot read {self.name}={text[:_SHOWN]!r}", "it is true or false")


def text(name: str, about: str) -> Parameter:
    """A word."""
    return Parameter(name, about)


def number(name: str, about: str, low: int = 0, high: int = 1 << 62) -> Parameter:
    """A whole number in its bounds."""
    return Parameter(name, about, "number", low, high)


def flag(name: str, about: str) -> Parameter:
    """A yes or no; a missing one is no."""
    return Parameter(name, about, "flag")


LIMIT: Final = number(
    "limit", "How many rows the page has at most; 100 where nothing is said.", 1, PAGE_LIMIT
)
BEFORE: Final = number("before", "The `next` of the page before this one.")


def check_keys(given: Iterable[str], known: tuple[Parameter, ...]) -> None:
    """LabboxError "invalid" for a key that the route does not know, or that comes twice: a slip must show."""
    names = [parameter.name for parameter in known]
    seen: set[str] = set()
    for key in given:
        if key not in names:
            raise LabboxError(
                "invalid",
                f"cannot read the request: there is no query key {key[:_SHOWN]!r} here",
                f"the known ones are {', '.join(names)}" if names else "this route takes no query",
            )
        if key in seen:
            raise LabboxError(
                "invalid", f"cannot read the request: the query key {key} is there twice", "give it once"
            )
        seen.add(key)
