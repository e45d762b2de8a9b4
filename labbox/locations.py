r"""Locations: how people, programs and messages name a file, wherever it is.

    ~/study, study, /srv/data    on the box: the home, relative to where one stands, or by the whole path
    box:/srv/data                the same, said in full
    shared:/atlas                the lab's shared folder
    project:NAME/raw             a project's folder
    job:17/output                what a job left
    sftp://me@my-pc/project      another machine, below the home there (as OpenSSH reads it)
    sftp://me@my-pc:2222//data   the same, from the root there
    ~/data.zip!/raw/a.csv        inside an archive

Text is whole: `parse(str(location)) == location`. A byte of a name that is not UTF-8 stands as ``\xNN`` in
it, so that a location travels in JSON. A name that begins like a location is written ``./shared:x``; a folder
that is called ``a.zip!`` is written ``a.zip\x21``.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Final

from labbox.errors import LabboxError
from labbox.model import Value
from labbox.text import visible_line

ARCHIVES: Final = (
    ".zip",
    ".tar",
    ".tar.gz",
    ".tgz",
    ".tar.bz2",
    ".tbz2",
    ".tar.xz",
    ".txz",
    ".tar.zst",
    ".tzst",
    ".7z",
)  # longest endings are tried first; see `archive_ending`
PACKED: Final = (".gz", ".bz2", ".xz", ".zst")  # of single files, which are no archives
SSH_PORT: Final = 22
LONGEST: Final = 16 * 1024  # characters of a location: a path of 4,096 bytes with each byte escaped
NAME_BYTES: Final = 255  # of one name, on every file system that matters here

_ELSEWHERE: Final = ("sftp://", "shared:", "project:", "job:")
_INNER: Final = re.compile(r"!(?:/|$)")
_SCHEME: Final = re.compile(r"([a-z][a-z0-9-]*):")
_AUTHORITY: Final = re.compile(
    r"(?:(?P<user>[^@/:\s]+)@)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[^@/:\s\[\]]+)(?::(?P<port>[0-9]{1,5}))?"
)
_ESCAPED: Final = re.compile(r"\\x(21|5c|[89a-f][0-9a-f])")
_ESCAPE: Final = re.compile(r"[\udc80-\udcff]|\\(?=x(?:21|5c|[89a-f][0-9a-f]))")
_NO_ENTRY: Final = "\udc21"  # a “!” that was written as an escape, while a text is read: it enters no archive
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


OPERATIONS: Final = "operations"  # the folder below the state that holds what operations on files leave


def results_folder(state: Path, owner: str, results: str) -> Path:
    """Where the folder of a job stands (`Job.results`), on the box itself.

    Of a run, what the home's `jobs` leads to: the link is the person's to change.
    """
    kind, _, rest = results.partition("/")
    return state / (OPERATIONS if kind == OPERATIONS else "results") / owner / rest


class Kind(StrEnum):
    """What sort of place a location is in."""

    BOX = "box"
    SHARED = "shared"
    PROJECT = "project"
    JOB = "job"
    SFTP = "sftp"


class Location(Value):
    """One place that a file can be.

    `path` is POSIX and normal (no empty, ``.`` or ``..`` parts); it begins with ``/``, or with ``~`` for the
    home on the box or on an SFTP host. Undecodable bytes are kept as `os.fsdecode` does. `inner` is the path
    inside the archive at `path`: None outside archives, "" for an archive's top.
    """

    kind: Kind
    path: str
    host: str = ""  # the project's name, the job's number, or [user@]host[:port]
    inner: str | None = None

    def __str__(self) -> str:
        """The text that `parse` reads."""
        path = _no_entry(path_text(self.path), r"\x21")
        match self.kind:
            case Kind.BOX:
                start = path
            case Kind.SHARED:
                start = f"shared:{path}"
            case Kind.PROJECT | Kind.JOB:
                start = f"{self.kind}:{self.host}{path}"
            case Kind.SFTP:
                below = path[2:] if path.startswith("~") else f"/{path[1:]}"
                if below.partition("/")[0] == "~":  # a folder of that name in the home
                    below = f"~/{below}"
                start = f"sftp://{path_text(self.host)}/{below}"
        return start if self.inner is None else f"{start}!/{path_text(self.inner)}"

    @property
    def name(self) -> str:
        """The last part of the path; "" at a root."""
        if self.inner:  # where a file may be called “~”
            return self.inner.rpartition("/")[2]
        return "" if self.path in ("/", "~") else self.path.rpartition("/")[2]

    @property
    def name_of_archive(self) -> str:
        """What the archive is called in which it is."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> Location:
        """The folder that it stands in; a root is its own parent, an archive's top stands in its folder."""
        if self.inner:
            return _with(self, self.path, self.inner.rpartition("/")[0])
        if self.path in ("/", "~"):
            return _with(self, "/") if self.path == "~" and self.kind is Kind.BOX else self
        return _with(self, self.path.rpartition("/")[0] or "/")

    @property
    def is_root(self) -> bool:
        """Whether nothing of the same place is above it."""
        return self.path == "/" and self.inner is None

    @property
    def place(self) -> tuple[Kind, str]:
        """What two locations have in common that one connection or one root serves."""
        return self.kind, self.host

    def shown(self) -> str:
        """The text for a screen: controls visible."""
        return visible_line(str(self))

    def joined(self, name: str) -> Location:
        """What is called `name` in it; LabboxError "invalid" for what is no single name."""
        check_name(name)
        if self.inner is not None:
            return _with(self, self.path, f"{self.inner}/{name}" if self.inner else name)
        return _with(self, f"/{name}" if self.path == "/" else f"{self.path}/{name}")

    def entered(self) -> Location:
        """The top of the archive that stands here."""
        return _with(self, self.path, "")

    def holds(self, other: Location) -> bool:
        """Whether `other` is this or lies below it, by name alone."""
        if self.place != other.place:
            return False
        if self.inner is not None:
            if other.inner is None or other.path != self.path:
                return False
            return not self.inner or other.inner == self.inner or other.inner.startswith(self.inner + "/")
        top = "/" if self.path == "/" else self.path + "/"
        return other.path == self.path or other.path.startswith(top)


