"""The box's own disk: the suite of all places over several disks, and what only a disk can do wrong."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from conformance import Conformance, File, Link, Opener, build, listed, read, refused, write

from labbox.errors import LabboxError
from labbox.files.places import changing
from labbox.files.places import disks as disks_module
from labbox.files.places import local as local_module
from labbox.files.places import localfile as localfile_module
from labbox.files.places.base import Attributes, EntryKind
from labbox.files.places.errors import NoRoomError, OtherDiskError, meaning
from labbox.files.places.local import LocalPlace
from labbox.files.places.threads import Threads
from labbox.text import visible_line

pytestmark = pytest.mark.root
STRANGER = 70_400
_NONE = 0xFFFF_FFFF  # in an access list: no user or group
_libc = ctypes.CDLL(None)
Person = Callable[[Callable[[], Awaitable[None]]], None]


@asynccontextmanager
async def _opened(place: LocalPlace, path: str) -> AsyncIterator[tuple[LocalPlace, str]]:
    async with await place.look() as opened:
        yield opened, path


class TestBox(Conformance):
    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _opened(LocalPlace(), str(folder))


class TestHome(Conformance):
    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _opened(LocalPlace(home=str(folder.parent)), f"~/{folder.name}")


class TestRootOfItsOwn(Conformance):
    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _opened(LocalPlace(str(folder.parent), label="shared:"), f"/{folder.name}")


class TestTmpfs(Conformance):
    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _opened(LocalPlace(), str(folder))

    @pytest.fixture
    def ground(self, disks: Any) -> Path:
        return Path(disks.tmpfs()) / "ground"


class TestSmallDisk(Conformance):
    many = 5_000

    @pytest.fixture
    def opened(self) -> Opener:
        return lambda folder: _opened(LocalPlace(), str(folder))

    @pytest.fixture
    def ground(self, disks: Any) -> Path:
        return Path(disks.ext4("96M", "-N", "12000")) / "ground"


class TestReadOnlyDisk(Conformance):
    many = 5_000

    @pytest.fixture
    def opened(self, disks: Any) -> Opener:
        return lambda folder: _opened(
            LocalPlace(str(disks.read_only(folder.parent)), label="shared:"), f"/{folder.name}"
        )


class TestDiskThatCannotRenameWithoutReplacing(Conformance):
    """As file servers and FUSE: the kernel's call for it gives EINVAL."""

    many = 2_000

    @pytest.fixture
    def opened(self, monkeypatch: pytest.MonkeyPatch) -> Opener:
        monkeypatch.setattr(changing, "rename_without_replacing", _einval)
        return lambda folder: _opened(LocalPlace(), str(folder))


def _einval(*_arguments: object) -> None:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def _eperm(*_arguments: object, **_named: object) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


async def test_without_hard_links_either_nothing_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changing, "rename_without_replacing", _einval)
    monkeypatch.setattr(os, "link", _eperm)
    top = str(build(tmp_path / "g", {"a": b"A", "b": b"B"}))
    async with LocalPlace() as place:
        with refused(frozenset({"conflict"})):
            await place.rename(f"{top}/a", f"{top}/b")
        await place.rename(f"{top}/a", f"{top}/c")
        assert set(await listed(place, top)) == {"b", "c"}


# ---------------------------------------------------------------------- disks


async def test_a_full_disk_is_named_and_nothing_else_breaks(disks: Any) -> None:
    top = str(disks.ext4("8M", "-N", "64"))
    async with await LocalPlace(home=top).look() as place:
        file = await place.open("~/big", write=True, exclusive=True)
        block = bytes(1 << 20)
        with refused(frozenset({"limit"})) as caught:
            for number in range(64):
                await file.write(number << 20, block)
        assert isinstance(caught.error, NoRoomError)
        assert caught.error.message == "cannot write “~/big”: the disk is full"
        assert caught.error.hint
        written = (await file.entry()).size
        assert 0 < written < 8 << 20
        await file.close()
        room = await place.space("~")
        assert room.free is not None and room.free < 1 << 20
        with refused(frozenset({"limit"})) as caught:
            for number in range(100):
                await write(place, f"~/f{number}", b"")
        assert isinstance(caught.error, NoRoomError), "no inode is left"
        await place.remove("~/big")
        await write(place, "~/again", b"there is room")
        assert await read(place, "~/again") == b"there is room"


