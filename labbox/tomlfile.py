"""TOML files that people write: every mistake at once, each with its line and the words to mend it."""

from __future__ import annotations

import difflib
import math
import tomllib
import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from labbox.errors import LabboxError
from labbox.model import Value
from labbox.text import decode, visible_line
from labbox.tomllines import Path, find_lines
from labbox.units import parse_duration, parse_size

T = TypeVar("T", bound=msgspec.Struct)

MAX_BYTES: Final = 1 << 20

Size = Annotated[
    int, msgspec.Meta(ge=0, extra={"parse": parse_size}, description="a size such as 512M or 2G")
]
Duration = Annotated[
    float,
    msgspec.Meta(ge=0, extra={"parse": parse_duration}, description="a duration such as 90, 15m or 1h30m"),
]


class Mistake(Value):
    """One thing that is wrong; `key` is dotted and may be empty, `line` counts from 1."""

    line: int | None
    key: str
    text: str
    hint: str = ""

    def __str__(self) -> str:
        """``line 4: jobs.cpus: cannot use "many": a number is wanted``."""
        place = f"line {self.line}: " if self.line is not None else ""
        return f"{place}{self.key}: {self.text}" if self.key else f"{place}{self.text}"


class Document(Value):
    """A parsed file: its values, and the line on which each key stands."""

    values: dict[str, Any]
    lines: dict[Path, int]

    def line(self, path: Path) -> int | None:
        """Where a key stands, or else the nearest table around it."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return None


def parse(data: bytes) -> Document | Mistake:
    """Read a file's bytes; a Mistake where they are not TOML."""
    if len(data) > MAX_BYTES:
        return Mistake(line=None, key="", text=f"the file is larger than {MAX_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Mistake(line=line, key="", text="the file is not UTF-8", hint="save it as UTF-8")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return _syntax(error, text)
    except (RecursionError, ValueError):  # an integer of thousands of digits is no TOML error of its own
        return Mistake(line=None, key="", text="the file is nested too deeply, or holds a number without end")
    return Document(values=values, lines=find_lines(text))


def convert(
    document: Document, kind: type[T], marks: Mapping[tuple[type, str], Any] | None = None
) -> tuple[T | None, tuple[Mistake, ...]]:
    """The document as a `kind`, or None with every mistake in it.

    Fields of the types `Size` and `Duration` may be written as text with a unit. `marks` gives such a type to
    fields of structs that cannot carry it themselves.
    """
    reading = _Reading(document, marks or {})
    value = reading.struct(document.values, kind, ())
    return (None if reading.mistakes else value), tuple(
        sorted(reading.mistakes, key=lambda one: one.line or 0)
    )


class _Reading:
    def __init__(self, document: Document, marks: Mapping[tuple[type, str], Any]) -> None:
        self._document = document
        self._marks = marks
        self.mistakes: list[Mistake] = []

    def struct(self, values: object, kind: type[T], path: Path) -> T | None:
        if not isinstance(values, dict):
            self._wrong(path, values, "a table")
            return None
        hints = get_type_hints(kind, include_extras=True)
        known = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
        good: dict[str, Any] = {}
        before = len(self.mistakes)
        for key, value in values.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean “{near[0]}”?" if near else "known here: " + ", ".join(sorted(known))
                self._mistake((*path, key), "unknown key", hint)
                continue
            name = known[key]
            good[name] = self._field(value, self._marks.get((kind, name), hints[name]), (*path, key))
        for field in msgspec.structs.fields(kind):
            if field.required and field.encode_name not in values:
                self._mistake((*path, field.encode_name), "this key is missing")
        if len(self.mistakes) > before:
            return None
        try:
            return kind(**good)
        except LabboxError as error:
            self._mistake(path, error.message, error.hint)
            return None

    def _field(self, value: object, hint: Any, path: Path) -> Any:
        plain = _without_none(hint)
        if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
            return self.struct(value, plain, path)
        parser = _extra(plain).get("parse")
        if parser is not None and isinstance(value, str):
            try:
                value = parser(value)
            except LabboxError as error:
                self._mistake(path, error.message, error.hint)
                return None
        try:
            if isinstance(value, float) and not math.isfinite(value):
                raise msgspec.ValidationError("not finite")
            return msgspec.convert(value, plain)
        except msgspec.ValidationError:
            self._wrong(path, value, _wanted(plain))
            return None

    def _wrong(self, path: Path, value: object, wanted: str) -> None:
        try:
            shown = str(value) if isinstance(value, float) else decode(msgspec.json.encode(value))
        except (OverflowError, RecursionError):  # beyond 64 bits, or nested without end
            shown = "this value"
        shown = visible_line(shown)
        self._mistake(path, f"cannot use {shown[:80]}: {wanted} is wanted")

    def _mistake(self, path: Path, text: str, hint: str = "") -> None:
        key = visible_line(".".join(str(part) for part in path))
        self.mistakes.append(Mistake(line=self._document.line(path), key=key, text=text, hint=hint))


def _syntax(error: tomllib.TOMLDecodeError, text: str) -> Mistake:
    words, _, place = str(error).rpartition(" (at ")
    if not place:
        words, place = str(error), ""
    number = place.removeprefix("line ").partition(",")[0]
    line = int(number) if number.isdigit() else text.count("\n") + 1
    return Mistake(
        line=line,
        key="",
        text=visible_line(words[:1].lower() + words[1:]),
        hint='write: key = "text" or key = 1',
    )


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        if len(kinds) == 1:
            return kinds[0]
    return hint


def _extra(hint: Any) -> dict[str, Any]:
    for mark in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
        if isinstance(mark, msgspec.Meta) and mark.extra:
            return dict(mark.extra)
    return {}


def _wanted(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        for mark in get_args(hint)[1:]:
            if isinstance(mark, msgspec.Meta) and mark.description:
                return mark.description
        return _wanted(get_args(hint)[0])
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    if hint in words:
        return words[hint]
    if get_origin(hint) is tuple:
        return f"a list, each {_wanted(get_args(hint)[0])},"
    if get_origin(hint) is dict:
        return f"a table, each value {_wanted(get_args(hint)[1])},"
    return f"a value of the form {hint}"
