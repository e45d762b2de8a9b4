"""Submitting: the folder, what was found in it, the form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from labbox.errors import LabboxError
from labbox.model import JobSpec
from labbox.text import duration_text
from labbox.tui.format import ranges, submit_words
from labbox.tui.screens.folder import is_project
from labbox.tui.screens.submit import found_lines
from labbox.units import parse_duration


async def test_from_the_chooser_to_the_log(
    box: Any, running: Any, wait: Any, shown: Any, project: Any
) -> None:
    async with running(box, size=(100, 30)) as pilot:
        await pilot.press("f2")
        await wait(pilot, lambda: "Choose a project folder" in shown(pilot) and "study/" in shown(pilot))
        await pilot.press("down", "right")
        await wait(pilot, lambda: "pendulum/" in shown(pilot))
        await pilot.press("left")
        await wait(pilot, lambda: "study/" in shown(pilot))
        await pilot.press("down", "enter")
        await wait(pilot, lambda: "app.py is what runs" in shown(pilot))
        assert "input/trials/sub-07.csv is empty" in shown(pilot) and "F2 submits it." in shown(pilot)
        await pilot.press(*"mine", "tab", "tab", *"4", "f2")
        await wait(pilot, lambda: "Log of job" in shown(pilot))
        spec = next(call[1] for call in box.calls if call[0] == "submit_job")
        assert (spec.path, spec.name, spec.cpus) == ("study", "mine", 4.0)


async def test_up_and_down_go_through_the_fields(
    box: Any, running: Any, wait: Any, shown: Any, project: Any
) -> None:
    async with running(box, size=(120, 36)) as pilot:
        await pilot.press("f2", "escape")
        await wait(pilot, lambda: pilot.app.screen.query("#submit-path"))
        pilot.app.screen.query_one("#submit-path").focus()
        await wait(pilot, lambda: pilot.app.focused.id == "submit-path")
        await pilot.press("down", "down", "down", "up")
        await wait(pilot, lambda: pilot.app.focused.id == "submit-command")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3600, "1h"), (5400, "1h30m"), (90, "1m30s"), (86400, "1d"), (0.5, "0.5s"), (1e6, "11d13h46m40s")],
)
def test_a_duration_reads_as_one_types_it(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
    assert parse_duration(text) == seconds


async def test_every_field_reaches_the_spec(box: Any, running: Any, wait: Any, project: Any) -> None:
    async with running(box, size=(120, 36)) as pilot:
        await pilot.press("f2", "escape")
        values = {
            "path": "study",
            "command": "python app.py --fast",
            "memory": "8G",
            "gpus": "1",
            "time_limit": "1h30m",
            "array": "1-20%4",
            "group": "sims",
            "env": "A=1 B='two words'",
            "after": "17, 18",
            "priority": "5",
            "retries": "2",
        }
        await wait(pilot, lambda: pilot.app.screen.query("#submit-env"))
        pilot.app.screen.query_one("#submit-path").focus()
        for key, value in {**values, "network": " ", "hold": " ", "stdin": " "}.items():
            while pilot.app.focused.id != f"submit-{key}":
                await pilot.press("tab")
            await pilot.press(*value)
        await pilot.press("ctrl+s")
        await wait(pilot, lambda: any(call[0] == "submit_job" for call in box.calls))
        spec = next(call[1] for call in box.calls if call[0] == "submit_job")
        assert spec == JobSpec(
            path="study",
            command=("python", "app.py", "--fast"),
            memory=8 << 30,
            gpus=1,
            time_limit=5400.0,
            array=tuple(range(1, 21)),
            parallel=4,
            group="sims",
            env={"A": "1", "B": "two words"},
            after=(17, 18),
            priority=5,
            retries=2,
            network=True,
            hold=True,
            stdin=True,
        )


async def test_a_sweep_lands_among_its_elements(
    box: Any, running: Any, wait: Any, shown: Any, project: Any
) -> None:
    async with running(box, size=(120, 36)) as pilot:
        await pilot.press("f2", "escape")
        await wait(pilot, lambda: pilot.app.screen.query("#submit-path"))
        pilot.app.screen.query_one("#submit-path").value = "study"
        pilot.app.screen.query_one("#submit-sweep").value = "lr=0.1,0.2 seed=1:3"
        await pilot.press("f2")
        await wait(pilot, lambda: "Array" in shown(pilot) and "0/6 done" in shown(pilot))
        assert "○ queued 6" in shown(pilot) and "cannot" not in shown(pilot)
        await pilot.press("escape")
        await wait(pilot, lambda: "study [array]" in shown(pilot))


async def test_what_is_wrong_is_said_before_submitting(
    box: Any, running: Any, wait: Any, shown: Any, project: Any, fakes: Any
) -> None:
    box.findings = (
        fakes.Finding(
            level="error", text="job.toml: “cpu” is no key", hint="cpus is.", file="job.toml", line=3
        ),
    )
    async with running(box, size=(120, 36)) as pilot:
        await pilot.press("f2", "escape")
        await wait(pilot, lambda: pilot.app.screen.query("#submit-path"))
        pilot.app.screen.query_one("#submit-path").value = "study"
        await pilot.press("f5")
        await wait(pilot, lambda: "(job.toml:3)" in shown(pilot) and "cpus is." in shown(pilot))
        await pilot.press("f2")
        await wait(pilot, lambda: "cannot submit study" in shown(pilot))
        assert not any(call[0] == "submit_job" for call in box.calls)


def test_signs_words_and_hints_of_findings_stand_in_one_line_each(fakes: Any) -> None:
    long = "it is a sentence that takes more than one line of the narrow right side"
    findings = tuple(
        fakes.Finding(level=level, text=f"{level}: {long}", hint=f"hint: {long}")
        for level in ("ok", "warning", "error")
    )
    inspection = msgspec.structs.replace(fakes.full_box(1).inspect("study"), findings=findings)
    for width in (24, 44, 70):
        lines = ["".join(text for text, _ in line) for line in found_lines(inspection, None, width)]
        lines = lines[lines.index(" Found") + 1 : lines.index(" Would run") - 1]
        assert sum(line.startswith(("  ✓ ok", "  ! warning", "  ✗ error")) for line in lines) == 3
        assert sum(line.startswith("    hint") for line in lines) == 3
        assert {len(line[4:]) - len(line[4:].lstrip()) for line in lines} == {0}
        assert {line[:4].strip() for line in lines} == {"", "✓", "!", "✗"}
        assert max(map(len, lines)) <= width


async def test_a_slip_in_the_form_names_its_field(
    box: Any, running: Any, wait: Any, shown: Any, project: Any
) -> None:
    box.broken["inspect"] = LabboxError(
        "not_found", "cannot find the folder nowhere", "`ls` shows what is there."
    )
    async with running(box, size=(120, 36)) as pilot:
        await pilot.press("f2", "escape", "f2")
        await wait(pilot, lambda: "cannot submit nothing" in shown(pilot))
        await pilot.press("escape")
        pilot.app.screen.query_one("#submit-memory").value = "much"
        await pilot.press("f2")
        await wait(pilot, lambda: "Memory: cannot" in shown(pilot))
        await pilot.press("escape")
        pilot.app.screen.query_one("#submit-memory").value = ""
        pilot.app.screen.query_one("#submit-group").value = "a b"
        await pilot.press("f2")
        await wait(pilot, lambda: "Group: cannot use “a b”" in shown(pilot))
        await pilot.press("escape")
        pilot.app.screen.query_one("#submit-group").value = ""
        pilot.app.screen.query_one("#submit-path").value = "nowhere"
        await pilot.press("f5")
        await wait(pilot, lambda: "cannot find the folder nowhere" in shown(pilot))


async def test_a_log_says_how_it_was_asked_for_and_asks_again(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    async with running(box) as pilot:
        await pilot.press("f3")
        await wait(pilot, lambda: "$ job submit studies/reaction-time --cpus 2 --env SEED=7" in shown(pilot))
        await pilot.press("f6")
        await wait(pilot, lambda: "Run job 1000 again" in shown(pilot))
        await pilot.press("end", *"-2", "enter")
        await wait(pilot, lambda: any(call[0] == "rerun_job" for call in box.calls))
        call = next(call for call in box.calls if call[0] == "rerun_job")
        assert call[1] == 1000 and call[2].name == "reaction-time-2"


def test_the_header_of_a_log_can_be_resubmitted() -> None:
    spec = JobSpec(
        path="my study",
        memory=2 << 30,
        array=(1, 2, 3, 7),
        group="sims",
        env={"A": "x y"},
        hold=True,
        command=("a", "b c"),
    )
    assert submit_words(spec) == (
        "job submit 'my study' --memory 2G --array 1-3,7 --group sims --env 'A=x y' --hold -- a 'b c'"
    )
    assert ranges(()) == "" and ranges((5,)) == "5"


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("analysis.m",), True),
        (("main.py", "helper.py"), True),
        (("Makefile", "a.c"), True),
        (("only.R", "data.csv"), True),
        (("job.toml",), True),
        (("a.py", "b.py"), False),
        (("test_a.py", "setup.py", "README"), False),
        (("data.csv",), False),
    ],
)
def test_a_folder_is_marked_as_what_it_would_be_taken_for(
    names: tuple[str, ...], wanted: bool, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert is_project(tmp_path) is wanted
