"""Homes on the disk: made beside their place and renamed into it, so that no half is ever seen."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import stat
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from labbox.errors import LabboxError
from labbox.files.places.syscalls import rename_without_replacing

_log = logging.getLogger(__name__)

ROOT_UID: Final = 0
_KINDS: Final = ("homes", "results", "operations", "snapshots", "git")
_JOBS: Final = "jobs"
_FRESH: Final = ".new-"  # no user's name begins so


def as_root() -> bool:
    """Whether files can be given to other users."""
    return os.geteuid() == ROOT_UID


def prepare(state: Path, names: Collection[str]) -> None:
    """The folders that homes and results stand in.

    A home that a crash kept from its place gets there if its user is among `names`, those in the store;
    else it goes.
    """
    for kind in ("homes", "results"):
        folder = state / kind
        folder.mkdir(mode=0o711, exist_ok=True)
        folder.chmod(0o711)
    for name in names if as_root() else ():
        with suppress(OSError):  # no home, or no room: a link does until the next start
            _convert(state / "homes" / name, name)
    for half in (state / "homes").glob(f"{_FRESH}*"):
        name = half.name.removeprefix(_FRESH)
        if name in names:
            place(state, name)
        else:
            take_back(state, name)


def leftovers(state: Path, name: str) -> tuple[Path, ...]:
    """What stands on the disk under a user's name."""
    places = (state / kind / name for kind in _KINDS)
    return tuple(place for place in places if os.path.lexists(place))


def make(state: Path, name: str, uid: int, gid: int, skeleton: Path | None) -> None:
    """Results folder and home of a new user, the home still beside its place; `place` puts it there.

    Everything is copied as root into a folder that only root can enter, then given away: no path in it can be
    rearranged meanwhile. LabboxError "unavailable" where the disk does not take it.
    """
    fresh = state / "homes" / f"{_FRESH}{name}"
    results = state / "results" / name
    try:
        fresh.mkdir(mode=0o700)
        if skeleton is not None:
            shutil.copytree(skeleton, fresh, symlinks=True, dirs_exist_ok=True)
        fresh.chmod(0o700)
        _make_trash(fresh)
        results.mkdir(mode=0o750)
        results.chmod(0o750)
        if as_root():
            os.chown(results, ROOT_UID, gid)
            _give(fresh, uid, gid)
        _make_jobs(fresh, name)
    except OSError as error:
        take_back(state, name)
        raise LabboxError(
            "unavailable",
            f"cannot make a home for {name}: {error.strerror}",
            "see to the state folder's disk",
        ) from error


def _make_trash(home: Path) -> None:
    """As FreeDesktop has it, from the beginning: on a full disk there is no room for its folders."""
    folder = home
    for name, mode in ((".local", 0o700), ("share", 0o700), ("Trash", 0o700)):
        folder /= name
        folder.mkdir(mode=mode, exist_ok=True)
    for name in ("files", "info"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)


def place(state: Path, name: str) -> None:
    """Put the home of a user who is in the store in its place; at the next start if the disk refuses now."""
    try:
        (state / "homes" / f"{_FRESH}{name}").rename(state / "homes" / name)
    except OSError as error:
        raise LabboxError(
            "unavailable",
            f"cannot put the home of {name} in its place: {error.strerror}",
            "see to the state folder's disk, then start the box again",
        ) from error


def take_back(state: Path, name: str) -> None:
    """Undo `make` for a user who did not get into the store."""
    shutil.rmtree(state / "homes" / f"{_FRESH}{name}", ignore_errors=True)
    with suppress(OSError):
        (state / "results" / name / "latest").unlink(missing_ok=True)
        (state / "results" / name).rmdir()


def set_aside(state: Path, name: str, label: str) -> None:
    """Put a former user's folders where nobody who gets the name reaches them; it can be done again."""
    for place in leftovers(state, name):
        try:
            place.rename(place.with_name(label))
        except OSError as error:
            raise LabboxError(
                "unavailable",
                f"cannot put {place} aside: {error.strerror}",
                "see to the state folder's disk, then try again",
            ) from error


def drop_emptied(state: Path, name: str) -> None:
    """Remove the folders of a user that have been emptied; what still holds something stays."""
    for place in leftovers(state, name):
        with suppress(OSError):
            place.rmdir()


def _make_jobs(home: Path, name: str) -> None:
    """What leads to the results: a folder of root's over which each login sees them; without root a link."""
    if as_root():
        (home / _JOBS).mkdir(mode=0o755, exist_ok=True)
    else:
        (home / _JOBS).symlink_to(_link(name))


def _link(name: str) -> Path:
    return Path("../../results", name)  # relative: the state folder may move


def _convert(home: Path, name: str) -> None:
    """Put a folder where homes of earlier versions have a link; what is a person's own is renamed."""
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            found = os.stat(_JOBS, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            os.mkdir(_JOBS, 0o755, dir_fd=folder)
            return
        if stat.S_ISDIR(found.st_mode) and found.st_uid == ROOT_UID:
            return
        for number in itertools.count(1):
            aside = f"{_JOBS}-mine" if number == 1 else f"{_JOBS}-mine-{number}"
            with suppress(FileExistsError):
                rename_without_replacing(_JOBS, aside, folder, folder)
                break
        os.mkdir(_JOBS, 0o755, dir_fd=folder)
        says = os.readlink(aside, dir_fd=folder) if stat.S_ISLNK(found.st_mode) else ""
        if says in (str(_link(name)), str(home.parent.parent / "results" / name)):
            os.unlink(aside, dir_fd=folder)
        else:
            _log.info("what %s had at ~/jobs is now ~/%s", name, aside)
    finally:
        os.close(folder)


def _give(folder: Path, uid: int, gid: int) -> None:
    for parent, folders, files in os.walk(folder):
        for entry in (*folders, *files):
            os.chown(os.path.join(parent, entry), uid, gid, follow_symlinks=False)  # noqa: PTH118 - as walked
    os.chown(folder, uid, gid)
