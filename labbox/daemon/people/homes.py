"""Homes on the disk: made beside their place and renamed into it, so that no half is ever seen."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from labbox.errors import LabboxError

ROOT_UID = 0


def as_root() -> bool:
    """Whether files can be given to other users."""
    return os.geteuid() == ROOT_UID


def prepare(state: Path) -> None:
    """The folders that homes and results stand in; what died half-made at an earlier start goes."""
    for name in ("homes", "results"):
        folder = state / name
        folder.mkdir(mode=0o711, exist_ok=True)
        folder.chmod(0o711)
    for half in (state / "homes").glob(".new-*"):
        shutil.rmtree(half)


def leftovers(state: Path, name: str) -> tuple[Path, ...]:
    """What stands on the disk under a user's name."""
    places = (state / kind / name for kind in ("homes", "results", "snapshots", "git"))
    return tuple(place for place in places if os.path.lexists(place))


def make(state: Path, name: str, uid: int, gid: int, skeleton: Path | None) -> None:
    """Home and results folder of a new user.

    Everything is copied as root into a folder that only root can enter, then given away, then put in place: no
    path in it can be rearranged meanwhile. LabboxError "unavailable" where the disk does not take it.
    """
    home = state / "homes" / name
    fresh = home.with_name(f".new-{name}")
    results = state / "results" / name
    try:
        fresh.mkdir(mode=0o700)
        if skeleton is not None:
            shutil.copytree(skeleton, fresh, symlinks=True, dirs_exist_ok=True)
        fresh.chmod(0o700)
        (fresh / "jobs").symlink_to(Path("../../results", name))  # relative: the state folder may move
        results.mkdir(mode=0o750)
        results.chmod(0o750)
        if as_root():
            os.chown(results, ROOT_UID, gid)
            _give(fresh, uid, gid)
        fresh.rename(home)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        with suppress(OSError):
            results.rmdir()
        raise LabboxError(
            "unavailable",
            f"cannot make a home for {name}: {error.strerror}",
            "see to the state folder's disk",
        ) from error


def take_back(state: Path, name: str) -> None:
    """Undo `make` for a user who was never let in: nobody else has written there."""
    shutil.rmtree(state / "homes" / name, ignore_errors=True)
    shutil.rmtree(state / "results" / name, ignore_errors=True)


def drop_emptied(state: Path, name: str) -> None:
    """Remove the folders of a user that have been emptied; what still holds something stays."""
    for place in leftovers(state, name):
        with suppress(OSError):
            place.rmdir()


def _give(folder: Path, uid: int, gid: int) -> None:
    for parent, folders, files in os.walk(folder):
        for entry in (*folders, *files):
            os.chown(os.path.join(parent, entry), uid, gid, follow_symlinks=False)  # noqa: PTH118 - as walked
    os.chown(folder, uid, gid)
