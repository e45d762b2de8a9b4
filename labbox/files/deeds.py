"""What a login has put into shared folders, and giving it to their people.

Programs that copy are told by their target: all that changed below it during the login came by them. An SFTP
server does whatever its client asks for, all over the disk; its own log of that says in which order, so that
a mode that belongs to a copy and one that the owner chose afterwards are told apart.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from labbox.errors import LabboxError
from labbox.files import sharing
from labbox.files.following import Tick
from labbox.files.places.syscalls import born

_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BLOCK: Final = 8 << 20  # bytes of a log looked at together; what is still open at its end waits for more
_LINE: Final = re.compile(
    r'open "(?P<open>.*)" flags (?P<flags>[A-Z,]*) mode \d+'
    r'|close "(?P<close>.*)" bytes read \d+ written \d+'
    r'|set "(?P<mode>.*)" mode (?P<bits>\d+)|set "(?P<time>.*)" modtime \S+'
    r'|mkdir name "(?P<folder>.*)" mode (?P<made>\d+)'
    r'|(?:posix-)?rename old "(?P<old>.*)" new "(?P<new>.*)"'
    r'|(?:hard)?link old "(?P<linked>.*)" new "(?P<name>.*)"',
    re.DOTALL,
)
_LONG: Final = 900  # characters; the server cuts its lines a little above
_KINDS: Final = ("open", "close", "mode", "time", "folder", "new", "name")
_CUT: Final = ("open ", "set ", "mkdir ", "rename ", "posix-rename ", "link ", "hardlink ")
_ESCAPED: Final = re.compile(r"\\(\\|[0-7]{3})")
_COPIED, _MADE, _MOVED, _CHOSEN = "copied", "made", "moved", "chosen"


class Log:
    """What an SFTP server did, line by line; `put` says how each path came to be as it is."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.put: dict[str, str] = {}
        self.cut = False  # a line was too long for the log: not everything is known
        self._open: dict[str, int] = {}  # path -> where in the log it was opened
        self._folders: dict[str, int] = {}  # made, with which mode
        self._last = ("", "")

    def first_open(self) -> int | None:
        """Where the first line stands of what is still open."""
        return min(self._open.values(), default=None)

    def take(self, line: str, at: int) -> None:
        """One line, that stands there."""
        found = _LINE.fullmatch(line)
        if found is None:
            self.cut = self.cut or (len(line) > _LONG and line.startswith(_CUT))
            return
        kind = next(one for one in _KINDS if found[one] is not None)
        path = _plain(found[kind])
        last, self._last = self._last, (kind, path)
        match kind:
            case "open":
                if "WRITE" in found["flags"]:
                    self._open.setdefault(path, at)
                if "CREATE" in found["flags"]:
                    self.put.setdefault(path, _MADE)
            case "close":
                self._open.pop(path, None)
            case "mode":
                made = self._folders.get(path) == int(found["bits"], 8)  # once more when all is in it
                copied = path in self._open or made or last == ("time", path)
                self.put[path] = _COPIED if copied else _CHOSEN
            case "time":
                if last == ("mode", path):  # a client sets both when it copies
                    self.put[path] = _COPIED
            case "folder":
                self._folders[path] = int(found["made"], 8)
                self.put[path] = _COPIED
            case "new":
                self._moved(_plain(found["old"]), path)
            case _:
                self.put[path] = _MOVED

    def _moved(self, old: str, new: str) -> None:
        for path in [one for one in self.put if one.startswith(f"{old}/")]:
            self.put[new + path[len(old) :]] = self.put.pop(path)
        self.put[new] = self.put.pop(old, _MOVED)


def open_logged(log: int, start: int, home: str, began: int, folders: Sequence[str], tick: Tick) -> int:
    """Give to its people what a log tells of from `start` on; where to begin the next time.

    `log`: the open file; `began`: when the login did, ns of the epoch; `folders`: all that are shared with
    the caller, gone through where the log does not tell everything.
    """
    told = Log()
    data, at = _taken(told, log, start)
    waiting = told.first_open()
    known = frozenset(told.put)
    if not _open_all(told.put, home, began, tick):  # renamed meanwhile: by now the log tells where to
        _taken(told, log, at)  # and once more the next time
        moved = {path: how for path, how in told.put.items() if path not in known}
        _open_all(moved, home, began, tick)
    if told.cut:
        open_copied(folders, home, began, tick)
    if len(data) == _BLOCK:
        return at if at > start else start + len(data)
    return at if waiting is None else waiting


def open_copied(targets: Sequence[str], home: str, began: int, tick: Tick) -> None:
    """Give to its people what has changed at these targets, relative to the home, since a login began."""
    wanted = sharing.since(began)
    for target in targets:
        path = os.path.realpath(os.path.join(home, target))  # noqa: PTH118 - keeps undecodable bytes
        above, _, name = path.rpartition("/")
        with suppress(
            OSError, LabboxError, ValueError
        ):  # not there, or not to be reached: nothing was put there
            parent = os.open(above or "/", _FLAGS)
            try:
                if name and sharing.is_shared(parent):
                    sharing.open_all(parent, name, wanted, tick)
                    continue
            finally:
                os.close(parent)
        with suppress(OSError, LabboxError, ValueError):
            folder = os.open(path, _FLAGS)
            try:
                if sharing.is_shared(folder):
                    sharing.open_below(folder, wanted, tick)
            finally:
                os.close(folder)


def _taken(told: Log, log: int, start: int) -> tuple[bytes, int]:
    """What the log holds from there on, its whole lines taken; where those end."""
    data = os.pread(log, _BLOCK, start)
    at = start
    for line in data[: data.rfind(b"\n") + 1].splitlines(keepends=True):
        told.take(line.rstrip(b"\r\n").decode("utf-8", "surrogateescape"), at)
        at += len(line)
    return data, at


def _open_all(put: dict[str, str], home: str, began: int, tick: Tick) -> bool:
    """Give what was put to its people; whether all of it was there."""
    there = True
    for path, how in sorted(put.items()):  # folders first: one that is closed is not told to be shared
        tick()
        if how != _CHOSEN:
            whole = os.path.join(home, path)  # noqa: PTH118 - keeps undecodable bytes
            _open_put(whole, how, began, tick)
            there = os.path.lexists(whole) and there
    return there


def _open_put(path: str, how: str, began: int, tick: Tick) -> None:
    above, _, name = path.rstrip("/").rpartition("/")
    if name in ("", ".", ".."):
        return
    with suppress(OSError, LabboxError, ValueError):  # it has gone again, or was not to be reached
        parent = os.open(above or "/", _FLAGS)
        try:
            if not sharing.is_shared(parent):
                return
            if how == _COPIED or (how == _MADE and _is_new(parent, name, began)):
                sharing.open_to_group(parent, name)
            elif how == _MOVED:
                sharing.open_all(parent, name, lambda _found: False, tick)
        finally:
            os.close(parent)


def _is_new(folder: int, name: str, began: int) -> bool:
    """Whether a file was made during the login; what was there before keeps the mode that its owner chose."""
    at = born(folder, name)
    return at is None or sharing.not_before(at, began)


def _plain(text: str) -> str:
    """A path as it was before the log made it visible."""
    if "\\" not in text:
        return text
    plain = _ESCAPED.sub(lambda found: "\\" if found[1] == "\\" else chr(int(found[1], 8)), text)
    return plain.encode("latin-1", "replace").decode("utf-8", "surrogateescape") if _is_latin(plain) else text


def _is_latin(text: str) -> bool:
    return all(ord(one) < 256 for one in text)
