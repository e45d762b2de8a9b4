"""What a child that parses outside formats can do: nothing."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from labbox.errors import LabboxError
from labbox.files.viewing import apart
from labbox.files.viewing.apart import Limits
from labbox.files.viewing.source import Source

Open = Callable[[Path], Awaitable[Source]]
Tell = Callable[[object], None]


@pytest.fixture
async def source(tmp_path: Path, opened: Open) -> Source:
    (tmp_path / "file").write_bytes(bytes(range(256)) * 4096)
    return await opened(tmp_path / "file")


def _reads(file: BinaryIO, _tell: Tell) -> list[object]:
    file.seek(1000)
    first = file.read(3)
    file.seek(-2, os.SEEK_END)
    return [first, file.read(), file.tell(), file.read(5)]


async def test_it_reads_the_file_it_was_given(source: Source) -> None:
    end = 256 * 4096
    found = await apart.run(source, _reads, (), tuple[bytes, bytes, int, bytes])
    assert found == (bytes((232, 233, 234)), b"\xfe\xff", end, b"")


def _tries(_file: BinaryIO, _tell: Tell, path: str, port: int, victim: int) -> dict[str, str]:
    def attempt(what: Callable[[], object]) -> str:
        try:
            what()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is told
            return type(error).__name__
        return "it worked"

    def connect() -> None:
        with socket.socket() as one:
            one.connect(("127.0.0.1", port))

    def is_open(number: int) -> bool:
        return attempt(lambda: os.fstat(number)) == "it worked"

    return {
        "read": attempt(lambda: os.open(path, os.O_RDONLY)),
        "write": attempt(lambda: os.open(path + ".new", os.O_WRONLY | os.O_CREAT)),
        "list": attempt(lambda: list(Path("/").iterdir())),
        "connect": attempt(connect),
        "signal": attempt(lambda: os.kill(victim, signal.SIGKILL)),
        "run": attempt(lambda: os.execv("/bin/true", ["true"])),
        "descriptors": str(len([number for number in range(64) if is_open(number)])),
    }


async def test_it_opens_nothing_talks_to_nobody_and_starts_nothing(source: Source, tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        victim = await asyncio.create_subprocess_exec("sleep", "3600")
        arguments = (str(tmp_path / "file"), listening.getsockname()[1], victim.pid)
        found = await apart.run(source, _tries, arguments, dict[str, str])
    assert victim.returncode is None
    victim.kill()
    assert await victim.wait() == -signal.SIGKILL
    assert found["signal"] == "PermissionError"
    refused = {"OSError", "FileNotFoundError", "PermissionError"}
    assert {found[what] for what in ("read", "write", "list", "connect", "run")} <= refused
    assert found["descriptors"] == "4"  # three that lead nowhere, and the one to its parent
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def _crashes(_file: BinaryIO, _tell: Tell) -> None:
    ctypes.string_at(0)


def _ends(_file: BinaryIO, _tell: Tell) -> None:
    os._exit(0)


def _burns(_file: BinaryIO, _tell: Tell) -> None:
    while True:
        pass


def _sleeps(_file: BinaryIO, tell: Tell) -> None:
    tell(os.getpid())
    time.sleep(3600)


def _hogs(_file: BinaryIO, _tell: Tell) -> int:
    return len(bytearray(4 << 30))


def _recurses(_file: BinaryIO, _tell: Tell) -> None:
    sys.setrecursionlimit(1000)
    _recurses(_file, _tell)


def _raises(_file: BinaryIO, _tell: Tell) -> None:
    raise KeyError("\x1b[31mevil")


def _lies(_file: BinaryIO, _tell: Tell) -> str:
    return "no number"


def _floods(_file: BinaryIO, _tell: Tell) -> bytes:
    return bytes(100 << 20)


@pytest.mark.parametrize(
    ("work", "limits", "said"),
    [
        (_crashes, Limits(), "its reader crashed (SIGSEGV)"),
        (_ends, Limits(), "its reader gave up"),
        (_burns, Limits(seconds=60, cpu_seconds=1), "it would take more than 1 seconds of work"),
        (_sleeps, Limits(seconds=0.5), "it took longer than 0 seconds"),
        (_hogs, Limits(memory=256 << 20), "that would take more than 256.0 MiB of memory"),
        (_recurses, Limits(), "it is nested too deeply"),
        (_raises, Limits(), "it is damaged (KeyError: '\\x1b[31mevil')"),
        (_lies, Limits(), "its reader answered nonsense"),
        (_floods, Limits(), "there is more of it than 64.0 MiB"),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
async def test_whatever_it_does_is_a_sentence(
    source: Source, work: apart.Work, limits: Limits, said: str
) -> None:
    with pytest.raises(LabboxError) as caught:
        await apart.run(source, work, (), int, limits=limits)
    assert said in caught.value.message
    assert caught.value.message.startswith("cannot show")


async def test_it_is_killed_when_nobody_wants_it_any_more(source: Source) -> None:
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    work = asyncio.ensure_future(apart.run(source, _sleeps, (), int, told=started.set_result))
    pid = await started
    before = len(list(Path("/proc/self/fd").iterdir()))
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert len(list(Path("/proc/self/fd").iterdir())) < before