async def test_a_disk_that_keeps_seconds_says_so(disks: Any) -> None:
    old, new = str(disks.ext4("8M", "-I", "128")), str(disks.tmpfs())
    async with LocalPlace() as place:
        assert (await place.traits_at(old)).mtime_step == 1_000_000_000
        assert (await place.traits_at(new)).mtime_step == 1
        await write(place, f"{old}/f", b"")
        await place.change(f"{old}/f", Attributes(mtime=1_700_000_000_999_999_999))
        assert (await place.entry(f"{old}/f")).mtime == 1_700_000_000_000_000_000


async def test_traits_are_those_of_the_disk_below(disks: Any, tmp_path: Path) -> None:
    read_only = str(disks.read_only(build(tmp_path / "g", {})))
    async with await LocalPlace().look() as place:
        assert place.traits.writable and place.traits.local and place.traits.owners
        assert not (await place.traits_at(read_only)).writable
        with refused(frozenset({"forbidden"})) as caught:
            await place.make_folder(f"{read_only}/d")
        assert "can only be read" in caught.error.message
        assert await place.space("/proc") == (None, None)
        assert place.traits.xattrs and not (await place.traits_at("/proc")).xattrs


async def test_a_disk_of_another_world_keeps_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stick with FAT; this kernel may not know it, so its name and its answers are given here."""
    monkeypatch.setattr(disks_module, "_type_of", lambda _device, _folder: "vfat")
    monkeypatch.setattr(os, "symlink", _eperm)
    monkeypatch.setattr(os, "link", _eperm)
    monkeypatch.setattr(os, "chmod", _eperm)
    monkeypatch.setattr(os, "chown", _eperm)
    top = str(build(tmp_path / "g", {"f": b"x"}))
    async with LocalPlace() as place:
        traits = await place.traits_at(top)
        assert not (traits.case_sensitive or traits.modes or traits.owners or traits.symlinks)
        assert not (traits.hard_links or traits.xattrs or traits.sparse)
        assert traits.mtime_step == 2_000_000_000
        with refused(frozenset({"invalid"})):
            await place.link(f"{top}/l", "f")
        with refused(frozenset({"invalid"})):
            await place.link(f"{top}/h", f"{top}/f", hard=True)
        await place.change(f"{top}/f", Attributes(mode=0o755, uid=1, xattrs={"user.x": b""}, mtime=8))
        assert (await place.entry(f"{top}/f")).mtime == 8


async def test_a_name_may_change_its_case_where_case_is_not_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This kernel mounts no such disk: what it would say (both names are there, and one file) is given."""
    top = str(build(tmp_path / "g", {"Run.csv": b"x", "d/run.csv": b"y"}))

    def exists(*_arguments: object) -> None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(changing, "rename_without_replacing", exists)
    monkeypatch.setattr(changing, "_same", lambda _one, _other: True)
    async with LocalPlace() as place:
        for target in ("other.csv", "d/run.csv"):
            with refused(frozenset({"conflict"})):
                await place.rename(f"{top}/Run.csv", f"{top}/{target}")
        await place.rename(f"{top}/Run.csv", f"{top}/run.csv")
        assert set(await listed(place, top)) == {"run.csv", "d"}
        await place.rename(f"{top}/run.csv", f"{top}/RUN.csv", replace=True)
        assert await read(place, f"{top}/RUN.csv") == b"x"


async def test_leaving_the_disk_is_told_apart(disks: Any, tmp_path: Path) -> None:
    there = disks.tmpfs()
    top = str(build(tmp_path / "g", {"a": b"A", "d": None}))
    async with LocalPlace() as place:
        for name in ("a", "d"):
            for replace in (False, True):
                with refused(frozenset({"invalid"})) as caught:
                    await place.rename(f"{top}/{name}", f"{there}/{name}", replace=replace)
                assert isinstance(caught.error, OtherDiskError)
        with refused(frozenset({"invalid"})):
            await place.link(f"{there}/a", f"{top}/a", hard=True)


