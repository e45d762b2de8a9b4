"""The trash of the file manager, over a real one in the home."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot

from labbox.files.places.opening import Places, Roots
from labbox.files.transfer import run
from labbox.locations import parse
from labbox.model import Conflict, JobState, TransferSpec, TransferVerb
from labbox.tui.widgets.trashtable import TrashTable


class Bin:
    """A home, and transfers done in it as the box does them."""

    def __init__(self, home: Path, notes: Path) -> None:
        self.home, self._notes, self._done = home, notes, 0

    async def do(self, spec: TransferSpec) -> int:
        """How many things it could not do."""
        self._done += 1
        journal = self._notes / str(self._done)
        journal.mkdir(parents=True)
        folder = os.open(journal, os.O_RDONLY | os.O_DIRECTORY)
        try:
            async with Places(Roots(home=str(self.home))) as places:
                return (await run(spec, places, folder)).failed
        finally:
            os.close(folder)

    def delete(self, *names: str) -> None:
        for name in names:
            path = self.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"this was {name}\n")
        spec = TransferSpec(verb=TransferVerb.TRASH, sources=tuple(f"~/{name}" for name in names))
        assert asyncio.run(self.do(spec)) == 0

    def dated(self, name: str, day: str) -> None:
        """Say in its note that it was deleted at another time."""
        note = self.home / f".local/share/Trash/info/{name}.trashinfo"
        kept = [line for line in note.read_text().splitlines() if not line.startswith("DeletionDate")]
        note.write_text("\n".join([*kept, f"DeletionDate={day}", ""]))


@pytest.fixture
def trash(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Bin:
    made = Bin(tmp_path, tmp_path_factory.mktemp("journals"))
    made.delete("study/old.csv", "notes.txt", "study/raw.bin")
    made.dated("old.csv", "2026-11-20T10:00:00")
    made.dated("notes.txt", "2026-11-01T10:00:00")
    made.dated("raw.bin", "2026-10-01T10:00:00")
    return made


class Hands:
    """Keys, and what is seen."""

    def __init__(self, pilot: Pilot[int], wait: Any, shown: Callable[[Any], str], box: Any) -> None:
        self.pilot, self._wait, self._shown, self.box = pilot, wait, shown, box

    @property
    def page(self) -> str:
        return self._shown(self.pilot)

    async def until(self, reached: Callable[[], object]) -> None:
        await self._wait(self.pilot, reached)
        await self.pilot.pause()

    async def sees(self, *texts: str) -> None:
        await self.until(lambda: all(text in self.page for text in texts))

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause()

    @property
    def table(self) -> TrashTable:
        return self.pilot.app.screen.query_one(TrashTable)

    @property
    def names(self) -> list[str]:
        return [one.origin.name for one in self.table.shown]

    def transfers(self) -> list[TransferSpec]:
        return [call[1].transfer for call in self.box.calls if call[0] == "submit_job"]

    async def done(self, trash: Bin) -> None:
        """The box has done the last transfer."""
        assert await trash.do(self.transfers()[-1]) == 0
        self.box.change(max(self.box.jobs), state=JobState.SUCCEEDED, progress=None)


@pytest.fixture
def hands(box: Any, running: Any, wait: Any, shown: Any) -> Callable[..., Any]:
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def opened(things: int = 3, **options: Any) -> Any:
        async with running(box, start="files", **{"size": (110, 30), **options}) as pilot:
            found = Hands(pilot, wait, shown, box)
            await found.sees("F10Quit", "free")
            await found.press("ctrl+x", "t")
            await found.sees(f"{things} thing")
            yield found

    return opened


async def test_it_lists_what_was_deleted_from_where_and_until_when(hands: Any, trash: Bin) -> None:
    async with hands() as at:
        assert at.names == ["old.csv", "notes.txt", "raw.bin"]
        first, second, third = (
            next(line for line in at.page.splitlines() if name in line) for name in at.names
        )
        for line, texts in (
            (first, ("home", "~/study", "20 Nov 10:00", "29 days", "23")),
            (second, ("home", "~ ", "01 Nov 10:00", "10 days", "19")),
            (third, ("~/study", "01 Oct 10:00", "due")),
        ):
            assert all(text in line for text in texts), line
        await at.sees("3 things, files of 65 B", "kept 30 days")
        await at.press("o")
        assert at.names == ["notes.txt", "old.csv", "raw.bin"]
        await at.press("O")
        assert at.names == ["raw.bin", "old.csv", "notes.txt"]
        await at.press("f7", *"stu", "enter")
        assert at.names == ["raw.bin", "old.csv"]
        await at.press("escape")
        assert len(at.names) == 3
        await at.press("f3")
        await at.sees("this was")
        await at.press("escape", "escape")
        await at.sees("Files on lab")


async def test_marked_ones_come_back_to_where_they_were(hands: Any, trash: Bin) -> None:
    async with hands() as at:
        await at.press("insert", "down", "space")
        await at.sees("2 marked")
        await at.press("f5")
        await at.sees("Restore 2 things to where they were", "nothing in the way")
        await at.press("enter")
        await at.until(at.transfers)
        spec = at.transfers()[0]
        assert spec.verb is TransferVerb.RESTORE and spec.target is None
        assert [parse(source).name for source in spec.sources] == ["old.csv", "raw.bin"]
        await at.done(trash)
        await at.until(lambda: at.names == ["notes.txt"])
        assert (trash.home / "study/old.csv").read_text() == "this was study/old.csv\n"
        assert (trash.home / "study/raw.bin").exists() and not (trash.home / "notes.txt").exists()


async def test_what_is_in_the_way_is_said_before_and_decided(hands: Any, trash: Bin) -> None:
    (trash.home / "notes.txt").write_text("newer notes")
    async with hands() as at:
        await at.press("down", "r")
        await at.sees("Restore “notes.txt” to where it was", "~/notes.txt", "1 is there already", "F3 Each")
        await at.press("f3")
        await at.sees("Action", "k keep both")
        assert "go on behind" not in at.page  # nothing is put behind anything here
        await at.press("g", "k", "enter")
        await at.sees("1 of them decided")
        await at.press("enter")
        await at.until(at.transfers)
        assert [(one.path, one.conflict) for one in at.transfers()[0].decisions] == [
            ("notes.txt", Conflict.RENAME)
        ]
        await at.done(trash)
        await at.until(lambda: len(at.names) == 2)
        assert (trash.home / "notes.txt").read_text() == "newer notes"
        assert (trash.home / "notes (2).txt").read_text() == "this was notes.txt\n"


async def test_into_another_folder(hands: Any, trash: Bin) -> None:
    (trash.home / "rescued").mkdir()
    async with hands() as at:
        await at.press("f6")
        await at.sees("Restore into a folder")
        at.pilot.app.screen.query_one("#field-text").value = "rescued"
        await at.press("enter")
        await at.sees("Restore “old.csv” into ~/rescued", "nothing in the way")
        await at.press("enter")
        await at.until(at.transfers)
        assert at.transfers()[0].target == "~/rescued"
        await at.done(trash)
        assert (trash.home / "rescued/old.csv").exists()


async def test_deleting_for_good_and_emptying_ask_first(hands: Any, trash: Bin) -> None:
    async with hands() as at:
        await at.press("f8")
        await at.sees("Delete “old.csv” for good? Nothing brings it back.")
        await at.press("escape")
        assert at.transfers() == []
        await at.press("delete")
        await at.sees("for good?")
        await at.press("y")
        await at.until(at.transfers)
        assert at.transfers()[0].verb is TransferVerb.ERASE
        await at.done(trash)
        await at.until(lambda: at.names == ["notes.txt", "raw.bin"])
        await at.press("f20")
        await at.sees("Delete all 2 things in the trash for good (home)?")
        await at.press("n")
        assert len(at.transfers()) == 1
        await at.press("e")
        await at.sees("Delete all 2 things")
        await at.press("y")
        await at.until(lambda: len(at.transfers()) == 2)
        await at.done(trash)
        await at.sees("The trash is empty.", "0 things")
        assert list((trash.home / ".local/share/Trash").rglob("*.*")) == []


async def test_an_empty_trash_and_one_that_is_not_ones_own(hands: Any, tmp_path: Path) -> None:
    other = tmp_path / ".local/share"
    other.mkdir(parents=True)
    (other / "Trash").symlink_to(tmp_path)  # a link is no trash
    async with hands(0) as at:
        await at.sees("The trash is empty.")
        await at.press("f5", "f3", "f8", "space", "e")
        assert at.transfers() == []


async def test_the_trash_of_shared_folders_is_there_too(
    hands: Any, trash: Bin, box: Any, tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any
) -> None:
    shared = tmp_path_factory.mktemp("shared")
    info = shared / f".Trash-{os.geteuid()}/info"
    (info.parent / "files").mkdir(parents=True)
    info.mkdir()
    (info.parent / "files/common.dat").write_text("all of us")
    (info / "common.dat.trashinfo").write_text(
        "[Trash Info]\nPath=atlas/common.dat\nDeletionDate=2026-11-21T09:00:00\n"
    )
    whoami = box.whoami
    monkeypatch.setattr(box, "whoami", lambda: msgspec.structs.replace(whoami(), shared=str(shared)))
    async with hands(4) as at:
        assert at.names[0] == "common.dat"
        await at.sees("shared:/atlas")


async def test_hostile_names_and_thousands_of_things(hands: Any, tmp_path: Path) -> None:
    top = tmp_path / ".local/share/Trash"
    (top / "files").mkdir(parents=True)
    (top / "info").mkdir()
    for number in range(3000):
        (top / f"files/f{number}").touch()
        when = f"2026-11-21T09:{number // 60:02d}:{number % 60:02d}"
        (top / f"info/f{number}.trashinfo").write_text(
            f"[Trash Info]\nPath=%1B[2J{number}%0A%FF\nDeletionDate={when}\n"
        )
    (top / "info/damaged.trashinfo").write_text("\0")
    (top / "info/climbs.trashinfo").write_text(
        "[Trash Info]\nPath=../../x\nDeletionDate=2026-11-21T09:00:00\n"
    )
    async with hands("3,000") as at:
        assert "\x1b" not in at.page and at.page.count("␛[2J") > 5
        await at.press("plus")
        await at.sees("3,000 marked")
        await at.press("f5")
        await at.sees("Restore 3,000 things", "nothing in the way")
