"""What a transfer may be asked for: each verb's needs, locations and paths that can be read, its name."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Generator, Iterable
from typing import Final

import msgspec

from labbox.errors import LabboxError
from labbox.locations import (
    LONGEST,
    Kind,
    Location,
    archive_ending,
    archive_is_read_only,
    check_name,
    parse,
    path_of,
)
from labbox.model import JobSpec, TransferSpec, TransferVerb
from labbox.text import format_duration, visible_line

V = TransferVerb

MOST_SOURCES: Final = 100_000  # all that is marked in a large folder
MOST_PATHS: Final = 100_000  # of `only` and of `decisions`
LONGEST_WAIT: Final = 30 * 86400.0  # seconds
_MOST_PATTERNS: Final = 1_000
_STEP: Final = 100  # locations that are read before others are served
_LONGEST_TEXT: Final = 4096  # bytes of a pattern or of what is searched for
_WHOLE: Final = {  # each verb with its sentence: what stands in the job's name
    V.COPY: "copy {what} to {target}",
    V.MOVE: "move {what} to {target}",
    V.TRASH: "put {what} into the trash",
    V.ERASE: "delete {what}",
    V.RESTORE: "restore {what}",
    V.SYNC: "synchronise {target} with {what}",
    V.COMPARE: "compare {what} with {target}",
    V.PACK: "pack {what} into {target}",
    V.UNPACK: "unpack {what} into {target}",
    V.CHECKSUM: "checksums of {what}",
    V.FIND: "search {what}",
    V.UNDO: "undo job {undo}",
}
_TARGETED: Final = frozenset({V.COPY, V.MOVE, V.SYNC, V.COMPARE, V.PACK, V.UNPACK})
_TARGET_ALLOWED: Final = _TARGETED | {V.RESTORE}
_ONE_SOURCE: Final = frozenset({V.SYNC, V.COMPARE})
_ALONE: Final = (
    "path", "command", "image", "template", "cpus", "memory", "gpus", "array", "sweep", "parallel", "env",
    "network", "stdin", "commit", "deliver",
)  # fmt: skip  # what only runs can be asked for


def needs_room(asked: TransferSpec) -> bool:
    """Whether it puts more on the box's disk. A move may be one to where there is room, or of a name only."""
    if asked.verb not in (V.COPY, V.SYNC, V.PACK, V.UNPACK):
        return False
    return asked.target is None or parse(asked.target).kind is not Kind.SFTP


def check_transfer(spec: JobSpec) -> TransferSpec:
    """The transfer of a spec, its locations in full; LabboxError "invalid" for what cannot be done."""
    steps = _checked(spec)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return _result(end)


async def check_transfer_in_turns(spec: JobSpec) -> TransferSpec:
    """The same for any number of files: others are served in between."""
    steps = _checked(spec)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return _result(end)
        await asyncio.sleep(0)


def _result(end: StopIteration) -> TransferSpec:
    if not isinstance(end.value, TransferSpec):
        raise AssertionError("what is checked is a transfer")
    return end.value


def _checked(spec: JobSpec) -> Generator[None, None, TransferSpec]:
    """The check, in steps of a millisecond or so."""
    asked = spec.transfer
    if asked is None:
        raise AssertionError("only for specs with a transfer")
    for name in _ALONE:
        if getattr(spec, name) not in (None, (), {}, False):
            raise LabboxError(
                "invalid",
                f"cannot submit: a transfer has no {name}",
                "submit the run by itself, with --after",
            )
    sources = yield from _sources(asked)
    target = _target(asked)
    _check_verb(asked, sources, target)
    yield from _check_paths(asked)
    yield from _check_words(asked)
    if not 0 <= asked.wait <= LONGEST_WAIT:
        raise LabboxError(
            "invalid",
            f"cannot wait {asked.wait:g} seconds for a host",
            f"up to {format_duration(LONGEST_WAIT)}",
        )
    return msgspec.structs.replace(
        asked,
        sources=(yield from _texts(sources)),
        target=None if target is None else str(target),
    )


def transfer_name(asked: TransferSpec) -> str:
    """What a list calls it: "copy 3 items to ~/x"."""
    many = len(asked.sources)
    what = _shown_name(parse(asked.sources[0])) if many == 1 else f"{many} items"
    target = "" if asked.target is None else parse(asked.target).shown()
    return _WHOLE[asked.verb].format(what=what, target=target, undo=asked.undo)


def _named(asked: TransferSpec, kind: Kind) -> Iterable[Location]:
    """Of what it reads or writes, the locations of one kind; texts are as `check_transfer` leaves them."""
    texts = asked.sources if asked.target is None else (*asked.sources, asked.target)
    return (parse(text) for text in texts if text.startswith(f"{kind}:"))


def jobs_named(asked: TransferSpec) -> frozenset[int]:
    """The jobs whose results it reads or writes."""
    return frozenset(int(one.host) for one in _named(asked, Kind.JOB))


def hosts_named(asked: TransferSpec) -> tuple[str, ...]:
    """The other machines that it reaches, as `[user@]host[:port]`."""
    return tuple(dict.fromkeys(one.host for one in _named(asked, Kind.SFTP)))


