"""The table of jobs: what is done to it with keys, and what happens to it by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from labbox.errors import LabboxError
from labbox.model import Conflict, JobKind, JobSpec, JobState, Progress, TransferSpec, TransferVerb
from labbox.protocol import Live
from labbox.tui.joblist import JobList
from labbox.tui.screens.account import AccountScreen
from labbox.tui.screens.notices import NoticesScreen
from labbox.tui.screens.users import UsersScreen
from labbox.tui.settings import Settings, save_settings


def states(box: Any, *numbers: int) -> list[str]:
    return [box.jobs[number].state.value for number in numbers]


async def test_it_shows_all_columns_and_every_state(box: Any, running: Any, shown: Any) -> None:
    async with running(box, size=(120, 30)) as pilot:
        page = shown(pilot)
        for head in ("id↓", "name", "user", "when", "state", "time", "exit", "why"):
            assert head in page
        for state in JobState:
            assert state.value.replace("_", " ") in page
        assert "needs 8 CPUs, 2 are free" in page
        assert "40%" in page and "5m00s left" in page


async def test_events_change_rows_and_bring_new_ones(
    box: Any, running: Any, wait: Any, shown: Any, fakes: Any
) -> None:
    async with running(box, size=(120, 30)) as pilot:
        await wait(pilot, lambda: any(call[0] == "events" for call in box.calls))
        box.change(1000, state=JobState.SUCCEEDED, exit_code=0, progress=None)
        await wait(pilot, lambda: "● running" not in shown(pilot).splitlines()[3])
        box.put(fakes.make_job(1001, 3))
        await wait(pilot, lambda: " 1001 " in shown(pilot))
        box.change(999, "progress", progress=Progress(phase="running", done=77, total=100))
        await wait(pilot, lambda: " 77%" in shown(pilot))


async def test_new_jobs_do_not_move_the_cursor_off_its_job(
    box: Any, running: Any, wait: Any, lab: Any, fakes: Any
) -> None:
    async with running(box) as pilot:
        await pilot.press("down", "down")
        screen = pilot.app.screen
        assert screen.job_here().id == 998
        box.put(fakes.make_job(1001, 3))
        await wait(pilot, lambda: screen.list.row_of(1001) == 0)
        assert screen.job_here().id == 998


async def test_the_four_views_and_mine(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box, size=(120, 40)) as pilot:
        screen = pilot.app.screen
        await pilot.press("2")
        await wait(pilot, lambda: "needs 8 CPUs" in shown(pilot) and "succeeded" not in shown(pilot))
        await pilot.press("tab")
        await wait(pilot, lambda: screen.list.view == "active" and "● running" in shown(pilot))
        assert "held" not in shown(pilot)
        await pilot.press("4")
        await wait(pilot, lambda: "timed out" in shown(pilot) and "● running" not in shown(pilot))
        await pilot.press("shift+tab", "shift+tab", "shift+tab", "m")
        await wait(pilot, lambda: "My jobs" in shown(pilot) and "grace" not in shown(pilot))
        await pilot.press("m")
        await wait(pilot, lambda: "grace" in shown(pilot))


async def test_a_job_leaves_the_view_when_its_state_does(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    async with running(box) as pilot:
        await pilot.press("3")
        await wait(pilot, lambda: pilot.app.screen.list.row_of(999) is not None)
        box.change(999, state=JobState.FAILED)
        await wait(pilot, lambda: " 999 " not in shown(pilot))


async def test_filter_its_inverse_and_clearing(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box, size=(120, 40)) as pilot:
        await pilot.press("slash", *"eeg lost", "enter")
        await wait(pilot, lambda: "with “eeg lost”: 1" in shown(pilot))
        assert "gaze" not in shown(pilot)
        await pilot.press("escape")
        await wait(pilot, lambda: "gaze-fixations" in shown(pilot))
        await pilot.press("backslash", *"eeg", "enter")
        await wait(pilot, lambda: "without “eeg”: 55" in shown(pilot))
        assert "eeg-alpha" not in shown(pilot)
        await pilot.press("f7", "escape")
        await wait(pilot, lambda: not pilot.app.screen.query("#filter-row"))


async def test_sorting_by_every_column_both_ways(box: Any, running: Any, wait: Any) -> None:
    async with running(box, size=(120, 40)) as pilot:
        jobs = pilot.app.screen.list
        await pilot.press("o")
        await wait(pilot, lambda: jobs.column == "name" and jobs.complete)
        names = [jobs.get(row).name for row in range(len(jobs))]
        assert names == sorted(names) and len(names) == 60
        await pilot.press("O")
        await wait(pilot, lambda: jobs.complete and jobs.get(0).name == max(names))
        shown_by: dict[str, Callable[[Any], Any]] = {
            "owner": lambda job: job.owner,
            "when": lambda job: job.ended_at or job.started_at or job.submitted_at,
            "state": lambda job: job.state.value,
            "elapsed": lambda job: job.started_at is not None,  # those that have not started are the shortest
            "exit": lambda job: -1 if job.exit_code is None else job.exit_code,
            "why": lambda job: job.reason.text if job.reason else "",
            "id": lambda job: job.id,
        }
        for column, value in shown_by.items():
            await pilot.press("o")
            await wait(
                pilot, lambda column=column: jobs.column == column and jobs.complete and len(jobs) == 60
            )
            rows = [jobs.get(row) for row in range(60)]
            values = [value(job) for job in rows]
            assert len({job.id for job in rows}) == 60 and len(set(values)) > 1
            assert values == sorted(values, reverse=jobs.descending), column
        await pilot.click("JobTable", offset=(12, 0))
        await wait(pilot, lambda: jobs.column == "name")


@pytest.mark.parametrize(
    ("key", "call", "row", "said", "state"),
    [("h", "hold_job", 3, "is held", "held"),
     ("r", "release_job", 5, "was released", "queued"), ("p", "pause_job", 1, "is paused", "paused"),
     ("u", "resume_job", 6, "", "running"), ("R", "retry_job", 9, "", "queued")],
)  # fmt: skip
async def test_deeds_on_the_job_under_the_cursor(
    key: str, call: str, row: int, said: str, state: str, box: Any, running: Any, wait: Any, shown: Any
) -> None:
    number = 1000 - row
    async with running(box) as pilot:
        await wait(pilot, lambda: any(made[0] == "events" for made in box.calls))
        await pilot.press(*["down"] * row, key)
        await wait(pilot, lambda: (call, number) in box.calls)
        await wait(pilot, lambda: f"Job {number} {said}" in shown(pilot))
        await wait(
            pilot, lambda: any(f" {number} " in line and state in line for line in shown(pilot).splitlines())
        )


async def test_cancel_asks_first(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box) as pilot:
        await pilot.press("f8")
        await wait(pilot, lambda: "Cancel job 1000 “reaction-time”?" in shown(pilot))
        await pilot.press("escape")
        await pilot.pause()
        assert states(box, 1000) == ["running"]
        await pilot.press("c", "n", "delete", "enter")
        await wait(pilot, lambda: states(box, 1000) == ["cancelled"])
        assert box.calls.count(("cancel_job", 1000)) == 1
        await wait(pilot, lambda: "– cancelled" in shown(pilot).splitlines()[3])
        await pilot.press("f8")  # there is nothing left to ask about
        await wait(pilot, lambda: "Job 1000 has ended already" in shown(pilot))
        assert "Cancel job 1000" not in shown(pilot)


async def test_marked_jobs_are_all_meant_and_one_failure_does_not_hide_the_others(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    async with running(box) as pilot:
        await pilot.press("space", "insert", "shift+down")
        assert "3 marked" in shown(pilot)
        await pilot.press("shift+up", "down", "space")  # 997 marked and unmarked again
        await pilot.press("down", "down", "down", "down", "space")  # 992 succeeded: cannot be cancelled
        await pilot.press("c")
        await wait(pilot, lambda: "Cancel 4 jobs?" in shown(pilot))
        await pilot.press("y")
        await wait(pilot, lambda: "cannot cancel 1 of 4 jobs" in shown(pilot))
        assert "992: cannot cancel job 992: it is succeeded" in shown(pilot)
        assert states(box, 1000, 999, 998) == ["cancelled"] * 3


async def test_mark_all_invert_unmark(box: Any, running: Any) -> None:
    async with running(box) as pilot:
        table = pilot.app.screen.table
        await pilot.press("plus")
        assert len(table.marks) == 60
        await pilot.press("space", "asterisk")
        assert table.marks == {1000}
        await pilot.press("minus")
        assert not table.marks


async def test_priority_and_order(box: Any, running: Any, wait: Any) -> None:
    async with running(box) as pilot:
        await pilot.press("down", "down", "down", "right_square_bracket")
        await wait(pilot, lambda: box.jobs[997].priority == 1)
        await pilot.press("left_square_bracket")
        await wait(pilot, lambda: box.jobs[997].priority == 0)
        await pilot.press("equals_sign")
        await wait(pilot, lambda: pilot.app.screen.query("#field-text"))
        await pilot.press("end", "backspace", *"x", "enter")
        await pilot.pause()
        assert "cannot read “x”" in str(pilot.app.screen.query_one("#complaint").render())
        await pilot.press("backspace", *"42", "enter")
        await wait(pilot, lambda: box.jobs[997].priority == 42)


async def test_a_group_is_found_marked_and_limited(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box, size=(150, 40)) as pilot:
        await wait(pilot, lambda: "sims" in shown(pilot))
        await pilot.press("slash", *"group:sims", "enter")
        await wait(pilot, lambda: "with “group:sims”: 4" in shown(pilot))
        table = pilot.app.screen.table
        await pilot.press("plus")
        assert table.marks == {
            number for number, job in box.jobs.items() if job.group == "sims" and not job.array
        }
        await pilot.press("f8")
        await wait(pilot, lambda: "Cancel 4 jobs?" in shown(pilot))
        await pilot.press("escape", "minus", "home", "G")
        await wait(pilot, lambda: pilot.app.screen.query("#field-text"))
        await pilot.press("0", "enter")
        await wait(pilot, lambda: "cannot run 0 jobs of a group at once" in shown(pilot))
        await pilot.press("backspace", "3", "enter")
        owner = box.jobs[995].owner
        await wait(pilot, lambda: box.limits == {(owner, "sims"): 3})
        await wait(pilot, lambda: not pilot.app.screen.query("#field-text"))
        await pilot.press("G")
        await wait(pilot, lambda: pilot.app.screen.query("#field-text"))
        assert pilot.app.screen.query_one("#field-text").value == "3"
        await pilot.press("backspace", "enter")
        await wait(pilot, lambda: box.limits == {(owner, "sims"): None})
        await wait(pilot, lambda: not pilot.app.screen.query("#field-text"))
        await pilot.press("f4")
        await wait(pilot, lambda: "Group         sims" in shown(pilot))


async def test_rerun_sends_only_what_was_changed(
    box: Any, running: Any, wait: Any, shown: Any, fakes: Any
) -> None:
    async with running(box) as pilot:
        await pilot.press("e")
        await wait(pilot, lambda: "Run job 1000 again" in shown(pilot) and "New snapshot" in shown(pilot))
        assert shown(pilot).count("[ ]") == 2
        await pilot.press("down", "down", "end", "backspace", *"4", "enter")
        await wait(pilot, lambda: any(call[0] == "rerun_job" for call in box.calls))
        assert next(call for call in box.calls if call[0] == "rerun_job")[2] == fakes.JobEdit(cpus=4.0)


async def test_change_while_it_waits(box: Any, running: Any, wait: Any, shown: Any, fakes: Any) -> None:
    async with running(box) as pilot:
        await pilot.press("down", "down", "down", "E")
        await wait(pilot, lambda: "Change job 997" in shown(pilot))
        while pilot.app.focused.id != "field-memory":
            await pilot.press("tab")
        await pilot.press("end", *["backspace"] * 4, *"8G", "enter")
        await wait(pilot, lambda: ("edit_job", 997, fakes.JobEdit(memory=8 << 30)) in box.calls)


async def test_why_history_input_and_copy(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box) as pilot:
        await pilot.press("down", "down", "down", "w")
        await wait(pilot, lambda: "grace used less of the box lately" in shown(pilot))
        assert "number 3 in the queue" in shown(pilot)
        await pilot.press("escape", "t")
        await wait(pilot, lambda: "What happened" in shown(pilot))
        await pilot.press("escape", "y")
        assert pilot.app.clipboard == "997"
        await pilot.press("i")
        await wait(pilot, lambda: pilot.app.screen.query("#field-text"))
        await pilot.press(*"hi", "enter")
        await wait(pilot, lambda: ("job_input", 997, "hi\n", False) in box.calls)


async def test_history_gives_the_account(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box) as pilot:
        await pilot.press("t")
        await wait(pilot, lambda: "Peak memory" in shown(pilot))
        assert "0.34 h" in shown(pilot) and "1.8 GiB" in shown(pilot)
        await pilot.press("escape", "H")
        await wait(pilot, lambda: "CPU time" in shown(pilot) and "0.34 h" in shown(pilot))
        await pilot.press("enter")
        await wait(pilot, lambda: "History of job 992" in shown(pilot))


async def test_array_grid_opens_an_element(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box) as pilot:
        await pilot.press("a")
        await wait(pilot, lambda: "is no array" in shown(pilot))
        await pilot.press("down", "down", "down", "down", "a")
        await wait(pilot, lambda: "✓ succeeded 17" in shown(pilot) and "✗ failed 2" in shown(pilot))
        await pilot.press("right", "right", "enter")
        await wait(pilot, lambda: "Job 10003 · pendulum[3]" in shown(pilot))


async def test_graph_of_dependencies(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box) as pilot:
        await pilot.press("down", "down", "down", "g")
        await wait(pilot, lambda: "├─ 995 spike-sort" in shown(pilot) and "└─ 996 pendulum" in shown(pilot))


async def test_notices_are_toasts_and_a_list(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box) as pilot:
        await wait(pilot, lambda: any(call[0] == "events" for call in box.calls))
        box.note("Job 992 “segment-mri” succeeded after 9m43s", 992)
        await wait(pilot, lambda: "1 notice (n)" in shown(pilot) and "succeeded after" in shown(pilot))
        assert not any(notice.seen for notice in box.told)  # a toast that passes by is no look
        await pilot.press("n")
        await wait(
            pilot, lambda: "Notices" in shown(pilot) and "1 notice" not in shown(pilot)
        )  # it is read now
        await wait(pilot, lambda: all(notice.seen for notice in box.told))
        assert "● " in shown(pilot).splitlines()[2]
        await pilot.press("enter")
        await wait(pilot, lambda: "Job 992 · segment-mri" in shown(pilot))
        await pilot.press("escape", "escape")
        await wait(pilot, lambda: "Jobs on" in shown(pilot))
        assert "notice (" not in shown(pilot)
        box.note("Job 993 “again” succeeded", 993)
        await wait(pilot, lambda: "1 notice (n)" in shown(pilot))


async def test_notices_are_those_that_the_words_list(box: Any, running: Any, wait: Any, shown: Any) -> None:
    for number in range(19):
        box.note(f"job {number} (study) succeeded", number)
    box.see_notices(12)  # looked at elsewhere
    async with running(box, size=(120, 40)) as pilot:
        await wait(pilot, lambda: "7 notices (n)" in shown(pilot))
        await pilot.press("n")
        await wait(pilot, lambda: "Notices" in shown(pilot).splitlines()[0])
        page = shown(pilot)
        assert all(f"job {number} (study)" in page for number in range(19))
        assert page.count("●") == 7
        await wait(pilot, lambda: "notices (n)" not in shown(pilot))
        assert box.notices().notices == ()


async def test_an_older_answer_about_notices_does_not_overwrite_a_newer_one(
    box: Any, running: Any, wait: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio
    import threading

    async with running(box) as pilot:
        app, answer = pilot.app, box.notices
        await wait(pilot, lambda: any(call[0] == "events" for call in box.calls))
        late, arrived, first = threading.Event(), threading.Event(), True

        def overtaken(everything: bool = False) -> Any:
            nonlocal first
            told, mine, first = answer(everything), first, False
            if mine:
                arrived.set()
                late.wait(20)
            return told

        for look in ("newer", "seen"):
            first = True
            late.clear()
            arrived.clear()
            monkeypatch.setattr(box, "notices", overtaken)
            slow = asyncio.ensure_future(app.fetch_notices(quiet=True))  # of the time before
            await asyncio.to_thread(arrived.wait, 20)
            if look == "newer":
                box.note("job 992 (a) succeeded", 992)
                await app.fetch_notices(quiet=True)
            else:
                app.notices_seen()
            known, unread = list(app.notices), app.unread
            assert (len(known), unread) == (1, 1 if look == "newer" else 0)
            late.set()
            await slow
            assert (app.notices, app.unread) == (known, unread), look


async def test_notices_that_come_before_their_screen_stands_are_on_it(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    async with running(box) as pilot:
        await wait(pilot, lambda: any(call[0] == "events" for call in box.calls))
        box.note("job 992 (a) succeeded", 992)
        await wait(pilot, lambda: "1 notice (n)" in shown(pilot))
        screen = NoticesScreen()
        pilot.app.push_screen(screen)
        assert screen.is_current and not screen.query("RowsTable")
        screen.retitle()  # as notices do that come just now
        await wait(pilot, lambda: "job 992 (a) succeeded" in shown(pilot) and "●" in shown(pilot))


async def test_a_look_elsewhere_makes_the_counter_smaller(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    async with running(box) as pilot:
        await wait(pilot, lambda: any(call[0] == "events" for call in box.calls))
        box.note("job 992 (a) succeeded", 992)
        box.note("job 991 (b) failed", 991)
        await wait(pilot, lambda: "2 notices (n)" in shown(pilot))
        box.see_notices(1)
        await wait(pilot, lambda: "1 notice (n)" in shown(pilot))
        box.see_notices(2)
        await wait(pilot, lambda: "notice" not in shown(pilot).splitlines()[0])


@pytest.mark.parametrize("start", ["jobs", "files"])
async def test_an_end_is_told_at_once_and_once_by_toast_bell_and_title(
    start: str, box: Any, running: Any, wait: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(box, start=start) as pilot:
        app = pilot.app
        told: list[str] = []
        written: list[str] = []
        say = app.say

        def heard(text: str, title: str = "") -> None:
            told.append(text)
            say(text, title)

        monkeypatch.setattr(app, "say", heard)
        monkeypatch.setattr(app._driver, "write", written.append)
        monkeypatch.setattr(app, "bell", lambda: written.append("bell"))
        await wait(pilot, lambda: {"events", "notices"} <= {call[0] for call in box.calls})
        await wait(pilot, lambda: not app.calls._busy)  # what was there at the start has been read
        box.change(1000, state=JobState.SUCCEEDED, exit_code=0, progress=None)
        box.note("job 1000 (reaction-time) succeeded", 1000)
        await wait(pilot, lambda: told and "1 notice (" in shown(pilot))
        asked = len([call for call in box.calls if call[0] == "notices"])
        box.tell("notice")  # asked for again, for another reason
        await wait(pilot, lambda: len([call for call in box.calls if call[0] == "notices"]) > asked)
        await wait(pilot, lambda: not app.calls._busy)
        assert told == ["job 1000 (reaction-time) succeeded"]
        assert written.count("bell") == 1
        titles = [each for each in written if each.startswith("\x1b]2;")]
        assert titles == ["\x1b]2;● job 1000 (reaction-time) succeeded\x07"]
        app.action_notices()
        await wait(pilot, lambda: "\x1b[23;2t" in written)  # the terminal has its own title back


async def test_toast_bell_and_title_are_by_setting(
    box: Any, running: Any, wait: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_settings(Settings(toasts=False, bell=False, title=False))
    async with running(box) as pilot:
        written: list[str] = []
        monkeypatch.setattr(pilot.app._driver, "write", written.append)
        monkeypatch.setattr(pilot.app, "bell", lambda: written.append("bell"))
        await wait(pilot, lambda: any(call[0] == "events" for call in box.calls))
        box.note("job 992 (study) succeeded", 992)
        await wait(pilot, lambda: "1 notice (n)" in shown(pilot))
        assert "(study)" not in shown(pilot) and written == []


async def test_a_new_array_is_one_row_that_fills_and_opens(
    box: Any, running: Any, wait: Any, shown: Any, fakes: Any
) -> None:
    async with running(box, size=(120, 30)) as pilot:
        await wait(pilot, lambda: any(call[0] == "events" for call in box.calls))
        parent, elements = fakes.add_array(box, 4)
        await wait(pilot, lambda: "slow [array]" in shown(pilot) and "0/4 done" in shown(pilot))
        rows = len(pilot.app.screen.list)
        for done, element in enumerate(elements, 1):
            box.change(element, state=JobState.RUNNING)
            box.change(element, state=JobState.SUCCEEDED)
            box.array_moves(parent)
            await wait(pilot, lambda done=done: f"{done}/4 done" in shown(pilot))
        assert len(pilot.app.screen.list) == rows
        row = pilot.app.screen.list.row_of(parent)
        await pilot.press("home", *["down"] * row, "enter")
        await wait(pilot, lambda: "4/4 done" in shown(pilot) and "✓ succeeded 4" in shown(pilot))
        await pilot.press("escape", "f3")  # its log is its elements' logs
        await wait(pilot, lambda: "✓ succeeded 4" in shown(pilot))


async def test_a_view_opened_in_the_middle_of_an_array_agrees_with_the_words(
    box: Any, running: Any, wait: Any, shown: Any, fakes: Any
) -> None:
    parent, elements = fakes.add_array(box, 20)
    for element in elements[:3]:
        box.change(element, state=JobState.SUCCEEDED)
    box.change(elements[3], state=JobState.RUNNING)
    box.array_moves(parent)
    async with running(box, size=(120, 30)) as pilot:
        await wait(pilot, lambda: "3/20 done" in shown(pilot))
        everything = sum(box.count_jobs(array=0).by_state.values())
        await wait(pilot, lambda: f"Runs {everything}" in shown(pilot))
        assert len(pilot.app.screen.list) == everything
        box.change(elements[4], state=JobState.RUNNING)  # one that was queued when it was opened
        box.change(elements[4], state=JobState.FAILED)
        box.array_moves(parent)
        await wait(pilot, lambda: "4/20 done" in shown(pilot))
        assert len(pilot.app.screen.list) == everything
        await pilot.press("enter")
        await wait(pilot, lambda: "Array" in shown(pilot) and "✗ failed 1" in shown(pilot))
        box.change(elements[5], state=JobState.RUNNING)
        await wait(pilot, lambda: "● running 2" in shown(pilot))


async def test_an_answer_that_events_have_overtaken_does_not_bring_the_past_back(fakes: Any) -> None:
    jobs: Any = JobList()
    job = fakes.make_job(7, 3)
    jobs.apply(msgspec.structs.replace(job, state=JobState.SUCCEEDED, reason=None), 12)
    jobs.add_page([job, fakes.make_job(6, 3)], None, cursor=11)
    assert jobs.get(0).state is JobState.SUCCEEDED and len(jobs) == 2
    jobs.add_page([job], None, cursor=12)
    assert jobs.get(0).state is JobState.QUEUED
    waiting = JobList()
    waiting.view = "waiting"
    waiting.apply(msgspec.structs.replace(job, state=JobState.RUNNING), 12)
    waiting.add_page([job], None, cursor=11)
    assert len(waiting) == 0


@pytest.mark.parametrize(
    ("kind", "screen", "call"),
    [("user", UsersScreen, "list_users"), ("user", AccountScreen, "list_keys")],
)
async def test_lists_follow_what_changes_elsewhere(
    kind: str, screen: Any, call: str, box: Any, running: Any, wait: Any
) -> None:
    async with running(box) as pilot:
        await wait(pilot, lambda: any(made[0] == "events" for made in box.calls))
        await pilot.app.push_screen(screen())
        await wait(pilot, lambda: any(made[0] == call for made in box.calls))
        asked = [made[0] for made in box.calls].count(call)
        box.tell(kind)
        await wait(pilot, lambda: [made[0] for made in box.calls].count(call) > asked)


async def test_an_error_shows_its_sentence_and_its_hint(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    box.broken["hold_job"] = LabboxError("forbidden", "cannot hold job 1000: it is grace's", "Ask grace.")
    async with running(box) as pilot:
        await pilot.press("h")
        await wait(pilot, lambda: "cannot hold job 1000: it is grace's" in shown(pilot))
        assert "Ask grace." in shown(pilot)
        await pilot.press("enter")
        await wait(pilot, lambda: "cannot hold" not in shown(pilot))


async def test_an_error_that_an_event_brings_about_is_shown_as_any_other(
    box: Any, running: Any, wait: Any, shown: Any, fakes: Any
) -> None:
    async with running(box) as pilot:
        await wait(pilot, lambda: any(call[0] == "events" for call in box.calls))
        box.broken["count_jobs"] = LabboxError("internal", "cannot count the jobs", "Read again: Ctrl+R.")
        box.put(fakes.make_job(1001, 3))
        await wait(pilot, lambda: "cannot count the jobs" in shown(pilot))
        box.broken.clear()
        await pilot.press("enter")
        await wait(pilot, lambda: "cannot count" not in shown(pilot) and " 1001 " in shown(pilot))


async def test_what_threads_bring_comes_in_the_context_of_the_screens(box: Any, fakes: Any) -> None:
    """Textual keeps the app in the context: a screen first drawn from an empty one ended the session."""
    import asyncio
    from contextvars import ContextVar

    from labbox.tui.link import Feed
    from labbox.tui.logreader import LogReader

    where: ContextVar[str] = ContextVar("where", default="nowhere")
    where.set("here")
    seen: dict[str, str] = {}
    came = asyncio.Event()

    def came_to(name: str) -> None:
        seen[name] = where.get()
        if len(seen) == 4:
            came.set()

    feed = Feed(box, lambda _: came_to("event"), lambda _: came_to("lost"), lambda _: None)
    reader = LogReader(box, 1000, lambda *_: came_to("log"), lambda _: None)
    box.broken["job_log"] = LabboxError("not_found", "cannot find job 5")
    failing = LogReader(box, 5, lambda *_: None, lambda _: came_to("no log"))
    failing.start()
    async with asyncio.timeout(20):
        while "no log" not in seen:
            await asyncio.sleep(0)
        box.broken.clear()
        reader.start()
        feed.start(0)
        box.put(fakes.make_job(1001, 3))
        while "event" not in seen:
            await asyncio.sleep(0)
        box.go_away("connection refused")
        await came.wait()
    feed.stop()
    reader.stop()
    assert seen == dict.fromkeys(("event", "lost", "log", "no log"), "here")


async def test_events_that_are_refused_are_followed_from_now_on_and_not_from_the_first(
    box: Any, fakes: Any
) -> None:
    import asyncio

    from labbox.tui.link import Feed

    box.put(fakes.make_job(1001, 3))
    heard: list[int] = []
    found: list[bool] = []
    feed = Feed(box, lambda events: heard.extend(e.cursor for e in events), lambda _: None, found.append)
    box.broken["events"] = LabboxError("not_found", "cannot find that event")
    feed.start(1)
    async with asyncio.timeout(20):
        while ("events", 1) not in box.calls:
            await asyncio.sleep(0)
        del box.broken["events"]
        while True not in found:
            await asyncio.sleep(0)
        assert ("events", None) in box.calls
        box.put(fakes.make_job(1002, 3))
        newest = box.happened[-1].cursor
        while not heard:
            await asyncio.sleep(0)
    feed.stop()
    assert heard == [newest]


async def test_an_answer_for_a_screen_that_has_gone_is_dropped(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    """The race of an answer with the leaving of its screen, made certain: the answer waits until it lost."""
    import asyncio

    from textual.css.query import NoMatches

    from labbox.tui.widgets.lines import Lines

    async with running(box) as pilot:
        await pilot.press("B")
        await wait(pilot, lambda: "✓ healthy" in shown(pilot))
        screen, answered = pilot.app.screen, asyncio.Event()

        async def late() -> None:
            await answered.wait()
            screen.query_one(Lines).set_lines([])

        async def broken() -> None:
            screen.query_one("#there-is-no-such-widget")

        with pytest.raises(NoMatches):  # a mistake on a screen that is shown is not hushed up
            await screen._while_shown(broken())
        waiting = asyncio.create_task(screen._while_shown(late()))
        await pilot.press("escape")
        await wait(pilot, lambda: screen not in pilot.app.screen_stack and not screen.query(Lines))
        answered.set()
        await waiting
        assert "Jobs on lab" in shown(pilot) and pilot.app.is_running


async def test_connection_loss_is_told_and_nothing_is_missed(
    box: Any, running: Any, wait: Any, shown: Any, fakes: Any
) -> None:
    async with running(box) as pilot:
        await wait(pilot, lambda: any(call[0] == "events" for call in box.calls))
        box.go_away("connection refused")
        await wait(pilot, lambda: "The box does not answer" in shown(pilot))
        box.put(fakes.make_job(1001, 3))
        box.go_away("")
        await wait(pilot, lambda: " 1001 " in shown(pilot) and "does not answer" not in shown(pilot))


async def test_a_box_that_hangs_is_told_of_within_five_seconds(
    box: Any, running: Any, wait: Any, shown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(box) as pilot:
        await wait(pilot, lambda: any(call[0] == "events" for call in box.calls))
        goes_on = threading.Event()
        answer = box.status
        await pilot.press("down")
        monkeypatch.setattr(box, "status", lambda: goes_on.wait(60) and answer())
        begun = pilot.app._seconds
        await wait(pilot, lambda: "The box does not answer" in shown(pilot), 30)
        assert pilot.app._seconds - begun <= 6  # as the interface itself counts them
        goes_on.set()
        await wait(pilot, lambda: "does not answer" not in shown(pilot), 30)


async def test_the_box_is_asked_how_full_it_is_when_jobs_change(box: Any, running: Any, wait: Any) -> None:
    async with running(box) as pilot:
        await wait(pilot, lambda: any(call[0] == "events" for call in box.calls))
        asked = sum(call[0] == "status" for call in box.calls)
        for _ in range(20):
            box.change(1000, attempt=2)
        await wait(pilot, lambda: sum(call[0] == "status" for call in box.calls) == asked + 1, 3)


async def test_empty_box_says_what_to_do(running: Any, shown: Any, fakes: Any) -> None:
    empty = fakes.FakeClient()
    async with running(empty) as pilot:
        assert "No jobs yet. F2 submits a project folder." in shown(pilot)
        await pilot.press("f3", "f8", "K", "space", "plus", "end", "pagedown")
        await pilot.pause()


async def test_a_hundred_thousand_rows(running: Any, wait: Any, shown: Any, fakes: Any) -> None:
    big = fakes.full_box(100_000)
    async with running(big, size=(200, 50)) as pilot:
        screen = pilot.app.screen
        await wait(pilot, lambda: len(screen.list) == 100_000)
        began = time.perf_counter()
        for _ in range(40):
            await pilot.press("down")
        step = (time.perf_counter() - began) / 40
        assert step < 0.1, f"a cursor step took {step * 1000:.0f} ms"
        await pilot.press("end")
        await wait(
            pilot,
            lambda: (" 100000 " not in shown(pilot) and "● " in shown(pilot)) or " 1 " in shown(pilot),
            60,
        )
        await wait(pilot, lambda: screen.job_here() is not None and screen.job_here().id == 1, 60)
        assert len(screen.list._jobs) <= 5000
        await pilot.press("home")
        await wait(pilot, lambda: screen.job_here() is not None and screen.job_here().id == 100_000)


async def test_runs_and_operations_on_files_are_views_of_their_own(
    box: Any, running: Any, wait: Any, shown: Any, fakes: Any
) -> None:
    async with running(box, size=(120, 30)) as pilot:
        copy = box.add_transfer(name="copy raw to project:atlas")
        box.put(fakes.make_job(copy.id + 1, 3))
        await wait(pilot, lambda: f" {copy.id + 1} " in shown(pilot))
        assert "copy raw" not in shown(pilot)
        await pilot.press("5")
        await wait(pilot, lambda: "copy raw to project:atlas" in shown(pilot))
        assert f" {copy.id + 1} " not in shown(pilot)
        assert len(pilot.app.screen.list) == 1
        box.put(fakes.make_job(copy.id + 2, 3))
        await pilot.press("1")
        await wait(pilot, lambda: f" {copy.id + 2} " in shown(pilot) and "copy raw" not in shown(pilot))


async def test_kill_asks_as_cancel_does(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box) as pilot:
        await wait(pilot, lambda: any(made[0] == "events" for made in box.calls))
        await pilot.press("K")
        await wait(pilot, lambda: "Kill job 1000" in shown(pilot))
        await pilot.press("escape")
        await wait(pilot, lambda: "Kill job 1000" not in shown(pilot))
        assert ("kill_job", 1000) not in box.calls
        await pilot.press("K")
        await wait(pilot, lambda: "Kill job 1000" in shown(pilot))
        await pilot.press("enter")
        await wait(pilot, lambda: ("kill_job", 1000) in box.calls)


async def test_the_page_and_the_form_of_a_transfer_have_what_it_has(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    asked = TransferSpec(
        verb=TransferVerb.COPY, sources=("~/raw", "~/more"), target="project:atlas/", conflict=Conflict.NEWER
    )
    copy = box.add_transfer(state=JobState.QUEUED, name="copy raw")
    box.specs[copy.id] = JobSpec(transfer=asked)
    async with running(box, size=(120, 40)) as pilot:
        await pilot.press("5")
        await wait(pilot, lambda: "copy raw" in shown(pilot))
        await pilot.press("E")
        await wait(pilot, lambda: "Priority" in shown(pilot))
        assert "CPUs" not in shown(pilot) and "GPUs" not in shown(pilot)
        await pilot.press("escape")
        await pilot.press("d")
        await wait(pilot, lambda: "project:atlas/" in shown(pilot))
        page = shown(pilot)
        for told in ("~/raw", "~/more", "copy", "overwrite it where it is older"):
            assert told in page
        assert "CPU," not in page and "Template" not in page


async def test_what_jobs_take_stands_in_a_wide_list_and_in_the_history(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    jobs = [job for job in box.jobs.values() if job.state is JobState.RUNNING]
    job = next(job for job in jobs if job.kind is JobKind.CONTAINER)
    live = Live(
        cpus=1.5, memory=700 << 20, peak_memory=900 << 20, cpu_course=(0.0, 0.5, 1.0, 1.5),
        memory_course=(100 << 20, 700 << 20), gpus=0.25, gpu_memory=2 << 30, peak_gpu_memory=3 << 30,
        gpu_course=(0.0, 0.25),
    )  # fmt: skip
    box.lives[job.id] = live
    async with running(box, size=(150, 40)) as pilot:
        await wait(pilot, lambda: "1.5   700M ▁▃▆█" in shown(pilot))
        box.lives[job.id] = msgspec.structs.replace(live, cpus=0.2, cpu_course=(0.2,))
        await wait(pilot, lambda: "0.2   700M █" in shown(pilot))  # with the next look
        await pilot.press("slash", *str(job.id), "enter")
        await wait(pilot, lambda: f"with “{job.id}”" in shown(pilot))
        await pilot.press("t")
        await wait(pilot, lambda: "Memory now" in shown(pilot))
        page = shown(pilot)
        assert "CPU now" in page and "peak 900.0 MiB" in page
        assert "GPU now" in page and "2.0 GiB of its memory, peak 3.0 GiB" in page


async def test_a_narrow_list_asks_nobody_what_jobs_take(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    async with running(box, size=(100, 30)) as pilot:
        await wait(pilot, lambda: "running" in shown(pilot))
        calls = len(box.calls)
        pilot.app.screen.tick()
        await pilot.pause()
        assert "live_jobs" not in [call[0] for call in box.calls[calls:]]
