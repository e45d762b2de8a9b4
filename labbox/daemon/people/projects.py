"""What people share: the folder of the whole lab, and projects, each a gid with a folder and members.

A folder belongs to root and to its group, with the setgid bit and a default access list, so that what one
puts there the others can work on. A session and a worker get the groups when they start: whoever is let go
of keeps them until their last process has ended. Each of these folders is a disk of its own to them: no
hard link leads out of it. What somebody owned in it stays with the project.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import struct
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from labbox.daemon.people import uids
from labbox.daemon.people.accounts import BOX, Account, Actor
from labbox.daemon.people.giving import Given, give
from labbox.daemon.store import Store, events, meta, users
from labbox.daemon.store import projects as stored
from labbox.daemon.store.audit import Trail
from labbox.daemon.store.times import now, stamp
from labbox.errors import LabboxError
from labbox.protocol import Project, ProjectPage
from labbox.text import counted, visible_line

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

_log = logging.getLogger(__name__)

_FORM: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}", re.ASCII)
_MODE: Final = 0o2770
_SHARED_GID: Final = "shared_gid"  # in the table meta
# <linux/posix_acl_xattr.h>: version, then tag, bits and id of each entry: owner, group rwx; others nothing
_OPEN_TO_GROUP: Final = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, bits, 0xFFFFFFFF) for tag, bits in ((0x01, 7), (0x04, 7), (0x20, 0))
)


class Allot(Protocol):
    """Gives an id that nobody has or had."""

    async def __call__(self, name: str, /) -> int:
        """For something of this name."""


class Projects:
    """The shared folder and the projects of the box."""

    def __init__(
        self,
        store: Store,
        state: Path,
        *,
        trail: Callable[[], Trail],
        allot: Allot,
        on_disk: Callable[..., Awaitable[Any]],
        regroup: Callable[[], None],
        told: Callable[[], None],
        first_uid: int,
        root: bool,
    ) -> None:
        """`regroup` is called when somebody's groups may have changed, `told` when there are new events."""
        self._first_uid = first_uid
        self._store = store
        self._state = state
        self._trail = trail
        self._allot = allot
        self._on_disk = on_disk
        self._regroup = regroup
        self._told = told
        self._root = root
        self._shared = os.getgid()
        self._projects: dict[str, Project] = {}

    async def start(self) -> None:
        """Make the folders that are missing, and learn who is in what."""
        if self._root:
            kept = await self._store.read(lambda db: meta.get(db, _SHARED_GID))
            self._shared = self._first_uid - uids.OWN if kept is None else int(kept)
            if kept is None:
                await self._store.write(lambda db: meta.put(db, _SHARED_GID, str(self._shared)))
        await self._on_disk(_make_folder, self._state / "shared", self._shared)
        await self._on_disk(_make_above, self._state / "projects")
        await self._read()
        for one in self._projects.values():
            await self._on_disk(_make_folder, self._folder(one.name), self._gid(one))

    def groups(self, name: str) -> tuple[int, ...]:
        """The groups that somebody's processes get besides their own."""
        if not self._root:
            return ()
        return (self._shared, *(one.gid for one in self._projects.values() if name in one.members))

    def shared_folder(self) -> str:
        """The folder of everybody."""
        return str(self._state / "shared")

    def folders(self, name: str) -> dict[str, str]:
        """The folders of the projects that somebody is in, by name."""
        return {
            one.name: str(self._folder(one.name)) for one in self._projects.values() if name in one.members
        }

    def apart(self, name: str) -> tuple[str, ...]:
        """The folders that somebody's processes see as disks of their own."""
        return (self.shared_folder(), *self.folders(name).values()) if self._root else ()

    def page(self, account: Account) -> ProjectPage:
        """The projects that somebody is in; all of them for administrators."""
        return ProjectPage(
            projects=tuple(
                one for one in self._projects.values() if account.admin or account.name in one.members
            )
        )

    async def add(self, name: str, members: Collection[str], by: Actor) -> Project:
        """A new project with a folder and a group of its own."""
        _check_name(name)
        folder = self._folder(name)
        if name in self._projects:
            raise LabboxError("conflict", f"cannot add the project {name}: there is one of that name")
        if await self._on_disk(os.path.lexists, folder):
            raise LabboxError(
                "conflict",
                f"cannot add the project {name}: {folder} of an earlier one is still there",
                "move it away first, so that nobody gets others' files; or choose another name",
            )
        gid = await self._allot(f"project {name}")

        def write(db: Connection) -> None:
            stored.insert(db, name, gid)
            for member in members:
                _join(db, name, member)
            self._record(db, by, "project add", name, ", ".join(members))

        await self._store.write(write)
        await self._read()
        await self._on_disk(_make_folder, folder, self._gid(self._projects[name]))
        return self._projects[name]

    async def remove(self, name: str, *, delete_files: bool, by: Actor) -> None:
        """Forget a project; its folder stays where that is not to be deleted."""
        self._required(name)

        def write(db: Connection) -> None:
            stored.delete(db, name)
            detail = "files are deleted" if delete_files else "files are kept"
            self._record(db, by, "project remove", name, detail)

        await self._store.write(write)
        await self._read()
        if delete_files:
            await self._on_disk(_delete, self._folder(name))

    async def join(self, name: str, member: str, by: Actor) -> Project:
        """Take somebody into a project; their next session and their next worker have its group."""
        self._required(name)

        def write(db: Connection) -> None:
            _join(db, name, member)
            self._record(db, by, "project member add", name, member)

        await self._store.write(write)
        await self._read()
        return self._projects[name]

    async def leave(self, name: str, member: str, by: Actor) -> Project:
        """Let somebody go; what they own in the folder is given to the project."""
        self._required(name)

        def write(db: Connection) -> int:
            if not stored.leave(db, name, member):
                raise LabboxError(
                    "not_found", f"cannot take {visible_line(member[:80])} out of {name}: they are not in it"
                )
            self._record(db, by, "project member remove", name, member)
            user = users.find(db, member)
            return 0 if user is None else user.uid

        uid = await self._store.write(write)
        await self._read()
        if uid:
            await self._give(self._projects[name], uid)
        return self._projects[name]

    async def left(self, account: Account, _delete_files: bool) -> None:
        """Somebody is being removed from the box: whoever gets their name later begins without."""

        def write(db: Connection) -> None:
            for one in stored.everything(db):
                stored.leave(db, one.name, account.name)

        await self._store.write(write)
        await self._read()

    async def take_over(self, uid: int) -> None:
        """Give what somebody who has gone owned in any project's folder to that project."""
        for one in list(self._projects.values()):
            await self._give(one, uid)

    async def _give(self, project: Project, uid: int) -> None:
        if not self._root:
            return
        folder = self._folder(project.name)
        try:
            given = await asyncio.to_thread(give, folder, uid, project.gid, _OPEN_TO_GROUP)
        except OSError as error:
            _log.warning("%s cannot be looked through: %s", folder, error.strerror)
            return
        if given != Given():
            detail = (
                f"of uid {uid}: {counted(given.things, 'thing')}; {counted(given.links, 'hard link')} closed"
            )
            await self._store.write(
                lambda db: self._record(db, BOX, "project files given", project.name, detail)
            )

    async def _read(self) -> None:
        found = await self._store.read(stored.everything)
        self._projects = {one.name: one for one in found}
        self._regroup()
        self._told()

    def _required(self, name: str) -> Project:
        found = self._projects.get(name)
        if found is None:
            raise LabboxError(
                "not_found",
                f"cannot find a project “{visible_line(name[:80])}”",
                "labbox project list shows all",
            )
        return found

    def _record(self, db: Connection, by: Actor, action: str, name: str, detail: str) -> None:
        self._trail().record(db, by.name, action, name, by.origin, detail)
        events.append(db, at=stamp(now()), kind="project", owner=by.name)

    def _folder(self, name: str) -> Path:
        return self._state / "projects" / name

    def _gid(self, project: Project) -> int:
        return project.gid if self._root else os.getgid()


