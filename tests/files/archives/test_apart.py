"""Who reads archives: children that can do nothing but that, and whose end is a sentence."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from archiving import opened, packed, unpacked
from conformance import build, listed, read, refused

from labbox.errors import LabboxError
from labbox.files.archives import limits as caps
from labbox.files.archives import wire
from labbox.files.archives.limits import Limits
from labbox.files.archives.member import Member, What, Where
from labbox.files.archives.parsing import _Channel
from labbox.files.archives.tarread import TarReader
from labbox.files.archives.zipread import ZipReader
from labbox.files.foreign import FILE, Program

BROKEN = frozenset({"invalid"})
Members = Callable[[object], Iterator[Member]]
Lie = Callable[[_Channel], None]


def _attempt(what: Callable[[], object]) -> str:
    try:
        what()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is told
        return type(error).__name__
    return "it worked"


def _is_open(number: int) -> bool:
    return _attempt(lambda: os.fstat(number)) == "it worked"


@pytest.mark.parametrize("ending", [".tar.gz", ".zip"])
async def test_what_reads_the_list_opens_nothing_and_talks_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    build(tmp_path / "s", {"f": b"x"})
    await packed(tmp_path / "s", tmp_path / f"x{ending}")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port, us = listening.getsockname()[1], os.getpid()

        def connect() -> None:
            with socket.socket() as one:
                one.connect(("127.0.0.1", port))

        def attacks(_self: object) -> Iterator[Member]:
            tried = {
                "read": _attempt(lambda: os.open(tmp_path / f"x{ending}", os.O_RDONLY)),
                "write": _attempt(lambda: os.open(tmp_path / "new", os.O_WRONLY | os.O_CREAT)),
                "reopen": _attempt(lambda: os.open("/proc/self/fd/4", os.O_RDWR)),
                "overwrite": _attempt(lambda: os.pwrite(4, b"evil", 0)),
                "remove": _attempt(lambda: (tmp_path / f"x{ending}").unlink()),
                "list": _attempt(lambda: list(tmp_path.iterdir())),
                "connect": _attempt(connect),
                "signal": _attempt(lambda: os.kill(us, signal.SIGUSR1)),
                "run": _attempt(lambda: os.execv("/bin/true", ["true"])),
            }
            open_now = [number for number in range(256) if _is_open(number)]
            yield Member(f"descriptors {open_now}", What.FOLDER)
            for what, came in tried.items():
                yield Member(f"{what} {came}", What.FOLDER)

        for one in (TarReader, ZipReader):
            monkeypatch.setattr(one, "members", attacks)
        before = (tmp_path / f"x{ending}").read_bytes()
        async with opened(tmp_path / f"x{ending}") as place:
            found = await listed(place, "")
    said = dict(name.split(" ", 1) for name in found)
    assert said.pop("descriptors") == "[0, 1, 2, 3, 4]"  # three nowhere, the parent, the archive
    assert len(said) == 9
    assert set(said.values()) <= {"OSError", "FileNotFoundError", "PermissionError"}
    assert (tmp_path / f"x{ending}").read_bytes() == before and not (tmp_path / "new").exists()


def _crashes(_self: object) -> Iterator[Member]:
    yield Member("first", What.FILE, where=Where(0, 0))
    ctypes.string_at(0)


def _ends(_self: object) -> Iterator[Member]:
    yield Member("first", What.FILE, where=Where(0, 0))
    os._exit(0)


def _hogs(_self: object) -> Iterator[Member]:
    yield Member("first", What.FILE, where=Where(0, 0))
    yield Member("x", What.FOLDER, len(bytearray(4 << 30)))


def _burns(_self: object) -> Iterator[Member]:
    yield Member("first", What.FILE, where=Where(0, 0))
    while True:
        pass


def _raises(_self: object) -> Iterator[Member]:
    yield Member("first", What.FILE, where=Where(0, 0))
    raise KeyError("\x1b[31mevil")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (_crashes, "its reader crashed (SIGSEGV)"),
        (_ends, "its reader gave up"),
        (_hogs, "to read it takes too much memory"),
        (_burns, "to read it takes more than 1 seconds of work"),
        (_raises, "it is damaged (KeyError: '\\x1b[31mevil')"),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
async def test_whatever_its_reader_does_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: Members, said: str
) -> None:
    monkeypatch.setattr(TarReader, "members", members)
    monkeypatch.setattr(caps, "_SECONDS", 1)
    archive = tmp_path / "x.tar"
    archive.write_bytes(bytes(10240))
    with refused(BROKEN) as caught:
        async with opened(archive, limits=Limits(memory=256 << 20)) as place:
            await listed(place, "")
    assert said in caught.error.message and caught.error.message.startswith("cannot ")
    with refused(BROKEN) as caught:
        await unpacked(archive, tmp_path / "t", limits=Limits(memory=256 << 20))
    assert said in caught.error.message
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]


LIES: tuple[Lie, ...] = (
    lambda said: said.put(wire.SHORT, wire.SHORT_AT.pack(0) + b"longer than it says"),
    lambda said: said.put(wire.SHORT, wire.SHORT_AT.pack(1 << 40) + b"x"),
    lambda said: said.put(wire.BLOCK, wire.AT.pack(0, 5, 77)),
    lambda said: said.put(wire.BLOCK, wire.AT.pack(0, 1 << 30, 0)),
    lambda said: said.put(wire.SHORT, b""),
    lambda said: said.put(wire.END),
    lambda said: said.put(wire.ENTRY, b"\xc1"),
    lambda said: said.put(b"?", b""),
)


@pytest.mark.parametrize("lies", LIES)
async def test_what_a_reader_says_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lies: Callable[[_Channel], None]
) -> None:
    build(tmp_path / "s", {"f": b"hello"})
    await packed(tmp_path / "s", tmp_path / "x.tar.gz")
    monkeypatch.setattr(_Channel, "put_block", lambda said, _offset, _data: lies(said))
    quiet = await _unpacked_or_refused(tmp_path / "x.tar.gz", tmp_path / "t")
    assert "its reader answered nonsense" in quiet


async def _unpacked_or_refused(archive: Path, folder: Path) -> str:
    try:
        hooks = await unpacked(archive, folder)
    except LabboxError as error:
        return error.message
    return " ".join(error.message for _, error in hooks.failures)


async def test_a_reader_that_crashes_on_one_file_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "s", {"bad": b"x" * 100, "good": b"y" * 100})
    await packed(tmp_path / "s", tmp_path / "x.zip")
    ours = ZipReader.unpacked

    def crashing(self: ZipReader, member: Member) -> Iterator[bytes]:
        if member.where is not None and member.where.crc == zlib.crc32(b"x" * 100):
            ctypes.string_at(0)
        return ours(self, member)

    monkeypatch.setattr(ZipReader, "unpacked", crashing)
    async with opened(tmp_path / "x.zip") as place:
        with refused(BROKEN) as caught:
            await read(place, "top/bad")
        assert "crashed" in caught.error.message
        assert await read(place, "top/good") == b"y" * 100


async def test_closing_ends_a_reader_that_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits(_self: object) -> Iterator[Member]:
        yield Member(str(os.getpid()), What.FOLDER)
        signal.pause()

    monkeypatch.setattr(TarReader, "members", waits)
    (tmp_path / "x.tar").write_bytes(bytes(10240))
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    async with opened(tmp_path / "x.tar") as place:
        first = await anext(place.list(""))
        pid = int(first[0].name)
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    while len(os.listdir("/proc/self/fd")) != before:  # noqa: PTH208 - a thread lets go of its end
        await asyncio.sleep(0.01)


SCRIPT = """
import json, os, socket, sys
def attempt(what):
    try: what()
    except BaseException as error: return type(error).__name__
    return "it worked"