async def test_access_lists_are_kept(tmp_path: Path) -> None:
    top = str(build(tmp_path / "g", {"a": b"A", "b": b"B", "d": None}))
    access = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", *entry)
        for entry in (
            (1, 6, 0xFFFF_FFFF),
            (2, 4, 7),
            (4, 4, 0xFFFF_FFFF),
            (16, 4, 0xFFFF_FFFF),
            (32, 0, 0xFFFF_FFFF),
        )
    )
    os.setxattr(f"{top}/a", "system.posix_acl_access", access)
    os.setxattr(f"{top}/a", "user.note", b"x")
    os.setxattr(f"{top}/a", "trusted.note", b"not for copies")
    async with LocalPlace() as place:
        kept = await place.xattrs(f"{top}/a")
        assert dict(kept) == {"system.posix_acl_access": access, "user.note": b"x"}
        await place.change(f"{top}/b", Attributes(xattrs=kept, mode=0o640, mtime=5))
        assert await place.xattrs(f"{top}/b") == kept
        assert (await place.entry(f"{top}/b")).mode == 0o640
        await place.change(f"{top}/d", Attributes(xattrs={"system.posix_acl_default": access}))
        assert await place.xattrs(f"{top}/d") == {"system.posix_acl_default": access}


async def test_paths_longer_than_the_kernel_takes(tmp_path: Path) -> None:
    build(tmp_path / "g", {})
    for place, top in (
        (LocalPlace(), f"{tmp_path}/g/box"),
        (LocalPlace(str(tmp_path), label="shared:"), "/g/own"),
    ):
        path = top
        await place.make_folder(path)
        for _ in range(40):
            path += "/" + "ü" * 120
            await place.make_folder(path, 0o750)
        await write(place, f"{path}/f", b"deep")
        await place.rename(f"{path}/f", f"{path}/g")
        await place.change(f"{path}/g", Attributes(mtime=7, xattrs={"user.x": b"1"}))
        assert await read(place, f"{path}/g") == b"deep"
        assert await place.xattrs(f"{path}/g") == {"user.x": b"1"}
        assert set(await listed(place, path)) == {"g"}
        await place.link(f"{path}/l", "g")
        assert (await place.entry(f"{path}/l", follow=True)).size == 4
        for name in ("l", "g"):
            await place.remove(f"{path}/{name}")
        while path != top:
            await place.remove(path)
            path = path.rpartition("/")[0]
        await place.close()


# ---------------------------------------------------------------------- people


def test_what_a_person_may_not_is_refused_and_the_rest_goes_on(reachable: Path, person: Person) -> None:
    top = str(build(reachable / "g", {"theirs": b"x", "closed/x": b"", "names/f": b"", "names/d": None}))
    Path(f"{top}/theirs").chmod(0o600)
    Path(f"{top}/closed").chmod(0o700)
    Path(f"{top}/names").chmod(0o744)
    mine = build(reachable / "mine", {"f": b"mine", "w": b"only written", "r": b"only read"})
    for name in ("", "f", "w", "r"):
        os.chown(mine / name, 70_322, 70_322)
    (mine / "w").chmod(0o200)
    (mine / "r").chmod(0o400)

    async def deed() -> None:
        no = frozenset({"forbidden"})
        async with await LocalPlace().look() as place:
            assert not place.traits.owners
            with refused(no) as caught:
                await place.open(f"{top}/theirs")
            assert caught.error.message.endswith("you may not") and caught.error.hint
            with refused(no):
                await listed(place, f"{top}/closed")
            with refused(no):
                await place.entry(f"{top}/closed/x")
            with refused(no):
                await write(place, f"{top}/new", b"")
            for call in (
                place.remove(f"{top}/theirs"),
                place.make_folder(f"{top}/new"),
                place.rename(f"{top}/theirs", f"{top}/new"),
                place.link(f"{top}/new", "x"),
                place.change(f"{top}/theirs", Attributes(mode=0o777)),
                place.change(f"{top}/theirs", Attributes(mtime=1)),
            ):
                with refused(no):
                    await call
            found = await listed(place, f"{top}/names")  # it may be listed and not entered
            assert {name: entry.kind for name, entry in found.items()} == {
                "f": EntryKind.FILE,
                "d": EntryKind.FOLDER,
            }
            assert found["f"].mode is None
            await place.change(f"{mine}/f", Attributes(uid=0, gid=0, mode=0o640, mtime=9))
            entry = await place.entry(f"{mine}/f")
            assert (entry.uid, entry.gid, entry.mode, entry.mtime) == (70_322, 70_322, 0o640, 9)
            async with await place.open(f"{mine}/w", write=True) as file:
                await file.write(0, b"ONLY")
            with refused(no):
                await place.open(f"{mine}/r", write=True)
            assert await read(place, f"{mine}/r") == b"only read"

    person(deed)
    assert (mine / "w").read_bytes() == b"ONLY written"


