"""The one suite that holds for every kind of place.

A test module makes a subclass of `Conformance` and gives it the fixture `opened`, which opens a folder that
was built on this machine's disk as the kind of place it is about (packed into an archive, behind a server…).
What a place cannot do by its traits is asserted to be refused in words; nothing is skipped.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

import pytest

from labbox.errors import LabboxError
from labbox.files.places.base import Attributes, Entry, EntryKind, Place
from labbox.text import visible_line

Opener = Callable[[Path], AbstractAsyncContextManager[tuple[Place, str]]]
"""Opens a folder of this machine as a place; gives the place and the folder's path in it."""

MIB: Final = 1 << 20
READ_ONLY: Final = frozenset({"invalid", "forbidden"})
MISSING: Final = frozenset({"not_found"})
TAKEN: Final = frozenset({"conflict"})
WORD_NAMES: Final = (
    ".hidden",
    "two words",
    " leading",
    "trailing ",
    "dots...",
    "-rf",
    "~",
    "a!",
    "new\nline",
    "escape\x1b[2J\x1b]52;c;!\x07",
    "bidi\u202egnp.exe",
    "c1\x9b31m",
    "back\\slash",
    "colon:x",
    "star*?[x]",
    "ü\u0308",
    "\U0001f9ea",
    "tab\there",
    "n" * 255,
    "é" * 127,
    "shared:x",
    "\\x41",
)
BYTE_NAMES: Final = ("latin\udce9", "\udcff\udcfe", "\udc80" * 255)  # not UTF-8


class Link(NamedTuple):
    """A symbolic link in a tree to build."""

    target: str


class File(NamedTuple):
    """A file in a tree to build."""

    data: bytes = b""
    mode: int = 0o644
    mtime: int = 1_700_000_000_123_456_789


Tree = Mapping[str, "bytes | Link | File | None"]
"""Path to content; None: a folder."""


def build(folder: Path, tree: Tree) -> Path:
    """Make the tree in `folder` on this machine's disk."""
    folder.mkdir(exist_ok=True)
    for path, what in tree.items():
        target = folder / path
        if what is None:
            target.mkdir(parents=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, Link):
            target.symlink_to(what.target)
        elif isinstance(what, File):
            target.write_bytes(what.data)
            target.chmod(what.mode)
            os.utime(target, ns=(what.mtime, what.mtime))
        else:
            target.write_bytes(what)
    return folder


class refused:  # noqa: N801 - reads like pytest.raises
    """What is done inside is refused with one of these codes, in a sentence that is fit for a screen."""

    def __init__(self, *codes: frozenset[str]) -> None:
        self._codes = frozenset().union(*codes)
        self.error: LabboxError

    def __enter__(self) -> refused:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        assert error is not None, f"it was not refused: {sorted(self._codes)} was meant"
        if not isinstance(error, LabboxError):
            return False
        self.error = error
        assert error.code in self._codes, (error.code, error.message)
        for text in (error.message, error.hint):
            assert visible_line(text) == text, text
        assert error.message.startswith("cannot "), error.message
        assert not error.message.endswith("."), error.message
        assert "Errno" not in error.message and "b'" not in error.message, error.message
        return True


class able:  # noqa: N801
    """What is done inside works where the place can do it, and else is refused."""

    def __init__(self, place: Place, can: bool = True) -> None:
        self._can = place.traits.writable and can

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return False if self._can else refused(READ_ONLY).__exit__(kind, error, trace)


async def listed(place: Place, path: str, *, full: bool = True) -> dict[str, Entry]:
    """The entries of a folder by name; none may come twice."""
    found: dict[str, Entry] = {}
    async for batch in place.list(path, full=full):
        assert batch
        for entry in batch:
            assert entry.name not in found
            found[entry.name] = entry
    return found


async def read(place: Place, path: str) -> bytes:
    """A whole file."""
    async with await place.open(path) as file:
        return await file.read(0, (await file.entry()).size + 1)


async def write(place: Place, path: str, data: bytes) -> None:
    """A new file."""
    async with await place.open(path, write=True, exclusive=True) as file:
        await file.write(0, data)
        await file.flush()


