"""What a box stands on: a Python and an installation that its users can read, and the machine's programs.

A login and a worker are forked with all that is common imported, and import the rest as the user. Where that
cannot be read they would fail one by one, long after “ready”.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import uv

import labbox
from labbox.daemon.containers.run import BUSYBOX
from labbox.daemon.gate.launch import PATH, SFTP_SERVERS
from labbox.errors import LabboxError

_NOBODY: Final = 65534  # as any user who owns nothing here
_LONGEST: Final = 1 << 16  # bytes of an answer
_ENGINES_PATH: Final = (  # where engines look for docker-init
    "/usr/local/libexec/docker:/usr/libexec/docker:/usr/local/lib/docker:/usr/lib/docker"
    ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

PROGRAMS: Final = {
    "git": ("pushes and fetches", "apt-get install git"),
    "rsync": ("rsync", "apt-get install rsync"),
    "scp": ("old clients of scp", "apt-get install openssh-client"),
}


def check() -> None:
    """LabboxError "unavailable" where users cannot read what they need; without root there is one user."""
    if os.geteuid() != 0:
        return
    closed = _as_nobody(tuple(_needed()))
    if closed is None:
        return
    what, path, folder = closed
    raise LabboxError(
        "unavailable", f"cannot start: users cannot read {what}, {path}: {_why(folder)}", _hint(folder, path)
    )


def problems() -> list[str]:
    """What is missing on this machine, or closed to users, in sentences; may block for a moment."""
    found = []
    servers = [path for path in SFTP_SERVERS if Path(path).exists()]
    if not servers:
        found.append(
            "sftp and sshfs do not work: there is no sftp-server; apt-get install openssh-sftp-server"
        )
    elif os.geteuid() == 0 and not _open_to_all(Path(servers[0])):
        found.append(f"sftp and sshfs do not work: users may not run {servers[0]}; chmod 755 {servers[0]}")
    for name, (what, mend) in PROGRAMS.items():
        path = shutil.which(name, path=PATH)
        if path is None:
            found.append(f"{what} cannot be used: there is no {name}; {mend}")
        elif os.geteuid() == 0 and not _open_to_all(Path(path)):
            found.append(f"{what} cannot be used: users may not run {path}; chmod 755 {path}")
    found.extend(filter(None, (_no_uv(),)))
    return found


def _no_uv() -> str:
    try:
        path = uv.find_uv_bin()
    except FileNotFoundError:
        mend = "./autoboot.sh install brings it"
        return f"Python environments cannot be made: there is no uv beside labbox's Python; {mend}"
    if not os.access(path, os.X_OK):
        return f"Python environments cannot be made: {path} cannot be run; chmod 755 {path}"
    return ""


def no_jobs(init: str | None = None) -> str:
    """Why no container can be started on this machine, in a sentence; "" where nothing is missing.

    `init`: what the engine calls the program that it puts first into each container, where it says that it
    cannot run it. It says so when it is asked who it is; whether it is there by now is seen here.
    """
    if init is not None and shutil.which(init, path=_ENGINES_PATH) is None:
        return (
            f"the container engine has no {Path(init).name}, with which each run begins: apt-get install tini"
        )
    if not BUSYBOX.exists():
        return f"there is no {BUSYBOX}, with which each run begins: apt-get install busybox-static"
    if not BUSYBOX.stat().st_mode & stat.S_IXOTH:
        return f"runs may not execute {BUSYBOX}: chmod 755 {BUSYBOX}"
    return ""


def _needed() -> Iterator[tuple[str, str]]:
    """What users read, with the word for it; the folder before what is in it."""
    for path in (sys.executable, os.path.realpath(sys.executable)):
        yield "the Python that labbox runs with", path
    for name in ("stdlib", "platstdlib"):
        yield "the library of that Python", sysconfig.get_path(name)
    yield "labbox itself", os.path.dirname(labbox.__file__)  # noqa: PTH120 - as text
    for path in sys.path:
        if path.startswith("/") and Path(path).exists():
            yield "a folder of Python's path (PYTHONPATH, or the environment)", path
    for name in ("files", "tui", "cli", "client"):
        top = Path(labbox.__file__).with_name(name)
        for found in top.rglob("*.py"):
            yield "labbox itself", str(found)
    for module in tuple(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.startswith("/"):
            yield "a module that labbox uses", file


def _as_nobody(needed: tuple[tuple[str, str], ...]) -> tuple[str, str, str] | None:
    """The first that somebody without any rights cannot read, and the folder or file that keeps them out."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
            closed = next(filter(None, (_closed(what, path) for what, path in needed)), None)
            if closed is not None:
                os.write(writing, "\0".join(closed).encode("utf-8", "surrogateescape")[:_LONGEST])
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        told = answer.read()
    os.waitpid(child, 0)
    parts = told.decode("utf-8", "surrogateescape").split("\0")
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else None


def _closed(what: str, path: str) -> tuple[str, str, str] | None:
    wanted = os.R_OK | os.X_OK if os.path.isdir(path) else os.R_OK  # noqa: PTH112 - as text
    if os.access(path, wanted):
        return None
    real = Path(os.path.realpath(path))
    for chain in (Path(path), real):
        for above in reversed(chain.parents):
            if not os.access(above, os.X_OK):
                return what, path, str(above)
    return what, path, str(real)


def _why(path: str) -> str:
    mode = stat.S_IMODE(os.stat(path).st_mode)  # noqa: PTH116 - as text
    return f"{path} lets only its owner in (mode {mode:04o})"


def _hint(path: str, wanted: str) -> str:
    above = os.path.realpath(wanted) != path  # users only pass through it
    right = "o+x" if above else "-R o+rX" if Path(path).is_dir() else "o+r"
    if path == "/root" or path.startswith("/root/"):
        return (
            "install Python and labbox where everybody may read them: ./autoboot.sh install uses /opt/labbox"
            f" and the machine's Python; or open the folder: chmod {right} {path}"
        )
    return f"let everybody {'pass through' if above else 'read'} it: chmod {right} {path}"


def _open_to_all(path: Path) -> bool:
    found = path.resolve()
    return bool(found.stat().st_mode & stat.S_IXOTH) and all(
        above.stat().st_mode & stat.S_IXOTH for above in found.parents
    )