# ---------------------------------------------------------------------- links that lead out, and races


def _link(path: Path, target: str, owner: int = STRANGER) -> None:
    path.symlink_to(target)
    os.chown(path, owner, owner, follow_symlinks=False)


async def test_a_place_is_left_only_through_links_of_ones_own(tmp_path: Path) -> None:
    out = build(tmp_path / "out", {"secret": b"secret", "d/e": b"out"})
    root = build(tmp_path / "root", {"in/f": b"inside", "in/deep/g": b"deep", "sub/x": b""})
    _link(root / "lab", str(out), owner=0)
    _link(root / "up", "../out", owner=0)
    _link(root / "bad", str(out))
    _link(root / "worse", "../out")
    _link(root / "here", "in")
    _link(root / "sub/back", "../in/deep")
    _link(root / "full", f"{root}/in")
    _link(root / "hop", "lab")
    _link(root / "mine-to-bad", "bad", owner=0)
    _link(root / "mine-to-lab", "here/../lab/d", owner=0)
    _link(root / "loop", f"{root}/loop")
    async with LocalPlace(str(root), label="shared:") as place:
        for path, data in (
            ("/lab/secret", b"secret"),
            ("/lab/d/e", b"out"),
            ("/up/secret", b"secret"),
            ("/hop/secret", b"secret"),
            ("/mine-to-lab/e", b"out"),
            ("/here/f", b"inside"),
            ("/sub/back/g", b"deep"),
            ("/full/f", b"inside"),
            ("/full/deep/g", b"deep"),
        ):
            assert await read(place, path) == data, path
        assert set(await listed(place, "/lab")) == {"secret", "d"}
        assert (await place.entry("/lab", follow=True)).folder
        assert await place.real_path("/full/deep") == "/in/deep"
        no = frozenset({"forbidden"})
        for name in ("bad", "worse", "mine-to-bad"):
            with refused(no) as caught:
                await read(place, f"/{name}/secret")
            assert "leads out of shared:" in caught.error.message and caught.error.hint
            for call in (
                place.remove(f"/{name}/secret"),
                place.rename("/in/f", f"/{name}/f"),
                place.rename(f"/{name}/secret", "/in/stolen"),
                place.make_folder(f"/{name}/new"),
                place.change(f"/{name}/secret", Attributes(mode=0o777)),
                place.link("/in/stolen", f"/{name}/secret", hard=True),
                place.entry(f"/{name}/secret"),
                listed(place, f"/{name}"),
            ):
                with refused(no):
                    await call
        assert (await place.entry("/bad")).kind is EntryKind.LINK, "the link itself is there to be seen"
        with refused(no, frozenset({"conflict"})):
            await place.entry("/loop/x")
        with refused(no):
            await place.real_path("/lab")
        await place.remove("/bad")
    assert {path.name for path in out.iterdir()} == {"d", "secret"}


@contextmanager
def _swapping(path: Path, others: list[Path]) -> Iterator[None]:
    """Somebody who puts other things in the place of `path`, as fast as they can."""
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for other in others:
                _exchange(path, other)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _exchange(one: Path, other: Path) -> None:
    """Swap two names in one step (RENAME_EXCHANGE)."""
    assert _libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2) == 0


