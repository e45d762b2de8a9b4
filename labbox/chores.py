"""What wants more of root than the daemon has: each chore is a process of the spawner's, and ends with it.

The daemon asks for one by name. It can so be without the right to make devices, to change its root, to enter
another's namespaces and to change the packet filter, which only these need. Run as a program
(``python -m labbox.chores NAME WORD…``) where there is no spawner.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from labbox.confine import CLONE_NEWNET, enter_namespace
from labbox.firewall import raise_wall

Listening = tuple[str, int, bool]  # address, port, whether the loopback device needs the address first
MAX_LISTENERS: Final = 64  # of one run
_SIOCSIFADDR: Final = 0x8916


def _debootstrap(words: Sequence[str]) -> NoReturn:
    """Become debootstrap in the home that the first word says, with the passwords in it.

    Its protocol for an installer (`--debian-installer`) goes to standard output.
    """
    home, *rest = words
    os.dup2(1, 3)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.environ.update({"HOME": home, "LC_ALL": "C.UTF-8"})
    os.execvp("debootstrap", ["debootstrap", *rest])  # noqa: S606, S607 - found as root's own PATH has it


def _wall(words: Sequence[str]) -> int:
    """Raise the wall around a bridge; a sentence on standard output where that cannot be done."""
    os.write(1, raise_wall(words[0]).encode())
    return 0


def _listen(words: Sequence[str]) -> int:
    """Listen inside the network namespace of a process; the sockets go out through standard input.

    The words are a pid and a list of `Listening` as JSON. What goes wrong is told as an errno, in digits.
    """
    wanted = msgspec.json.decode(words[1], type=list[Listening])
    with socket.socket(fileno=os.dup(0)) as answer:
        made: list[socket.socket] = []
        try:
            namespace = os.open(f"/proc/{int(words[0])}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            enter_namespace(namespace, CLONE_NEWNET)
            made += [_listener(*one) for one in wanted]
        except OSError as error:
            answer.send(str(error.errno or errno.EIO).encode())
            return 1
        socket.send_fds(answer, [b"0"], [one.fileno() for one in made])
    return 0


def _remove_groups(words: Sequence[str]) -> int:
    """Remove empty control groups of runs; those that are in use, and what is no control group, stay."""
    for word in words:
        folder = Path(word)
        if folder.is_relative_to("/sys/fs/cgroup") and ".." not in folder.parts:
            with suppress(OSError):
                folder.rmdir()
    return 0


def _listener(address: str, port: int, add: bool) -> socket.socket:
    if add:
        _add_address(address)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((address, port))
    listening.listen(16)
    return listening


def _add_address(address: str) -> None:
    """Give the loopback device an address more, as `ifconfig lo:N ADDRESS` does (netdevice(7))."""
    alias = f"lo:{socket.inet_aton(address).hex()}".encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH2x4s8x", alias, socket.AF_INET, socket.inet_aton(address))
        fcntl.ioctl(control, _SIOCSIFADDR, request)


CHORES: Final[Mapping[str, Callable[[Sequence[str]], int]]] = {
    "debootstrap": _debootstrap,
    "wall": _wall,
    "listen": _listen,
    "groups": _remove_groups,
}


if __name__ == "__main__":
    sys.exit(CHORES[sys.argv[1]](sys.argv[2:]))