def _join(db: Connection, name: str, member: str) -> None:
    if users.find(db, member) is None or member in users.leaving(db):
        raise LabboxError(
            "not_found",
            f"cannot find a user “{visible_line(member[:80])}”",
            "labbox user list shows all",
        )
    stored.join(db, name, member)


def _check_name(name: str) -> None:
    if not _FORM.fullmatch(name):
        raise LabboxError(
            "invalid",
            f"cannot use “{visible_line(name[:80])}” as a project's name",
            "a name begins with a letter a-z or a digit; then also . _ and -, 32 in all",
        )


def _make_above(folder: Path) -> None:
    folder.mkdir(mode=0o711, exist_ok=True)
    folder.chmod(0o711)


def _make_folder(folder: Path, gid: int) -> None:
    """A folder of root's and of a group's; the path above is root's alone."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.geteuid() == 0:
            os.fchown(descriptor, 0, gid)
        os.fchmod(descriptor, _MODE)
        os.setxattr(descriptor, "system.posix_acl_default", _OPEN_TO_GROUP)
    except OSError as error:  # a file system without access lists: people see to the modes of what they share
        _log.info("%s keeps no access list: %s", folder, error.strerror)
    finally:
        os.close(descriptor)


def _delete(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except (OSError, RecursionError) as error:
        raise LabboxError(
            "unavailable",
            f"cannot delete all of {folder}: {error}",
            "see to the disk, then remove it by hand",
        ) from error