def connect():
    with socket.socket() as one: one.connect(("127.0.0.1", int(sys.argv[3])))
path = sys.argv[2]
print(json.dumps({
    "given": attempt(lambda: open(sys.argv[1], "rb").read()),
    "read": attempt(lambda: open(path + "/secret").read()),
    "home": attempt(lambda: open("/etc/passwd").read()),
    "list": attempt(lambda: os.listdir(path)),
    "write": attempt(lambda: open(path + "/new", "w").write("x")),
    "empty": attempt(lambda: os.open(path + "/new", os.O_CREAT | os.O_WRONLY)),
    "remove": attempt(lambda: os.unlink(path + "/secret")),
    "move": attempt(lambda: os.rename(path + "/secret", path + "/other")),
    "folder": attempt(lambda: os.mkdir(path + "/d")),
    "mode": attempt(lambda: os.chmod(path + "/secret", 0o777)),
    "connect": attempt(connect),
    "run": attempt(lambda: os.execv("/bin/true", ["true"])),
    "signal": attempt(lambda: os.kill(os.getppid(), 10)),
    "descriptors": attempt(lambda: os.fstat(5)),
}))
"""


def test_a_program_of_others_reads_what_it_is_given_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("SECRET")
    (tmp_path / "given").write_text("given")
    program = shutil.which("python3", path=os.defpath)
    assert program is not None
    with socket.socket() as listening, tempfile.TemporaryFile(dir=tmp_path) as file:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        file.write(b"given")
        file.flush()
        words = [program, "-I", "-S", "-c", SCRIPT, FILE, str(tmp_path), str(listening.getsockname()[1])]
        one = Program(words, file.fileno(), 1 << 30, 30)
        said = json.loads(one.out.read())
        assert one.end()
    assert said.pop("given") == "it worked"
    assert set(said.values()) <= {"PermissionError", "OSError"}, said
    assert (tmp_path / "secret").read_text() == "SECRET"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given", "secret"]


def test_a_program_of_others_has_limits() -> None:
    program = sys.executable
    program = shutil.which("python3", path=os.defpath) or program
    with tempfile.TemporaryFile() as file:
        burns = Program([program, "-I", "-S", "-c", "while True: pass"], file.fileno(), 1 << 30, 1)
        assert burns.out.read() == b"" and not burns.end()
        hogs = Program([program, "-I", "-S", "-c", "bytearray(1 << 30)"], file.fileno(), 256 << 20, 30)
        assert not hogs.end()
