"""What the daemon says to the spawner, and how: messages and descriptors over one SEQPACKET socket.

Shared by `labbox.spawner` (which forks) and `labbox.daemon.processes` (which asks). Imports nothing heavy:
the spawner must stay small enough to be read in one sitting.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from pathlib import Path
from typing import Final, Literal

import msgspec

from labbox.errors import LabboxError
from labbox.model import Value

MAX_MESSAGE: Final = 128 * 1024  # bytes; below the default send buffer of a Unix socket
MAX_DESCRIPTORS: Final = 8
FIND_SECONDS: Final = 30.0  # for a spawner to be there: it imports everything first
_LOOK_SECONDS: Final = 0.05


class Mount(Value):
    """A bind mount for one process alone; `source` must be a path that only root can rearrange."""

    source: str
    target: str
    read_only: bool = True


class SpawnRequest(Value):
    """One process to fork.

    kind "tui": the interface; "command": a labbox verb, `argv` its words; "exec": the program `argv`;
    "worker": `labbox.files.worker.serve` on the descriptor 3.
    The descriptors sent along become 0, 1, 2 and from 3 on, in order; with `pty` the first one
    is for 0, 1 and 2, the slave of a pty, which becomes the controlling terminal; then those behind it are
    closed. A key such as Ctrl+C that is typed before reaches nobody.
    """

    id: int
    kind: Literal["tui", "command", "exec", "worker"]
    name: str  # the user's
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    argv: tuple[str, ...] = ()
    env: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    cwd: str | None = None
    pty: bool = False
    memory: int | None = None  # bytes
    processes: int | None = None
    mounts: tuple[Mount, ...] = ()
    results: str = ""  # as root: what is seen at `jobs` in the home; only root can rearrange its path
    sealed: bool = False  # as root: nothing on any disk can be written, whatever runs
    scratch: int | None = None  # bytes of its own /tmp, /var/tmp and /dev/shm together; None: the machine's
    keep: tuple[str, ...] = ()  # folders that stay in sight where they stand below one of those
    file_bytes: int | None = None  # no file may grow beyond this
    person_memory: int | None = None  # bytes of all processes of this uid together
    person_processes: int | None = None  # the same, counted
    wildcards: bool = False  # kind "exec": words with * ? [ that name files become their names, as in a shell
    descriptors: int = 0  # how many were sent along: the kernel drops those that the receiver has no room for


class ChoreRequest(Value):
    """One of `labbox.chores` to do as root, in a process that keeps the spawner's rights.

    Three descriptors are sent along, which become 0, 1 and 2.
    """

    id: int
    name: str
    words: tuple[str, ...] = ()
    env: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    descriptors: int = 3


class SignalRequest(Value):
    """Send a signal to a process that the spawner forked, with all its descendants if it is SIGKILL."""

    id: int
    signal: int


class Started(Value):
    """It runs; `pid` as the daemon sees it, and as root `first`, the first process of its namespace."""

    id: int
    pid: int
    first: int | None = None


class Ended(Value):
    """The process has ended: `code` as the shell counts (128+N for signal N); `error` if it never started."""

    id: int
    code: int
    error: str = ""


Request = SpawnRequest | ChoreRequest | SignalRequest
Answer = Started | Ended


class _Envelope(Value):
    spawn: SpawnRequest | None = None
    chore: ChoreRequest | None = None
    signal: SignalRequest | None = None
    started: Started | None = None
    ended: Ended | None = None


_decode = msgspec.json.Decoder(_Envelope).decode


def peer_uid(sock: socket.socket) -> int:
    """Whose process made the other end of a Unix socket (unix(7))."""
    _pid, uid, _gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)


def find(path: Path) -> socket.socket:
    """The daemon's end of the socket to the spawner that listens at `path`, as soon as one does.

    LabboxError where there is none in time, or where it is somebody else's.
    """
    deadline = time.monotonic() + FIND_SECONDS
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    while True:
        try:
            sock.connect(str(path))
        except OSError as error:  # the one before may be ending still
            if time.monotonic() > deadline:
                sock.close()
                raise LabboxError(
                    "unavailable",
                    f"cannot reach the spawner at {path}: {error.strerror or error}",
                    "journalctl -u labbox-spawner tells why",
                ) from error
            time.sleep(_LOOK_SECONDS)
        else:
            break
    if peer_uid(sock) != os.geteuid():
        sock.close()
        raise LabboxError("forbidden", f"cannot use the spawner at {path}: it is another user's")
    return sock


def send(sock: socket.socket, message: Request | Answer, descriptors: tuple[int, ...] = ()) -> None:
    """Send one message with its descriptors; ValueError above MAX_MESSAGE or MAX_DESCRIPTORS."""
    match message:
        case SpawnRequest():
            envelope = _Envelope(spawn=message)
        case ChoreRequest():
            envelope = _Envelope(chore=message)
        case SignalRequest():
            envelope = _Envelope(signal=message)
        case Started():
            envelope = _Envelope(started=message)
        case Ended():
            envelope = _Envelope(ended=message)
    data = msgspec.json.encode(envelope)
    if len(data) > MAX_MESSAGE or len(descriptors) > MAX_DESCRIPTORS:
        raise ValueError("cannot send to the spawner: the message is too large")
    socket.send_fds(sock, [data], list(descriptors))


def receive(sock: socket.socket) -> tuple[Request | Answer | None, list[int]]:
    """The next message and its descriptors; None where the other side has gone."""
    data, descriptors, _flags, _address = socket.recv_fds(sock, MAX_MESSAGE, MAX_DESCRIPTORS)
    if not data:
        return None, descriptors
    envelope = _decode(data)
    said = envelope.spawn or envelope.chore or envelope.signal or envelope.started or envelope.ended
    return said, descriptors
