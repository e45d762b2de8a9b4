"""What a person asked for with their login, made out of the words after `ssh BOX`. Pure.

Nothing here is ever given to a shell. What is no verb of labbox and not one of the four programs that stock
clients start (`sftp-server`, `scp`, `rsync`, `git-…-pack`), in exactly the forms in which those clients start
them, is refused. `rsync --server` could start a daemon with a configuration that the user wrote, and `scp` a
program instead of `ssh`: so only options on a list pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from labbox.familiar import NOTHING, instead

_SHELLS: Final = frozenset("sh bash dash zsh ksh csh tcsh fish ash busybox su sudo doas screen tmux".split())
_VERB: Final = re.compile(r"-?-?[a-z][a-z-]{0,31}", re.ASCII)
_SCP: Final = re.compile(r"-[rpdvqtf]+", re.ASCII)
# Without `s`: the options would then come over the connection, past this list. `Secluded` takes them up.
_RSYNC_SHORT: Final = re.compile(r"-[ACDEHIJKLNORSUWXbcdgklmnopqrtuvxyz0-9@B]*(e[\w.]*)?", re.ASCII)
_RSYNC_FLAGS: Final = frozenset(
    "append copy-unsafe-links delay-updates delete delete-after delete-before delete-delay"
    " delete-during delete-excluded delete-missing-args dirs existing fake-super force from0 fsync fuzzy"
    " group hard-links ignore-errors ignore-existing ignore-missing-args ignore-times inplace links"
    " list-only mkpath munge-links new-compress no-W no-implied-dirs no-r no-relative no-specials no-D"
    " no-i-r no-inc-recursive inc-recursive numeric-ids old-compress one-file-system open-noatime owner"
    " partial perms preallocate recursive relative remove-sent-files remove-source-files safe-links"
    " sender server size-only specials stats super times use-qsort omit-dir-times omit-link-times"
    " executability sparse checksum compress backup".split()
)
_RSYNC_VALUES: Final = frozenset(
    "backup-dir block-size bwlimit checksum-choice checksum-seed compare-dest compress-choice"
    " compress-level copy-dest compress debug files-from groupmap iconv info link-dest log-format"
    " max-alloc max-delete max-size min-size modify-window partial-dir skip-compress stderr suffix"
    " temp-dir timeout usermap".split()
)
_RSYNC_NEXT: Final = frozenset(  # whose value is the next word
    "backup-dir compare-dest copy-dest files-from link-dest partial-dir temp-dir".split()
)
REPOSITORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Screens:
    """The full-screen interface."""


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb of the command line."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sftp:
    """The sftp subsystem."""


@dataclass(frozen=True, slots=True)
class Copy:
    """`scp` or `rsync` at this end; the paths among `words` may hold wildcards."""

    program: Literal["scp", "rsync"]
    words: tuple[str, ...]
    writes: bool


@dataclass(frozen=True, slots=True)
class Secluded:
    """`rsync -s`: the rest of its words comes over the connection, each ended by a NUL, the last by two."""

    words: tuple[str, ...]

    def complete(self, sent: bytes) -> Wish:
        """With what came, up to the two NULs: what is asked for, by the same list as ever."""
        rest = [word.decode("utf-8", "surrogateescape") for word in sent.split(b"\0")][1:]
        return _rsync("rsync -s", [*self.words, *rest])


@dataclass(frozen=True, slots=True)
class Nothing:
    """Only whether one comes in: `true`, `exit`."""


@dataclass(frozen=True, slots=True)
class Git:
    """A push or a fetch; `repository` without `.git`."""

    service: Literal["upload-pack", "receive-pack"]
    repository: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Not done, and why; `what` is for the audit trail."""

    sentence: str
    what: str


Wish = Screens | Verb | Sftp | Copy | Secluded | Git | Nothing | Refused

ADD_KEYS: Final = Verb(("user", "key", "add", "--if-new", "-"))  # those that come on standard input
TAKE_KEYS: Final = Verb(("user", "key", "add", "--if-new", ".ssh/authorized_keys"))
# What ssh-copy-id sends, and what people type on Windows or copy from manuals: all of it ends in this. The
# words are looked for and never run.
_KEYS_APPENDED: Final = re.compile(
    r"(?:\bcat *>>?|\btee(?: +-a| +--append)?) *[\"']?(?:~/|\$HOME/|\$\{HOME\}/|\./|/[\w./-]*/)?"
    r"\.ssh/authorized_keys2?\b",
    re.ASCII,
)
# Newer ones name the file once and use a variable for it.
_VARIABLE_APPENDED: Final = re.compile(
    r"=[\"']?\.ssh/authorized_keys\b.*\bcat *>> *[\"']?\$\{?\w+\}?", re.ASCII
)
_LONGEST_KEYS_COMMAND: Final = 4096  # characters
_WORD: Final = re.compile(r"""(?:[^\s'"\\]+|'[^']*'|"(?:[^"\\]|\\.)*"|\\.)+""", re.DOTALL)
_PIECE: Final = re.compile(r"""([^'"\\]+)|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)""", re.DOTALL)


def wish_of(command: str | None, subsystem: str | None, *, pty: bool) -> Wish:
    """What is asked for; never raises."""
    if subsystem is not None:
        if subsystem == "sftp":
            return Sftp()
        return Refused(
            f"cannot start the subsystem “{subsystem}”: this box has sftp", f"subsystem {subsystem}"
        )
    if command is None:
        if pty:
            return Screens()
        return Refused(
            "cannot open the screens without a terminal; connect with a terminal, or give a command, as in "
            "“ssh … job list”",
            "no terminal",
        )
    if "\0" in command:
        return Refused("cannot read the command: it holds a NUL character", "command with NUL")
    if len(command) <= _LONGEST_KEYS_COMMAND and (
        _KEYS_APPENDED.search(command) or _VARIABLE_APPENDED.search(command)
    ):
        return ADD_KEYS
    words = split(command)
    if words is None:
        return Refused("cannot read the command: a quotation mark is missing", command)
    if not words:
        return Screens() if pty else Refused("cannot run an empty command; try “ssh … help”", "empty command")
    return _program(command, words)