async def test_what_is_swapped_in_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    top = build(tmp_path / "g", {"f": b"plain", "link": Link("../secret")})
    os.mkfifo(top / "pipe")
    opened = 0
    with _swapping(top / "f", [top / "link", top / "pipe"]):
        async with LocalPlace() as place:
            for _ in range(3000):
                try:
                    assert await asyncio.wait_for(read(place, f"{top}/f"), 60) == b"plain"
                    opened += 1
                except LabboxError as error:
                    assert error.code == "conflict", error.message
    assert opened


@pytest.mark.parametrize("other", ["link", "pipe", "folder"])
async def test_a_swap_between_the_look_and_the_opening_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    top = build(tmp_path / "g", {"f": b"plain", "link": Link("secret"), "secret": b"secret", "folder": None})
    os.mkfifo(top / "pipe")
    look = local_module._check_plain
    looks = 0

    def look_and_swap(found: os.stat_result, doing: str, path: str) -> None:
        nonlocal looks
        looks += 1
        look(found, doing, path)
        if looks == 1:
            _exchange(top / "f", top / other)

    monkeypatch.setattr(local_module, "_check_plain", look_and_swap)
    before = _descriptors()
    async with LocalPlace() as place:
        with refused(frozenset({"conflict"})):
            await asyncio.wait_for(place.open(f"{top}/f"), 60)
        assert _descriptors() == before


async def test_rights_are_set_on_what_was_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = build(tmp_path / "g", {"f": b"", "victim": File(b"", 0o600, 5), "link": Link("victim")})
    set_xattrs = changing._set_xattrs

    def set_and_swap(path: str, attributes: Attributes) -> None:
        _exchange(top / "f", top / "link")
        set_xattrs(path, attributes)

    monkeypatch.setattr(changing, "_set_xattrs", set_and_swap)
    async with LocalPlace() as place:
        await place.change(f"{top}/f", Attributes(mode=0o644, mtime=9, xattrs={"user.x": b"1"}))
        assert ((top / "victim").stat().st_mode & 0o777, (top / "victim").stat().st_mtime_ns) == (0o600, 5)
        moved = await place.entry(f"{top}/link")
        assert (moved.kind, moved.mode, moved.mtime) == (EntryKind.FILE, 0o644, 9)
        assert await place.xattrs(f"{top}/victim") == {}


async def test_a_folder_swapped_for_a_link_leads_nobody_out(tmp_path: Path) -> None:
    out = build(tmp_path / "out", {f"f{number}": b"secret" for number in range(50)})
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    root = build(tmp_path / "root", {f"d/f{number}": File(b"shared", 0o777) for number in range(50)})
    _link(root / "trap", str(out))
    done = refusals = 0
    with _swapping(root / "d", [root / "trap"]):
        async with LocalPlace(str(root), label="shared:") as place:
            for number in range(4000):
                path = f"/d/f{number % 50}"
                try:
                    match number % 4:
                        case 0:
                            assert await read(place, path) == b"shared"
                        case 1:
                            await place.change(path, Attributes(mtime=5))
                        case 2:
                            found = await listed(place, "/d")
                            assert len(found) == 50 and all(e.mode == 0o777 for e in found.values())
                        case _:
                            await place.rename(path, f"{path}.new")
                            await place.rename(f"{path}.new", path)
                    done += 1
                except LabboxError as error:
                    refusals += error.code == "forbidden"
    assert done and refusals
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before


# ---------------------------------------------------------------------- threads


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_cancelled_calls_leave_nothing_open(tmp_path: Path) -> None:
    top = str(build(tmp_path / "g", {f"f{number}": b"x" for number in range(2000)}))
    async with LocalPlace() as place:
        await listed(place, top)
        before = _descriptors()
        for number in range(300):
            calls: list[Awaitable[Any]] = [
                place.open(f"{top}/f{number}"),
                place.open(f"{top}/new{number}", write=True, exclusive=True),
                listed(place, top),
                place.folder(top),
            ]
            tasks = [asyncio.ensure_future(call) for call in calls]
            for _ in range(number % 7):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            for result in results:
                if isinstance(result, int):
                    os.close(result)
                elif not isinstance(result, BaseException | dict):
                    await result.close()
        async with asyncio.timeout(60):
            while _descriptors() > before:
                await place.entry(top)


