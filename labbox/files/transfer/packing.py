"""Packing into archives and unpacking them; the archives themselves are made by `labbox.files.archives`."""

from __future__ import annotations

from labbox.errors import LabboxError
from labbox.files.transfer.running import Run


async def pack(one: Run) -> None:
    """Make an archive of the sources."""
    raise LabboxError("unavailable", "cannot pack: archives are not there yet", "")


async def unpack(one: Run) -> None:
    """Take everything out of archives."""
    raise LabboxError("unavailable", "cannot unpack: archives are not there yet", "")
