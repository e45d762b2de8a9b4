"""Which reader an archive takes: its name says which family, its first bytes how that is packed."""

from __future__ import annotations

from labbox.errors import LabboxError
from labbox.files.archives.limits import Limits
from labbox.files.archives.member import Reader
from labbox.files.archives.source import Source
from labbox.files.listing import shown
from labbox.locations import ARCHIVES, archive_ending


def reader(source: Source, label: str, limits: Limits) -> Reader:
    """A reader for an archive that is called `label`; blocks. LabboxError where it is none."""
    ending = archive_ending(label.rpartition("/")[2])
    if ending == ".zip":
        from labbox.files.archives.zipread import ZipReader

        return ZipReader(source, label, limits)
    if ending == ".7z":
        from labbox.files.archives.sevenzip import SevenZipReader

        return SevenZipReader(source, label, limits)
    if ending is not None:
        from labbox.files.archives.tarread import TarReader

        return TarReader(source, label, limits)
    raise LabboxError(
        "invalid", f"cannot open {shown(label)} as an archive: its name does not end like one", kinds()
    )


def kinds() -> str:
    """What names of archives end with, for hints."""
    return "archives end with " + ", ".join(ARCHIVES)