class Conformance:
    """Subclass it and give it the fixture `opened`."""

    byte_names = True  # names that are not UTF-8 can be kept
    special_files = True  # pipes and sockets can stand in the place
    holes_in_gigabytes = True  # a file may be made long without taking room
    many = 20_000
    vague: frozenset[str] = frozenset()  # codes of a host that does not say more about an odd failure

    @pytest.fixture
    def opened(self) -> Opener:
        """How a folder is opened as this kind of place."""
        raise NotImplementedError

    @pytest.fixture
    def ground(self, tmp_path: Path) -> Path:
        """A folder of this machine that may be built in."""
        return tmp_path / "ground"

    # ------------------------------------------------------------------ listing

    async def test_a_folder_is_listed_whole(self, opened: Opener, ground: Path) -> None:
        build(ground, {"a": b"12345", ".b": b"", "d/x": b"", "e": None, "l": Link("a"), "m": Link("d")})
        async with opened(ground) as (place, top):
            found = await listed(place, top)
            names = await listed(place, top, full=False)
        expected = {"a", ".b", "d", "e", "l", "m"}
        assert set(found) == set(names) == expected
        kinds = {name: found[name].kind for name in expected}
        assert kinds == {name: names[name].kind for name in expected}
        assert kinds["a"] is kinds[".b"] is EntryKind.FILE
        assert kinds["d"] is kinds["e"] is EntryKind.FOLDER
        assert kinds["l"] is kinds["m"] is EntryKind.LINK
        assert (found["a"].size, found[".b"].size, found["d"].size) == (5, 0, 0)
        assert [found[name].folder for name in ("a", "d", "e", "l", "m")] == [False, True, True, False, True]

    async def test_an_empty_folder_has_no_entries(self, opened: Opener, ground: Path) -> None:
        build(ground, {"e": None})
        async with opened(ground) as (place, top):
            assert await listed(place, f"{top}/e") == {}

    async def test_hostile_names_stay_what_they_are(self, opened: Opener, ground: Path) -> None:
        names = [*WORD_NAMES, *(BYTE_NAMES if self.byte_names else ())]
        build(ground, {**{f"files/{name}": os.fsencode(name) for name in names}, "to": None})
        async with opened(ground) as (place, top):
            assert set(await listed(place, f"{top}/files")) == set(names)
            for name in names:
                assert await read(place, f"{top}/files/{name}") == os.fsencode(name)
                assert (await place.entry(f"{top}/files/{name}")).name == name
                with able(place):
                    await place.rename(f"{top}/files/{name}", f"{top}/to/{name}")
                with refused(TAKEN, READ_ONLY) as caught:
                    await place.make_folder(f"{top}/{'to' if place.traits.writable else 'files'}/{name}")
                assert visible_line(name)[:20].strip() in caught.error.message
            kept = "to" if place.traits.writable else "files"
            assert set(await listed(place, f"{top}/{kept}")) == set(names)

    async def test_many_entries_come_in_batches(self, opened: Opener, ground: Path) -> None:
        build(ground, {f"{number:05d}": b"" for number in range(self.many)})
        async with opened(ground) as (place, top):
            for full in (True, False):
                sizes: list[int] = []
                names: set[str] = set()
                async for batch in place.list(top, full=full):
                    sizes.append(len(batch))
                    names.update(entry.name for entry in batch)
                assert names == {f"{number:05d}" for number in range(self.many)}
                assert sum(sizes) == self.many
                assert sizes[0] < self.many / 4, "the first entries wait for the last"

    async def test_a_listing_may_be_left_and_several_may_run(self, opened: Opener, ground: Path) -> None:
        build(ground, {f"{number:05d}": b"" for number in range(3000)})
        async with opened(ground) as (place, top):
            left = place.list(top)
            assert await anext(left)
            await left.aclose()  # type: ignore[attr-defined]
            found = await asyncio.gather(*(listed(place, top) for _ in range(4)))
            assert [len(one) for one in found] == [3000] * 4

    async def test_what_cannot_be_listed_says_so(self, opened: Opener, ground: Path) -> None:
        build(ground, {"file": b"x", "d/x": b"", "to d": Link("d"), "dead": Link("none")})
        async with opened(ground) as (place, top):
            with refused(MISSING):
                await listed(place, f"{top}/none")
            with refused(TAKEN):
                await listed(place, f"{top}/file")
            with refused(MISSING):
                await listed(place, f"{top}/dead")
            assert set(await listed(place, f"{top}/to d")) == {"x"}

    # ------------------------------------------------------------------ entries

    async def test_entries_tell_what_the_place_keeps(self, opened: Opener, ground: Path) -> None:
        build(ground, {"f": File(b"abc", 0o640), "old": File(b"", 0o600, 1_000_000_000)})
        (ground / "second").hardlink_to(ground / "f")
        async with opened(ground) as (place, top):
            step = place.traits.mtime_step
            entry = await place.entry(f"{top}/f")
            assert (entry.name, entry.kind, entry.size, entry.folder) == ("f", EntryKind.FILE, 3, False)
            assert abs(entry.mtime - 1_700_000_000_123_456_789) < step
            assert abs((await place.entry(f"{top}/old")).mtime - 1_000_000_000) < step
            if place.traits.modes:
                assert entry.mode == 0o640
            again = (await listed(place, top))["f"]
            assert again == entry
            second = await place.entry(f"{top}/second")
            assert second.size == 3
            if place.traits.hard_links and entry.identity is not None:
                assert (second.identity, second.links) == (entry.identity, 2)
            async with await place.open(f"{top}/f") as file:
                now = await file.entry()
                assert (now.size, now.mtime, now.kind) == (entry.size, entry.mtime, EntryKind.FILE)
            assert (await place.entry(top)).kind is EntryKind.FOLDER
            with refused(MISSING):
                await place.entry(f"{top}/none")
            with refused(MISSING, TAKEN):
                await place.entry(f"{top}/f/below")

    async def test_links_are_entries_and_are_followed_on_request(self, opened: Opener, ground: Path) -> None:
        build(
            ground,
            {
                "f": b"abc",
                "d/x": b"",
                "d/up": Link("../f"),
                "to f": Link("f"),
                "to d": Link("d"),
                "dead": Link("none"),
                "a": Link("b"),
                "b": Link("a"),
            },
        )
        async with opened(ground) as (place, top):
            for name, target, folder in (("to f", "f", False), ("to d", "d", True), ("dead", "none", False)):
                entry = await place.entry(f"{top}/{name}")
                assert (entry.kind, entry.folder) == (EntryKind.LINK, folder)
                assert entry.target in (None, target)
                assert await place.read_link(f"{top}/{name}") == target
            followed = await place.entry(f"{top}/to f", follow=True)
            assert (followed.kind, followed.size) == (EntryKind.FILE, 3)
            assert (await place.entry(f"{top}/to d", follow=True)).kind is EntryKind.FOLDER
            assert (await place.entry(f"{top}/d/up", follow=True)).size == 3
            assert (await place.entry(f"{top}/to d/x")).kind is EntryKind.FILE
            with refused(MISSING):
                await place.entry(f"{top}/dead", follow=True)
            with refused(TAKEN, MISSING, self.vague):
                await place.entry(f"{top}/a", follow=True)
            assert (await place.entry(f"{top}/a")).kind is EntryKind.LINK
            with refused(TAKEN, READ_ONLY, self.vague):
                await place.read_link(f"{top}/f")
            with refused(MISSING):
                await place.read_link(f"{top}/none")
            real = await place.real_path(f"{top}/to d")
            assert real.endswith("/d") and await place.real_path(real) == real

    async def test_paths_that_are_none_are_refused(self, opened: Opener, ground: Path) -> None:
        build(ground, {"f": b"abc"})
        async with opened(ground) as (place, top):
            for path in (f"{top}/../etc", f"{top}/f\0", f"{top}/.."):
                with refused(READ_ONLY):
                    await place.entry(path)
                with refused(READ_ONLY):
                    await place.open(path)
                with refused(READ_ONLY):
                    await listed(place, path)
                with refused(READ_ONLY):
                    await place.remove(path)

    # ------------------------------------------------------------------ reading

    async def test_reading_at_any_offset(self, opened: Opener, ground: Path) -> None:
        data = os.urandom(3 * MIB + 17)
        build(ground, {"f": data, "empty": b""})
        async with opened(ground) as (place, top):
            async with await place.open(f"{top}/f") as file:
                for offset, size in ((0, 10), (MIB - 3, 7), (len(data) - 5, 100), (2 * MIB, MIB), (5, 0)):
                    assert await file.read(offset, size) == data[offset : offset + size]
                assert await file.read(len(data), 10) == b""
                assert await file.read(len(data) + MIB, 10) == b""
                offsets = [number * 100_003 % len(data) for number in range(64)]
                parts = await asyncio.gather(*(file.read(offset, 70_000) for offset in offsets))
                assert parts == [data[offset : offset + 70_000] for offset in offsets]
                assert await file.read(0, 4 * MIB) == data
            assert await read(place, f"{top}/empty") == b""

    async def test_only_plain_files_are_opened(self, opened: Opener, ground: Path) -> None:
        build(ground, {"f": b"abc", "d/x": b"", "to f": Link("f"), "dead": Link("none")})
        names = ["d", "to f", "dead"]
        with closing(socket.socket(socket.AF_UNIX)) as listening:
            if self.special_files:
                os.mkfifo(ground / "pipe")
                folder = os.open(ground, os.O_RDONLY)
                listening.bind(f"/proc/self/fd/{folder}/socket")
                os.close(folder)
                names += ["pipe", "socket"]
            async with opened(ground) as (place, top):
                for name in names:
                    with refused(TAKEN) as caught:
                        await asyncio.wait_for(place.open(f"{top}/{name}"), 60)
                    assert name in caught.error.message
                    with refused(TAKEN, READ_ONLY):
                        await asyncio.wait_for(place.open(f"{top}/{name}", write=True, create=True), 60)
                with refused(MISSING):
                    await place.open(f"{top}/none")
                if self.special_files:
                    found = await listed(place, top)
                    assert found["pipe"].kind is found["socket"].kind is EntryKind.OTHER
        assert not (ground / "none").exists()

    # ------------------------------------------------------------------ writing

    async def test_writing_at_any_offset(self, opened: Opener, ground: Path) -> None:
        build(ground, {})
        async with opened(ground) as (place, top):
            with able(place):
                async with await place.open(f"{top}/f", write=True, create=True) as file:
                    await file.write(5, b"world")
                    await file.write(0, memoryview(b"hello"))
                    await file.flush()
                    assert await file.read(0, 100) == b"helloworld"
                    await file.truncate(7)
                    assert (await file.entry()).size == 7
                    await file.truncate(9)
                    await file.write(9, b"!")
                    await file.flush(durable=True)
                assert await read(place, f"{top}/f") == b"hellowo\0\0!"
                if place.traits.modes:
                    assert (await place.entry(f"{top}/f")).mode == 0o600

    async def test_files_are_made_only_where_that_is_asked_for(self, opened: Opener, ground: Path) -> None:
        build(ground, {"there": b"kept"})
        async with opened(ground) as (place, top):
            with refused(MISSING, READ_ONLY):
                await place.open(f"{top}/new", write=True)
            with refused(MISSING, READ_ONLY):
                await place.open(f"{top}/no/folder", write=True, create=True)
            with refused(TAKEN, READ_ONLY):
                await place.open(f"{top}/there", write=True, create=True, exclusive=True)
            with able(place):
                async with await place.open(f"{top}/there", write=True, create=True) as file:
                    await file.write(0, b"K")
                await write(place, f"{top}/new", b"new")
            expected = b"Kept" if place.traits.writable else b"kept"
            assert await read(place, f"{top}/there") == expected

    async def test_exclusive_means_one(self, opened: Opener, ground: Path) -> None:
        build(ground, {})

        async def attempt(place: Place, path: str) -> bool:
            try:
                await write(place, path, b"mine")
            except LabboxError as error:
                assert error.code == "conflict", error.message
                return False
            return True

        async with opened(ground) as (place, top):
            with able(place):
                if not place.traits.writable:
                    await write(place, f"{top}/f", b"")
                made = await asyncio.gather(*(attempt(place, f"{top}/f") for _ in range(16)))
                assert sum(made) == 1

    async def test_large_files_with_holes(self, opened: Opener, ground: Path) -> None:
        size = 5 << 30 if self.holes_in_gigabytes else 5 * MIB
        build(ground, {})
        async with opened(ground) as (place, top):
            with able(place):
                async with await place.open(f"{top}/f", write=True, exclusive=True) as file:
                    await file.truncate(size)
                    await file.write(size - 3, b"end")
                    await file.write(MIB, b"x" * 10)
                    await file.flush()
                    assert await file.read(size - 5, 10) == b"\0\0end"
                    stretches = []
                    at = 0
                    while (found := await file.data_from(at)) is not None:
                        start, at = found
                        assert start < at <= size
                        stretches.append(found)
                    assert stretches[-1][1] == size
                    assert any(start <= MIB < end for start, end in stretches)
                    if place.traits.sparse:
                        assert sum(end - start for start, end in stretches) < MIB
                        blocks = (await file.entry()).blocks
                        assert blocks is not None and blocks < MIB
                    assert await file.data_from(size) is None
                assert (await place.entry(f"{top}/f")).size == size

    async def test_many_operations_at_once(self, opened: Opener, ground: Path) -> None:
        build(ground, {f"s{number}": b"%d" % number * 1000 for number in range(40)})
        data = os.urandom(64 * 40_000)

        async def whole(place: Place, top: str) -> None:
            async with await place.open(f"{top}/whole", write=True, exclusive=True) as file:
                pieces = range(0, len(data), 40_000)
                await asyncio.gather(*(file.write(at, data[at : at + 40_000]) for at in reversed(pieces)))

        async with opened(ground) as (place, top):
            found = await asyncio.gather(*(read(place, f"{top}/s{number}") for number in range(40)))
            assert found == [b"%d" % number * 1000 for number in range(40)]
            with able(place):
                if not place.traits.writable:
                    await write(place, f"{top}/0", b"")
                await asyncio.gather(
                    whole(place, top),
                    *(write(place, f"{top}/{number}", b"x" * number) for number in range(40)),
                )
                assert await read(place, f"{top}/whole") == data
                sizes = {name: entry.size for name, entry in (await listed(place, top)).items()}
                assert [sizes[str(number)] for number in range(40)] == list(range(40))

    async def test_closing_waits_for_what_is_written(self, opened: Opener, ground: Path) -> None:
        build(ground, {})
        data = os.urandom(2 * MIB)
        async with opened(ground) as (place, top):
            with able(place):
                file = await place.open(f"{top}/f", write=True, exclusive=True)
                writing = [asyncio.create_task(file.write(n * len(data), data)) for n in range(8)]
                await asyncio.sleep(0)
                await file.close()
                assert (await place.entry(f"{top}/f")).size == 8 * len(data)
                await asyncio.gather(*writing)
                await file.close()
                assert (await read(place, f"{top}/f"))[-len(data) :] == data

    # ------------------------------------------------------------------ moving and removing

    async def test_nothing_is_replaced_unasked(self, opened: Opener, ground: Path) -> None:
        build(ground, {"a": b"A", "b": b"B", "d/x": b"", "e": None, "l": Link("none")})
        async with opened(ground) as (place, top):
            before = await listed(place, top)
            for source, target in (("a", "b"), ("a", "e"), ("d", "e"), ("d", "a"), ("l", "b"), ("a", "l")):
                with refused(TAKEN, READ_ONLY):
                    await place.rename(f"{top}/{source}", f"{top}/{target}")
            assert set(await listed(place, top)) == set(before)
            assert (await read(place, f"{top}/a"), await read(place, f"{top}/b")) == (b"A", b"B")
            with able(place):
                await place.rename(f"{top}/a", f"{top}/e/new")
                await place.rename(f"{top}/d", f"{top}/e/d")
                await place.rename(f"{top}/l", f"{top}/e/l")
                assert set(await listed(place, top)) == {"b", "e"}
                assert set(await listed(place, f"{top}/e")) == {"new", "d", "l"}
                assert await read(place, f"{top}/e/new") == b"A"
                assert await place.read_link(f"{top}/e/l") == "none"

    async def test_a_file_is_replaced_in_one_step(self, opened: Opener, ground: Path) -> None:
        build(ground, {"f": b"0" * 1000, "d/x": b"", "e": None})
        async with opened(ground) as (place, top):
            done = False

            async def watch() -> set[bytes]:
                seen = set()
                while not done:
                    whole = await read(place, f"{top}/f")
                    assert len(whole) == 1000 and len(set(whole)) == 1
                    seen.add(whole[:1])
                return seen

            if not place.traits.writable:
                with able(place):
                    await place.rename(f"{top}/f", f"{top}/g", replace=True)
                return
            watching = asyncio.create_task(watch())
            for number in range(1, 40):
                await write(place, f"{top}/new", b"%d" % (number % 10) * 1000)
                await place.rename(f"{top}/new", f"{top}/f", replace=True)
            done = True
            assert await watching
            assert await read(place, f"{top}/f") == b"9" * 1000
            for source, target in (("f", "d"), ("d", "f"), ("e", "d")):
                with refused(TAKEN, self.vague):
                    await place.rename(f"{top}/{source}", f"{top}/{target}", replace=True)
            for replace in (False, True):
                with refused(MISSING):
                    await place.rename(f"{top}/none", f"{top}/g", replace=replace)
                with refused(MISSING):
                    await place.rename(f"{top}/f", f"{top}/no/g", replace=replace)
                with refused(READ_ONLY, TAKEN, self.vague):
                    await place.rename(f"{top}/d", f"{top}/d/in", replace=replace)
            assert set(await listed(place, top)) == {"f", "d", "e"}

    async def test_two_names_of_one_file(self, opened: Opener, ground: Path) -> None:
        build(ground, {"a": b"A"})
        (ground / "b").hardlink_to(ground / "a")
        async with opened(ground) as (place, top):
            with refused(TAKEN, READ_ONLY):
                await place.rename(f"{top}/a", f"{top}/b")
            with able(place):
                await place.rename(f"{top}/a", f"{top}/b", replace=True)
                assert set(await listed(place, top)) == {"b"}
                await place.rename(f"{top}/b", f"{top}/b", replace=True)
            assert await read(place, f"{top}/b") == b"A"

    async def test_one_of_many_moves_to_one_name_wins(self, opened: Opener, ground: Path) -> None:
        build(ground, {f"s{number}": b"%d" % number for number in range(16)})

        async def attempt(place: Place, top: str, number: int) -> bool:
            try:
                await place.rename(f"{top}/s{number}", f"{top}/one")
            except LabboxError as error:
                assert error.code == "conflict", error.message
                return False
            return True

        async with opened(ground) as (place, top):
            with able(place):
                if not place.traits.writable:
                    await place.rename(f"{top}/s0", f"{top}/one")
                won = await asyncio.gather(*(attempt(place, top, number) for number in range(16)))
                assert sum(won) == 1
                left = await listed(place, top)
                assert set(left) == {"one", *(f"s{number}" for number in range(16) if not won[number])}
                assert await read(place, f"{top}/one") == b"%d" % won.index(True)

    async def test_removing(self, opened: Opener, ground: Path) -> None:
        build(ground, {"f": b"", "d/x": b"x", "e": None, "to d": Link("d"), "dead": Link("none")})
        async with opened(ground) as (place, top):
            with refused(TAKEN, READ_ONLY, self.vague):
                await place.remove(f"{top}/d")
            with refused(MISSING, READ_ONLY):
                await place.remove(f"{top}/none")
            with refused(MISSING, TAKEN, READ_ONLY):
                await place.remove(f"{top}/f/below")
            with able(place):
                for name in ("f", "e", "to d", "dead"):
                    await place.remove(f"{top}/{name}")
                assert set(await listed(place, top)) == {"d"}
            assert await read(place, f"{top}/d/x") == b"x"

    async def test_making_folders(self, opened: Opener, ground: Path) -> None:
        build(ground, {"f": b"", "d": None, "l": Link("none")})
        async with opened(ground) as (place, top):
            for name in ("f", "d", "l"):
                with refused(TAKEN, READ_ONLY):
                    await place.make_folder(f"{top}/{name}")
            with refused(MISSING, READ_ONLY):
                await place.make_folder(f"{top}/no/folder")
            with refused(MISSING, TAKEN, READ_ONLY):
                await place.make_folder(f"{top}/f/folder")
            with able(place):
                for mode in (0o700, 0o755, 0o777, 0o2770):
                    await place.make_folder(f"{top}/{mode:o}", mode)
                    if place.traits.modes:
                        assert (await place.entry(f"{top}/{mode:o}")).mode == mode
                await place.make_folder(f"{top}/plain")
                assert (await place.entry(f"{top}/plain")).folder

    # ------------------------------------------------------------------ links and attributes

    async def test_making_links(self, opened: Opener, ground: Path) -> None:
        build(ground, {"f": b"abc", "d": None})
        targets = ["f", "../f", "/etc/none", "new\nline\x1b[0m", "n" * 1000, "./d//."]
        targets += ["\udcff"] if self.byte_names else []
        async with opened(ground) as (place, top):
            with refused(TAKEN, READ_ONLY):
                await place.link(f"{top}/f", "d")
            with refused(MISSING, READ_ONLY):
                await place.link(f"{top}/no/link", "d")
            with able(place, place.traits.symlinks):
                for number, target in enumerate(targets):
                    await place.link(f"{top}/{number}", target)
                    assert await place.read_link(f"{top}/{number}") == target
                    assert (await place.entry(f"{top}/{number}")).kind is EntryKind.LINK
            with able(place, place.traits.hard_links):
                await place.link(f"{top}/hard", f"{top}/f", hard=True)
                async with await place.open(f"{top}/hard", write=True) as file:
                    await file.write(0, b"X")
                assert await read(place, f"{top}/f") == b"Xbc"
            if place.traits.hard_links:
                with refused(TAKEN, READ_ONLY):
                    await place.link(f"{top}/hard", f"{top}/f", hard=True)
                with refused(MISSING, READ_ONLY):
                    await place.link(f"{top}/hard2", f"{top}/none", hard=True)

    async def test_setting_attributes(self, opened: Opener, ground: Path) -> None:
        build(ground, {"f": b"abc", "d": None, "l": Link("f")})
        before = (ground / "f").stat()
        times = (1_700_000_000_987_654_321, 0, 1, 4_000_000_000_000_000_000)
        async with opened(ground) as (place, top):
            step = place.traits.mtime_step
            with able(place):
                for name in ("f", "d"):
                    for mtime in times:
                        await place.change(f"{top}/{name}", Attributes(mtime=mtime))
                        assert abs((await place.entry(f"{top}/{name}")).mtime - mtime) < step
                    for mode in (0o600, 0o755, 0o444, 0o1777):
                        await place.change(f"{top}/{name}", Attributes(mode=mode))
                        if place.traits.modes:
                            assert (await place.entry(f"{top}/{name}")).mode == mode
                kept = await place.entry(f"{top}/f")
                await place.change(f"{top}/l", Attributes(mode=0o600, mtime=1_600_000_000_000_000_000))
                now = await place.entry(f"{top}/f")
                assert (now.mode, now.mtime) == (kept.mode, kept.mtime), "the link was followed"
                assert now.size == before.st_size
                if place.traits.owners:
                    await place.change(f"{top}/l", Attributes(uid=12, gid=34))
                    await place.change(f"{top}/d", Attributes(uid=56, mode=0o4711))
                    link, folder = await place.entry(f"{top}/l"), await place.entry(f"{top}/d")
                    assert (link.uid, link.gid) == (12, 34)
                    assert (folder.uid, folder.gid, folder.mode) == (56, kept.gid, 0o4711)
                    assert (await place.entry(f"{top}/f")).uid == kept.uid
            with refused(MISSING, READ_ONLY):
                await place.change(f"{top}/none", Attributes(mtime=1))

    async def test_extended_attributes(self, opened: Opener, ground: Path) -> None:
        build(ground, {"f": b"abc", "d": None})
        values = {"user.short": b"1", "user.bytes": bytes(range(256)), "user.empty": b""}
        async with opened(ground) as (place, top):
            assert await place.xattrs(f"{top}/f") == {}
            with able(place):
                for name in ("f", "d"):
                    await place.change(f"{top}/{name}", Attributes(xattrs=values))
                    assert await place.xattrs(f"{top}/{name}") == (values if place.traits.xattrs else {})

    # ------------------------------------------------------------------ the place

    async def test_names_and_paths_that_are_too_long(self, opened: Opener, ground: Path) -> None:
        build(ground, {"f": b""})
        too_long = frozenset({"limit", "invalid"}) | self.vague
        async with opened(ground) as (place, top):
            for name in ("n" * 256, "é" * 128):
                with refused(too_long, READ_ONLY):
                    await place.make_folder(f"{top}/{name}")
                with refused(too_long, READ_ONLY):
                    await place.open(f"{top}/{name}", write=True, create=True)
                with refused(too_long, MISSING):
                    await place.entry(f"{top}/{name}")

    async def test_room_and_traits(self, opened: Opener, ground: Path) -> None:
        build(ground, {"f": b""})
        async with opened(ground) as (place, top):
            room = await place.space(top)
            if room.total is not None and room.free is not None:
                assert 0 <= room.free <= room.total
            traits = await place.traits_at(top)
            assert traits.writable == place.traits.writable
            assert traits.mtime_step >= 1 and traits.block >= 4096 and traits.parallel >= 1
            path = place.system_path(f"{top}/f")
            assert (path is not None) == traits.local
            if path is not None:
                assert Path(path).samefile(ground / "f")
            await place.close()
            await place.close()
            with refused(frozenset({"unavailable"})):
                await place.entry(f"{top}/f")
