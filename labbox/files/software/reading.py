"""Reading the files of a project for what they ask: one count of what is read, one list of what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final

from labbox.errors import LabboxError
from labbox.files.bounded import At
from labbox.protocol import Finding
from labbox.text import visible_line

MAX_FILE: Final = 1 << 20  # bytes of one file
_MAX_FILES: Final = 100  # of a project, those that are included too
_MAX_BYTES: Final = 4 << 20  # of all of them
_MAX_LINES: Final = 30_000
_MAX_FINDINGS: Final = 100
_SHOWN: Final = 120  # characters of what a person wrote that a message repeats

Lookup = Callable[[str], bytes | None]
"""Gives the content of a file of the project by its relative name, None where there is none."""


class Reading:
    """What is read, and what is found."""

    def __init__(self, lookup: Lookup = lambda _name: None, at: At = lambda _name: None) -> None:
        """`at` hears each file that is begun."""
        self.findings: list[Finding] = []
        self.used: set[str] = set()
        self._lookup, self._at = lookup, at
        self._files = self._bytes = self._lines = 0

    def lookup(self, name: str) -> bytes | None:
        """A file that another one includes."""
        return self._lookup(name)

    def begin(self, name: str, content: bytes) -> None:
        """Count a file; LabboxError "limit" where it is one too many."""
        self._at(name)
        self.used.add(name)
        self._files += 1
        self._bytes += len(content)
        if self._files > _MAX_FILES:
            raise LabboxError(
                "limit",
                f"cannot use {visible_line(name)[:_SHOWN]}: it is one of more than {_MAX_FILES} files "
                "that say what the project needs",
                "put their lines into one file",
            )
        if len(content) > MAX_FILE or self._bytes > _MAX_BYTES:
            raise LabboxError(
                "limit",
                f"cannot use {visible_line(name)[:_SHOWN]}: it is larger than {MAX_FILE >> 20} MiB, or all "
                f"such files together than {_MAX_BYTES >> 20} MiB",
                "list only what is needed",
            )

    def line(self, name: str) -> None:
        """Count a line."""
        self._lines += 1
        if self._lines > _MAX_LINES:
            raise LabboxError(
                "limit",
                f"cannot use {visible_line(name)[:_SHOWN]}: it has more than {_MAX_LINES:,} lines",
                "list only what is needed",
            )

    def error(self, file: str, line: int | None, why: str, hint: str) -> None:
        """Something that stands against the submission."""
        self._note("error", f"cannot use {visible_line(file)}: {why}", hint, file, line)

    def warn(self, file: str, line: int | None, text: str, hint: str) -> None:
        """Something that the person should know."""
        self._note("warning", text, hint, file, line)

    def _note(self, level: str, text: str, hint: str, file: str, line: int | None) -> None:
        found = Finding(
            level=level, text=text[:1000], hint=hint[:1000], file=visible_line(file), line=line or None
        )
        if len(self.findings) < _MAX_FINDINGS:
            if found not in self.findings:
                self.findings.append(found)
        elif level == "error" and not any(one.level == "error" for one in self.findings):
            self.findings[-1] = found

    def text(self, name: str, content: bytes) -> str | None:
        """The text of a file; None, and an error, where it is none. Windows writes UTF-16 and marks UTF-8."""
        encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1 if encoding == "utf-8-sig" else None
            self.error(name, line, "it is not text in UTF-8", "save it as UTF-8")
            return None
        if "\0" in text:
            line = text[: text.index("\0")].count("\n") + 1
            self.error(name, line, "it is not text: it holds a NUL character", "save it as UTF-8")
            return None
        return text


def shown(text: str) -> str:
    """What a person wrote, for a message."""
    line = visible_line(text)
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


def beside(file: str, value: str) -> str | None:
    """The name of a file that `file` names by its relative path; None where that leads out of the project."""
    parts: list[str] = []
    for part in (PurePosixPath(file).parent / value.replace("\\", "/")).parts:
        if part == ".." and parts:
            parts.pop()
        elif part in ("..", "/"):
            return None
        else:
            parts.append(part)
    return "/".join(parts)