def _sources(asked: TransferSpec) -> Generator[None, None, list[Location]]:
    if len(asked.sources) > MOST_SOURCES:
        raise LabboxError(
            "limit",
            f"cannot {asked.verb} {len(asked.sources):,} things at once, at most {MOST_SOURCES:,}",
            "name the folder that they stand in",
        )
    found = []
    for number, text in enumerate(asked.sources, start=1):
        found.append(parse(text))
        if number % _STEP == 0:
            yield
    return found


def _texts(locations: list[Location]) -> Generator[None, None, tuple[str, ...]]:
    found = []
    for number, location in enumerate(locations, start=1):
        found.append(str(location))
        if number % _STEP == 0:
            yield
    return tuple(found)


def _target(asked: TransferSpec) -> Location | None:
    return None if asked.target is None else parse(asked.target)


def _check_verb(asked: TransferSpec, sources: list[Location], target: Location | None) -> None:
    verb = asked.verb
    if verb is V.UNDO:
        if asked.undo is None or asked.undo < 1 or sources or target is not None:
            raise LabboxError("invalid", "cannot undo: name the job whose transfer is to be taken back")
        return
    if asked.undo is not None:
        raise LabboxError("invalid", f"cannot {verb} job {asked.undo}: only an undo names a job")
    if not sources:
        raise LabboxError("invalid", f"cannot {verb} nothing", "name at least one file or folder")
    if target is None and verb in _TARGETED:
        raise LabboxError("invalid", f"cannot {verb}: no target is named", "name a folder, as in ~/results")
    if target is not None and verb not in _TARGET_ALLOWED:
        raise LabboxError("invalid", f"cannot {verb} to {target.shown()}: that has no target")
    _check_archives(verb, sources, target)
    if len(sources) > 1 and (verb in _ONE_SOURCE or (asked.exact and verb is not V.PACK)):
        raise LabboxError("invalid", f"cannot {verb} {len(sources)} sources to one name", "name one source")
    if verb is V.PACK and target is not None and archive_ending(target.name) is None:
        raise LabboxError(
            "invalid",
            f"cannot pack into {target.shown()}: its ending says no kind of archive",
            "end it in .zip, .tar.gz or .tar.zst",
        )
    if asked.called and (verb is not V.CHECKSUM or len(asked.called) != len(sources)):
        raise LabboxError("invalid", "cannot name the sources so: each one of a checksum job has one name")
    if verb is V.FIND and asked.name is None and asked.text is None:
        raise LabboxError("invalid", "cannot search for nothing", "give a pattern for names, or a text")
    if verb is V.CHECKSUM and asked.algorithm != "blake3" and asked.algorithm not in _sums():
        known = ", ".join(("blake3", *sorted(_sums())))
        raise LabboxError(
            "invalid", f"cannot compute {visible_line(asked.algorithm[:40])} sums", f"there are {known}"
        )


def _check_archives(verb: V, sources: list[Location], target: Location | None) -> None:
    """What is in an archive can be read and copied out; a job that could only fail is not begun."""
    for one in sources if verb in (V.TRASH, V.ERASE, V.MOVE) else ():
        if one.inner is not None:
            raise archive_is_read_only(one, "move" if verb is V.MOVE else "delete")
    if target is not None and target.inner is not None and verb is not V.COMPARE:
        raise archive_is_read_only(target, "write to")


def _sums() -> frozenset[str]:
    return frozenset(one for one in hashlib.algorithms_guaranteed if not one.startswith("shake"))


def _check_paths(asked: TransferSpec) -> Generator[None, None, None]:
    paths = (*asked.only, *(one.path for one in asked.decisions))
    if len(paths) > MOST_PATHS:
        raise LabboxError("limit", f"cannot name {len(paths):,} files, at most {MOST_PATHS:,}")
    for number, path in enumerate(paths, start=1):
        if number % _STEP == 0:
            yield
        try:
            if len(path) > LONGEST:
                raise LabboxError("invalid", "cannot use a path of that length")
            _check_parts(path_of(path).split("/"))
        except LabboxError as error:
            raise LabboxError(
                "invalid",
                f"cannot use the path “{visible_line(path[:200])}”",
                "it begins with the source's own name, and is without . and ..",
            ) from error


def _check_parts(parts: Iterable[str]) -> None:
    for part in parts:
        check_name(part)


def _check_words(asked: TransferSpec) -> Generator[None, None, None]:
    if len(asked.exclude) > _MOST_PATTERNS:
        raise LabboxError("limit", f"cannot use {len(asked.exclude):,} patterns, at most {_MOST_PATTERNS:,}")
    yield
    for word in (*asked.exclude, *asked.called, asked.name or "", asked.text or ""):
        if (
            len(word) > _LONGEST_TEXT
            or "\0" in word
            or len(word.encode("utf-8", "surrogateescape")) > _LONGEST_TEXT
        ):
            raise LabboxError(
                "invalid",
                f"cannot use the pattern “{visible_line(word[:40])}”",
                f"at most {_LONGEST_TEXT} bytes",
            )
    if not math.isfinite(asked.wait):
        raise LabboxError("invalid", "cannot wait without an end")


def _shown_name(location: Location) -> str:
    return visible_line(location.name) if location.name else location.shown()
