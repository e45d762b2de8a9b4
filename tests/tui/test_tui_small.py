"""What fits where: no button beyond an edge, no function key lost, columns that give room to each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.color import Color, ColorSystem
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button, Label

from labbox.cli import output
from labbox.errors import LabboxError
from labbox.files.places.base import EntryKind
from labbox.files.transfer import Clash
from labbox.locations import parse
from labbox.model import Conflict
from labbox.text import stem_of
from labbox.tui import keys, look
from labbox.tui.app import LabboxApp
from labbox.tui.browsing import location_below, new_location_below
from labbox.tui.screens import editor_dialogs
from labbox.tui.screens.files_conflicts import ConflictsDialog
from labbox.tui.screens.files_renaming import RenameMany
from labbox.tui.screens.files_wishes import TransferDialog
from labbox.tui.screens.hosts_dialogs import KeyLine, Stranger
from labbox.tui.screens.settings import CHOICES, SettingsScreen
from labbox.tui.searching import Wish
from labbox.tui.settings import Settings, load_settings
from labbox.tui.widgets.bars import KeyBar
from labbox.tui.widgets.dialog import Confirm, Field, Form, Message, Prompt
from labbox.tui.widgets.table import Column, _shared

SIZES = ((160, 48), (80, 24), (60, 15))
LONG = "A sentence that goes on for a while, as those of labbox sometimes do. " * 12


def _clashes() -> list[Clash]:
    return [
        Clash(
            path=f"raw/sub-{n:02d}/eeg.bin",
            source_kind=EntryKind.FILE,
            source_size=n,
            source_mtime=n,
            target_kind=EntryKind.FILE,
            target_size=n,
            target_mtime=2 * n,
        )
        for n in range(30)
    ]


DIALOGS: dict[str, Any] = {
    "confirm": lambda: Confirm("Cancel", LONG, "Cancel them", refuse="Let it go on"),
    "message": lambda: Message("Error", LONG, LONG, kind="danger"),
    "form": lambda: Form(
        "Run again", [Field(f"f{n}", f"Field {n}", "1") for n in range(14)], note=LONG[:200]
    ),
    "prompt": lambda: Prompt("Rename", "New name", "a.csv"),
    "rename many": lambda: RenameMany([f"file-{n}.csv" for n in range(40)]),
    "copy": lambda: TransferDialog(
        "Copy", "Copy 3 items to:", "~/", flags={"x": ("compare by content", False)}
    ),
    "delete": lambda: TransferDialog("Delete", LONG[:160], None, conflicts=(), verify=False, danger=True),
    "conflicts": lambda: ConflictsDialog(_clashes(), 400, Conflict.FAIL, {}),
    "new machine": lambda: Stranger("ada@pc.example"),
    "key of a machine": lambda: KeyLine(
        "ada@pc.example", "ada", "ssh-ed25519 " + "A" * 68, "Try again", refused=True
    ),
    "search": lambda: editor_dialogs.WishForm(Wish(), replace=True),
    "changed": lambda: editor_dialogs.Choose(
        "Not saved", LONG[:120], {"save": "Save", "discard": "Discard", "again": "Read again"}
    ),
}


def seen_whole(screen: Screen[Any], button: Button) -> bool:
    """Whether a person sees all of it."""
    place = screen.find_widget(button)
    return place.region.area > 0 and place.clip.intersection(place.region) == place.region


def in_sight(screen: Screen[Any], widget: Widget) -> bool:
    """Whether a person sees some of it."""
    place = screen.find_widget(widget)
    return place.clip.overlaps(place.region)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", DIALOGS)
async def test_every_button_of_every_dialog_is_on_the_screen(
    name: str, size: tuple[int, int], box: Any, running: Any, wait: Any, shown: Any
) -> None:
    async with running(box, size=size) as pilot:
        pilot.app.push_screen(DIALOGS[name]())
        await wait(pilot, lambda: pilot.app.screen.query(Button) and pilot.app.focused is not None)
        screen = pilot.app.screen
        whole = screen.region
        buttons = [button for button in screen.query(Button) if button.display]
        await wait(pilot, lambda: all(seen_whole(screen, button) for button in buttons))
        assert all(whole.contains_region(screen.find_widget(button).region) for button in buttons)
        for label in screen.query(".row Label").results(Label):  # no label is cut, or runs into its field
            assert cell_len(str(label.content)) < label.size.width or not str(label.content), label.content
        for _ in screen.focus_chain:  # and what stands above them can be gone to
            focused = pilot.app.focused
            assert focused is not None
            await wait(pilot, lambda seen=focused: in_sight(screen, seen))
            await pilot.press("tab")


@pytest.mark.parametrize("size", SIZES)
async def test_toasts_cover_no_button_and_can_be_read_again(
    size: tuple[int, int], box: Any, running: Any, wait: Any, shown: Any
) -> None:
    async with running(box, size=size) as pilot:
        for number in range(4):
            pilot.app.say(f"message {number}: {LONG[:70]}")
        pilot.app.push_screen(Confirm("Cancel", "Cancel job 17?", "Cancel it"))
        await wait(pilot, lambda: pilot.app.screen.query("Toast"))
        screen = pilot.app.screen
        for button in screen.query(Button):
            for toast in screen.query("Toast"):
                if toast not in screen._compositor.visible_widgets:
                    continue
                drawn = screen.find_widget(toast)
                assert not drawn.clip.intersection(drawn.region).overlaps(screen.find_widget(button).region)
        await pilot.press("escape", "M")
        said = ("What was said", *(f"message {number}" for number in range(4)))
        await wait(pilot, lambda: all(text in shown(pilot) for text in said))
        await pilot.press("end", "enter")
        await wait(pilot, lambda: "message 0" in shown(pilot) and "OK" in shown(pilot))


@pytest.mark.parametrize("name", keys.SCREENS)
@pytest.mark.parametrize("width", [160, 80, 60, 45])
def test_no_function_key_is_lost(name: str, width: int) -> None:
    labels = keys.function_keys(name)
    slots = KeyBar(labels)._slots(width)
    assert [number for number, *_ in slots] == [number for number, _ in labels]
    assert sum(room for *_, room in slots) <= width
    assert {1, 9, 10} <= {number for number, *_ in slots}
    if width >= 60:
        assert all(len(label) >= 2 for _, _, label, _ in slots)


@pytest.mark.parametrize(("width", "heads"), [
    (160, ("user", "when", "state", "time", "exit", "why")),
    (80, ("user", "when", "state", "time", "exit", "why")),
    (60, ("state", "time", "exit", "why")),
])  # fmt: skip
async def test_the_job_table_keeps_exit_and_why(
    width: int, heads: tuple[str, ...], box: Any, running: Any, shown: Any, wait: Any
) -> None:
    async with running(box, size=(width, 24)) as pilot:
        await wait(pilot, lambda: "reaction-time" in shown(pilot) or width == 60)
        head = shown(pilot).splitlines()[2]
        assert [word for word in heads if word in head] == list(heads)
        assert "where" not in head and " box " not in shown(pilot)
        table = pilot.app.screen.table
        widths = {column.key: room for column, room in table._widths}
        assert sum(widths.values()) + len(widths) + 1 <= width
        longest = max(len(job.name) for job in box.jobs.values()) + len(" [array]")
        assert widths["name"] <= longest  # nothing is kept that no name fills, while why is cut


def test_columns_give_room_to_each_other() -> None:
    name, why = Column("name", "", 12, grow=1, most=36, least=8), Column("why", "", 16, grow=2, least=8)
    fixed = Column("id", "", 6)
    for room in (24, 30, 40, 80, 160):
        for filled in ({"name": 5, "why": 60}, {"name": 30, "why": 10}, {}):
            widths = _shared([fixed, name, why], room, filled)
            assert sum(widths) == room or (sum(widths) < room and min(widths) >= 6)
            assert widths[0] == 6
    assert _shared([fixed, name, why], 80, {"name": 14, "why": 90})[1] == 14
    assert _shared([fixed, name, why], 80, {"name": 34, "why": 12})[1] >= 30


def test_words_keep_exit_and_why_at_eighty_columns(
    fakes: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import msgspec

    jobs = [fakes.make_job(1000 - place, place) for place in range(12)]
    jobs[1] = msgspec.structs.replace(jobs[1], name="a-name-that-is-much-longer-than-any-other-" * 2)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    output.print_jobs(jobs)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "EXIT" in lines[0] and "WHY" in lines[0]
    assert any("needs 8 CPUs" in line for line in lines)


@pytest.mark.parametrize("theme", [theme for theme in look.themes_for("256") if not theme.ansi])
def test_in_256_colours_each_is_the_nearest_that_there_is(theme: Any) -> None:
    before = next(each for each in look.THEMES if each.name == theme.name)
    pairs = [(before.background, theme.background), (before.panel, theme.panel)]
    pairs += [(before.variables[key], value) for key, value in theme.variables.items()]
    for wanted, found in pairs:
        exact, shown_as = Color.parse(found), Color.parse(found).downgrade(ColorSystem.EIGHT_BIT)
        assert shown_as.get_truecolor() == exact.get_truecolor(), f"{wanted} → {found}"
        far = max(
            abs(a - b)
            for a, b in zip(Color.parse(wanted).get_truecolor(), exact.get_truecolor(), strict=True)
        )
        assert far <= 48, f"{wanted} → {found}"


def test_bars_are_not_navy_and_no_dark_blue_stands_on_black() -> None:
    dark = next(theme for theme in look.themes_for("256") if theme.name == "labbox-dark")
    for name in ("bar-back", "stripe"):
        red, green, blue = Color.parse(dark.variables[name]).get_truecolor()
        assert max(red, green, blue) - min(red, green, blue) <= 20
    inks = {look.ANSI.primary, look.ANSI.foreground, *look.ANSI.variables.values()}
    assert "ansi_blue" not in inks - {look.ANSI.variables["input-selection-background"]}


async def test_theme_and_settings_are_there_at_the_next_login(
    box: Any, running: Any, wait: Any, shown: Any, fakes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(box) as pilot:
        await pilot.press("comma")
        await wait(pilot, lambda: "Colour theme" in shown(pilot))
        for _, title, _ in CHOICES:
            assert title in shown(pilot)
        await pilot.press("right")
        await wait(pilot, lambda: "◂ dark ▸" in shown(pilot))
        await pilot.press("right", "down", "down", "space", "down", "enter")
        await wait(pilot, lambda: load_settings() == Settings(theme="light", bell=False, title=False))
        assert pilot.app.theme == "labbox-light"
        await pilot.press("escape", "T")
        await wait(pilot, lambda: load_settings().theme == "blue")
    again = LabboxApp(fakes.full_box(3), start="jobs")
    async with again.run_test(size=(80, 24)):
        assert again.theme == "labbox-blue" and not again.settings.bell
    assert look.theme_for({"TERM": "xterm-256color"}, load_settings().theme) == "labbox-blue"
    assert look.theme_for({"TERM": "xterm-256color", "LABBOX_THEME": "dark"}, "blue") == "labbox-dark"


async def test_settings_screen_shows_whole_at_sixty_columns(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    async with running(box, size=(60, 15)) as pilot:
        await pilot.app.push_screen(SettingsScreen())
        await wait(pilot, lambda: "Ring the bell" in shown(pilot) and "F10" in shown(pilot))


@pytest.mark.parametrize("name", keys.SCREENS)
@pytest.mark.parametrize("size", SIZES)
async def test_every_entry_of_every_menu_comes_into_sight(
    name: str, size: tuple[int, int], box: Any, running: Any, wait: Any, shown: Any
) -> None:
    from labbox.tui.screens.menu import MenuScreen

    async with running(box, size=size) as pilot:
        pilot.app.push_screen(MenuScreen(name, True))
        await pilot.pause()
        menus: dict[str, list[str]] = {}
        for action in keys.actions_of(name):
            menus.setdefault(action.menu, []).append(action.title)
        for menu in (each for each in keys.MENUS if each in menus):
            for title in menus[menu]:
                await wait(pilot, lambda title=title: title[:30] in shown(pilot))
                await pilot.press("down")
            await pilot.press("right")


async def test_what_stands_in_a_line_is_replaced_by_typing(
    box: Any, running: Any, wait: Any, shown: Any, project: Path
) -> None:
    (project / "papers" / "table.tar.gz").write_text("x")
    async with running(box, start="files") as pilot:
        await wait(pilot, lambda: "papers" in shown(pilot))
        await pilot.press("p", "a", "p", "enter")
        await wait(pilot, lambda: "▸~/papers" in shown(pilot) and "table.tar.gz" in shown(pilot))
        await pilot.press("home", "down", "f5")
        await wait(pilot, lambda: pilot.app.screen.query("#target"))
        entry: Any = pilot.app.screen.query_one("#target")
        assert entry.value == "~/"  # the other pane's folder: what is put behind it is a name in it
        await pilot.press(*"copy", "enter")
        await wait(pilot, lambda: any(call[0] == "submit_job" for call in box.calls))
        spec = next(call[1] for call in box.calls if call[0] == "submit_job").transfer
        assert spec.target == "~/papers/copy"
        await pilot.press("end", "f5")
        await wait(pilot, lambda: pilot.app.screen.query("#target"))
        await pilot.press("end", *"new", "enter")
        await wait(pilot, lambda: sum(call[0] == "submit_job" for call in box.calls) == 2)
        assert [call[1] for call in box.calls if call[0] == "submit_job"][1].transfer.target == "~/new"
        await pilot.press("shift+f6")
        await wait(pilot, lambda: pilot.app.screen.query("#field-text"))
        await pilot.press(*"list", "enter")  # the ending stays
        await wait(pilot, lambda: (project / "papers" / "list.tar.gz").exists())


@pytest.mark.parametrize(
    ("name", "stem"),
    [("a.csv", 1), ("table.tar.gz", 5), (".bashrc", 7), ("no ending", 9), ("x.y.z", 3), ("", 0)],
)
def test_the_stem_of_a_name(name: str, stem: int) -> None:
    assert stem_of(name) == stem
    assert stem_of(name, folder=True) == len(name)


@pytest.mark.parametrize("text", ["~name", "~grace/x", "  ~x"])
def test_a_tilde_before_a_name_is_asked_about(text: str) -> None:
    for read in (location_below, new_location_below):
        with pytest.raises(LabboxError, match="cannot tell what ~") as caught:
            read(text, parse("~/papers"))
        assert "~/" in caught.value.hint and "./~" in caught.value.hint
        assert str(read("./~x", parse("~/papers"))) != str(read("~/x", parse("~/papers")))


async def test_what_is_said_in_passing_covers_no_question(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    async with running(box, size=(80, 24)) as pilot:
        await pilot.press("c")
        await wait(pilot, lambda: "Cancel it" in shown(pilot))
        for number in (7, 8):
            pilot.app.say(f"cannot copy raw-{number}.bin: it is not there", f"Job {number} failed")
        await wait(pilot, lambda: "Job 7 failed" in shown(pilot))
        rack = pilot.app.screen.query_one("ToastRack").region  # what it holds is cut off at its edge
        assert rack.bottom <= 1 < pilot.app.screen.query_one("#frame").region.y
