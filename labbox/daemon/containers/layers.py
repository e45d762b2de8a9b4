"""Folders of a run that it may write although they hold a snapshot: copy on write, thrown away with the run.

The engine itself mounts an overlay when it starts the container and unmounts it when that has ended, so the
mount is part of the container's definition and lives as long, whatever becomes of the daemon. In the spool:

    upper/   what the run wrote, changed or removed; the user's
    work/    the kernel's, for the overlay
    copy/    the whole snapshot, the user's, instead of both where no overlay can be mounted

The folder that holds these is root's alone: nobody reaches what is in it but through a descriptor.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from labbox.model import Value

UPPER, WORK, COPY = "upper", "work", "copy"

# Those whose upper folders the kernel refuses, or does not keep; any other is tried.
_NO_UPPER: Final = frozenset(
    {"overlay", "aufs", "nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "vfat", "exfat", "ecryptfs", "afs"}
)
# Folders of the snapshot may be renamed; a file is copied whole; the same may be mounted again at once.
_OPTIONS: Final = "redirect_dir=on,metacopy=off,index=off"


class Layer(Value):
    """A snapshot that a run sees at `targets` and may write; `changes` is the folder described above."""

    name: str
    tree: Path
    changes: Path
    targets: tuple[str, ...]
    copied: bool = False  # `changes` holds a copy, there is no overlay

    @property
    def written(self) -> Path:
        """Where what the run wrote stands."""
        return self.changes / (COPY if self.copied else UPPER)


def make(changes: Path, uid: int, gid: int) -> None:
    """Make the folders for an overlay, where they are missing."""
    changes.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, mode in ((UPPER, 0o755), (WORK, 0o700)):
        with suppress(FileExistsError):
            (changes / name).mkdir(mode=mode)
        if name == UPPER and os.geteuid() == 0:  # also one that a daemon made that was killed then
            os.chown(changes / name, uid, gid, follow_symlinks=False)


def volume_name(container: str, layer: str) -> str:
    """The volume of a container's layer: it comes and goes with the container."""
    return f"{container}.{layer}"


def volume_mounts(layer: Layer, container: str, labels: dict[str, str]) -> list[dict[str, Any]]:
    """The engine's words for a layer that is an overlay."""
    options = f"lowerdir={layer.tree},upperdir={layer.changes / UPPER},workdir={layer.changes / WORK}"
    return [
        {
            "Type": "volume",
            "Source": volume_name(container, layer.name),
            "Target": target,
            "VolumeOptions": {
                "NoCopy": True,
                "Labels": labels,
                "DriverConfig": {
                    "Name": "local",
                    "Options": {"type": "overlay", "device": "overlay", "o": f"{options},{_OPTIONS}"},
                },
            },
        }
        for target in layer.targets
    ]


def may_overlay(folder: Path) -> bool:
    """Whether an overlay over a folder is worth trying: by its path, and by its file system."""
    path = str(folder.resolve())
    return (
        not set(path) & set(",:\\")
        and _kind_of(path) not in _NO_UPPER
        and not _kind_of(path).startswith("fuse")
    )


def _kind_of(path: str) -> str:
    """The type of the file system that a path is on."""
    found, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].encode().decode("unicode_escape")
        if path.startswith(point.rstrip("/") + "/") and len(point) >= len(
            found
        ):  # a later mount hides earlier ones
            found, kind = point, after.split(" ")[0]
    return kind
