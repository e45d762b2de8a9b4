"""Every key of the table does what the table says, on every screen that offers it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
from labbox.tui.screens.hosts import HostsScreen
from labbox.tui.screens.log import LogScreen
from labbox.tui.screens.palette import rank
from labbox.tui.screens.results import ResultsScreen
from labbox.tui.screens.submit import SubmitScreen
from labbox.tui.screens.users import UsersScreen
from labbox.tui.screens.viewer import ViewerScreen


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
    "account": lambda box: AccountScreen(),
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
                if name == "submit" and (len(key) == 1 or key in ("question_mark", "escape")):
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
def test_no_key_means_two_things_in_one_scope(name: str) -> None:
    for scope in keys.SCREENS[name]:
        bound = [
            key for action in keys.ACTIONS if action.scope == scope for key in action.keys.split(",") if key
        ]
        assert len(bound) == len(set(bound))


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
        await wait(pilot, lambda: ("kill_job", 1000) in box.calls)


async def test_the_palette_finds_by_letters_and_runs(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box) as pilot:
        await pilot.press("ctrl+p", *"grph")
        await pilot.pause()
        assert "Graph of dependencies" in shown(pilot)
        await pilot.press("enter")
        await wait(pilot, lambda: "It runs after" in shown(pilot))


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