def parse(text: str, base: Location | None = None) -> Location:
    """Read what a person or a message wrote; relative paths are below `base`, else below the home.

    LabboxError "invalid" in words for what is no location.
    """
    if len(text) > LONGEST:
        raise LabboxError(
            "invalid", f"cannot use “{visible_line(text[:40])}…” as a location: it is too long", "give a path"
        )
    text = _ESCAPED.sub(lambda found: _NO_ENTRY if found[1] == "21" else _unescape(found), text)
    if not text or "\0" in text:
        raise LabboxError("invalid", "cannot use an empty location", "give a path, as in ~/study")
    scheme = _SCHEME.match(text)
    if scheme is None:
        return _on_box(text, base)
    rest = text[scheme.end() :]
    match scheme[1]:
        case "box":
            if not rest.startswith(("/", "~")):
                raise _wrong(text, "give the whole path, as in box:/srv/data")
            return _on_box(rest, None)
        case "shared":
            return _made(Kind.SHARED, "", "/" + rest)
        case "project":
            name, _, below = rest.partition("/")
            if not _NAME.fullmatch(name):
                raise _wrong(text, "name the project, as in project:atlas/raw")
            return _made(Kind.PROJECT, name, "/" + below)
        case "job":
            number, _, below = rest.partition("/")
            if not (number.isascii() and number.isdigit() and len(number) <= 18):
                raise _wrong(text, "give the job's number, as in job:17/output")
            return _made(Kind.JOB, str(int(number)), "/" + below)
        case "sftp":
            return _sftp(text, rest)
        case other:
            raise LabboxError(
                "invalid",
                f"cannot use “{visible_line(text)}”: there is no kind of place “{other}”",
                f"a file of that name is ./{visible_line(text)}; places are box:, shared:, project:, job:, sftp://",
            )


def new_text(text: str) -> str:
    """The text of something that may be made: a “!” at its end belongs to the name, and enters no archive."""
    return rf"{text[:-1]}\x21" if text.endswith("!") else text


def elsewhere(path: str | None) -> Location | None:
    """Where a study's folder is that has to be fetched before it can run; None for one in the home."""
    return parse(path) if path is not None and path.startswith(_ELSEWHERE) else None


def path_text(path: str) -> str:
    r"""A path as it stands in messages and files: bytes that are not UTF-8 become ``\xNN``."""
    return _ESCAPE.sub(_escape, path)


def path_of(text: str) -> str:
    """The path that `path_text` wrote."""
    return _ESCAPED.sub(_unescape, text)


def name_of(location: Location) -> str:
    """What a source is called at the target and in reports: a root by what it is the root of."""
    if location.inner == "":  # all that an archive holds: a folder beside it must not have its very name
        return location.name[: -len(archive_ending(location.name) or "")] or location.name
    if location.name or location.host:
        return location.name or location.host.rpartition("@")[2].replace("/", "_")
    return "home" if location.path == "~" else location.kind.value


