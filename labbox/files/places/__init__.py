"""Places: one interface for whatever holds files. The box's own disk, an archive, another host by SFTP.

A place is opened by the person's own process (session or worker), so the kernel or the other host decides
what they may do there. Paths are the `path` (in archives the `inner`) of a `labbox.locations.Location`.
One set of tests (`tests/files/places/conformance.py`) holds for every kind.
"""

from labbox.files.places.base import Attributes, Entry, EntryKind, Handle, Place, Traits

__all__ = ["Attributes", "Entry", "EntryKind", "Handle", "Place", "Traits"]