def split(command: str) -> list[str] | None:
    """The words of a command as a shell splits them; None where a quotation has no end.

    Like `shlex.split`, which takes a microsecond and more for each character.
    """
    words: list[str] = []
    at = 0
    for found in _WORD.finditer(command):
        if command[at : found.start()].strip():
            return None
        at = found.end()
        words.append(_PIECE.sub(_unquoted, found[0]))
    return None if command[at:].strip() else words


def _unquoted(piece: re.Match[str]) -> str:
    plain, single, double, escaped = piece.groups()
    if double is not None:
        return re.sub(r"\\([\\\"$`])", r"\1", double)
    return str(plain or single or escaped or "")


def _program(command: str, words: list[str]) -> Wish:
    if words[0] == "rsync" or words[0].endswith("/rsync"):
        return _rsync(command, words[1:])
    match words:
        case ["scp", *rest]:
            return _scp(command, rest)
        case [("git-upload-pack" | "git-receive-pack") as program, path]:
            return _git(command, program.removeprefix("git-"), path)
        case ["git", ("upload-pack" | "receive-pack") as service, path]:
            return _git(command, service, path)
        case ["git", *_]:
            return Refused("cannot run git like this: only a push, a fetch or a clone", command)
        case [program, *_] if program.startswith("git-"):
            return Refused("cannot run git like this: only a push, a fetch or a clone", command)
        case ["labbox"]:
            return Verb(("--help",))
        case ["labbox", *rest]:
            words = rest
        case [path] if path.rpartition("/")[2] in ("sftp-server", "internal-sftp"):
            return Sftp()
        case [word] if word in NOTHING:
            return Nothing()
        case ["exit", status] if status == "0":
            return Nothing()
    name = words[0].rpartition("/")[2]
    if name in _SHELLS:
        return Refused(
            instead(name)
            or "cannot open a shell: this box has none; log in without a command for its screens",
            command,
        )
    if not _VERB.fullmatch(
        words[0]
    ):  # of words that could be a verb, the command line says what is like them
        return Refused(
            instead(words[0])
            or f"cannot run “{words[0]}”: there are labbox verbs, sftp, scp, rsync and git; try “ssh … help”",
            command,
        )
    return Verb(tuple(words))


def _home(path: str) -> str:
    """`~/x` as the shell would have it; the working folder is the home."""
    return path[2:] or "." if path.startswith("~/") else "." if path in ("~", "") else path


def _scp(command: str, words: list[str]) -> Wish:
    """`scp [-v] [-r] [-p] [-d] -t|-f [--] PATH…`, as `scp -O` starts it."""
    cut = next((at for at, word in enumerate(words) if not word.startswith("-") or word == "--"), len(words))
    options, paths = words[:cut], words[cut:]
    if paths[:1] == ["--"]:
        paths = paths[1:]
    letters = set("".join(options)) - {"-"}
    if not paths or not all(_SCP.fullmatch(word) for word in options) or len(letters & {"t", "f"}) != 1:
        return Refused("cannot run scp like this: only the form that scp -O itself uses", command)
    writes = "t" in letters
    return Copy("scp", (*options, "--", *map(_home, paths)), writes)


def _rsync(command: str, words: list[str]) -> Wish:
    """`rsync --server [--sender] -OPTIONS… . PATH…`, as rsync starts it; the list is rrsync's."""
    if words[:1] != ["--server"]:
        return Refused(
            "cannot run rsync by itself: run it on your own computer, with this box as one side", command
        )
    for at, word in enumerate(words[1:3], start=1):
        letters, e, rest = word.partition("e")
        if re.fullmatch(r"-[A-Za-z0-9@]*s[A-Za-z0-9@]*", letters, re.ASCII) and not word.startswith("--"):
            if len(words) > at + 1:
                break
            return Secluded((*words[:at], letters.replace("s", "") + e + rest))
    options: list[str] = []
    paths: list[str] = []
    for word in words:
        if options and options[-1][2:] in _RSYNC_NEXT:
            options.append(word)
        elif paths or not word.startswith("-") or word == "-":
            paths.append(word)
        elif _rsync_option(word):
            options.append(word)
        else:
            return Refused(f"cannot use the rsync option “{word}” here", command)
    if len(paths) < 2 or paths[0] != ".":
        return Refused("cannot run rsync like this: only the form that rsync itself uses", command)
    return Copy("rsync", (*options, ".", *map(_home, paths[1:])), "--sender" not in options)


def _rsync_option(word: str) -> bool:
    if not word.startswith("--"):
        return bool(_RSYNC_SHORT.fullmatch(word))
    name, equals, _value = word[2:].partition("=")
    return name in _RSYNC_VALUES if equals else name in _RSYNC_FLAGS | _RSYNC_NEXT


def _git(command: str, service: str, path: str) -> Wish:
    """A repository is one name: `/study`, `study`, `study.git` and `~/study` are the same."""
    name = path.removeprefix("~").strip("/").removesuffix(".git")
    if not REPOSITORY.fullmatch(name) or ".." in name:
        return Refused(
            f"cannot use “{path}” as a repository: a name is letters, digits, “.”, “_” and “-”",
            command,
        )
    return Git("receive-pack" if service == "receive-pack" else "upload-pack", name)
