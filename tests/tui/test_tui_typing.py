"""Keys that arrive together, as from a slow line, mean what they mean one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot


def together(pilot: Pilot[int], *keys: str) -> None:
    """Give the app all keys at once, as one packet does."""
    driver = pilot.app._driver
    assert driver is not None
    for key in keys:
        name = _character_to_key(key) if len(key) == 1 else key
        driver.send_message(events.Key(name, key if len(key) == 1 else None))


async def test_words_typed_at_once_go_to_the_filter_and_do_nothing_to_jobs(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    async with running(box, size=(120, 40)) as pilot:
        box.calls.clear()
        together(pilot, "/", *"KhcR", "enter")
        await wait(pilot, lambda: pilot.app.screen.list.words == "KhcR")
        assert not {call[0] for call in box.calls} & {"kill_job", "hold_job", "cancel_job", "retry_job"}
        together(pilot, "escape", "/", *"eeg lost", "enter")
        await wait(pilot, lambda: "with “eeg lost”: 1" in shown(pilot))


async def test_the_filter_opened_and_closed_at_once_is_closed(box: Any, running: Any, wait: Any) -> None:
    async with running(box, size=(120, 40)) as pilot:
        for _ in range(5):
            together(pilot, "f7", "escape", "down")
        table = pilot.app.screen.table
        await wait(pilot, lambda: table.cursor == 5 and not pilot.app.screen.query("#filter-row"))
        assert pilot.app.focused is table


async def test_what_is_typed_behind_the_key_of_a_dialog_goes_into_it(
    box: Any, running: Any, wait: Any
) -> None:
    async with running(box, size=(120, 40)) as pilot:
        jobs = pilot.app.screen
        job = jobs.list.id_at(3)
        together(pilot, "down", "down", "down", "=", "backspace", "7", "enter")
        await wait(pilot, lambda: any(call[0] == "edit_job" for call in box.calls))
        edit = next(call for call in box.calls if call[0] == "edit_job")
        assert edit[1] == job and edit[2].priority == 7
        together(pilot, "ctrl+p", *"graph", "enter")
        await wait(pilot, lambda: type(pilot.app.screen).__name__ == "GraphScreen")
        together(pilot, "q", "q", "up", "up")
        await wait(pilot, lambda: pilot.app.screen is jobs and jobs.table.cursor == 1)


async def test_a_paste_behind_a_key_goes_where_the_key_leads(box: Any, running: Any, wait: Any) -> None:
    async with running(box, size=(120, 40)) as pilot:
        together(pilot, "/")
        driver = pilot.app._driver
        assert driver is not None
        driver.send_message(events.Paste("eeg"))
        together(pilot, "enter")
        await wait(pilot, lambda: pilot.app.screen.list.words == "eeg")


async def test_a_path_typed_behind_the_key_of_the_file_manager_is_gone_to(
    box: Any, running: Any, wait: Any, tmp_path: Path
) -> None:
    (tmp_path / "study" / "raw").mkdir(parents=True)
    async with running(box, start="files", size=(120, 40)) as pilot:
        panes = pilot.app.screen
        await wait(pilot, lambda: all(each.listing is not None for each in panes.browsers.values()))
        together(pilot, "tab", "alt+c", *"~/study/raw", "enter", "tab")
        await wait(pilot, lambda: str(panes.browsers["right"].location) == "~/study/raw")
        await wait(pilot, lambda: panes.active == "left")
        assert str(panes.browsers["left"].location) == "~"
        together(pilot, "f7", *"new", "enter")
        await wait(pilot, lambda: (tmp_path / "new").is_dir())


async def test_keys_typed_behind_a_folder_act_on_what_is_in_it(
    box: Any, running: Any, wait: Any, tmp_path: Path
) -> None:
    for number in range(600):
        (tmp_path / f"many/d{number:03}/in").mkdir(parents=True)
    (tmp_path / "many/d400/in/notes.txt").write_text("there\n")
    async with running(box, start="files", size=(120, 40)) as pilot:
        panes = pilot.app.screen
        await wait(pilot, lambda: all(each.listing is not None for each in panes.browsers.values()))
        together(
            pilot, *"many", "escape", "enter", *"d400", "enter", "down", "enter", *"notes", "escape", "f3"
        )
        await wait(pilot, lambda: type(pilot.app.screen).__name__ == "ViewerScreen")
        assert str(pilot.app.screen.location) == "~/many/d400/in/notes.txt"
        # Up again, over the one that was left to the one after it: its folder is asked for, no other.
        together(pilot, "escape", "end", "home", "backspace", "backspace", "down", "f8")
        await wait(pilot, lambda: type(pilot.app.screen).__name__ == "TransferDialog")
        assert panes.meant() == ["d401"]
        # What a dialog was asked for is there for the key behind it.
        together(pilot, "escape", "f7", *"new", "enter", "enter", "alt+f2", "down", "enter")
        await wait(pilot, lambda: str(panes.browsers["left"].location) == "~/many/new")
        await wait(pilot, lambda: panes.active == "right")


async def test_a_viewer_or_editor_that_is_closed_at_once_leaves_the_files(
    box: Any, running: Any, wait: Any, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("there\n")
    async with running(box, start="files", size=(120, 40)) as pilot:
        panes = pilot.app.screen
        await wait(pilot, lambda: all(each.listing is not None for each in panes.browsers.values()))
        for _ in range(5):
            before = panes.active
            together(pilot, *"notes", "escape", "f3", "escape", "f4", "escape", "f7", "x", "escape", "escape")
            together(pilot, "f9", "escape", "ctrl+p", "escape", "escape", "end", "tab")
            await wait(pilot, lambda before=before: panes.active != before)
            assert pilot.app.screen is panes
            assert panes.file_panes[before].table.row.name == "notes.txt"
