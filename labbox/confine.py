"""What holds one forked process: namespaces, mounts, control groups, limits, and the loss of root for good.

Used by `labbox.spawner` alone, in the child it has just forked. Linux only. Without root nothing here is
called but `set_limits`.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from labbox import seccomp
from labbox.spawning import Mount, SpawnRequest

# <linux/sched.h>, <linux/mount.h>, <linux/prctl.h>
CLONE_NEWNS: Final = 0x00020000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE, _MS_SLAVE = 32, 4096, 16384, 1 << 18, 1 << 19
_MOUNT_SETATTR, _RECURSIVE, _RDONLY, _NOSUID = 442, 0x8000, 1, 2
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38

_SCRATCH: Final = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - each process has its own
_SCRATCH_FILES: Final = 100_000
_ITSELF: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILES: Final = 4096  # descriptors that one process may hold
OUT_OF_MEMORY_SCORE: Final = (
    500  # a login is ended before the daemon is, where the machine runs out of memory
)
_CONTROLLERS: Final = (
    "pids",
    "memory",
    "cpu",
)  # `cpu` with its default weight: each login has an equal share

_REFUSED: Final = seccomp.Filter(seccomp.SESSION, guarded=True)

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, doing: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {doing}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the namespaces that `flags` names; see the manual page of the same name."""
    _check(_libc.unshare(flags), "make a namespace")


def enter_namespace(descriptor: int, flags: int) -> None:
    """Enter the namespace of a descriptor, as setns(2) does."""
    _check(_libc.setns(descriptor, flags), "enter a namespace")


def end_with_parent(signal_number: int) -> None:
    """Have the kernel send this signal when the parent dies; is lost where the user id changes."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "follow the parent")


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode() if kind else None)
    data = options.encode() if options else None
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), data), f"mount on {target}")


def _bind(mount: Mount) -> None:
    _mount(mount.source, mount.target, None, _MS_BIND)
    flags = _MS_REMOUNT | _MS_BIND | _MS_NOSUID | _MS_NODEV | (_MS_RDONLY if mount.read_only else 0)
    _mount("none", mount.target, None, flags)


def private_mounts(request: SpawnRequest, workshop: Path) -> None:
    """A mount namespace with the user in passwd and group, an own /proc and /tmp, and the request's mounts.

    Mounts made outside later are seen here and unmounted here too (slave), so that a session pins no stick;
    where it is sealed they are not seen, for they could be written to.
    `workshop` is a folder of root's for the moment between writing a file and binding it.
    """
    unshare(CLONE_NEWNS)
    _mount("none", "/", None, _MS_REC | (_MS_PRIVATE if request.sealed else _MS_SLAVE))
    for name, text in (("passwd", _passwd(request)), ("group", _group(request))):
        made = workshop / f"{name}.{request.id}"
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.fchmod(descriptor, 0o644)
        os.write(descriptor, text)
        os.close(descriptor)
        _bind(Mount(source=str(made), target=f"/etc/{name}"))
        made.unlink()  # the mount keeps it
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    if request.scratch is not None:
        _private_scratch(request, request.scratch)
    for mount in request.mounts:
        if mount.source != mount.target or Path(mount.source).is_dir():  # a shared folder may have gone
            _bind(mount)
    if request.results:
        _show_results(request)
    if request.sealed:
        _set_attributes("/", _RECURSIVE, add=_RDONLY | _NOSUID)
        for folder in _SCRATCH if request.scratch is not None else ():
            if Path(folder).is_dir():
                _set_attributes(folder, 0, clear=_RDONLY)


def _show_results(request: SpawnRequest) -> None:
    """Bind the results over the folder for them in the home, reached by descriptors: the home is the user's.

    Where that is not root's folder, there is a link of an old box, or something of the user's: it stays.
    """
    opened: list[int] = []
    try:
        for name, above in ((request.results, None), (request.home, None), ("jobs", "home")):
            opened.append(os.open(name, _ITSELF, dir_fd=opened[1] if above else None))
        results, home, jobs = opened
        if os.fstat(jobs).st_uid != 0:
            return
        _mount(f"/proc/self/fd/{results}", f"/proc/self/fd/{jobs}", None, _MS_BIND)
        opened.append(os.open("jobs", _ITSELF, dir_fd=home))
        if os.path.samestat(os.fstat(opened[3]), os.fstat(results)):
            flags = _MS_REMOUNT | _MS_BIND | _MS_NOSUID | _MS_NODEV
            _mount("none", f"/proc/self/fd/{opened[3]}", None, flags)
    except (FileNotFoundError, NotADirectoryError):
        return
    finally:
        for one in opened:
            os.close(one)


def _private_scratch(request: SpawnRequest, size: int) -> None:
    """One small file system in memory under the three folders that everybody may write to.

    Where the box itself, or the person's home, stands below one of them, that stays in sight.
    """
    kept = _kept_in_sight(request)
    first = _SCRATCH[0]
    options = f"size={size},nr_inodes={_SCRATCH_FILES},mode=0755"
    _mount("labbox", first, "tmpfs", _MS_NOSUID | _MS_NODEV, options)
    made = [(folder, Path(first, str(number))) for number, folder in enumerate(_SCRATCH)]
    for folder, part in reversed(made):  # the first is covered last
        if not Path(folder).is_dir():
            continue
        part.mkdir()
        part.chmod(0o1777)
        _mount(str(part), folder, None, _MS_BIND)
    for path, descriptor in kept:
        place = Path(path)
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{descriptor}", path, None, _MS_BIND | _MS_REC)
        os.close(descriptor)


def _kept_in_sight(request: SpawnRequest) -> list[tuple[str, int]]:
    """The outermost folders below the scratch folders that the process needs, opened."""
    wanted = {*request.keep, request.home, request.cwd or "/", sys.prefix, *sys.path}
    below = sorted(path for path in wanted if path.startswith(tuple(f"{one}/" for one in _SCRATCH)))
    found: list[tuple[str, int]] = []
    for path in below:
        if not any(path == outer or path.startswith(f"{outer}/") for outer, _ in found):
            with suppress(FileNotFoundError, NotADirectoryError):
                found.append((path, os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)))
    return found


def mounts_of_its_own() -> None:
    """What the calling process mounts from here on ends with it."""
    unshare(CLONE_NEWNS)
    _mount("none", "/", None, _MS_REC | _MS_SLAVE)


def _set_attributes(path: str, flags: int, *, add: int = 0, clear: int = 0) -> None:
    """mount_setattr(2), whose number is the same on every machine; Linux 5.12."""
    wanted = struct.pack("QQQQ", add, clear, 0, 0)
    result = _libc.syscall(_MOUNT_SETATTR, -100, os.fsencode(path), flags, wanted, len(wanted))
    _check(result, f"seal {path}")


def _entries(path: str, name: str, number: int) -> list[str]:
    """The machine's own lines, without any that has this name or number."""
    lines = Path(path).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    fields = [(line, line.split(":")) for line in lines]
    return [line for line, parts in fields if len(parts) > 2 and parts[0] != name and parts[2] != str(number)]


