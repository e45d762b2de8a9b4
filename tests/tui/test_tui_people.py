"""Users, one's own account, usage, the box, and the results browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from labbox.model import Limits, Scope


async def test_add_invite_limit_and_remove_users(
    box: Any, running: Any, wait: Any, shown: Any, fakes: Any
) -> None:
    async with running(box, size=(110, 30)) as pilot:
        await pilot.press("U")
        await wait(pilot, lambda: "katherine" in shown(pilot) and "4 jobs, 8 CPUs" in shown(pilot))
        await pilot.press("f2")
        await wait(pilot, lambda: pilot.app.screen.query("#field-name"))
        await pilot.press(*"zoe", "enter")
        await wait(pilot, lambda: "zoe is a user now" in shown(pilot) and "nothing yet" in shown(pilot))
        await pilot.press("f3")
        await wait(pilot, lambda: pilot.app.screen.query("#field-name"))
        assert "[ ]" in shown(pilot)
        await pilot.press(*"zoe", "tab", "enter")  # enter accepts from the box to tick, too
        await wait(pilot, lambda: "K7QM-4XZP-R2TD" in shown(pilot) and "over SSH" in shown(pilot))
        await pilot.press("enter", "enter")
        await wait(pilot, lambda: pilot.app.screen.query("#field-cpus"))
        await pilot.press("down", *"2", "enter")
        await wait(pilot, lambda: box.users["ada"].limits == Limits(cpus=2.0))
        await pilot.press("down", "f5", "y")
        await wait(pilot, lambda: box.users["emmy"].admin)
        await pilot.press("f6")
        await wait(pilot, lambda: pilot.app.screen.query("#field-new"))
        await pilot.press(*"secret", "tab", *"secre", "enter")
        await wait(pilot, lambda: "the two are not alike" in shown(pilot))
        assert not any(call[0] == "set_password" for call in box.calls)
        await pilot.press("t", "enter")
        await wait(pilot, lambda: ("set_password", "emmy", False) in box.calls)
        assert "secret" not in shown(pilot)
        await pilot.press("f8", "enter")
        await wait(pilot, lambda: "emmy" not in box.users)


async def test_users_follow_what_others_change_and_the_cursor_stays(
    box: Any, running: Any, wait: Any, shown: Any, fakes: Any
) -> None:
    async with running(box, size=(110, 30)) as pilot:
        await pilot.press("U")
        await wait(pilot, lambda: "katherine" in shown(pilot))
        await pilot.press("down")
        screen = pilot.app.screen
        person = screen._here()
        box.add_user(fakes.UserAdd(name="aaron"))
        await wait(pilot, lambda: "aaron" in shown(pilot), seconds=20)  # by itself
        assert screen._here().name == person.name
        box.add_user(fakes.UserAdd(name="abel"))
        box.calls.clear()
        await pilot.press("ctrl+r")
        await wait(pilot, lambda: "abel" in shown(pilot))
        assert screen._here().name == person.name


async def test_own_keys_tokens_and_password(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box, size=(110, 30)) as pilot:
        await pilot.press("A")
        await wait(pilot, lambda: "ada@laptop" in shown(pilot) and "nightly" in shown(pilot))
        await pilot.press("f2")
        await wait(pilot, lambda: pilot.app.screen.query("#field-key"))
        await pilot.press(*"ssh-ed25519 AAAA ada@desk", "enter")
        await wait(pilot, lambda: "ada@desk" in shown(pilot))
        await pilot.press("f3")
        await wait(pilot, lambda: pilot.app.screen.query("#field-label"))
        await pilot.press(*"ci", "enter")
        await wait(pilot, lambda: "lbx_s3cret0nce" in shown(pilot))
        assert ("add_token", "ada", "ci", Scope.READ) in box.calls
        await pilot.press("enter", "f6")
        await wait(pilot, lambda: pilot.app.screen.query("#field-again"))
        await pilot.press("tab", *"one", "tab", *"two", "enter")
        await wait(pilot, lambda: "the two are not alike" in shown(pilot))
        await pilot.press("escape", "f8", "enter")
        await wait(pilot, lambda: "ada@laptop" not in [key.comment for key in box.keys])


async def test_usage_box_and_audit(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box, size=(110, 40)) as pilot:
        await pilot.press("S")
        await wait(pilot, lambda: "912.0" in shown(pilot) and "32 %" in shown(pilot))
        await pilot.press("escape", "B")
        await wait(pilot, lambda: "✓ healthy" in shown(pilot) and "6 of 16" in shown(pilot))
        await pilot.press("escape")
        await pilot.app.run_action("audit")
        await wait(pilot, lambda: "job cancel" in shown(pilot) and "192.0.2.7" in shown(pilot))


async def test_results_are_listed_and_looked_at(
    box: Any, running: Any, wait: Any, shown: Any, results: Any
) -> None:
    async with running(box, size=(100, 30)) as pilot:
        await pilot.press("v")
        await wait(pilot, lambda: "figure.png" in shown(pilot) and "raw/" in shown(pilot))
        await pilot.press("down", "enter")
        await wait(pilot, lambda: "120 × 80 pixels" in shown(pilot) and "▀" in shown(pilot))
        await pilot.press("escape", "down", "f3")
        await wait(pilot, lambda: "second ␛]0;title␇ line" in shown(pilot))
        await pilot.press("escape", "down", "enter")
        await wait(pilot, lambda: "20 rows, 3 columns" in shown(pilot) and "sub-20" in shown(pilot))
        await pilot.press("right")
        await wait(pilot, lambda: "sub-20" not in shown(pilot) and "0.510" in shown(pilot))
        await pilot.press("escape", "home", "enter")
        await wait(pilot, lambda: "data.bin" in shown(pilot))
        await pilot.press("enter")
        await wait(pilot, lambda: "00000010  10 11 12" in shown(pilot))
        await pilot.press("escape", "backspace")
        await wait(pilot, lambda: "figure.png" in shown(pilot))
        await pilot.press("y")
        assert pilot.app.clipboard.endswith("/output/raw")


async def test_results_of_others_are_not_promised(box: Any, running: Any, wait: Any, shown: Any) -> None:
    async with running(box) as pilot:
        await pilot.press("down", "v")
        await wait(pilot, lambda: "These results belong to katherine." in shown(pilot))


async def test_a_file_that_only_claims_to_be_a_picture(
    box: Any, running: Any, wait: Any, shown: Any, results: Any
) -> None:
    (results / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand nothing behind it")
    async with running(box) as pilot:
        await pilot.press("v")
        await wait(pilot, lambda: "broken.png" in shown(pilot))
        await pilot.press("down", "enter")
        await wait(pilot, lambda: "it is damaged" in shown(pilot) and "89 50 4e 47" in shown(pilot))


async def test_people_are_suspended_let_in_again_edited_and_not_invited_any_more(
    box: Any, running: Any, wait: Any, shown: Any, fakes: Any
) -> None:
    later = datetime.now(UTC) + timedelta(days=3)
    box.users["emmy"] = msgspec.structs.replace(box.users["emmy"], invited_until=later)
    async with running(box, size=(140, 30)) as pilot:
        await pilot.press("U")
        await wait(pilot, lambda: "katherine" in shown(pilot) and "invited until" in shown(pilot))
        names = sorted(box.users)
        await pilot.press(*["down"] * names.index("emmy"), "w", "y")
        await wait(pilot, lambda: ("withdraw_invitation", "emmy") in box.calls)
        await wait(pilot, lambda: "invited until" not in shown(pilot))
        await pilot.press("f7")
        await wait(pilot, lambda: "Cancel jobs" in shown(pilot))
        await pilot.press("space", "enter")
        await wait(pilot, lambda: ("suspend_user", "emmy", True) in box.calls)
        await wait(pilot, lambda: "suspended" in shown(pilot))
        await pilot.press("f7", "y")
        await wait(pilot, lambda: box.users["emmy"].suspended_at is None)
        await pilot.press("e")
        await wait(pilot, lambda: pilot.app.screen.query("#field-full_name"))
        await pilot.press(*"Emmy", "tab", *"2090-01-01", "enter")
        await wait(pilot, lambda: box.users["emmy"].full_name == "Emmy")
        assert box.users["emmy"].expires_at.year in (2089, 2090)
        await wait(pilot, lambda: "until" in shown(pilot) and "Emmy" in shown(pilot))