async def test_closing_waits_for_a_slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()
    fast = localfile_module._write

    def slow(descriptor: int, offset: int, data: bytes) -> None:
        begun.set()
        assert go.wait(60)
        fast(descriptor, offset, data)

    monkeypatch.setattr(localfile_module, "_write", slow)
    path = str(tmp_path / "f")
    async with LocalPlace() as place:
        file = await place.open(path, write=True, exclusive=True)
        writing = asyncio.create_task(file.write(0, b"late"))
        while not begun.is_set():
            await asyncio.sleep(0)
        closing = asyncio.create_task(file.close())
        for _ in range(100):
            await place.entry(path)
        assert not closing.done()
        go.set()
        await closing
        assert await read(place, path) == b"late"
        await writing
        with refused(frozenset({"unavailable"})):
            await file.read(0, 1)


async def test_a_place_may_be_closed_while_it_is_listed(tmp_path: Path) -> None:
    top = str(build(tmp_path / "g", {f"{number}": b"" for number in range(1000)}))
    before = _descriptors()
    place = LocalPlace()
    listing = place.list(top)
    assert await anext(listing)
    await place.close()
    with refused(frozenset({"unavailable"})):
        async for _ in listing:
            pass
    assert _descriptors() == before


async def test_a_cancelled_change_is_over_when_its_caller_goes_on() -> None:
    threads = Threads(2)
    begun, go, done = threading.Event(), threading.Event(), []

    def change() -> None:
        begun.set()
        go.wait(60)
        done.append(True)

    task = asyncio.create_task(threads.change(change))
    while not begun.is_set():
        await asyncio.sleep(0)
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, go.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]
    threads.close()


def test_a_call_that_never_returns_does_not_keep_the_process() -> None:
    program = """
import asyncio, os
from labbox.files.places.threads import Threads
async def main():
    threads = Threads(2)
    unread = os.pipe()
    call = asyncio.ensure_future(threads.read(os.read, unread[0], 1))
    assert await threads.read(int, "7") == 7
    call.cancel()
    threads.close()
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-P", "-c", program], check=True, timeout=60)


async def test_the_event_loop_runs_on_while_a_folder_is_read(tmp_path: Path) -> None:
    top = str(build(tmp_path / "g", {f"{number}": b"" for number in range(20_000)}))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    async with LocalPlace() as place:
        assert len(await listed(place, top)) == 20_000
    counting.cancel()
    assert turns > 100


# ---------------------------------------------------------------------- sentences


@pytest.mark.parametrize("number", sorted(errno.errorcode))
@pytest.mark.parametrize("doing", ["open", "make", "move"])
def test_every_error_number_has_its_sentence(number: int, doing: str) -> None:
    error = meaning(number, doing, "/a\nb", "/c" if doing == "move" else "")
    subject = f"cannot {doing} “/a␊b”" + (" to “/c”" if doing == "move" else "") + ": "
    assert error.message.startswith(subject) and len(error.message) > len(subject)
    assert visible_line(error.message) == error.message
    assert error.code in ("not_found", "forbidden", "conflict", "limit", "unavailable", "invalid")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "limit"),
        (errno.EDQUOT, "limit"),
        (errno.ENAMETOOLONG, "limit"),
        (errno.EROFS, "forbidden"),
        (errno.EACCES, "forbidden"),
        (errno.EPERM, "forbidden"),
        (errno.ELOOP, "conflict"),
        (errno.ENOTEMPTY, "conflict"),
        (errno.ESTALE, "unavailable"),
        (errno.EIO, "unavailable"),
        (errno.EXDEV, "invalid"),
    ],
)
def test_the_errors_that_matter_have_a_code_and_a_way_out(number: int, code: str) -> None:
    error = meaning(number, "write", "/f")
    assert error.code == code
    assert error.hint and os.strerror(number).lower() not in error.message