def _passwd(request: SpawnRequest) -> bytes:
    own = f"{request.name}:x:{request.uid}:{request.gid}:{request.name}:{request.home}:/usr/sbin/nologin"
    lines = [*_entries("/etc/passwd", request.name, request.uid), own]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _group(request: SpawnRequest) -> bytes:
    lines = [*_entries("/etc/group", request.name, request.gid), f"{request.name}:x:{request.gid}:"]
    known = {line.split(":")[2] for line in lines}
    lines += [f"g{gid}:x:{gid}:{request.name}" for gid in request.groups if str(gid) not in known]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def set_limits(memory: int | None, processes: int | None, file_bytes: int | None = None) -> None:
    """Limits of the process itself; `memory` and `processes` are None where a control group holds them.

    RLIMIT_NPROC counts everything that the uid runs, containers too, so it is the second choice.
    """
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    if memory is not None:
        _lower(resource.RLIMIT_DATA, memory)
    if processes is not None:
        _lower(resource.RLIMIT_NPROC, processes)
    if file_bytes is not None:
        _lower(resource.RLIMIT_FSIZE, file_bytes)


def _lower(which: int, value: int) -> None:
    _soft, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def drop_root(request: SpawnRequest) -> None:
    """Groups, gid and uid of the user, for good: no program started from here gains anything back."""
    if request.uid == 0 or request.gid == 0 or 0 in request.groups:
        raise PermissionError("cannot run a session as root")
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "give up new privileges")
    os.setgroups(request.groups)
    os.setresgid(request.gid, request.gid, request.gid)
    os.setresuid(request.uid, request.uid, request.uid)
    if os.getresuid() != (request.uid,) * 3 or os.getresgid() != (request.gid,) * 3:
        raise PermissionError("cannot give up root")


def prepare() -> None:
    """What every child would make for itself."""
    with suppress(KeyError):  # a machine without a filter
        seccomp.made(_REFUSED, os.uname().machine)


def refuse_calls() -> None:
    """The system calls that no login and no worker needs, namespaces of their own among them."""
    seccomp.install(_libc, _REFUSED)


def expect_to_be_ended_first() -> None:
    """Tell the kernel which to end where the machine runs out of memory."""
    Path("/proc/self/oom_score_adj").write_text(str(OUT_OF_MEMORY_SCORE))


