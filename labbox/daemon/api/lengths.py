"""How long the texts of a request may be: looked at before anything is done with them."""

from __future__ import annotations

from typing import Final

import msgspec

from labbox.errors import LabboxError

NAME: Final = 1000  # characters of a name, a label and the like
TEXT: Final = 64 * 1024  # characters of any other text: a key, a path, a pattern
WORD: Final = 128 * 1024  # characters of a word of a command or the value of a variable, as the kernel has it
_NAMES: Final = frozenset(
    "name label group title project template image user owner verb algorithm fingerprint comment".split()
)
_UNBOUNDED: Final = frozenset({("InputBody", "text")})  # handed on as it is


def check_lengths(message: msgspec.Struct, where: str = "") -> None:
    """LabboxError "limit" naming the first text of a message that is too long."""
    kind = type(message).__name__
    for field in message.__struct_fields__:
        value = getattr(message, field)
        place = f"{where}{field}"
        if isinstance(value, str):
            if (kind, field) not in _UNBOUNDED:
                _check(place, len(value), NAME if field in _NAMES else TEXT)
        elif isinstance(value, tuple):
            _check_all(place, value)
        elif isinstance(value, dict):
            _check(place, max(map(len, value), default=0), NAME)
            _check_all(place, tuple(value.values()))
        elif isinstance(value, msgspec.Struct):
            check_lengths(value, f"{place}.")


def _check_all(place: str, values: tuple[object, ...]) -> None:
    if values and isinstance(values[0], str):
        _check(place, max(len(value) for value in values if isinstance(value, str)), WORD)
    for value in values:
        if not isinstance(value, msgspec.Struct):
            return
        check_lengths(value, f"{place}: ")


def _check(place: str, length: int, most: int) -> None:
    if length > most:
        raise LabboxError(
            "limit", f"cannot read the request: {place} has {length:,} characters, at most {most:,} may be"
        )
