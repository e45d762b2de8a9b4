"""A single packed file, as data.csv.gz: an archive of one file, called so without the ending."""

from __future__ import annotations

from collections.abc import Iterator

from labbox.files.archives.limits import Limits
from labbox.files.archives.member import Member, What, Where
from labbox.files.archives.source import Source
from labbox.files.archives.tarread import TarReader
from labbox.locations import packed_ending

_PIECE = 1 << 20


class SingleReader(TarReader):
    """gzip, bzip2, xz, zstd around one file."""

    def __init__(self, source: Source, label: str, limits: Limits) -> None:
        """LabboxError where it is not packed at all."""
        super().__init__(source, label, limits)
        name = label.rpartition("/")[2]
        self._name_inside = name[: -len(packed_ending(name) or "")] or name
        if not self.whole:
            raise self._damaged("it is not packed as its name says")

    def members(self) -> Iterator[Member]:
        """The one file; it is unpacked once to know how long it is, within the limits of every archive."""
        stream, size = self._opened(), 0
        while piece := stream.some(_PIECE):
            size += len(piece)
        self._stream = self._opened()
        yield Member(self._name_inside, What.FILE, size, mode=0o644, where=Where(0, size))
