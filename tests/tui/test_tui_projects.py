"""The project screen: what one sees, and what administrators do there."""

from __future__ import annotations

from typing import Any

import msgspec

from labbox.model import Role


async def test_a_project_is_made_changed_and_removed(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box, size=(80, 24)) as pilot:
        await pilot.press("P")
        await wait(pilot, lambda: "ada, grace" in shown(pilot) and "tides" in shown(pilot))
        await pilot.press("f2")
        await wait(pilot, lambda: "Make a project" in shown(pilot))
        await pilot.press(*"moon", "tab", "end", *", mary", "enter")
        await wait(pilot, lambda: "The project moon is there, with 2 members." in shown(pilot))
        assert box.projects["moon"].members == ("ada", "mary")
        await pilot.press("down", "f3")
        await wait(pilot, lambda: "Take into moon" in shown(pilot))
        await pilot.press("enter")
        await wait(pilot, lambda: "cannot tell who is meant" in shown(pilot))
        await pilot.press(*"emmy grace", "enter")
        await wait(pilot, lambda: "ada, emmy, grace, mary" in shown(pilot))
        await pilot.press("f4")
        await wait(pilot, lambda: "Let go of moon" in shown(pilot))
        await pilot.press(*"zoe", "enter")
        await wait(pilot, lambda: "cannot let zoe go: not a member" in shown(pilot))
        await pilot.press("ctrl+u", *"grace", "enter")
        await wait(pilot, lambda: "ada, emmy, mary" in shown(pilot))
        await pilot.press("f8")
        await wait(pilot, lambda: "Remove the project moon?" in shown(pilot))
        await pilot.press("escape")
        assert "moon" in box.projects
        await pilot.press("f8")
        await wait(pilot, lambda: "Remove the project moon?" in shown(pilot))
        await pilot.press("enter")
        await wait(pilot, lambda: "The project moon is removed, its files are kept." in shown(pilot))
        assert ("remove_project", "moon", False) in box.calls
        await pilot.press("f8")
        await wait(pilot, lambda: "Remove the project tides?" in shown(pilot))
        await pilot.press("space", "enter")
        await wait(pilot, lambda: ("remove_project", "tides", True) in box.calls)


async def test_who_was_taken_in_before_a_failure_is_shown(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    async with running(box) as pilot:
        await pilot.press("P")
        await wait(pilot, lambda: "tides" in shown(pilot))
        await pilot.press("f3")
        await wait(pilot, lambda: "Take into atlas" in shown(pilot))
        await pilot.press(*"mary nobody katherine", "enter")
        await wait(pilot, lambda: "cannot find a user nobody" in shown(pilot))
        await pilot.press("enter")
        await wait(pilot, lambda: "ada, grace, mary" in shown(pilot))


async def test_projects_follow_what_others_change_and_the_cursor_stays(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    async with running(box) as pilot:
        await pilot.press("P")
        await wait(pilot, lambda: "tides" in shown(pilot))
        await pilot.press("down")
        box.add_project("ants", ("mary",))
        box.tell("project")
        await wait(pilot, lambda: "ants" in shown(pilot))
        assert pilot.app.screen._here.name == "tides"


async def test_members_see_their_projects_and_go_to_the_folder(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    box.role = Role.USER
    async with running(box) as pilot:
        await pilot.press("P")
        await wait(pilot, lambda: "atlas" in shown(pilot))
        assert "2Add" not in shown(pilot)
        await pilot.press("f2")
        await wait(pilot, lambda: "Only administrators change projects." in shown(pilot))
        await pilot.press("down", "enter")
        await wait(pilot, lambda: "Only members see the files of tides." in shown(pilot))
        await pilot.press("up", "enter")
        await wait(pilot, lambda: "since this login" in shown(pilot))
        pilot.app.caller = msgspec.structs.replace(pilot.app.caller, projects={"atlas": "/lab/atlas"})
        asked: list[str] = []
        pilot.app.action_open_place = asked.append
        await pilot.press("enter")
        await wait(pilot, lambda: asked == ["project:atlas/"])


async def test_the_palette_and_the_menu_lead_to_the_projects(
    box: Any, running: Any, wait: Any, shown: Any
) -> None:
    async with running(box) as pilot:
        await pilot.press("ctrl+p", *"members", "enter")
        await wait(pilot, lambda: "tides" in shown(pilot) and pilot.app.screen.KEYS == "projects")
