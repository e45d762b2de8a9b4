"""What a snapshot is: a tree named by its manifest, and the half of a project that it is taken of."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, NamedTuple

from blake3 import blake3

from labbox.files.listing import File, Listing
from labbox.model import Value

TREE: Final = "tree-"
MANIFEST: Final = ".manifest"


class Tree(Value):
    """A snapshot: the folder `name` holds `files` with `size` bytes; `added` of them were not here before."""

    name: str
    files: int
    size: int
    added: int = 0


class Half(NamedTuple):
    """One folder to take: where it is open, what was found, links to add at its top, how to look again."""

    descriptor: int
    listing: Listing
    again: Callable[[], Listing]
    prefix: str = ""
    links: tuple[tuple[str, str], ...] = ()


def manifest_of(half: Half, digest_of: Callable[[File], bytes]) -> bytes:
    """The manifest of a tree: every entry with its kind, mode, size, digest and path, sorted by path."""
    lines: list[tuple[bytes, bytes]] = []
    for folder in half.listing.folders:
        if folder.path:
            lines.append((os.fsencode(folder.path), b"d 0755 0 -"))
        for file in folder.files:
            line = f"f {mode_of(file):04o} {file.size} {digest_of(file).hex()}"
            lines.append((os.fsencode(file.path), line.encode("ascii")))
        lines.extend(_link_line(link.path, link.target) for link in folder.links)
    lines.extend(_link_line(name, target) for name, target in half.links)
    lines.sort()
    return b"".join(b"%b %b\0" % (line, path) for path, line in lines)


def _link_line(path: str, target: str) -> tuple[bytes, bytes]:
    raw = os.fsencode(target)
    return os.fsencode(path), b"l 0777 %d %b" % (len(raw), blake3(raw).hexdigest().encode("ascii"))


def mode_of(file: File) -> int:
    """The mode of a file in a tree: a run may write its copy, and whoever copies it from the results too."""
    return 0o755 if file.executable else 0o644


def object_name(digest: bytes, file: File) -> str:
    """Where content stands below `objects`."""
    name = digest.hex()
    return f"{name[:2]}/{name[2:]}{'x' if file.executable else ''}"