def check_name(name: str) -> None:
    """LabboxError "invalid" for what cannot be the name of one file."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise LabboxError(
            "invalid", f"cannot use “{visible_line(name[:300])}” as a name", "give a name without slashes"
        )
    if len(name.encode("utf-8", "surrogateescape")) > NAME_BYTES:
        raise LabboxError(
            "invalid",
            f"cannot use “{visible_line(name[:40])}…” as a name: it is longer than {NAME_BYTES} bytes",
            "choose a shorter one",
        )


def archive_ending(name: str) -> str | None:
    """The ending by which a name is an archive's, in lower case: ".tar.gz"; None for other names."""
    low = name.lower()
    found = [ending for ending in ARCHIVES if low.endswith(ending) and len(low) > len(ending)]
    return max(found, key=len, default=None)


def packed_ending(name: str) -> str | None:
    """The ending by which a name is that of a single packed file, as data.csv.gz; None for other names."""
    if archive_ending(name) is not None:
        return None
    return next((one for one in PACKED if name.lower().endswith(one) and len(name) > len(one)), None)


def archive_is_read_only(location: Location, doing: str) -> LabboxError:
    """What is in an archive cannot be changed."""
    what = visible_line(location.inner or location.name)
    return LabboxError(
        "invalid",
        f"cannot {doing} “{what}”: it is inside the archive {visible_line(location.name_of_archive)},"
        " which can only be read",
        "unpack the archive, change what is in it, and pack it again",
    )


def _on_box(text: str, base: Location | None) -> Location:
    if text.startswith("/") or text == "~" or text.startswith("~/"):
        return _made(Kind.BOX, "", text)
    if base is None:
        return _made(Kind.BOX, "", "~/" + text)
    if base.inner is not None:
        joined = _normal("/" + f"{base.inner}/{text}", text)
        return _with(base, base.path, joined[1:])
    return _made(base.kind, base.host, f"{_no_entry(base.path, _NO_ENTRY)}/{text}")


def _sftp(text: str, rest: str) -> Location:
    authority, slash, below = rest.removeprefix("//").partition("/")
    if ":" in authority.rpartition("@")[0]:
        hint = "leave it out, as in sftp://me@my-pc/project"  # and say it to nobody: it may be logged
        raise LabboxError("invalid", "cannot use a password in a location", hint)
    found = _AUTHORITY.fullmatch(authority)
    if not rest.startswith("//") or found is None or authority.startswith("-"):
        raise _wrong(text, "as in sftp://me@my-pc/project")
    if found["host"].startswith("-") or (found["user"] or "").startswith("-"):
        raise _wrong(text, "a name does not begin with a dash")  # it could be read as an option
    port = int(found["port"] or SSH_PORT)
    if not 0 < port < 65536:
        raise _wrong(text, "ports are 1 to 65535")
    user = f"{found['user']}@" if found["user"] else ""
    host = f"{user}{found['host'].lower()}" + (f":{port}" if port != SSH_PORT else "")
    if below == "~" or below.startswith("~/"):
        below = below[2:]
    elif below.startswith("/"):
        return _made(Kind.SFTP, host, below)
    return _made(Kind.SFTP, host, f"~/{below}" if slash else "~")


def _made(kind: Kind, host: str, path: str) -> Location:
    inner: str | None = None
    for cut in _INNER.finditer(path):
        if archive_ending(path[: cut.start()].rpartition("/")[2]):
            inner = _normal("/" + path[cut.end() :], path)[1:]
            path = path[: cut.start()]
            break
    return Location(kind=kind, host=host, path=_normal(path, path), inner=inner)


def _normal(path: str, said: str) -> str:
    """The path without empty, ``.`` and ``..`` parts; LabboxError where it climbs above the home."""
    path = path.replace(_NO_ENTRY, "!")
    home = path == "~" or path.startswith("~/")
    parts: list[str] = []
    for part in path.split("/")[1:]:
        if part in ("", "."):
            continue
        if part == "..":
            if not parts and home:
                raise _wrong(said, "it climbs above the home: give the whole path")
            del parts[-1:]
            continue
        check_name(part)
        parts.append(part)
    return "/".join(["~" if home else "", *parts]) or "/"


def _with(location: Location, path: str, inner: str | None = None) -> Location:
    return Location(kind=location.kind, host=location.host, path=path, inner=inner)


def _no_entry(path: str, mark: str) -> str:
    """The path with `mark` for each “!” that would read as the way into an archive."""
    if "!" not in path:
        return path
    return "/".join(
        part[:-1] + mark if part.endswith("!") and archive_ending(part[:-1]) else part
        for part in path.split("/")
    )


def _wrong(text: str, hint: str) -> LabboxError:
    return LabboxError(
        "invalid", f"cannot use the location “{visible_line(text.replace(_NO_ENTRY, '!'))}”", hint
    )


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if code > 0xFF else "\\x5c"


def _unescape(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if code < 0x80 else chr(0xDC00 + code)
