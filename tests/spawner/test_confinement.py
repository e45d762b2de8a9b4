"""What holds a forked process, tried from inside: system calls, its own /tmp, its person's limits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from labbox import seccomp
from labbox.daemon.processes import Allowance, Process, Processes

pytestmark = [pytest.mark.root]

Run = Callable[..., Awaitable[tuple[Process, str]]]

CALLS = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *words):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *words)
    print(result, errno.errorcode.get(ctypes.get_errno(), "-"))
"""
NUMBER = 0 if os.uname().machine == "x86_64" else 1


@pytest.mark.attack("S19")
async def test_no_call_for_other_namespaces_memory_keys_or_the_kernel(
    run: Run, tried: Callable[..., None]
) -> None:
    code = CALLS
    names = [name for name in sorted(seccomp.SESSION) if seccomp.NUMBERS[name][NUMBER] is not None]
    for name in names:
        tried()
        code += f"call({seccomp.NUMBERS[name][NUMBER]}, 0, 0, 0, 0, 0)\n"
    _process, text = await run(code)
    assert text.splitlines() == ["-1 EPERM"] * len(names)


@pytest.mark.attack("S19")
async def test_no_namespace_by_clone_and_no_odd_socket(run: Run, tried: Callable[..., None]) -> None:
    clone, clone3 = (seccomp.NUMBERS[name][NUMBER] for name in ("clone", "clone3"))
    flags = [1 << bit for bit in (17, 25, 26, 27, 28, 29, 30)]
    code = CALLS + "".join(f"call({clone}, {flag | 17}, 0, 0, 0, 0)\n" for flag in flags)
    code += f"call({clone3}, 0, 0)\n"
    code += """
import socket, fcntl
for family in (*range(3, 10), *range(11, 16), *range(17, 46)):
    try:
        socket.socket(family, socket.SOCK_RAW if family == 17 else socket.SOCK_DGRAM)
    except OSError as error:
        print(errno.errorcode[error.errno])
    else:
        print("made", family)
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):
    socket.socket(family, socket.SOCK_RAW if family == socket.AF_NETLINK else socket.SOCK_STREAM).close()
for trick in (0x5412, 0x541c):
    try:
        fcntl.ioctl(0, trick, b"x")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""
    tried(len(flags) + 1 + 41 + 2)
    _process, text = await run(code)
    assert (
        text.splitlines() == ["-1 EPERM"] * len(flags) + ["-1 ENOSYS"] + ["EAFNOSUPPORT"] * 41 + ["EPERM"] * 2
    )


@pytest.mark.attack("S19")
async def test_a_program_of_others_is_held_as_well(run: Run, tried: Callable[..., None]) -> None:
    for words in (
        ("/usr/bin/unshare", "--user", "--map-root-user", "true"),
        ("/usr/bin/unshare", "--mount", "true"),
        ("/usr/bin/unshare", "--net", "true"),
    ):
        tried()
        process, _text = await run(kind="exec", argv=words)
        assert await process.wait() != 0
    process, _text = await run(kind="exec", argv=("/bin/sh", "-c", "true | cat && echo"))
    assert await process.wait() == 0


@pytest.mark.parametrize("processes", [Allowance(scratch=8 << 20)], indirect=True)
@pytest.mark.attack("S10")
async def test_scratch_is_bounded_and_nobody_elses(run: Run, ada: Any, tried: Callable[..., None]) -> None:
    code = """
import os, sys
for folder in ("/tmp", "/var/tmp", "/dev/shm"):
    print(set(os.listdir(folder)) <= {os.environ["HOME"].split("/")[2]})  # the way to the home stays
    name = f"{folder}/of-{sys.argv[0]}"
    got = 0
    file = os.open(name, os.O_RDWR | os.O_CREAT)
    try:
        os.posix_fallocate(file, 0, 64 << 20)
        got = 64 << 20
    except OSError:
        pass
    try:
        while True:
            got += os.write(file, bytes(1 << 20))
    except OSError:
        pass
    print(got <= 8 << 20)
"""
    for _ in range(2):  # the second sees nothing of the first
        tried(6)
        process, text = await run(code)
        assert await process.wait() == 0, text
        assert text.split() == ["True"] * 6
    assert not list(Path("/var/tmp").glob("of-*"))
    assert not list(Path("/dev/shm").glob("of-*"))


async def hold(processes: Processes, ada: Any, code: str, uid: int) -> tuple[Process, asyncio.Task[bytes]]:
    read, write = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    process = await processes.spawn(
        kind="command", name=f"p{uid}", uid=uid, gid=uid, home="/", argv=(code,), cwd="/",
        fds=(nothing, write, write), memory=1 << 30, processes=64,
    )  # fmt: skip
    os.close(write)
    os.close(nothing)

    def line() -> bytes:
        with os.fdopen(read, "rb") as stream:
            return stream.readline()

    return process, asyncio.create_task(asyncio.to_thread(line))


FORKS = """
import os, time
made = 0
try:
    while made < 60:
        if os.fork() == 0:
            time.sleep(600)
        made += 1
except OSError:
    pass
print(made, flush=True)
time.sleep(600)
"""
EATS = """
import time
held = bytearray()
for _ in range(48):
    held += b"x" * (1 << 20)
print("held", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("processes", [Allowance(processes=100)], indirect=True)
@pytest.mark.attack("S9")
async def test_processes_are_counted_by_person(
    processes: Processes, ada: Any, tried: Callable[..., None]
) -> None:
    """Each login may have 64; four of them together have no more than the person may."""
    started = []
    for _ in range(4):
        tried()
        started.append(await hold(processes, ada, FORKS, ada.uid))
        await started[-1][1]
    made = [int(await line) for _process, line in started]
    assert sum(made) <= 100
    other, line = await hold(processes, ada, FORKS, ada.uid + 1)
    assert int(await line) > 55  # somebody else's are not concerned
    for process in (other, *(process for process, _line in started)):
        await process.kill()
        await process.wait()


@pytest.mark.parametrize("processes", [Allowance(memory=160 << 20)], indirect=True)
@pytest.mark.attack("S9")
async def test_memory_is_counted_by_person(
    processes: Processes, ada: Any, tried: Callable[..., None]
) -> None:
    """Each login may have a gigabyte; together they end where the person's limit is, and nobody else does."""
    other, line = await hold(processes, ada, EATS, ada.uid + 1)
    assert await line == b"held\n"
    started = []
    for _ in range(5):
        tried()
        started.append(await hold(processes, ada, EATS, ada.uid))
        await started[-1][1]
    alive = [process for process, _line in started if not process.ended]
    assert len(alive) <= 3
    assert not other.ended
    for process in (other, *alive):
        await process.kill()
        await process.wait()
