"""What a system call's error number means for people: one table, for every place and for transfers.

The message is "cannot DOING “PATH”: REASON". What a caller can act on is the code; `OtherDiskError` and
`NoRoomError` are types of their own because a transfer goes on in another way after them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from labbox.errors import Code, LabboxError
from labbox.files.listing import shown


class OtherDiskError(LabboxError):
    """A move within a place that would leave the disk: it takes a copy."""


class NoRoomError(LabboxError):
    """The disk or the quota is full: everything else that writes there will fail too."""


class _Meaning(NamedTuple):
    code: Code
    reason: str
    hint: str
    kind: type[LabboxError] = LabboxError


_GONE: Final = "look at the name, and at the folder again: it may have changed meanwhile"
_ASK: Final = "ask its owner for access, or choose another place"
_READ_ONLY: Final = "choose a place that can be written"
_TIDY: Final = "delete what is not needed there, or choose a place with more room"
_DISK: Final = "tell whoever runs the box: the disk or its cable may be failing"
_LATER: Final = "try again later"

_MEANINGS: Final = {
    errno.ENOENT: _Meaning("not_found", "it is not there", _GONE),
    errno.ENOTDIR: _Meaning("conflict", "something on the way there is no folder", _GONE),
    errno.EISDIR: _Meaning("conflict", "it is a folder", "choose a file"),
    errno.EEXIST: _Meaning("conflict", "something of that name is there already", "choose another name"),
    errno.ENOTEMPTY: _Meaning("conflict", "the folder is not empty", "empty it first"),
    errno.ELOOP: _Meaning("conflict", "it is a link, or links lead in a circle", "use what it leads to"),
    errno.ENXIO: _Meaning("conflict", "it is no plain file", "choose a file"),
    errno.EXDEV: _Meaning("invalid", "it would leave its disk", "copy it, then remove it", OtherDiskError),
    errno.EACCES: _Meaning("forbidden", "you may not", _ASK),
    errno.EPERM: _Meaning("forbidden", "you may not", _ASK),
    errno.EROFS: _Meaning("forbidden", "it is on a disk that can only be read", _READ_ONLY),
    errno.ETXTBSY: _Meaning("conflict", "it is a program that runs now", "wait until it has ended"),
    errno.EBUSY: _Meaning("conflict", "it is in use", "wait until nothing uses it"),
    errno.ENOSPC: _Meaning("limit", "the disk is full", _TIDY, NoRoomError),
    errno.EDQUOT: _Meaning("limit", "your share of the disk is used up", _TIDY, NoRoomError),
    errno.EFBIG: _Meaning("limit", "the file would be too large for its disk", "split it"),
    errno.EMLINK: _Meaning("limit", "it has as many names as its disk allows", "make a copy"),
    errno.ENAMETOOLONG: _Meaning("limit", "its name or path is too long for its disk", "use shorter names"),
    errno.EMFILE: _Meaning("limit", "too many files are open", "close some programs, then try again"),
    errno.ENFILE: _Meaning("limit", "too many files are open on the box", _LATER),
    errno.ENOMEM: _Meaning("limit", "the box has no memory left", _LATER),
    errno.EIO: _Meaning("unavailable", "the disk reports an error", _DISK),
    errno.ENODEV: _Meaning("unavailable", "its disk is gone", "connect it again"),
    errno.ESTALE: _Meaning("unavailable", "the file server has lost it", "open the folder again"),
    errno.EAGAIN: _Meaning("unavailable", "another program keeps it locked", _LATER),
    errno.ETIMEDOUT: _Meaning("unavailable", "its disk or host does not answer", _LATER),
    errno.EHOSTDOWN: _Meaning("unavailable", "its host does not answer", _LATER),
    errno.EHOSTUNREACH: _Meaning("unavailable", "its host does not answer", _LATER),
    errno.ENOTCONN: _Meaning("unavailable", "its disk or host does not answer", _LATER),
    errno.ECONNRESET: _Meaning("unavailable", "the connection broke", _LATER),
    errno.EPIPE: _Meaning("unavailable", "the connection broke", _LATER),
    errno.EBADF: _Meaning("unavailable", "it was closed meanwhile", "open it again"),
    errno.EINVAL: _Meaning("invalid", "its disk cannot do that", ""),
    errno.EOPNOTSUPP: _Meaning("invalid", "its disk cannot do that", ""),
    errno.ENOSYS: _Meaning("invalid", "the box cannot do that", ""),
    errno.EILSEQ: _Meaning("invalid", "its disk cannot keep such a name", "rename it"),
    errno.E2BIG: _Meaning("limit", "an attribute is too large for its disk", ""),
}

_OF_MOVES: Final = {
    errno.ENOENT: _Meaning("not_found", "it is not there, or the folder that it should go to is not", _GONE),
    errno.EINVAL: _Meaning("invalid", "a folder cannot go into itself", "choose another folder"),
}
_OF_MAKING: Final = {
    errno.ENOENT: _Meaning("not_found", "the folder that it belongs in is not there", "make that one first"),
}


def meaning(number: int | None, doing: str, path: str, onto: str = "") -> LabboxError:
    """What error `number` is for people who were `doing` ("open") something with `path`.

    `onto`: the path where a move or a link should have gone.
    """
    subject = f"cannot {doing} {shown(path)}" + (f" to {shown(onto)}" if onto else "")
    found = _OF_MOVES.get(number or 0) if onto else None
    found = found or (_OF_MAKING.get(number or 0) if doing == "make" else None) or _MEANINGS.get(number or 0)
    if found is None:
        reason = os.strerror(number).lower() if number else "the disk does not say why"
        return LabboxError("unavailable", f"{subject}: {reason}", _LATER)
    return found.kind(found.code, f"{subject}: {found.reason}", found.hint)


@contextmanager
def explained(doing: str, path: str, onto: str = "") -> Iterator[None]:
    """Turn an OSError of what is done inside into its LabboxError."""
    try:
        yield
    except OSError as error:
        raise meaning(error.errno, doing, path, onto) from error


def not_plain(doing: str, path: str, what: str) -> LabboxError:
    """Something else stands where a plain file is meant; `what` it is: "a folder"."""
    hint = "use what it leads to" if what == "a link" else "choose a file"
    return LabboxError("conflict", f"cannot {doing} {shown(path)}: it is {what}", hint)


def not_a_link(path: str) -> LabboxError:
    """Something else stands where a link is meant."""
    return LabboxError("conflict", f"cannot read {shown(path)}: it is no link", "open it as what it is")


def read_only(doing: str, path: str, place: str) -> LabboxError:
    """The whole place can only be read; `place`: "an archive"."""
    return LabboxError(
        "invalid", f"cannot {doing} {shown(path)}: {place} can only be read", "copy it somewhere else first"
    )
