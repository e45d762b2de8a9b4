"""Every key of the table does what the table says, on every screen that offers it."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import XTermParser

from labbox.locations import parse
from labbox.tui import keys
from labbox.tui.app import LabboxApp
from labbox.tui.screens.account import AccountScreen
from labbox.tui.screens.array import ArrayScreen
from labbox.tui.screens.base import Pane
from labbox.tui.screens.box import BoxScreen
from labbox.tui.screens.detail import DetailScreen
from labbox.tui.screens.editor import EditorScreen
from labbox.tui.screens.files import FilesScreen
from labbox.tui.screens.files_transfers import TransfersScreen
from labbox.tui.screens.files_trash import TrashScreen
from labbox.tui.screens.help import help_lines
from labbox.tui.screens.hosts import HostsScreen
from labbox.tui.screens.log import LogScreen
from labbox.tui.screens.palette import rank
from labbox.tui.screens.projects import ProjectsScreen
from labbox.tui.screens.results import ResultsScreen
from labbox.tui.screens.settings import SettingsScreen
from labbox.tui.screens.submit import SubmitScreen
from labbox.tui.screens.users import UsersScreen
from labbox.tui.screens.viewer import ViewerScreen
from labbox.tui.terminalkeys import function_key


def _hosts(box: Any) -> HostsScreen:
    box.add_host("me@my-pc")
    return HostsScreen(FilesScreen())


def _trash() -> TrashScreen:
    trash = Path(os.environ["HOME"]) / ".local/share/Trash"
    for part, text in (("files/a", ""), ("info/a.trashinfo", "Path=~/a\nDeletionDate=2026-11-21T09:00:00\n")):
        (trash / part).parent.mkdir(parents=True, exist_ok=True)
        (trash / part).write_text(text)
    return TrashScreen(FilesScreen())


SCREENS: dict[str, Callable[[Any], Pane] | None] = {
    "jobs": None,
    "manager": lambda box: FilesScreen(),
    "editor": lambda box: EditorScreen(parse("~/notes.txt")),
    "transfers": lambda box: (box.add_transfer(), TransfersScreen())[1],
    "trash": lambda box: _trash(),
    "hosts": _hosts,
    "log": lambda box: LogScreen(box.jobs[1000]),
    "detail": lambda box: DetailScreen(box.jobs[1000]),
    "array": lambda box: ArrayScreen(box.jobs[996]),
    "files": lambda box: ResultsScreen(box.jobs[1000]),
    "viewer": lambda box: ViewerScreen(parse("~/study/code/app.py")),
    "submit": lambda box: SubmitScreen("study"),
    "users": lambda box: UsersScreen(),
    "projects": lambda box: ProjectsScreen(),
    "account": lambda box: AccountScreen(),
    "settings": lambda box: SettingsScreen(),
    "pane": lambda box: BoxScreen(),
}


def test_every_screen_of_the_table_is_pressed_here() -> None:
    assert set(SCREENS) == set(keys.SCREENS)


@pytest.mark.parametrize("name", SCREENS)
async def test_every_key_reaches_its_action(
    name: str, box: Any, running: Any, wait: Any, results: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    async with running(box) as pilot:
        make = SCREENS[name]
        if make is not None:
            await pilot.app.push_screen(make(box))
            await pilot.pause()
        screen = pilot.app.screen
        await wait(pilot, lambda: not screen.query("Table") or screen.query_one("Table").row_count())
        for action in keys.actions_of(name):
            method = "action_" + action.name.partition("(")[0]
            owner = LabboxApp if action.scope == "app" else type(screen)
            assert callable(getattr(owner, method)), f"{owner.__name__} has no {method}"

            def note(*arguments: Any, method: str = method) -> None:
                done.append(method.removeprefix("action_") + (repr(arguments[1:]) if arguments[1:] else ""))

            monkeypatch.setattr(owner, method, note)
        taken: set[str] = set()
        for action in keys.actions_of(name):
            wanted = action.name.replace(")", ",)")
            for key in (key for key in action.keys.split(",") if key and key not in taken):
                taken.add(key)
                if name == "submit" and (len(keys.key_name(key)) == 1 or key == "escape"):
                    continue  # the focus is in a line of text, which takes letters
                done.clear()
                await pilot.press(*key.split())
                await pilot.pause()
                assert done == [wanted], f"{keys.key_name(key)} on the screen {name}"


@pytest.mark.parametrize("name", keys.SCREENS)
def test_the_bottom_line_has_help_menu_and_quit(name: str) -> None:
    labels = dict(keys.function_keys(name))
    assert (labels[1], labels[9], labels[10]) == ("Help", "Menu", "Quit")


@pytest.mark.parametrize("name", keys.SCREENS)
@pytest.mark.parametrize("admin", [True, False])
def test_no_key_means_two_things_on_one_screen(name: str, admin: bool) -> None:
    """Neither in what is bound nor in what menu, palette and F1 say."""
    meanings: dict[str, list[str]] = {}
    for action in keys.actions_of(name, admin):
        for key in filter(None, action.keys.split(",")):
            meanings.setdefault(key, []).append(action.title)
    assert {key: titles for key, titles in meanings.items() if len(titles) > 1} == {}
    said = "\n".join("".join(text for text, _ in line) for line in help_lines(name, admin))
    listed = said.partition("Ctrl+P too.")[2]
    named = [word for line in listed.splitlines() for word in re.findall(r"^  (.{18})", line)]
    single = [key for words in named for key in words.split() if len(key) == 1 or re.fullmatch(r"F\d+", key)]
    assert len(single) == len(set(single))
    assert len(keys.bindings(name)) == len({binding.key for binding in keys.bindings(name)})


def read(sequence: str) -> list[events.Key]:
    """The keys that are read from bytes of a terminal."""
    parser = XTermParser(False)
    return [each for each in (*parser.feed(sequence), *parser.feed("")) if isinstance(each, events.Key)]


def what_terminals_send() -> dict[str, set[str]]:
    """By key, the bytes that xterm and its kin send: control characters, Alt, CSI and SS3 with modifiers."""
    sent = {"\x08"}  # Ctrl+H, where Backspace sends DEL
    sent |= {seq for seq, means in ANSI_SEQUENCES_KEYS.items() if isinstance(means, tuple)}
    sent |= {"\x1b" + letter for letter in string.ascii_lowercase} | set(string.printable[:94])
    for modifier in (2, 3, 5):
        sent |= {f"\x1b[{number};{modifier}~" for number in (2, 3, 5, 6, 15, 17, 18, 19, 20, 21, 23, 24)}
        sent |= {f"\x1b[1;{modifier}{letter}" for letter in "PQSABCDFH"}
    found: dict[str, set[str]] = {"ctrl+h": {"\x08"}}
    for sequence in sent:
        keys_read = read(sequence)
        if len(keys_read) == 1:
            found.setdefault(keys_read[0].key, set()).add(sequence)
    return found


SENT = what_terminals_send()


def sent_as(key: str) -> set[str]:
    return SENT.get(key, set())


# PuTTY, tmux and the Linux console send none of these, or the same for another key.
UNSURE = re.compile(r"(shift|alt|ctrl)\+f3|ctrl\+(m|i|j)|alt\+(enter|\W|\d)|ctrl\+(\d|shift\+.*)")


@pytest.mark.parametrize("name", keys.SCREENS)
def test_every_action_has_a_key_that_terminals_send_or_none(name: str) -> None:
    for action in keys.actions_of(name):
        strokes = [key.split(" ") for key in action.keys.split(",") if key]
        fine = [key for key in strokes if all(sent_as(part) and not UNSURE.fullmatch(part) for part in key)]
        assert fine or not strokes, f"{action.title}: {action.keys}"
        assert not any(part == "ctrl+m" for key in strokes for part in key), "Ctrl+M is Enter"
        assert action.menu or action.name in ("menu",), f"{action.title} is in no menu"


@pytest.mark.parametrize("letter", "abcdefghijklmnopqrstuvwxyz")
def test_alt_and_a_letter_is_read_as_that(letter: str) -> None:
    assert [key.key for key in read("\x1b" + letter)] == ["alt+" + letter]


async def test_widgets_bind_nothing_that_their_screens_mean_otherwise(
    box: Any, running: Any, wait: Any, results: Any
) -> None:
    """What has the focus is asked first: a key of it that the screen lists would do something else."""
    alike = {"enter", "home", "end", "space", "backspace", "tab", "shift+tab", "escape"}
    async with running(box) as pilot:
        for name, make in SCREENS.items():
            if name in ("submit", "editor"):
                continue  # their letters are typed
            if make is not None:
                await pilot.app.push_screen(make(box))
                await pilot.pause()
            screen = pilot.app.screen
            listed = {binding.key for binding in keys.bindings(name)}
            if screen.focused is not None:
                own = set(screen.focused._bindings.key_to_bindings)
                if not screen.focused.allow_horizontal_scroll:
                    own -= {"left", "right"}  # what does not scroll sideways hands them on
                assert not (own & listed) - alike, name
            if make is not None:
                pilot.app.pop_screen()
                await pilot.pause()


async def test_escape_and_a_digit_are_a_function_key(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box) as pilot:
        await pilot.press("space", "space", "escape", "1")
        await wait(pilot, lambda: type(pilot.app.screen).__name__ == "HelpScreen")
        await pilot.press("q")
        await wait(pilot, lambda: "2 marked" in shown(pilot))  # what Esc took away is there again
        await pilot.press("escape", "9")
        await wait(pilot, lambda: type(pilot.app.screen).__name__ == "MenuScreen")
        await pilot.press("escape", "2")  # the menu has closed, and the digit is its own again
        await wait(pilot, lambda: pilot.app.screen.list.view == "waiting")
        await pilot.press("1")
        await wait(pilot, lambda: pilot.app.screen.list.view == "runs")
        await pilot.press("alt+4")  # the same bytes in one packet
        await wait(pilot, lambda: type(pilot.app.screen).__name__ == "DetailScreen")
        await pilot.press("escape", "0")  # Esc has left the details: nobody is thrown out
        await pilot.pause()
        assert pilot.app.is_running and type(pilot.app.screen).__name__ == "JobsScreen"
        await pilot.press("escape", "0")
        await wait(pilot, lambda: pilot.app._exit)


@pytest.mark.parametrize("digit", "1234567890")
def test_a_digit_names_its_function_key(digit: str) -> None:
    assert [key.key for key in read("\x1b" + digit)] == ["alt+" + digit]
    assert function_key(digit).key == f"f{digit if digit != '0' else 10}"


async def test_unbound_alt_letters_search_nothing(
    box: Any, running: Any, wait: Any, shown: Any, project: Any
) -> None:
    async with running(box, start="files") as pilot:
        await wait(pilot, lambda: "study" in shown(pilot))
        await pilot.press("alt+k")
        await wait(pilot, lambda: "Alt+K means nothing here" in shown(pilot))
        assert "Search:" not in shown(pilot)
        await pilot.press("alt+e")
        await wait(pilot, lambda: "no file under the cursor" in shown(pilot))
        assert "Search:" not in shown(pilot)


@pytest.mark.parametrize("size", [(160, 48), (80, 24), (60, 15)])
async def test_ctrl_x_shows_what_each_letter_means(
    size: tuple[int, int], box: Any, running: Any, wait: Any, shown: Any, project: Any
) -> None:
    async with running(box, size=size, start="files") as pilot:
        await wait(pilot, lambda: "study" in shown(pilot))
        await pilot.press("ctrl+x")
        for letter, action in keys.chords("manager")["ctrl+x"].items():
            await wait(pilot, lambda a=action, k=letter: f"{k.upper()}  {a.title}" in shown(pilot))
        await pilot.press("f")  # means nothing
        await wait(pilot, lambda: "Ctrl+X" not in shown(pilot))
        await pilot.press("ctrl+x", "ctrl+j")  # Ctrl may still be held
        await wait(pilot, lambda: "My transfers" in shown(pilot))


async def test_bottom_line_fits_eighty_columns(box: Any, running: Any, shown: Any) -> None:
    async with running(box, size=(80, 24)) as pilot:
        last = shown(pilot).splitlines()[-1]
        for label in ("F1Help", "F2Submit", "F3Log", "F4Info", "F8Cancel", "F9Menu", "F10Quit"):
            assert label in last
        assert len(last) == 80


async def test_a_click_on_the_bottom_line_presses_the_key(box: Any, running: Any, wait: Any) -> None:
    async with running(box, size=(80, 24)) as pilot:
        await pilot.click(offset=(1, 23))
        await wait(pilot, lambda: type(pilot.app.screen).__name__ == "HelpScreen")


async def test_the_menu_holds_every_action_and_runs_it(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box) as pilot:
        await pilot.press("f9")
        await pilot.pause()
        seen = ""
        for _ in keys.MENUS:
            seen += shown(pilot)
            await pilot.press("right")
            await pilot.pause()
        for action in keys.actions_of("jobs"):
            assert action.title in seen or not action.menu
        await pilot.press("escape", "f9", "right", "down", "enter")
        await wait(pilot, lambda: "Kill job 1000" in shown(pilot))
        assert ("kill_job", 1000) not in box.calls
        await pilot.press("enter")
        await wait(pilot, lambda: ("kill_job", 1000) in box.calls)


async def test_the_palette_finds_by_letters_and_runs(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box) as pilot:
        await pilot.press("ctrl+p", *"grph")
        await pilot.pause()
        assert "Graph of dependencies" in shown(pilot)
        await pilot.press("enter")
        await wait(pilot, lambda: "It runs after" in shown(pilot))


@pytest.mark.parametrize(
    ("screen", "typed", "name"),
    [("manager", "mkdir", "make_folder"), ("manager", "rm", "trash"), ("jobs", "exit", "leave"),
     ("jobs", "logout", "leave"), ("jobs", "refresh", "reread"), ("manager", "refresh", "reread"),
     ("jobs", "settings", "settings"), ("manager", "project", "place('left')"), ("manager", "host", "hosts")],
)  # fmt: skip
def test_the_palette_knows_other_words(screen: str, typed: str, name: str) -> None:
    found = [(rank(action, typed), action.name) for action in keys.actions_of(screen)]
    best = sorted((place, each) for place, each in found if place is not None and place[0] == 0)
    assert name in [each for _, each in best]


async def test_the_palette_goes_to_jobs(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box) as pilot:
        await pilot.press("ctrl+p", *"992")
        await wait(pilot, lambda: "Go to job 992" in shown(pilot))
        await pilot.press("enter")
        await wait(pilot, lambda: "Job 992 · " in shown(pilot))


async def test_the_palette_goes_to_places(
    box: Any, running: Any, wait: Any, shown: Any, project: Any
) -> None:
    async with running(box, start="files") as pilot:
        await wait(pilot, lambda: "study" in shown(pilot))
        await pilot.press("ctrl+p", *"~/study")
        await wait(pilot, lambda: "Go to ~/study" in shown(pilot))
        await pilot.press("enter")
        await wait(pilot, lambda: "▸~/study" in shown(pilot))


def test_the_palette_ranks_words_before_letters() -> None:
    by_name = {action.name: action for action in keys.ACTIONS if action.scope in ("job", "jobs")}
    assert rank(by_name["log"], "log") == (0, 0)
    assert rank(by_name["graph"], "dep") == (0, 9)
    assert rank(by_name["graph"], "gds") is not None
    assert rank(by_name["graph"], "xyz") is None


async def test_what_is_for_administrators_is_not_offered_to_others(
    box: Any, running: Any, wait: Any, shown: Any, fakes: Any
) -> None:
    box.role = fakes.Role.USER
    async with running(box, size=(100, 60)) as pilot:
        await pilot.press("f9", "left")
        await pilot.pause()
        assert "Usage and shares" in shown(pilot) and "Users" not in shown(pilot)
        await pilot.press("escape", "U")
        await wait(pilot, lambda: "Only administrators" in shown(pilot))
        assert ("list_users",) not in box.calls


async def test_help_names_every_key(box: Any, running: Any, shown: Any) -> None:
    async with running(box, size=(100, 100)) as pilot:
        await pilot.press("f1")
        await pilot.pause()
        page = shown(pilot)
        for action in keys.actions_of("jobs"):
            assert action.title in page or not action.keys
