"""From a path in a place to the folder and name that system calls take.

The box as a whole is as the kernel shows it to its caller. A place with a root of its own (a shared folder, a
project, what a job left) is left only through links that its caller or root made: others who write there
cannot lead a copy or a removal astray by putting a link where a folder was, at whatever moment. (Who
may rename what stands there can also rename a link that leads out: leave none of your own in such a place.)
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from labbox.errors import LabboxError
from labbox.files.listing import shown
from labbox.files.places.syscalls import open_beneath

_FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_LINK: Final = os.O_PATH | os.O_NOFOLLOW
_ONCE: Final = 3800  # bytes of path that one call takes; the kernel's limit is 4096 with its end
_HOPS: Final = 40  # links on the way, as the kernel counts


class Spot(NamedTuple):
    """Where system calls find an entry: a name below an open folder (None: a path of its own)."""

    folder: int | None
    name: str

    @property
    def path(self) -> str:
        """For calls that take no folder."""
        return self.name if self.folder is None else f"/proc/self/fd/{self.folder}/{self.name}"


class Resolver:
    """Paths of a place: `root` is the folder that is its ``/``, `home` its ``~`` (both absolute)."""

    def __init__(self, root: str, home: str, label: str) -> None:
        """`label` goes before paths in messages: "shared:"."""
        self.root: Final = root.rstrip("/") or "/"
        self.home: Final = home
        self.label: Final = label

    def system_path(self, path: str) -> str:
        """The path as the kernel knows it."""
        path = self._plain(path)
        return path if self.root == "/" else f"{self.root}{path}".rstrip("/")

    @contextmanager
    def spot(self, path: str) -> Iterator[Spot]:
        """Where the entry is; nothing of it is followed."""
        path = self._plain(path)
        if self.root == "/" and len(path) < _ONCE // 3:  # a character may take three bytes
            yield Spot(None, path)
            return
        above, _, name = path.rstrip("/").rpartition("/")
        folder = self._open(above, _FOLDER)
        try:
            yield Spot(folder, name or ".")
        finally:
            os.close(folder)

    def opened(self, path: str, *, folder: bool = False) -> int:
        """A descriptor of what is there, links followed; good for looking at it, not for reading."""
        return self._open(self._plain(path), _FOLDER if folder else os.O_PATH | os.O_CLOEXEC)

    def real_path(self, path: str) -> str:
        """The path of the place that leads there without links; LabboxError where it is outside."""
        descriptor = self.opened(path)
        try:
            found = _path_of(descriptor)
        finally:
            os.close(descriptor)
        if self.root == "/":
            return found
        descriptor = os.open(self.root, _FOLDER)
        try:
            root = _path_of(descriptor)
        finally:
            os.close(descriptor)
        if found != root and not found.startswith(root + "/"):
            raise self._leads_out(path, f"it is {shown(found)}")
        return found[len(root) :] or "/"

    def _plain(self, path: str) -> str:
        """The path from the root, checked."""
        if path == "~" or path.startswith("~/"):
            if not self.home:
                raise self._refused(path, "there is no home here")
            results = self._results() if path.startswith("~/jobs/") else None
            path = self.home + path[1:] if results is None else results + path[len("~/jobs") :]
        if not path.startswith("/") or "\0" in path or ("/.." in path and ".." in path.split("/")):
            raise self._refused(path, "it is no whole, plain path")
        return path

    def _results(self) -> str | None:
        """Where the results really are that a login sees at `jobs` in its home: there they can be renamed.

        What is seen there is a mount of its own, out of which nothing can be moved, into the trash for one.
        """
        home, _, name = self.home.rstrip("/").rpartition("/")
        try:
            seen = os.lstat(f"{self.home}/jobs")
            real = f"{home.rpartition('/')[0]}/results/{name}"
            return real if os.path.samestat(seen, os.lstat(real)) else None
        except OSError:
            return None

    def _open(self, path: str, flags: int) -> int:
        """Open in pieces that the kernel takes."""
        below = os.open(self.root, _FOLDER)
        base = self.root
        parts = [part for part in path.split("/") if part]
        while True:
            piece, parts = _first_piece(parts)
            try:
                opened = self._piece(below, base, piece, flags if not parts else _FOLDER)
            finally:
                os.close(below)
            if not parts:
                return opened
            below, base = opened, ""

    def _piece(self, folder: int, base: str, piece: str, flags: int) -> int:
        if self.root == "/":
            return os.open(piece, flags, dir_fd=folder)
        try:
            return open_beneath(folder, piece, flags)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        return self._through_links(os.dup(folder), base, piece, flags)

    def _through_links(self, top: int, base: str, path: str, flags: int) -> int:
        """Open what only a link out of `top` (a folder that is called `base`) leads to; closes `top`."""
        try:
            for _ in range(_HOPS):
                try:
                    return open_beneath(top, path or ".", flags)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                above, link, rest = _way_out(top, path)
                target, trusted = _what_it_says(top, link)
                inside = _inside(top, base, above, target)
                if inside is not None:
                    path = _joined(inside, rest)  # to another link, whose owner counts
                elif not trusted:
                    raise self._leads_out("/" + link, "whoever made that link is neither you nor root")
                elif not rest:
                    return _follow(top, above, target, flags)
                else:
                    top, before = _follow(top, above, target, _FOLDER), top
                    os.close(before)
                    base, path = "", rest
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        finally:
            os.close(top)

    def _leads_out(self, path: str, why: str) -> LabboxError:
        return LabboxError(
            "forbidden",
            f"cannot follow {shown(self.label + path)}: it leads out of {self.label or 'here'}, and {why}",
            "go to where it leads by the whole path, if you trust it",
        )

    def _refused(self, path: str, why: str) -> LabboxError:
        return LabboxError("invalid", f"cannot use {shown(self.label + path)}: {why}", "give the whole path")


def _first_piece(parts: list[str]) -> tuple[str, list[str]]:
    """As many parts as one call takes, and the others."""
    size = 0
    for index, part in enumerate(parts):
        size += len(os.fsencode(part)) + 1
        if size > _ONCE and index:
            return "/".join(parts[:index]), parts[index:]
    return "/".join(parts) or ".", []


def _way_out(top: int, path: str) -> tuple[str, str, str]:
    """The folder of the first link on the way that leads out, that link, and what follows it."""
    parts = [part for part in path.split("/") if part]
    for index in range(len(parts)):
        link = "/".join(parts[: index + 1])
        try:
            os.close(open_beneath(top, link, os.O_PATH))
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return "/".join(parts[:index]), link, "/".join(parts[index + 1 :])
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))  # it was put right meanwhile


def _what_it_says(top: int, link: str) -> tuple[str, bool]:
    """What the link says, and whether its owner is one whose links are followed anywhere."""
    descriptor = open_beneath(top, link, _LINK)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISLNK(found.st_mode):
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return os.readlink("", dir_fd=descriptor), found.st_uid in (0, os.geteuid())
    finally:
        os.close(descriptor)


def _inside(top: int, base: str, above: str, target: str) -> str | None:
    """The path below `top` that a link in its folder `above` says; None where it says another place."""
    here = _path_of(top)
    if target.startswith("/"):
        for root in (base, here):
            if root and (target == root or target.startswith(root + "/")):
                return _without_climbs("", target[len(root) :])
        return None
    folder = open_beneath(top, above or ".", _FOLDER)
    try:
        return _without_climbs(_path_of(folder)[len(here) :], target)
    finally:
        os.close(folder)


def _without_climbs(start: str, target: str) -> str | None:
    """Go `target` from the folder `start`, whose parts are no links; None where that takes more than text."""
    way = [part for part in start.split("/") if part]
    parts = [part for part in target.split("/") if part not in ("", ".")]
    while parts and parts[0] == "..":
        if not way:
            return None
        way.pop()
        parts.pop(0)
    return None if ".." in parts else "/".join((*way, *parts))


def _follow(top: int, above: str, target: str, flags: int) -> int:
    folder = open_beneath(top, above or ".", _FOLDER)
    try:
        return os.open(target, flags, dir_fd=folder)
    finally:
        os.close(folder)


def _joined(*parts: str) -> str:
    return "/".join(part.strip("/") for part in parts if part.strip("/"))


def _path_of(descriptor: int) -> str:
    """The path that an open file has now; FileNotFoundError where it has none any more."""
    path = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - paths are text, and may be any bytes
    found, same = os.fstat(descriptor), os.lstat(path)
    if (found.st_dev, found.st_ino) != (same.st_dev, same.st_ino):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return path
