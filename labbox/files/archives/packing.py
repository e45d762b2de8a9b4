"""Packing: sources in a fixed order into a new archive; the same files make the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

from labbox.errors import LabboxError
from labbox.files.archives.chain import Parts
from labbox.files.archives.hooks import Hooks
from labbox.files.archives.reading import kinds
from labbox.files.archives.sinks import FileSink, PackingSink, Sink
from labbox.files.archives.sparse import Stretches
from labbox.files.archives.tarwrite import TarWriter
from labbox.files.archives.tree import Reading, Tree, walk
from labbox.files.archives.zipwrite import ZipWriter
from labbox.files.listing import shown
from labbox.files.places.base import Entry, EntryKind
from labbox.locations import archive_ending

_STEP: Final = 1 << 20
_STRETCHES: Final = 10_000  # of a file with more holes they are packed as zeros
_PACKERS: Final = {
    ".tar": "",
    ".tar.gz": "gzip",
    ".tgz": "gzip",
    ".tar.bz2": "bzip2",
    ".tbz2": "bzip2",
    ".tar.xz": "xz",
    ".txz": "xz",
    ".tar.zst": "zstd",
    ".tzst": "zstd",
}


class Packed(NamedTuple):
    """One source: a tree, and the name of its top in the archive."""

    tree: Tree
    name: str


class Writer(Protocol):
    """An archive that is being written."""

    def folder(self, path: str, entry: Entry) -> None:
        """Add a folder."""
        ...

    def link(self, path: str, entry: Entry, says: str) -> None:
        """Add a symbolic link."""
        ...

    def same(self, path: str, entry: Entry, other: str) -> bool:
        """Add another name of a file; False where that cannot be."""
        ...

    def begin(self, path: str, entry: Entry, stretches: Stretches | None = None) -> None:
        """Add a file, whose bytes come by `data`; `stretches`: what of it is no hole."""
        ...

    def data(self, data: bytes) -> None:
        """The next bytes of the file that was begun."""
        ...

    def end(self) -> None:
        """The file is complete."""
        ...

    def finish(self) -> None:
        """All came."""
        ...


def check_kind(name: str) -> str:
    """The ending of a name, if that is one that can be packed; LabboxError otherwise."""
    ending = archive_ending(name)
    if ending == ".7z":
        raise LabboxError(
            "invalid",
            f"cannot pack into {shown(name)}: labbox reads 7z, and does not write it",
            "name it .tar.zst, which is as small and quicker, or .zip",
        )
    if ending is None:
        raise LabboxError(
            "invalid", f"cannot pack into {shown(name)}: its ending does not say what it should be", kinds()
        )
    return ending


def writer(name: str, sink: FileSink) -> Writer:
    """The writer for an archive that will be called `name`."""
    ending = check_kind(name)
    if ending == ".zip":
        return ZipWriter(sink)
    below: Sink = PackingSink(sink, _PACKERS[ending]) if _PACKERS[ending] else sink
    return TarWriter(below)


class Packing:
    """One archive on its way; blocks."""

    def __init__(self, target: Writer, hooks: Hooks, depth: int, own: tuple[int, int] | None = None) -> None:
        """`own`: device and inode of the archive itself, which is not packed into itself."""
        self._writer, self._hooks, self._depth, self._own = target, hooks, depth, own
        self._seen: dict[tuple[int, int], str] = {}  # files with several names: the first one

    def run(self, sources: Sequence[Packed]) -> None:
        """Pack all; LabboxError where the archive cannot be written."""
        for source in sources:
            for found in walk(source.tree, partial(self._wants, source.name), self._depth):
                path = "/".join((source.name, *found.parts))
                self._hooks.tick(path)
                if found.entry is None:
                    if found.error is not None:
                        self._hooks.fail(path, found.error)
                elif found.entry.identity is None or found.entry.identity != self._own:
                    self._one(source.tree, found.parts, path, found.entry)
        self._writer.finish()

    def _wants(self, top: str, parts: Parts, folder: bool) -> bool:
        path = "/".join((top, *parts))
        return self._hooks.wants(path, parts[-1] if parts else top, folder=folder)

    def _one(self, tree: Tree, parts: Parts, path: str, entry: Entry) -> None:
        match entry.kind:
            case EntryKind.FOLDER:
                self._writer.folder(path, entry)
                self._hooks.done(path, EntryKind.FOLDER, 0)
            case EntryKind.LINK:
                self._writer.link(path, entry, entry.target or "")
                self._hooks.done(path, EntryKind.LINK, 0)
            case EntryKind.FILE:
                self._file(tree, parts, path, entry)
            case EntryKind.OTHER:
                why = f"cannot pack {shown(path)}: it is a device, a pipe or a socket"
                self._hooks.fail(path, LabboxError("invalid", why, "it was left out"))

    def _file(self, tree: Tree, parts: Parts, path: str, entry: Entry) -> None:
        if entry.links > 1 and entry.identity is not None:
            first = self._seen.get(entry.identity)
            if first is not None and self._writer.same(path, entry, first):
                self._hooks.moved(entry.size)
                self._hooks.done(path, EntryKind.FILE, entry.size)
                return
        try:
            reading = tree.open(parts)
        except LabboxError as error:
            self._hooks.fail(path, error)
            return
        try:
            wrong = self._content(reading, path)
        finally:
            reading.close()
        if wrong is not None:
            self._hooks.fail(path, wrong)
            return
        if entry.links > 1 and entry.identity is not None:
            self._seen.setdefault(entry.identity, path)
        self._hooks.done(path, EntryKind.FILE, entry.size)

    def _content(self, reading: Reading, path: str) -> LabboxError | None:
        """Pack one open file; why it is not what it should be, if so."""
        entry = reading.entry
        if entry.size <= _STEP:  # what is read before its header is written always fits it
            try:
                data = reading.read_at(0, _STEP + 1)
            except LabboxError as error:
                return error
            if len(data) <= _STEP:
                self._writer.begin(path, entry._replace(size=len(data)))
                self._writer.data(data)
                self._writer.end()
                self._hooks.moved(len(data))
                return None
        return self._long(reading, path, entry)

    def _long(self, reading: Reading, path: str, entry: Entry) -> LabboxError | None:
        stretches = _stretches(reading, entry) if isinstance(self._writer, TarWriter) else None
        self._writer.begin(path, entry, stretches)
        wrong: LabboxError | None = None
        for start, length in ((0, entry.size),) if stretches is None else stretches:
            at, end = start, start + length
            while at < end and wrong is None:
                try:
                    data = reading.read_at(at, min(_STEP, end - at))
                except LabboxError as error:
                    wrong = error
                    break
                if not data:
                    wrong = _changed(path)
                    break
                self._writer.data(data)
                self._hooks.moved(len(data))
                at += len(data)
        if wrong is not None and isinstance(self._writer, ZipWriter):
            self._writer.undo()
            return wrong
        self._writer.end()
        if wrong is not None:  # its header is written already, and says how long it is
            self._hooks.not_kept(f"{shown(path)} is in the archive with zeros where it could not be read")
        return wrong


def _stretches(reading: Reading, entry: Entry) -> Stretches | None:
    """What of a file is no hole; None where it has none."""
    if entry.blocks is not None and entry.blocks >= entry.size:
        return None
    found: list[tuple[int, int]] = []
    at = 0
    while (stretch := reading.data_from(at)) is not None:
        start, at = stretch
        found.append((start, at - start))
        if len(found) > _STRETCHES:
            return None
    if found == [(0, entry.size)]:
        return None
    return tuple(found) if found and found[-1][0] + found[-1][1] == entry.size else (*found, (entry.size, 0))


def _changed(path: str) -> LabboxError:
    return LabboxError(
        "conflict",
        f"cannot pack {shown(path)}: it became shorter meanwhile",
        "pack it again when it is at rest",
    )
