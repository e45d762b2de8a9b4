"""The file manager: every key of the table, on real folders."""

from __future__ import annotations

import asyncio
import gzip
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sshd import Sshd
from textual.pilot import Pilot

from labbox.files.places.archive import ArchivePlace
from labbox.locations import parse
from labbox.model import Conflict, JobState, TransferVerb
from labbox.protocol import HostSecret
from labbox.tui.screens.files import FilesScreen
from labbox.tui.screens.files_renaming import renamed

HOSTILE = "bad\x1b]52;c;aGk=\x07\x1b[2J\u202ename\n\udcff.txt"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A home with some of everything."""
    for name in ("study/code", "study/raw", "papers", "other"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("run1.csv", "run2.csv", "run10.csv", "notes.txt", "image.PNG", ".hidden"):
        (tmp_path / name).write_text(f"this is {name}\n")
    (tmp_path / "big.bin").write_bytes(bytes(5000))
    (tmp_path / "study/code/app.py").write_text("print('needle')\n")
    (tmp_path / "run.sh").write_text("true\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "link").symlink_to("notes.txt")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "away").symlink_to("study")
    for number, name in enumerate(sorted(path.name for path in tmp_path.iterdir())):
        os.utime(tmp_path / name, (1_795_000_000 + number * 60,) * 2, follow_symlinks=False)
    return tmp_path


class Hands:
    """Keys, and what is seen."""

    def __init__(self, pilot: Pilot[int], wait: Any, shown: Callable[[Any], str], box: Any) -> None:
        self.pilot, self._wait, self._shown, self.box = pilot, wait, shown, box

    @property
    def screen(self) -> FilesScreen:
        return next(each for each in self.pilot.app.screen_stack if isinstance(each, FilesScreen))

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

    def names(self, side: str | None = None) -> list[str]:
        listing = self.screen.browsers[side or self.screen.active].listing
        return [listing.name(number) for number in listing.shown] if listing else []

    @property
    def here(self) -> str:
        return str(self.screen.here.location)

    @property
    def there(self) -> str:
        return str(self.screen.there.location)

    @property
    def under(self) -> str:
        row = self.screen.row
        return row.name if row else ".."

    def marked(self) -> list[str]:
        listing = self.screen.here.listing
        return listing.marked_names() if listing else []

    async def on(self, name: str) -> None:
        self.screen.pane.table.stand_on(name)
        await self.until(lambda: self.under == name)

    async def goes(self, where: str) -> None:
        await self.until(lambda: self.here == where and not self.screen.here.reading)

    def transfer(self) -> Any:
        spec = [call[1] for call in self.box.calls if call[0] == "submit_job"][-1]
        return spec.transfer


Hand = Callable[..., Any]


@pytest.fixture
def hands(box: Any, running: Any, wait: Any, shown: Any, files: Path) -> Hand:
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def run(**options: Any) -> Any:
        async with running(box, start="files", **{"size": (110, 34), **options}) as pilot:
            found = Hands(pilot, wait, shown, box)
            await found.until(
                lambda: all(each.listing and not each.reading for each in found.screen.browsers.values())
            )
            yield found

    return run


async def test_it_is_the_first_screen_and_shows_what_is_there(hands: Hand, files: Path) -> None:
    async with hands() as at:
        folders = ["away", "other", "papers", "study"]
        assert at.names() == at.names("right") == [
            *folders, "big.bin", "gone", "image.PNG", "link", "notes.txt", "run.sh", "run1.csv", "run2.csv",
            "run10.csv",
        ]  # fmt: skip
        page = at.page
        for text in ("/study", "~away", "@link", "!gone", "*run.sh", "4.88K", "Name ↑", "free", "F5Copy"):
            assert text in page
        assert ".hidden" not in page
        inks = {
            row: at.screen.pane.table.cells(row, at.screen.pane.table._widths)[0][0] for row in range(1, 14)
        }
        told = {text.strip(): ink for text, ink in inks.values()}
        assert (told["/study"], told["@link"], told["!gone"], told["*run.sh"]) == (
            "folder",
            "note",
            "bad",
            "good",
        )


async def test_enter_backspace_and_the_cursor_remember_the_way(hands: Hand) -> None:
    async with hands() as at:
        await at.on("study")
        await at.press("enter")
        await at.goes("~/study")
        assert at.names() == ["code", "raw"]
        await at.press("down", "enter")
        await at.goes("~/study/code")
        await at.press("backspace")
        await at.goes("~/study")
        assert at.under == "code"
        await at.press("up", "enter")
        await at.goes("~")
        assert at.under == "study"
        await at.press("alt+y")
        await at.goes("~/study")
        await at.press("alt+y")
        await at.goes("~/study/code")
        await at.press("alt+u")
        await at.goes("~/study")
        assert at.there == "~"


async def test_panes_tabs_and_both_ways_between_them(hands: Hand) -> None:
    async with hands() as at:
        await at.press("tab")
        assert at.screen.active == "right"
        await at.on("papers")
        await at.press("enter")
        await at.goes("~/papers")
        await at.press("ctrl+u")
        await at.until(lambda: (at.here, at.there) == ("~", "~/papers"))
        await at.press("alt+i")
        await at.until(lambda: at.there == "~")
        await at.on("study")
        await at.press("alt+o")
        await at.until(lambda: at.there == "~/study")
        await at.press("ctrl+t")
        await at.until(lambda: len(at.screen.here.tabs) == 2)
        await at.on("other")
        await at.press("enter")
        await at.goes("~/other")
        await at.sees(" other ")
        await at.press("ctrl+pageup")
        await at.goes("~")
        await at.press("ctrl+pagedown")
        await at.goes("~/other")
        await at.press("ctrl+w")
        await at.goes("~")
        assert len(at.screen.here.tabs) == 1


async def test_marks_by_key_mask_and_mouse(hands: Hand) -> None:
    async with hands() as at:
        await at.on("run1.csv")
        await at.press("insert", "space")
        assert at.marked() == ["run1.csv", "run2.csv"]
        await at.sees("2 items, 34 B")
        await at.press("shift+up")
        assert at.marked() == ["run1.csv", "run2.csv", "run10.csv"]
        await at.press("asterisk")
        assert "run1.csv" not in at.marked() and "big.bin" in at.marked()
        await at.press("escape")
        assert at.marked() == []
        await at.press("plus")
        await at.sees("Mark")
        at.pilot.app.screen.query_one("#field-text").value = "*.CSV;n*"
        await at.press("enter")
        await at.until(lambda: len(at.marked()) == 4)
        await at.press("minus")
        await at.sees("Unmark")
        at.pilot.app.screen.query_one("#field-text").value = "run?.csv"
        await at.press("enter")
        await at.until(lambda: at.marked() == ["notes.txt", "run10.csv"])


async def test_quick_search_finds_prefix_first_then_the_middle(hands: Hand) -> None:
    async with hands() as at:
        await at.press("r", "u", "n", "1")
        await at.until(lambda: at.under == "run1.csv")
        await at.sees("Search: run1")
        await at.press("0")
        await at.until(lambda: at.under == "run10.csv")
        await at.press("backspace", "ctrl+s")
        await at.until(lambda: at.under == "run1.csv")
        await at.press("escape")
        await at.until(lambda: "Search" not in at.page)
        await at.press("ctrl+s", ".", "p", "n")
        await at.until(lambda: at.under == "image.PNG")
        await at.press("escape", "z", "z")
        await at.until(lambda: "zz" not in at.page)
        assert at.under == "image.PNG"


async def test_filter_hidden_sort_and_reverse(hands: Hand) -> None:
    async with hands() as at:
        await at.press("ctrl+f", *"csv")
        await at.until(lambda: at.names() == ["run1.csv", "run2.csv", "run10.csv"])
        await at.press("enter")
        await at.sees("filter csv")
        await at.press("escape")
        await at.until(lambda: len(at.names()) == 13)
        await at.press("ctrl+h")
        await at.until(lambda: ".hidden" in at.names())
        await at.press("ctrl+h")
        await at.until(lambda: ".hidden" not in at.names())
        at.screen.action_sort("size")
        await at.until(lambda: at.names()[4] == "big.bin")
        at.screen.action_sort("extension")
        await at.until(lambda: at.names()[-1] == "notes.txt")
        at.screen.action_sort("time")
        await at.until(lambda: at.names()[4] == "run2.csv")
        at.screen.action_reverse()
        await at.until(lambda: at.names()[4] == "big.bin")
        at.screen.action_sort("name")
        at.screen.action_reverse()
        await at.until(lambda: at.names()[:4] == ["study", "papers", "other", "away"])


async def test_a_click_a_double_click_a_heading_and_the_wheel(hands: Hand) -> None:
    async with hands() as at:
        table = at.screen.file_panes["right"].table
        await at.pilot.click(table, offset=(5, 4))
        await at.until(lambda: at.screen.active == "right" and at.under == "papers")
        await at.pilot.click(table, offset=(table.size.width - 18, 0))
        await at.until(lambda: at.names()[4] == "big.bin")
        await at.pilot.click(table, offset=(5, 4), times=2)
        await at.goes("~/papers")
        await at.pilot.click(at.screen.file_panes["left"].table, offset=(3, 2), button=3)
        await at.until(lambda: at.screen.active == "left" and at.marked() == ["away"])


async def test_copy_asks_where_and_what_then_is_a_job(hands: Hand) -> None:
    async with hands() as at:
        await at.press("tab")
        await at.on("other")
        await at.press("enter")
        await at.goes("~/other")
        await at.press("tab")
        await at.on("run1.csv")
        await at.press("space", "space", "f5")
        await at.sees("Copy 2 items to:", "2 files, 34 B", "nothing in the way")
        await at.press("down", "right", "right", "down", "space", "enter")  # on the box: it starts
        await at.until(lambda: any(call[0] == "submit_job" for call in at.box.calls))
        spec = at.transfer()
        assert (spec.verb, spec.sources, spec.target) == (
            TransferVerb.COPY,
            ("~/run1.csv", "~/run2.csv"),
            "~/other",
        )
        assert (spec.conflict, spec.verify, spec.exact) == (Conflict.OVERWRITE, True, False)
        await at.until(lambda: not at.marked())
        await at.sees("Copy run1.csv and 1 more")


async def test_a_target_that_cannot_be_is_said_in_the_dialog_which_stays(hands: Hand) -> None:
    async with hands() as at:
        await at.on("study")
        await at.press("f6")
        await at.sees("Move “study” to:", "cannot move it onto itself")
        await at.press("enter")
        await at.sees("Move “study” to:", "cannot move it onto itself")
        await at.press("end", *"/raw", "enter")
        await at.sees("Move “study” to:", "cannot move a folder into itself: choose another target")
        assert not any(call[0] == "submit_job" for call in at.box.calls)
        await at.press("ctrl+u", *"~/other/", "enter")
        await at.until(lambda: any(call[0] == "submit_job" for call in at.box.calls))
        assert at.transfer().target == "~/other"


async def test_a_target_longer_than_its_line_stands_whole_below_it(hands: Hand, files: Path) -> None:
    far = f"begins{'-and-goes-on' * 9}/ends"
    (files / far).mkdir(parents=True)
    async with hands() as at:

        def below() -> str:
            whole = at.pilot.app.screen.query_one("#whole")
            lines = at.page.splitlines()[whole.region.y : whole.region.bottom]
            return "".join(line[whole.region.x : whole.region.right].strip() for line in lines)

        at.screen.go_soon(at.screen.location_of(far), "right")
        await at.until(lambda: at.there == f"~/{far}")
        await at.on("notes.txt")
        await at.press("f5")
        await at.sees("Copy “notes.txt” to:", "nothing in the way")
        await at.until(lambda: below() == f"~/{far}/")
        await at.press("end", *"new")
        await at.until(lambda: below() == f"~/{far}/new")
        await at.press("ctrl+u", *"~/other/")
        await at.until(lambda: below() == "")
        await at.pilot.resize_terminal(30, 24)
        at.pilot.app.screen.query_one("#target").value = "~/papers/"
        await at.until(lambda: below() == "~/papers/")
        await at.pilot.resize_terminal(100, 30)
        await at.until(lambda: below() == "")


async def test_what_is_in_the_way_is_decided_one_by_one(hands: Hand, files: Path) -> None:
    for name, when in (
        ("run1.csv", 1_700_000_000),
        ("run2.csv", 1_799_000_000),
        ("run10.csv", 1_700_000_000),
    ):
        (files / "other" / name).write_text("another")
        os.utime(files / "other" / name, (when, when))
    async with hands() as at:
        at.screen.go_soon(at.screen.location_of("other"), "right")
        await at.until(lambda: at.there == "~/other" and len(at.names("right")) == 3)
        await at.on("run1.csv")
        await at.press("space", "space", "space", "f5")
        await at.sees("3 files", "3 are there already", "F3 Each")
        await at.press("f3")
        await at.sees("3 are there already", "Source", "Action", "leave, tell", "is told of")

        def newer_at(name: str) -> int:
            lines: list[str] = at.page.splitlines()
            return next(line.index("●") for line in lines if f" {name} " in line and "●" in line)

        assert newer_at("run1.csv") < newer_at("run2.csv")  # what comes, and what is there
        await at.press("home", "n", "k")
        await at.press("up")
        await at.sees("is put beside it")
        await at.press("S", "home", "o")
        await at.press("home")
        await at.sees("what is there is replaced")
        await at.press("end", "u")
        await at.press("enter")
        await at.sees("2 of them decided one by one")
        await at.press("enter")
        await at.until(lambda: any(call[0] == "submit_job" for call in at.box.calls))
        decided = {one.path: one.conflict for one in at.transfer().decisions}
        assert sorted(decided.values()) == [Conflict.OVERWRITE, Conflict.SKIP]
        assert len(decided) == 2 and at.transfer().conflict is Conflict.LEAVE


async def test_decisions_are_given_up_with_escape_and_with_another_target(hands: Hand, files: Path) -> None:
    (files / "other/run1.csv").write_text("another")
    async with hands() as at:
        at.screen.go_soon(at.screen.location_of("other"), "right")
        await at.until(lambda: at.there == "~/other" and at.names("right"))
        await at.on("run1.csv")
        await at.press("f5")
        await at.sees("1 is there already", "F3 Each")
        await at.press("f3")
        await at.sees("Action")
        await at.press("O", "escape")
        await at.until(lambda: "Action" not in at.page)
        assert "decided one by one" not in at.page
        await at.press("f3")
        await at.sees("Action")
        await at.press("O", "enter")
        await at.sees("1 of them decided")
        at.pilot.app.screen.query_one("#target").value = "~/papers"
        await at.sees("nothing in the way")
        assert "decided" not in at.page and "F3 Each" not in at.page
        await at.press("f2")
        await at.until(lambda: any(call[0] == "submit_job" for call in at.box.calls))
        assert at.transfer().decisions == ()


def test_what_a_decision_comes_to_is_said_by_the_rule_of_the_transfer() -> None:
    from labbox.files.places.base import EntryKind
    from labbox.files.transfer import Clash
    from labbox.tui.screens.files_conflicts import outcome

    one = Clash(
        path="a",
        source_kind=EntryKind.FILE,
        source_size=10,
        source_mtime=5,
        target_kind=EntryKind.FILE,
        target_size=4,
        target_mtime=9,
    )
    folder = msgspec.structs.replace(one, target_kind=EntryKind.FOLDER)
    longer = msgspec.structs.replace(one, target_size=11)
    for clash, what, told in (
        (one, Conflict.FAIL, "counts as not done"),
        (one, Conflict.NEWER, "what is there is newer"),
        (one, Conflict.RESUME, "6 B are put behind its end"),
        (one, Conflict.RENAME, "beside it"),
        (longer, Conflict.RESUME, "is not its beginning"),
        (folder, Conflict.OVERWRITE, "a folder stands where a file should go"),
    ):
        assert told in outcome(clash, what)


async def test_a_move_within_the_folder_is_a_rename_and_undone(hands: Hand, files: Path) -> None:
    async with hands() as at:
        await at.on("notes.txt")
        await at.press("f6")
        await at.sees("Move “notes.txt” to:")
        at.pilot.app.screen.query_one("#target").value = "words.txt"
        await at.press("enter")
        await at.until(lambda: (files / "words.txt").exists() and "words.txt" in at.names())
        assert at.under == "words.txt" and not any(call[0] == "submit_job" for call in at.box.calls)
        await at.press("alt+z")
        await at.sees("Undo: rename notes.txt?")
        await at.press("y")
        await at.until(lambda: (files / "notes.txt").exists() and "notes.txt" in at.names())


async def test_delete_goes_to_the_trash_and_for_good_is_said(hands: Hand, files: Path) -> None:
    async with hands() as at:
        await at.on("big.bin")
        await at.press("f8")
        await at.sees("Delete “big.bin”?", "trash", "1 file, 4.9 KiB")
        await at.press("escape")
        assert not any(call[0] == "submit_job" for call in at.box.calls)
        await at.press("f8")
        await at.sees("Delete “big.bin”?")
        await at.press("enter")
        await at.until(lambda: any(call[0] == "submit_job" for call in at.box.calls))
        assert (at.transfer().verb, at.transfer().sources) == (TransferVerb.TRASH, ("~/big.bin",))
        await at.on("run.sh")
        await at.press("f20")  # as terminals send Shift+F8
        await at.sees("for good? Nothing brings it back.")
        await at.press("enter")
        await at.until(lambda: at.transfer().verb is TransferVerb.ERASE)
        await at.press("alt+z")
        await at.sees("Undo: Delete big.bin?")
        await at.press("y")
        await at.until(lambda: at.transfer().verb is TransferVerb.UNDO and at.transfer().undo is not None)
        await at.sees("Undo “Delete big.bin”")  # on its way, and not said to be done
        assert "Undone" not in at.page


async def test_folders_files_names_and_links_are_made_at_once(hands: Hand, files: Path) -> None:
    async with hands() as at:
        await at.press("f7")
        await at.sees("Make a folder")
        await at.press(*"new/deep", "enter")
        await at.until(lambda: (files / "new/deep").is_dir() and at.under == "new")
        await at.on("run1.csv")
        await at.press("f18")
        await at.sees("New name")
        at.pilot.app.screen.query_one("#field-text").value = "first.csv"
        await at.press("enter")
        await at.until(lambda: (files / "first.csv").exists() and at.under == "first.csv")
        await at.press("ctrl+x", "c")
        await at.sees("Octal")
        at.pilot.app.screen.query_one("#field-mode").value = "600"
        await at.press("enter")
        await at.until(lambda: (files / "first.csv").stat().st_mode & 0o777 == 0o600)
        await at.press("ctrl+x", "s")
        await at.sees("Target")
        at.pilot.app.screen.query_one("#field-at").value = "pointer"
        await at.press("enter")
        await at.until(lambda: (files / "pointer").is_symlink())
        assert (files / "pointer").readlink() == files / "first.csv"
        await at.press("ctrl+x", "o")
        await at.sees("Owner and group")
        at.pilot.app.screen.query_one("#field-uid").value = str(os.getuid())
        await at.press("enter")
        await at.until(lambda: len(at.pilot.app.screen_stack) == 2)


@pytest.mark.parametrize("key", ["f18", "f6"])
async def test_a_name_with_controls_is_renamed_only_where_it_was_changed(
    hands: Hand, files: Path, key: str
) -> None:
    name = "two\nlines\u200b.csv"
    (files / name).write_text("x")
    async with hands() as at:
        await at.until(lambda: name in at.names())
        if key == "f6":
            at.screen.browsers["right"].tab.location = at.screen.here.location
        await at.on(name)
        await at.press(key)
        await at.until(lambda: at.pilot.app.screen.query("Input"))
        field = at.pilot.app.screen.query("Input").first()
        assert field.value == "two␊lines\\u200b.csv"
        if key == "f18":
            await at.press("enter")
            await at.until(lambda: len(at.pilot.app.screen_stack) == 2)
            assert (files / name).exists()
            await at.press(key)
            await at.until(lambda: at.pilot.app.screen.query("Input"))
            field = at.pilot.app.screen.query("Input").first()
        field.value = field.value.replace(".csv", ".txt")
        await at.press("enter")
        await at.until(lambda: (files / "two\nlines\u200b.txt").exists())
        assert not (files / name).exists()


async def test_the_title_names_what_shows_the_notices_here(hands: Hand) -> None:
    async with hands() as at:
        at.box.note("The disk is nearly full.")
        await at.sees("1 notice (F9 Box)")
        await at.press("f9")
        for _ in range(8):  # titles
            if "Notices" in at.page:
                break
            await at.press("right")
        await at.sees("Notices", "Status of the box")
        await at.press("escape")
        at.screen.lab.show_jobs()
        await at.sees("1 notice (n)")


async def test_the_cursor_is_where_it_was_after_a_swap_and_a_closed_tab(hands: Hand) -> None:
    async with hands() as at:
        await at.on("run10.csv")
        await at.press("tab")
        await at.on("papers")
        await at.press("enter")
        await at.goes("~/papers")
        await at.press("backspace")
        await at.goes("~")
        await at.on("study")
        await at.press("ctrl+u")
        await at.until(lambda: not any(browser.reading for browser in at.screen.browsers.values()))
        await at.until(lambda: at.under == "run10.csv")
        await at.press("tab")
        await at.until(lambda: at.under == "study")
        await at.press("ctrl+t")
        await at.until(lambda: len(at.screen.here.tabs) == 2 and not at.screen.here.reading)
        await at.on("papers")
        await at.press("enter")
        await at.goes("~/papers")
        await at.press("ctrl+w")
        await at.goes("~")
        await at.until(lambda: at.under == "study")


async def test_an_existing_name_is_refused_in_words(hands: Hand, files: Path) -> None:
    async with hands() as at:
        await at.press("f7")
        await at.sees("Make a folder")
        await at.press(*"study", "enter")
        await at.sees("Cannot ", "study")
        await at.press("enter")
        await at.on("run1.csv")
        await at.press("f18")
        await at.sees("New name")
        at.pilot.app.screen.query_one("#field-text").value = "run2.csv"
        await at.press("enter")
        await at.sees("Cannot ")
        assert (files / "run1.csv").exists()


async def test_many_are_renamed_with_a_preview_also_in_a_ring(hands: Hand, files: Path) -> None:
    async with hands() as at:
        await at.press("plus")
        await at.sees("Mark")
        at.pilot.app.screen.query_one("#field-text").value = "run*.csv"
        await at.press("enter")
        await at.until(lambda: len(at.marked()) == 3)
        await at.press("ctrl+n")
        await at.sees("Rename 3 items")
        at.pilot.app.screen.query_one("#pattern").value = "data-{n:03}{ext}"
        await at.sees("data-003.csv")
        await at.press("enter")
        await at.until(lambda: (files / "data-003.csv").exists() and "data-001.csv" in at.names())
        assert (files / "data-003.csv").read_text() == "this is run10.csv\n"


def test_patterns_make_names_or_say_why_not() -> None:
    assert renamed(["a.txt", "b.txt"], "{upper}-{n}{ext}") == ["A-1.txt", "B-2.txt"]
    assert renamed(["x1", "x2"], "{name}{ext}", r"x(\d)", r"y\1") == ["y1", "y2"]
    for pattern, seek, by, told in (
        ("same", "", "", "would be there twice"),
        ("{name}/x", "", "", "as a name"),
        ("{name}", "(", "", "cannot read"),
        ("{name}", "a", r"\9", "cannot use"),
        ("", "", "", "as a name"),
    ):
        with pytest.raises(Exception, match=told):
            renamed(["a", "ab"], pattern, seek, by)


async def test_changes_by_others_appear_and_cursor_and_marks_stay(hands: Hand, files: Path) -> None:
    async with hands() as at:
        await at.on("run10.csv")
        await at.press("space")
        await at.on("run2.csv")
        (files / "aaa.txt").write_text("new")
        (files / "notes.txt").unlink()
        (files / "big.bin").write_bytes(bytes(7000))
        await at.until(
            lambda: "aaa.txt" in at.names() and "notes.txt" not in at.names() and "6.84K" in at.page
        )
        assert at.under == "run2.csv" and at.marked() == ["run10.csv"]
        (files / "aab.txt").write_text("one more above")
        await at.until(lambda: "aab.txt" in at.names())
        assert at.under == "run2.csv" and at.marked() == ["run10.csv"]
        await at.on("papers")
        await at.press("enter")
        await at.goes("~/papers")
        (files / "papers").rmdir()
        await at.goes("~")


async def test_a_path_is_typed_and_completed(hands: Hand) -> None:
    async with hands() as at:
        await at.press("alt+c")
        await at.sees("Go to")
        await at.press(*"st", "tab")
        await at.until(lambda: at.pilot.app.screen.query_one("#path").value == "study/")
        await at.press("tab")
        await at.sees("code/", "raw/")
        await at.press("c", "tab", "enter")
        await at.goes("~/study/code")
        await at.press("alt+c")
        await at.sees("Go to")
        await at.press(*"~/notes.txt", "enter")
        await at.goes("~")
        assert at.under == "notes.txt"
        await at.press("alt+c")
        await at.sees("Go to")
        await at.press(*"/nowhere/at/all", "enter")
        await at.sees("Cannot ", "not there")
        assert at.here == "~"


async def test_places_bookmarks_and_where_one_often_is(hands: Hand) -> None:
    async with hands() as at:
        copied = at.box.add_transfer(name="Copy the lot").id
        at.box.change(copied, state=JobState.SUCCEEDED)
        await at.press("alt+f2")
        await at.sees("Place of the right pane", "Home", "Results of job")
        assert f"Results of job {copied} " not in at.page  # what a copy made stands where it was sent
        await at.press(*"root", "enter")
        await at.until(lambda: at.here == "/" and at.screen.active == "right")
        await at.press("alt+f1")
        await at.sees("Place of the left pane")
        await at.press("enter")
        await at.until(lambda: at.here == "~" and at.screen.active == "left")
        await at.on("study")
        await at.press("enter")
        await at.goes("~/study")
        await at.press("alt+b")
        await at.press("backspace")
        await at.goes("~")
        await at.press("ctrl+backslash")
        await at.sees("Bookmarks", "~/study")
        await at.press("enter")
        await at.goes("~/study")
        await at.press("alt+g")
        await at.sees("Where one often is")
        await at.press("enter")
        await at.until(lambda: at.here != "~/study")


async def test_folder_sizes_compare_and_synchronise(hands: Hand, files: Path) -> None:
    async with hands() as at:
        await at.on("study")
        await at.press("ctrl+@")
        await at.until(lambda: "16 " in at.page.split("/study")[1][:60])
        await at.press("ctrl+x", "d")
        await at.sees("Both panes show this folder")
        (files / "other/run1.csv").write_text("different size")
        (files / "other/extra").write_text("x")
        await at.press("tab")
        await at.on("other")
        await at.press("enter")
        await at.goes("~/other")
        await at.press("tab", "ctrl+x", "d")
        await at.until(lambda: "run1.csv" in at.marked() and "big.bin" in at.marked())
        other = at.screen.there.listing
        assert sorted(other.marked_names()) == ["extra", "run1.csv"]
        await at.press("ctrl+x", "y")
        await at.sees("Synchronise", "/big.bin", "files,", "+ ")
        await at.press("f2")
        await at.until(lambda: any(call[0] == "submit_job" for call in at.box.calls))
        spec = at.transfer()
        assert (spec.verb, spec.sources, spec.target) == (TransferVerb.SYNC, ("~",), "~/other")


async def test_find_by_name_and_content_and_the_flat_view(hands: Hand) -> None:
    async with hands() as at:
        await at.press("alt+f7")
        await at.sees("Find")
        at.pilot.app.screen.query_one("#field-mask").value = "*.py"
        at.pilot.app.screen.query_one("#field-text").value = "NEEDLE"
        await at.press("enter")
        await at.until(lambda: at.names() == ["study/code/app.py"])
        await at.sees("Found: *.py")
        await at.press("down", "enter")
        await at.goes("~/study/code")
        assert at.under == "app.py"
        await at.press("backspace", "backspace")
        await at.goes("~")
        await at.press("ctrl+b")
        await at.until(lambda: "study/code/app.py" in at.names())
        await at.press("ctrl+b")
        await at.until(lambda: "study/code/app.py" not in at.names() and "study" in at.names())


def packed(files: Path) -> None:
    with zipfile.ZipFile(files / "data.zip", "w") as made:
        for name, text in (("sub/deep/app.py", "print('needle')"), ("sub/b.txt", "x" * 500), ("c.py", "no")):
            made.writestr(name, text)


async def test_archives_are_searched_flattened_and_counted(hands: Hand, files: Path) -> None:
    packed(files)
    async with hands() as at:
        at.screen.go_soon(at.screen.location_of("data.zip").entered())
        await at.goes("~/data.zip!/")
        await at.on("sub")
        await at.press("ctrl+@")
        await at.until(lambda: " 515 " in at.page.split("/sub")[1][:60])
        await at.press("ctrl+b")
        await at.until(lambda: sorted(at.names()) == ["c.py", "sub/b.txt", "sub/deep/app.py"])
        await at.press("ctrl+b")
        await at.until(lambda: at.names() == ["sub", "c.py"])
        await at.press("alt+f7")
        await at.sees("Find", "Below ~/data.zip!/", "each file that fits")
        at.pilot.app.screen.query_one("#field-mask").value = "*.py"
        at.pilot.app.screen.query_one("#field-text").value = "NEEDLE"
        await at.press("enter")
        await at.until(lambda: at.names() == ["sub/deep/app.py"])
        await at.press("down", "f3")
        await at.sees("print('needle')")
        await at.press("escape", "enter")
        await at.goes("~/data.zip!/sub/deep")
        assert at.under == "app.py"


async def test_a_look_tells_how_far_it_is_and_esc_ends_it(
    hands: Hand, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labbox.files import lookingbelow

    packed(files)
    real, stuck = ArchivePlace.list, asyncio.Event()

    async def slow(self: ArchivePlace, path: str, **words: Any) -> Any:
        async for batch in real(self, path, **words):
            yield batch
        if path == "sub":
            await stuck.wait()

    monkeypatch.setattr(lookingbelow, "TELL_EVERY", 0)
    async with hands() as at:
        at.screen.go_soon(at.screen.location_of("data.zip").entered())
        await at.goes("~/data.zip!/")
        monkeypatch.setattr(ArchivePlace, "list", slow)
        await at.press("alt+f7")
        await at.sees("Names")
        await at.press("enter")
        await at.sees("Searching… 4 in 2 folders", "Esc ends")
        await at.press("escape")
        await at.sees("Ended: 4 found so far")
        await at.until(lambda: not at.screen.here.reading and "Searching" not in at.page)
        assert set(at.names()) == {"sub", "c.py", "sub/deep", "sub/b.txt"}
        await at.press("backspace")
        await at.until(lambda: at.names() == ["sub", "c.py"])
        await at.on("sub")
        await at.press("ctrl+@")
        await at.sees("Counting sub… 1 file")
        await at.press("escape")
        await at.until(lambda: "Counting" not in at.page)
        await at.press("ctrl+@")
        await at.sees("Counting sub… 1 file")
        await at.press("home", "enter")  # going elsewhere ends it too
        await at.goes("~")
        await at.until(lambda: "Counting" not in at.page)


@pytest.mark.root
async def test_another_host_is_searched_flattened_and_counted(
    hands: Hand, files: Path, box: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there = tmp_path_factory.mktemp("there")
    (there / "sub/deep").mkdir(parents=True)
    (there / "sub/deep/app.py").write_text("print('needle')\n")
    (there / "sub/b.py").write_text("x" * 500)
    with Sshd(tmp_path_factory.mktemp("sshd")) as sshd:
        box.host_secret = lambda host: HostSecret(
            name=host,
            user="root",
            host=sshd.address,
            port=sshd.port,
            private_key=sshd.key.read_text(),
            host_keys=(sshd.host_key,),
        )
        async with hands() as at:
            at.screen.go_soon(parse(f"sftp://root@127.0.0.1:{sshd.port}/{there}"))
            await at.until(lambda: at.names() == ["sub"])
            await at.on("sub")
            await at.press("ctrl+@")
            await at.until(lambda: " 516 " in at.page.split("/sub")[1][:60])
            await at.press("ctrl+b")
            await at.until(lambda: sorted(at.names()) == ["sub/b.py", "sub/deep/app.py"])
            await at.press("ctrl+b")
            await at.until(lambda: at.names() == ["sub"])
            await at.press("alt+f7")
            await at.sees("Find", "each file that")
            at.pilot.app.screen.query_one("#field-text").value = "needle"
            await at.press("enter")
            await at.until(lambda: at.names() == ["sub/deep/app.py"])
            await at.press("down", "enter")
            await at.until(lambda: at.here.endswith("/sub/deep") and at.under == "app.py")


async def test_two_files_are_compared_line_by_line(hands: Hand, files: Path) -> None:
    (files / "other" / "notes.txt").write_text("this is another\n")
    async with hands() as at:
        at.screen.go_soon(at.screen.location_of("other"), "right")
        await at.until(lambda: at.there == "~/other" and "notes.txt" in at.names("right"))
        await at.on("notes.txt")
        await at.press("ctrl+x", "f")
        await at.sees("~/notes.txt → ~/other/notes.txt", "-this is notes.txt", "+this is another")
        await at.press("escape")
        await at.on("run1.csv")
        await at.press("space", "space")
        assert at.marked() == ["run1.csv", "run2.csv"]
        await at.press("ctrl+x", "f")
        await at.sees("~/run1.csv → ~/run2.csv", "-this is run1.csv", "+this is run2.csv")


async def test_one_file_alone_is_compared_with_nothing(hands: Hand) -> None:
    async with hands() as at:
        await at.on("notes.txt")
        at.screen.file_panes["right"].table.cursor = at.screen.pane.table.cursor
        await at.press("ctrl+x", "f")
        await at.sees("Mark two files, or stand on one in each pane.")


async def test_quick_view_shows_what_a_single_packed_file_holds(
    hands: Hand, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files / "notes.txt.gz").write_bytes(gzip.compress(b"packed lines\n" * 3))
    (files / "other.txt.xz").write_bytes(lzma.compress(b"another\n" * 3))
    async with hands() as at:
        await at.press("ctrl+q")
        await at.on("notes.txt.gz")
        await at.sees("packed lines")
        monkeypatch.setattr("labbox.tui.widgets.quickview._FileBeside.most_packed", 20)
        await at.on("other.txt.xz")  # too much in passing: its bytes
        await at.sees("fd 37 7a 58 5a")


async def test_quick_view_and_information_follow_the_cursor(hands: Hand) -> None:
    async with hands() as at:
        await at.on("notes.txt")
        await at.press("ctrl+q")
        await at.sees("this is notes.txt")
        await at.press("down", "down")
        await at.sees("this is run1.csv")
        await at.press("ctrl+l")
        await at.sees("(17 bytes)", "0644", "inode")
        await at.press("ctrl+l")
        await at.until(lambda: "inode" not in at.page and "Modified" in at.page[200:])


async def test_pack_unpack_checksums_and_paths(hands: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hands() as at:
        copied: list[str] = []
        monkeypatch.setattr(at.pilot.app, "copy_to_clipboard", copied.append)
        await at.on("study")
        await at.press("alt+p")
        assert copied == ["~/study"]
        await at.press("alt+f5")
        await at.sees("Pack “study” into:")
        at.pilot.app.screen.query_one("#target").value = "study.tar.zst"
        await at.press("enter")
        await at.until(lambda: any(call[0] == "submit_job" for call in at.box.calls))
        assert (at.transfer().verb, at.transfer().target, at.transfer().exact) == (
            TransferVerb.PACK,
            "~/study.tar.zst",
            True,
        )
        await at.press("ctrl+x", "h")
        await at.sees("Checksums")
        await at.press("enter")
        await at.until(lambda: at.transfer().verb is TransferVerb.CHECKSUM)
        await at.press("alt+f6")
        await at.sees("it is no archive")


async def test_transfers_run_below_and_can_be_paused(hands: Hand, box: Any) -> None:
    box.add_transfer()
    async with hands(size=(140, 34)) as at:
        await at.sees("Copy raw", "50%", "120.0 MiB/s", "12s left", "412 of 1,000 files")
        await at.press("ctrl+x", "j")
        await at.sees("My transfers", "Copy raw")
        await at.press("p")
        await at.until(lambda: any(call[0] == "pause_job" for call in box.calls))
        await at.press("escape")
        number = max(box.jobs)
        box.change(number, state=JobState.SUCCEEDED, progress=None)
        await at.until(lambda: not at.screen.transfers)
        await at.sees("Copy raw: done.")


async def test_the_job_view_is_a_key_away_and_both_keep_their_place(hands: Hand) -> None:
    async with hands() as at:
        await at.on("run2.csv")
        await at.press("ctrl+o")
        await at.sees("Runs 60", "reaction-time")
        await at.press("down", "ctrl+o")
        await at.until(lambda: isinstance(at.pilot.app.screen, FilesScreen))
        assert at.under == "run2.csv"
        await at.press("f12")
        await at.sees("Runs 60")
        assert at.pilot.app.screen.query_one("JobTable").cursor == 1


async def test_all_is_remembered_for_the_next_login(hands: Hand, files: Path, box: Any, fakes: Any) -> None:
    async with hands() as at:
        at.screen.action_sort("size")
        await at.on("study")
        await at.press("enter")
        await at.goes("~/study")
        await at.press("ctrl+t", "backspace")
        await at.goes("~")
        await at.press("alt+b", "tab")
    kept = files / ".config/labbox/files.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    box.closed = False
    async with hands() as at:
        assert at.screen.active == "right" and at.screen.bookmarks_kept == ["~"]
        left = at.screen.browsers["left"]
        assert [str(tab.location) for tab in left.tabs] == ["~/study", "~"] and left.at == 1
        assert left.tab.arrangement.sort == "size" and [str(each) for each in left.tab.back] == ["~/study"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"left": 3}',
        '{"left": {"tabs": [{"location": "\\u001b[2J:"}], "at": 99}}',
        "{" * 5000,
        "\0",
    ],
)
async def test_what_is_remembered_may_be_anything(hands: Hand, files: Path, content: str) -> None:
    kept = files / ".config/labbox/files.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(content)
    async with hands() as at:
        assert at.here == "~"


async def test_hostile_names_are_shown_harmless_and_can_be_worked_with(
    hands: Hand, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files / HOSTILE).write_text("x")
    async with hands() as at:
        copied: list[str] = []
        monkeypatch.setattr(at.pilot.app, "copy_to_clipboard", copied.append)
        await at.on(HOSTILE)
        assert not any(character in at.page for character in "\x1b\x07\u202e\udcff")
        await at.press("alt+p", "f8")
        await at.sees("Delete “bad␛]52")
        await at.press("enter")
        await at.until(lambda: any(call[0] == "submit_job" for call in at.box.calls))
        assert at.transfer().sources == ("~/bad\x1b]52;c;aGk=\x07\x1b[2J\u202ename\n\\xff.txt",)
        assert "\x1b" not in copied[0]


async def test_a_folder_without_permission_says_so_and_the_pane_stays(hands: Hand, files: Path) -> None:
    async with hands() as at:
        (files / "papers").rmdir()
        at.screen.go_soon(at.screen.location_of("papers"))
        await at.sees("Cannot ", "not there")
        await at.press("enter")
        assert at.here == "~"


async def test_a_copy_called_checksums_is_a_copy(hands: Hand, box: Any) -> None:
    """Its end says that it is done; only a job that computes sums shows them, whatever it is called."""
    copied: list[str] = []
    box.transfer_summary = lambda number: copied.append(str(number))
    async with hands(size=(140, 34)) as at:
        for verb, name in ((TransferVerb.COPY, "Copy Checksums.md5"), (TransferVerb.CHECKSUM, "sums")):
            job = box.add_transfer(name=name)
            at.screen.transfer_submitted(job, verb)
            assert (job.id in at.screen._awaited) is (verb is TransferVerb.CHECKSUM)
        copy = min(number for number in at.screen.transfers)
        box.change(copy, state=JobState.SUCCEEDED, progress=None)
        await at.sees("Copy Checksums.md5: done.")
        assert not copied
