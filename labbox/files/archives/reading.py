"""Which reader an archive takes: its name says which family, its first bytes how that is packed."""

from __future__ import annotations

from collections.abc import Callable

from labbox.errors import LabboxError
from labbox.files.archives.limits import Limits
from labbox.files.archives.member import Parser, Reader
from labbox.files.archives.singleread import SingleReader
from labbox.files.archives.source import Source
from labbox.files.archives.tarread import TarReader
from labbox.files.archives.zipread import ZipReader
from labbox.files.listing import shown
from labbox.locations import ARCHIVES, archive_ending, packed_ending


def reader(
    source: Source,
    label: str,
    limits: Limits,
    *,
    unpacking: bool = False,
    idle: Callable[[], None] = lambda: None,
) -> Reader:
    """A reader for an archive that is called `label`; blocks. LabboxError where it is none.

    `unpacking`: the bytes of all files are wanted in the order of the list. `idle` is called now and then
    while the archive keeps one waiting, and may raise to end that.
    """
    ending = archive_ending(label.rpartition("/")[2]) or packed_ending(label.rpartition("/")[2])
    if ending == ".7z":
        from labbox.files.archives.sevenzip import SevenZipReader

        return SevenZipReader(source, label, limits)
    if ending is not None:
        from labbox.files.archives.confinedreader import ConfinedReader

        step = 2_000_000_000 if ending == ".zip" else 1_000_000_000
        return ConfinedReader(source, label, limits, step, unpacking=unpacking, idle=idle)
    raise LabboxError(
        "invalid", f"cannot open {shown(label)} as an archive: its name does not end like one", kinds()
    )


def parser(source: Source, label: str, limits: Limits) -> Parser:
    """In the confined child: what understands the archive."""
    if packed_ending(label.rpartition("/")[2]) is not None:
        return SingleReader(source, label, limits)
    made = ZipReader if archive_ending(label.rpartition("/")[2]) == ".zip" else TarReader
    return made(source, label, limits)


def kinds() -> str:
    """What names of archives end with, for hints."""
    return "archives end with " + ", ".join(ARCHIVES)