class ControlGroups:
    """A control group per forked process inside one per person, version 1 or 2, where they can be made.

    Logins, workers and transfers of a person stand side by side in the person's group, whose limits hold for
    all of them together, and which has a share of the processors like anybody else's.
    `controllers` are those that work here; the others' limits fall back to `set_limits`.
    """

    def __init__(self) -> None:
        """Make this box's own group beneath the one that the spawner runs in."""
        self._parents: dict[str, Path] = {}  # controller -> the folder that the groups are made in
        self._people: dict[int, int] = {}  # id of a request -> uid
        # uid -> the limits of a group that is there; it stays, for to make one takes as long as to fork
        self._known: dict[int, tuple[int | None, int | None]] = {}
        self._unified = False
        with suppress(OSError):  # no control groups, or not ours: limits per process remain
            self._find()

    @property
    def controllers(self) -> frozenset[str]:
        """The controllers that hold limits here."""
        return frozenset(self._parents)

    def _find(self) -> None:
        own = {}
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _number, names, path = line.split(":", 2)
            own.update(dict.fromkeys(names.split(","), path))
        root = Path("/sys/fs/cgroup")
        if (root / "cgroup.controllers").exists():
            self._unified = True
            _sweep(root / own[""].lstrip("/"))
            self._find_unified(root / own[""].lstrip("/"))
            return
        for name in _CONTROLLERS:
            if name in own and (root / name).is_dir():
                with suppress(OSError):
                    _sweep(root / name / own[name].lstrip("/"))
                    parent = root / name / own[name].lstrip("/") / group_name(os.getpid())
                    parent.mkdir(exist_ok=True)
                    self._parents[name] = parent

    def _find_unified(self, here: Path) -> None:
        """Version 2 lets a group hold processes or groups, not both: its processes move into a leaf first."""
        if (here / "cgroup.type").exists():  # all but the root of the hierarchy
            leaf = here / "labbox-main"
            leaf.mkdir(exist_ok=True)
            for pid in (here / "cgroup.procs").read_text().split():
                (leaf / "cgroup.procs").write_text(pid)
        parent = here / group_name(os.getpid())
        parent.mkdir(exist_ok=True)
        for name in _CONTROLLERS:
            with suppress(OSError):
                for folder in (here, parent):
                    (folder / "cgroup.subtree_control").write_text(f"+{name}")
                self._parents[name] = parent

    def _folders(self, uid: int) -> dict[Path, set[str]]:
        folders: dict[Path, set[str]] = {}
        for controller, parent in self._parents.items():
            folders.setdefault(parent / f"person-{uid}", set()).add(controller)
        return folders

    def make(self, request: SpawnRequest) -> None:
        """Make the group of this request with its limits, in that of its person."""
        self._people[request.id] = request.uid
        whole = request.person_memory, request.person_processes
        for person, controllers in self._folders(request.uid).items():
            if request.uid not in self._known:
                person.mkdir(exist_ok=True)
                self._prepare(person, controllers)
            if self._known.get(request.uid) != whole:
                self._limit(person, controllers, *whole)
            folder = person / str(request.id)
            folder.mkdir()
            self._limit(folder, controllers, request.memory, request.processes)
        self._known[request.uid] = whole

    def _prepare(self, person: Path, controllers: set[str]) -> None:
        """Have what a person's group limits hold for all the groups in it."""
        if self._unified:
            for name in controllers:
                (person / "cgroup.subtree_control").write_text(f"+{name}")
        elif "memory" in controllers:
            with suppress(OSError):  # always so from Linux 5.11 on
                (person / "memory.use_hierarchy").write_text("1")

    def _limit(self, folder: Path, controllers: set[str], memory: int | None, processes: int | None) -> None:
        if "pids" in controllers and processes is not None:
            (folder / "pids.max").write_text(str(processes))
        if "memory" in controllers and memory is not None:
            (folder / ("memory.max" if self._unified else "memory.limit_in_bytes")).write_text(str(memory))

    def join(self, request: SpawnRequest) -> None:
        """Move the calling process into the group of this request."""
        for person in self._folders(request.uid):
            (person / str(request.id) / "cgroup.procs").write_text("0")

    def remove(self, number: int) -> None:
        """Remove the group of a request that has ended; where the kernel still holds it, `close` does."""
        uid = self._people.pop(number, None)
        for person in self._folders(uid) if uid is not None else ():
            with suppress(OSError):
                (person / str(number)).rmdir()

    def close(self) -> None:
        """Remove all groups."""
        for parent in set(self._parents.values()):
            _remove_group(parent)


def group_name(pid: int) -> str:
    """The name of a spawner's control group; boxes in other pid namespaces may share the hierarchy."""
    return f"labbox-{Path('/proc/self/ns/pid').stat().st_ino}-{pid}"


def _sweep(above: Path) -> None:
    """Remove what spawners left that were killed: the groups of processes that are no more."""
    ours = group_name(0)[:-1]
    for group in above.glob(f"{ours}*"):
        number = group.name.removeprefix(ours)
        if number.isdigit() and not Path(f"/proc/{number}").exists():
            _remove_group(group)


def _remove_group(group: Path) -> None:
    """Remove a group and those in it; one that still holds a process stays."""
    for folder in group.iterdir():
        if folder.is_dir():
            _remove_group(folder)
    with suppress(OSError):
        group.rmdir()
