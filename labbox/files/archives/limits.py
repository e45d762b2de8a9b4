"""How much an archive may ask of the box: what it holds is somebody else's, and may be made to harm."""

from __future__ import annotations

from typing import Final

from labbox.errors import LabboxError
from labbox.files.listing import shown
from labbox.model import Value
from labbox.text import format_bytes

_SECONDS: Final = 120
_PACE: Final = 128 << 10  # packed bytes a second: bzip2 at its slowest does ten times that
_FREE: Final = 1 << 30  # bytes that come out of any archive, however small it is


class Limits(Value):
    """Caps; each is refused in words that name it."""

    entries: int = 2_000_000  # of an archive that is unpacked
    listed: int = 1_000_000  # of one that is looked into: its list is held in memory
    listed_names: int = 256 << 20  # bytes of names of such a list
    size: int = 8 << 40  # bytes that all files have together, holes counted
    ratio: int = 250  # times the archive's own size, once more than a gibibyte came out of it
    depth: int = 300  # folders inside each other; each holds a descriptor while it is written
    header: int = 4 << 20  # bytes that tell of one entry
    kept: int = 16 << 30  # bytes of a packed file that are kept on disk while it is looked at
    memory: int = 1 << 30  # bytes that reading may take: xz asks for up to half of it

    def seconds(self, packed: int) -> int:
        """Seconds of the processor that reading an archive of `packed` bytes may take."""
        return _SECONDS + packed // _PACE

    def check_size(self, archive: str, out: int, packed: int) -> None:
        """LabboxError where `out` bytes from an archive of `packed` are more than it can mean well."""
        if out > self.size:
            raise too_much(archive, f"more than {format_bytes(self.size)} come out of it")
        if out > _FREE and out > self.ratio * packed:
            raise too_much(
                archive,
                f"it is {format_bytes(packed)} and more than {self.ratio} times that comes out of it",
            )

    def check_entries(self, archive: str, count: int, *, listed: bool = False) -> None:
        """LabboxError where it holds more than the cap."""
        most = self.listed if listed else self.entries
        if count > most:
            raise too_much(archive, f"it holds more than {most:,} entries")


def too_much(archive: str, why: str) -> LabboxError:
    """An archive that goes beyond a cap."""
    return LabboxError(
        "limit",
        f"cannot take all of {shown(archive)}: {why}",
        "if you trust it, unpack it with tar or unzip in a job, where memory and disk are limited",
    )


def damaged(archive: str, why: str) -> LabboxError:
    """An archive, or a file in one, that is not what it should be."""
    return LabboxError(
        "invalid",
        f"cannot read {shown(archive)}: {why}",
        "fetch it again from where it came, or test it there",
    )
