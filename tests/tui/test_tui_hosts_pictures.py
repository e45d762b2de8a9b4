"""A picture of each dialog on the way to another machine, and of the list of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from far_machine import NEW, OLD, FarMachine
from textual.pilot import Pilot

from labbox.protocol import HostSecret
from labbox.tui.app import LabboxApp

PC = "me@my-pc"


class Scene(NamedTuple):
    """Keys and the texts, | between, that show that the picture has come; “…Name” among them waits.

    `kept`: the keys that the machine is known by; None: nothing is kept for it.
    """

    name: str
    keys: tuple[str, ...]
    arrived: str
    kept: tuple[str, ...] | None = None
    shows: str = OLD
    takes_key: bool = True
    size: tuple[int, int] = (100, 30)
    theme: str = "labbox-dark"


_GO = ("alt+c", "…Jump", *f"sftp://{PC}/study", "enter")
_LIST = ("ctrl+x", "m", "…HostsScreen")

SCENES = (
    Scene("stranger", _GO, "Make a key"),
    Scene("stranger-small", _GO, "Make a key", size=(80, 24), theme="labbox-light"),
    Scene("key-line", (*_GO, "…Stranger", "enter"), "Append this line"),
    Scene("key-line-small", (*_GO, "…Stranger", "enter"), "Append this line", size=(80, 24)),
    Scene("key-refused", _GO, "does not take the key", kept=(OLD,), takes_key=False),
    Scene("password", (*_GO, "…Stranger", "right", "enter", "…GivePassword", *"secret"), "••••••"),
    Scene("confirm", _GO, "SHA256:", kept=()),
    Scene("confirm-small", _GO, "SHA256:", kept=(), size=(80, 24), theme="labbox-blue"),
    Scene("confirm-sixteen", _GO, "SHA256:", kept=(), size=(80, 24), theme="labbox-ansi"),
    Scene("changed", _GO, "was known by", kept=(OLD,), shows=NEW),
    Scene("changed-sure", (*_LIST, "f5", "…AnotherKey"), "Is it this one?", kept=(OLD,), shows=NEW),
    Scene("another", ("alt+f1", "…Choose", *"another", "enter", "…Prompt"), "me@my-pc, or"),
    Scene("list", _LIST, "me@my-pc|root@cluster|not confirmed", kept=(OLD,)),
    Scene("list-small", _LIST, "me@my-pc|root@cluster", kept=(OLD,), size=(80, 24), theme="labbox-light"),
    Scene("list-empty", _LIST, "No other machines yet"),
    Scene("forget", (*_LIST, "f8", "…Confirm"), "Forget sftp://me@my-pc", kept=(OLD,)),
)


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_picture_of_a_machine(
    scene: Scene,
    fakes: Any,
    snap_compare: Any,
    wait: Any,
    shown: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from labbox.tui import browsing

    monkeypatch.setattr(browsing, "_free", lambda folder: 69 << 30)
    machine = FarMachine(tmp_path / "pc", monkeypatch)
    machine.key, machine.takes_key = scene.shows, scene.takes_key
    box = fakes.full_box(60)
    if scene.kept is not None:
        box.add_host(PC)
        box.hosts[PC] = HostSecret(name=PC, user="me", host="my-pc", port=22, host_keys=scene.kept)
        box.add_host("root@cluster:2222", password="any")
    app = LabboxApp(box, scene.theme)

    async def act(pilot: Pilot[int]) -> None:
        await wait(pilot, lambda: "ada (admin)@lab" in shown(pilot) and "Files on lab" in shown(pilot))
        await wait(pilot, lambda: all(each.free for each in app.screen.browsers.values()))  # type: ignore[attr-defined]
        for key in scene.keys:
            if key.startswith("…"):
                await wait(pilot, lambda name=key[1:]: type(app.screen).__name__ == name)
            else:
                await pilot.press(key)
                await pilot.pause()
        await wait(pilot, lambda: all(part in shown(pilot) for part in scene.arrived.split("|")))
        await pilot.pause(0.3)

    try:
        assert snap_compare(app, terminal_size=scene.size, run_before=act)
    finally:
        box.close()
