"""What screens and words say, as people read it: one thing is one thing, a copy finishes."""

from __future__ import annotations

import re
import threading
from typing import Any

import msgspec
import pytest

from labbox.cli.progress import format_bar
from labbox.files.transfer.reporting import Reporter
from labbox.model import JobKind, JobState, Limits, Progress, state_word
from labbox.tui.app import LabboxApp
from labbox.tui.format import state_cell
from labbox.tui.screens.users import limits_text
from labbox.tui.settings import Settings, save_settings
from labbox.tui.widgets.transfers import transfer_cells


def words(cells: list[tuple[str, str]]) -> str:
    return "".join(text for text, _ in cells)


def test_a_copy_that_has_all_its_bytes_is_finishing(fakes: Any) -> None:
    reporter = Reporter("copying")
    reporter.total, reporter.files_total = 100, 2
    reporter.moved = 60
    assert reporter.progress().phase == "copying"
    reporter.moved = 100
    told = reporter.progress()
    assert told.phase == "finishing"
    box = fakes.full_box(5)
    job = msgspec.structs.replace(box.add_transfer(), progress=told)
    assert "100%  finishing" in words(transfer_cells(job, 100))
    job = msgspec.structs.replace(job, state=JobState.COLLECTING)
    assert "finishing" in words(transfer_cells(job, 100))
    box.close()


def test_the_end_of_a_copy_is_called_so_and_that_of_a_run_as_before() -> None:
    assert state_word(JobState.COLLECTING, JobKind.TRANSFER) == "finishing"
    assert words(state_cell(JobState.COLLECTING, JobKind.TRANSFER)) == "◕ finishing"
    assert words(state_cell(JobState.COLLECTING)) == "◕ collecting"
    assert state_word(JobState.TIMED_OUT, JobKind.TRANSFER) == "timed out"


def test_one_thing_is_one_thing(fakes: Any) -> None:
    assert limits_text(Limits(running_jobs=1, cpus=1, gpus=1)) == "1 job, 1 CPU, 1 GPU"
    one = Progress(phase="copying", done=5, total=10, unit="bytes", files=1, files_total=1)
    assert "1/1 file " in format_bar(one, 100) + " "
    box = fakes.full_box(5)
    job = msgspec.structs.replace(box.add_transfer(), progress=one)
    assert re.search(r"1 of 1 file\b", words(transfer_cells(job, 100)))
    more = msgspec.structs.replace(job, progress=msgspec.structs.replace(one, files=2, files_total=3))
    assert "2 of 3 files" in words(transfer_cells(more, 100))
    box.close()


async def test_what_is_marked_is_one_item_with_its_size(
    box: Any, running: Any, wait: Any, shown: Any, tmp_path: Any
) -> None:
    (tmp_path / "seventeen").write_bytes(bytes(17))
    (tmp_path / "two").write_bytes(bytes(2))
    async with running(box, start="files") as pilot:
        await wait(pilot, lambda: "seventeen" in shown(pilot))
        await pilot.press("down", "insert")
        await wait(pilot, lambda: "1 item, 17 B" in shown(pilot))
        await pilot.press("insert")
        await wait(pilot, lambda: "2 items, 19 B" in shown(pilot))


@pytest.mark.parametrize("start", ["files", "jobs"])
async def test_what_is_ones_own_is_shown_under_the_boxs_name_for_one(
    fakes: Any, wait: Any, shown: Any, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the login is called otherwise, and the box is slow to say who asks."""
    monkeypatch.setenv("USER", "somebody-else")
    save_settings(Settings(mine=True))
    box = fakes.full_box(20)
    box.add_transfer()
    told, whoami = threading.Event(), box.whoami
    monkeypatch.setattr(box, "whoami", lambda: told.wait(20) and whoami())
    app = LabboxApp(box, start=start)
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.pause(0.5)
        told.set()
        await wait(pilot, lambda: "ada (admin)" in shown(pilot))
        await wait(pilot, lambda: {call[1] for call in box.calls if call[0] == "list_jobs"} >= {"ada"})
        assert "somebody-else" not in {call[1] for call in box.calls if call[0] == "list_jobs"}
        if start == "files":
            await wait(pilot, lambda: "Copy raw" in shown(pilot))
