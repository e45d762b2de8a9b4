"""Meeting other machines without leaving the screens: keys, passwords, fingerprints, the list of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from far_machine import NEW, OLD, FarMachine
from textual.pilot import Pilot

from labbox.locations import parse
from labbox.protocol import HostSecret
from labbox.tui.filememory import FileMemory, PaneMemory, TabMemory, memory_path, save
from labbox.tui.screens.files import FilesScreen

PASSWORD = "seven purple elephants"
PC = "me@my-pc"


@pytest.fixture
def pc(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> FarMachine:
    folder = tmp_path_factory.mktemp("pc")
    (folder / "study").mkdir()
    (folder / "on-my-pc.txt").write_text("hello\n")
    return FarMachine(folder, monkeypatch)


class Hands:
    """Keys, and what is seen."""

    def __init__(self, pilot: Pilot[int], wait: Any, shown: Callable[[Any], str], box: Any) -> None:
        self.pilot, self._wait, self._shown, self.box = pilot, wait, shown, box
        self.copied: list[str] = []

    @property
    def files(self) -> FilesScreen:
        return next(each for each in self.pilot.app.screen_stack if isinstance(each, FilesScreen))

    @property
    def page(self) -> str:
        return self._shown(self.pilot)

    @property
    def focus(self) -> str | None:
        focused = self.pilot.app.focused
        return None if focused is None else focused.id

    async def until(self, reached: Callable[[], object]) -> None:
        await self._wait(self.pilot, reached)
        await self.pilot.pause()

    async def sees(self, *texts: str) -> None:
        await self.until(lambda: all(text in self.page for text in texts))

    async def in_front(self, kind: str) -> None:
        await self.until(lambda: type(self.pilot.app.screen).__name__ == kind)

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause()

    async def write(self, text: str) -> None:
        for letter in text:
            await self.pilot.press(letter)
        await self.pilot.press("enter")

    async def jump(self, where: str) -> None:
        await self.press("alt+c")
        await self.in_front("Jump")
        await self.write(where)

    async def goes(self, where: str, side: str = "") -> None:
        def there() -> bool:
            browser = self.files.browsers[side or self.files.active]
            return str(browser.location) == where and not browser.reading

        await self.in_front("FilesScreen")
        await self.until(there)

    async def hears(self, text: str) -> None:
        """Wait for what is told in passing."""
        await self.until(lambda: any(text in each for each in self.told()))

    def told(self) -> list[str]:
        return [text for _, _, text in self.pilot.app.said]  # type: ignore[attr-defined]

    def made(self, call: str) -> list[Any]:
        return [each for each in self.box.calls if each[0] == call]


Hand = Callable[..., AbstractAsyncContextManager[Hands]]


@pytest.fixture
def hands(box: Any, running: Any, wait: Any, shown: Any, monkeypatch: pytest.MonkeyPatch) -> Hand:
    @asynccontextmanager
    async def run(**options: Any) -> Any:
        async with running(box, start="files", **{"size": (100, 30), **options}) as pilot:
            found = Hands(pilot, wait, shown, box)
            monkeypatch.setattr(pilot.app, "copy_to_clipboard", found.copied.append)
            await found.until(
                lambda: all(each.listing and not each.reading for each in found.files.browsers.values())
            )
            yield found

    return run


def knows(box: Any, *keys: str, password: str | None = None) -> None:
    """Let the box keep something for the machine."""
    box.add_host(PC, password=password)
    if keys:
        box.hosts[PC] = HostSecret(
            name=PC,
            user="me",
            host="my-pc",
            port=22,
            private_key=None if password else "PRIVATE",
            password=password,
            host_keys=keys,
        )
    box.calls.clear()


# ── a pane goes there ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_new_machine_gets_a_key_is_confirmed_and_shown(hands: Hand, box: Any, pc: FarMachine) -> None:
    async with hands() as at:
        await at.jump(f"sftp://{PC}/study")
        await at.in_front("Stranger")
        await at.sees(f"no key and no password of yours for {PC}", "Make a key", "Give a password")
        assert "labbox host" not in at.page
        await at.press("enter")
        await at.in_front("KeyLine")
        await at.sees("Append this line to ~/.ssh/authorized_keys of me on that machine", "ada@labbox")
        await at.press("enter")
        assert at.copied == [box.public_lines[PC]]
        await at.press("y")
        assert len(at.copied) == 2
        await at.press("enter")  # the focus has gone on to “Go there”
        await at.in_front("ConfirmKey")
        await at.sees(pc.fingerprint, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
        assert at.made("trust_host") == []
        await at.press("left", "enter")
        await at.goes(f"sftp://{PC}/study")
        assert at.made("trust_host") == [("trust_host", PC, OLD)]
        assert pc.logins == [PC]
        # Where one has been is met no more.
        await at.jump(f"sftp://{PC}/")
        await at.goes(f"sftp://{PC}/")
        assert pc.logins == [PC]


async def test_the_way_back_leaves_everything_as_it_was(hands: Hand, box: Any, pc: FarMachine) -> None:
    async with hands() as at:
        await at.jump(f"sftp://{PC}/")
        await at.in_front("Stranger")
        await at.press("escape")
        await at.goes("~")
        assert at.made("add_host") == at.made("trust_host") == []
        await at.jump(f"sftp://{PC}/")
        await at.in_front("Stranger")
        await at.press("enter")
        await at.in_front("KeyLine")
        await at.press("escape")
        await at.goes("~")
        await at.jump(f"sftp://{PC}/")  # the key is there: it goes on with whose machine it is
        await at.in_front("ConfirmKey")
        await at.press("escape")
        await at.goes("~")
        assert at.made("trust_host") == [] and pc.logins == []


@pytest.mark.parametrize("typed", [("enter",), ("y", "enter"), ("space",), ("n", "enter"), ("y",)])
async def test_no_key_typed_ahead_trusts_a_machine(
    hands: Hand, box: Any, pc: FarMachine, typed: tuple[str, ...]
) -> None:
    knows(box)
    async with hands() as at:
        await at.jump(f"sftp://{PC}/")
        await at.in_front("ConfirmKey")
        assert at.focus == "no"
        await at.press(*typed)
        assert at.made("trust_host") == []


async def test_a_password_is_kept_without_being_shown(
    hands: Hand, box: Any, pc: FarMachine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pc.password = PASSWORD
    async with hands() as at:
        await at.jump(f"sftp://{PC}/")
        await at.in_front("Stranger")
        await at.press("right", "enter")
        await at.in_front("GivePassword")
        await at.press("enter")
        await at.sees("cannot keep this password: it is empty")
        await at.write("a wrong one")
        await at.in_front("ConfirmKey")
        await at.press("tab", "enter")  # around to Yes
        await at.in_front("GivePassword")
        await at.sees("It does not take the password that is kept")
        for letter in PASSWORD:
            await at.pilot.press(letter)
        await at.sees("•" * len(PASSWORD))
        assert "elephants" not in at.page
        await at.press("enter")
        await at.goes(f"sftp://{PC}/")
        assert box.hosts[PC].password == PASSWORD
        assert "elephants" not in at.page
        assert "elephants" not in caplog.text + repr(box.calls) + "".join(at.told())


async def test_a_key_that_is_not_taken_shows_its_line_again(hands: Hand, box: Any, pc: FarMachine) -> None:
    knows(box, OLD)
    box.public_lines[PC] = box.make_pair()[1]
    pc.takes_key = False
    async with hands() as at:
        await at.jump(f"sftp://{PC}/")
        await at.in_front("KeyLine")
        await at.sees(f"{PC} does not take the key", "Use a password", "ada@labbox")
        await at.press("right", "enter")  # not put there yet
        await at.in_front("KeyLine")
        pc.takes_key = True
        await at.press("right", "enter")
        await at.goes(f"sftp://{PC}/")


async def test_a_changed_key_shows_both_and_takes_no_yes(hands: Hand, box: Any, pc: FarMachine) -> None:
    knows(box, OLD)
    old, pc.key = pc.fingerprint, NEW
    async with hands() as at:
        await at.jump(f"sftp://{PC}/")
        await at.in_front("Message")
        await at.sees(f"{PC} shows another key", old, pc.fingerprint, "Ctrl+X M", "F5 there")
        assert [button.id for button in at.pilot.app.screen.query("Button")] == ["ok"]
        await at.press("y", "enter")
        await at.goes("~")
        assert at.made("trust_host") == [] and pc.logins == []
        # The way out: the list of machines, and yes in full.
        await at.press("ctrl+x", "m")
        await at.sees("Other machines of ada", PC, old)
        await at.press("f5")
        await at.in_front("AnotherKey")
        await at.sees(old, pc.fingerprint, "yes, or the fingerprint itself")
        await at.press("enter")
        await at.write("y")
        await at.sees("Write yes in full")
        assert at.made("trust_host") == []
        await at.press("ctrl+u")
        await at.write("yes")
        await at.in_front("HostsScreen")
        await at.until(lambda: at.made("trust_host") == [("trust_host", PC, NEW)])
        await at.sees(pc.fingerprint)
        await at.press("enter")
        await at.goes(f"sftp://{PC}/")


async def test_a_machine_that_is_off_is_an_error_still(hands: Hand, box: Any, pc: FarMachine) -> None:
    knows(box)
    pc.away = True
    async with hands() as at:
        await at.jump(f"sftp://{PC}/")
        await at.in_front("Message")
        await at.sees("Cannot ", "cannot reach my-pc")
        await at.press("enter")
        await at.goes("~")


async def test_every_way_of_a_pane_leads_to_the_question(hands: Hand, box: Any, pc: FarMachine) -> None:
    knows(box)
    async with hands() as at:
        # Alt+F2: another machine, for the other pane.
        await at.press("alt+f2")
        await at.in_front("Choose")
        await at.write("another")
        await at.in_front("Prompt")
        await at.write("not a machine")
        await at.until(lambda: "cannot" in at.page)
        await at.press("ctrl+u")
        await at.write(PC)
        await at.in_front("ConfirmKey")
        await at.press("escape")
        await at.goes("~", "right")
        # A bookmark.
        at.files.bookmarks_kept = [f"sftp://{PC}/study"]
        await at.press("ctrl+backslash")
        await at.in_front("Choose")
        await at.press("enter")
        await at.in_front("ConfirmKey")
        await at.press("escape")
        # Back in a tab's history.
        at.files.here.tab.back = [parse(f"sftp://{PC}/")]
        await at.press("alt+y")
        await at.in_front("ConfirmKey")
        await at.press("tab", "enter")
        await at.goes(f"sftp://{PC}/")
        assert at.files.here.tab.back == []


async def test_a_tab_of_the_last_login_asks_too(hands: Hand, box: Any, pc: FarMachine) -> None:
    far = PaneMemory(tabs=(TabMemory(location=f"sftp://{PC}/study"),), at=0)
    save(memory_path(), FileMemory(left=far, right=far))
    knows(box)
    async with hands() as at:
        await at.in_front("ConfirmKey")
        await at.press("tab", "enter")
        await at.goes(f"sftp://{PC}/study", "left")
        await at.goes("~", "right")


async def test_a_copy_to_a_new_machine_begins_once_it_is_known(
    hands: Hand, box: Any, pc: FarMachine, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine\n")
    knows(box)
    async with hands() as at:
        await at.sees("mine.txt")
        for answer in ("escape", "yes"):
            at.files.pane.table.stand_on("mine.txt")
            await at.press("f5")
            await at.in_front("TransferDialog")
            await at.press("end", "ctrl+u")
            await at.write(f"sftp://{PC}/study/")
            await at.in_front("ConfirmKey")
            assert at.made("submit_job") == []
            await at.press(*(["tab", "enter"] if answer == "yes" else [answer]))
            await at.in_front("FilesScreen")
        await at.until(lambda: len(at.made("submit_job")) == 1)
        assert at.made("submit_job")[0][1].transfer.target == f"sftp://{PC}/study"


# ── the list of machines ──────────────────────────────────────────────────────────────────────────────────


async def test_machines_are_added_tested_confirmed_and_forgotten(
    hands: Hand, box: Any, pc: FarMachine
) -> None:
    async with hands() as at:
        await at.press("ctrl+x", "m")
        await at.sees("No other machines yet. F2 adds your own PC")
        await at.press("f2")
        await at.in_front("Prompt")
        await at.write(PC)
        await at.in_front("Stranger")
        await at.press("enter")
        await at.in_front("KeyLine")
        await at.press("escape")  # the line is put there later
        await at.sees(PC, "not confirmed")
        await at.press("f3")
        await at.in_front("KeyLine")
        await at.press("escape")
        await at.press("f5")
        await at.in_front("ConfirmKey")
        await at.press("tab", "enter")
        await at.sees(pc.fingerprint)
        await at.hears("is known by the key that it shows")
        await at.press("f4")
        await at.hears(f"sftp://{PC} answers: its home is {pc.folder}, ")
        assert pc.logins == [PC]
        await at.press("f6")
        await at.in_front("GivePassword")
        await at.write(PASSWORD)
        await at.hears(f"The password for sftp://{PC} is kept")
        await at.press("f3")
        await at.hears("no key")
        pc.password = "another"
        await at.press("t")
        await at.in_front("GivePassword")
        await at.write("another")
        await at.until(lambda: len(pc.logins) == 2)
        await at.press("f2")
        await at.in_front("Prompt")
        await at.write(f"sftp://{PC}")
        await at.hears("is in the list already")
        await at.press("f8")
        await at.sees(f"Forget sftp://{PC}, with the password")
        await at.press("enter")
        await at.sees("No other machines yet")
        assert box.hosts == {}


async def test_a_forgotten_machine_is_let_go_at_once(hands: Hand, box: Any, pc: FarMachine) -> None:
    knows(box, OLD)
    async with hands() as at:
        await at.jump(f"sftp://{PC}/")
        await at.goes(f"sftp://{PC}/")
        await at.press("ctrl+x", "m")
        await at.sees(PC)
        await at.press("delete", "enter")
        await at.sees("No other machines yet")
        await at.press("escape")
        await at.goes(f"sftp://{PC}/")
        await at.press("ctrl+r")
        await at.in_front("Stranger")
        await at.press("escape")
        assert pc.logins == [PC]


async def test_the_menu_and_the_palette_lead_to_the_list(hands: Hand, box: Any, pc: FarMachine) -> None:
    knows(box, OLD)
    async with hands() as at:
        await at.press("f9")
        await at.in_front("MenuScreen")
        for _ in range(12):
            if "Other machines" in at.page:
                break
            await at.press("right")
        await at.sees("Other machines: keys and passwords")
        await at.press("escape", "ctrl+p")
        await at.write("other machines")
        await at.in_front("HostsScreen")
        await at.sees(PC, pc.fingerprint)
