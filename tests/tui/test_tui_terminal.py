"""On a real pseudo-terminal, read by a terminal emulator; and what outside text may never do there."""

from __future__ import annotations

import fcntl
import inspect
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyte
import pytest

import labbox
from labbox.client import Client
from labbox.tui.look import depth_of, theme_for

HERE = Path(__file__).parent
ALLOWED = re.compile(
    rb"\x1b\[[0-9;?<>=]*[ -/]*[@-~]"  # CSI
    rb"|\x1b[78=>]|\x1b\]22;[a-z]*\x07"  # the shape of the mouse pointer, by Textual
)


class Terminal:
    """The interface on a pty, and the screen that a person would see."""

    def __init__(self, script: str, rows: int = 24, columns: int = 80, **environ: str) -> None:
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.seen = b""
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "PYTHONPATH": str(Path(labbox.__file__).parent.parent),
            **environ,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(HERE)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def wait(self, reached: Callable[[str], object], seconds: float = 20) -> str:
        deadline = time.monotonic() + seconds
        while not reached("\n".join(self.screen.display)):
            if time.monotonic() > deadline:
                raise AssertionError("it did not come about:\n" + "\n".join(self.screen.display))
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    data = os.read(self.master, 65536)
                except OSError:
                    data = b""
                self.seen += data
                self.stream.feed(re.sub(rb"\x1b\[[<>=][0-9;]*u", b"", data))
        return "\n".join(self.screen.display)

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def ended(self, seconds: float = 10) -> int:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:  # to the end of what it wrote
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    break
        return self.process.wait(timeout=5)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


START = "import sys; sys.path.insert(0, sys.argv[1]); import fake_client; box = fake_client.full_box(60); "
MAIN = "from labbox.tui.app import main; raise SystemExit(main(box))"


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def start(script: str = "", **options: Any) -> Terminal:
        made.append(Terminal(START + script + MAIN, **options))
        return made[-1]

    yield start
    for each in made:
        each.close()


def test_first_paint_resize_and_f10(terminal: Any) -> None:
    shown = terminal()
    page = shown.wait(lambda page: "reaction-t" in page and "F10Quit" in page)
    assert page.splitlines()[-1].startswith("F1Help")
    shown.resize(40, 120)
    os.kill(shown.process.pid, signal.SIGWINCH)
    shown.wait(lambda page: "F10Quit" in page.splitlines()[-1] and len(page.splitlines()) == 40)
    shown.press("\x1b[B\x1b[B")
    shown.press("l")
    shown.wait(lambda page: "Log of job 998" in page and "labbox:progress" in page)
    shown.press("\x1b[21~")
    assert shown.ended() == 0
    assert b"\x1b[?1049l" in shown.seen


def test_sixteen_colours_use_the_terminals_own(terminal: Any) -> None:
    shown = terminal(TERM="xterm")
    shown.wait(lambda page: "F10Quit" in page)
    assert b"38;2;" not in shown.seen and b"38;5;" not in shown.seen


def test_hostile_text_never_reaches_the_terminal(terminal: Any, fakes: Any) -> None:
    evil = "\\x1b]52;c;aGk=\\x07\\x9b31m\\x1b[2J\\u202e[/b][red]\\n\\r\\t\\x00" + "\\udcff"
    script = (
        f"import msgspec; evil = '{evil}'\n"
        "for number, job in list(box.jobs.items()):\n"
        "    reason = job.reason and msgspec.structs.replace(job.reason, text=evil)\n"
        "    progress = job.progress and msgspec.structs.replace(job.progress, phase=evil, unit=evil)\n"
        "    box.jobs[number] = msgspec.structs.replace(job, name=evil, owner=evil, where=evil,"
        " reason=reason, progress=progress, results=evil)\n"
        "box.write(evil * 50)\n"
        "box.note(evil, 1000)\n"
    )
    shown = terminal(script, columns=120, rows=40)
    shown.wait(lambda page: "F10Quit" in page and "[/b]" in page)
    for key, heading in (
        ("l", "Log of job"),
        ("d", "Job 1000"),
        ("t", "History of"),
        ("g", "Dependencies"),
        ("w", "Why job"),
    ):
        shown.press(key)
        shown.wait(lambda page, heading=heading: heading in page)
        shown.press("\x1b")
        shown.wait(lambda page: "All 60" in page and "╭─" not in page)
    for keys, heading in (
        ("w", "Why job"),
        ("c", "Cancel job"),
        ("e", "Run job"),
        ("n", "Notices"),
        ("h", "cannot hold"),
    ):
        shown.press(keys)
        shown.wait(lambda page, heading=heading: heading in page)
        shown.press("\x1b")
        shown.wait(lambda page: "All 60" in page and "╭─" not in page)
    shown.press("\x1b[21~")
    assert shown.ended() == 0
    painted = shown.seen[shown.seen.index(b"\x1b[?1049h") :]
    left = ALLOWED.sub(b"", painted).replace(b"\r", b"").replace(b"\n", b"")
    assert not re.search(rb"[\x00-\x1f\x7f]", left), re.findall(rb".{20}[\x00-\x1f\x7f].{20}", left)[:3]
    assert b"\x1b]52" not in painted and b"\x1b[2J" not in painted
    text = left.decode("utf-8")
    assert not re.search("[\x80-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_esc_and_a_key_in_one_packet_are_two_keys(terminal: Any) -> None:
    shown = terminal(columns=120, rows=40)
    shown.wait(lambda page: "F10Quit" in page and "reaction-t" in page)
    shown.press("l")
    shown.wait(lambda page: "Log of job" in page and "All 60" not in page)
    shown.press("\x1bt")  # the bytes of Alt+T too
    shown.wait(lambda page: "History of" in page and "Log of job" not in page)
    shown.press("\x1bw")
    shown.wait(lambda page: "Why job" in page)
    shown.press("\x1bn")
    shown.wait(lambda page: "Notices" in page and "Why job" not in page)
    shown.press("\x1b")
    shown.wait(lambda page: "All 60" in page)
    shown.press("\x1b[21~")
    assert shown.ended() == 0


def test_preload_imports_all_and_asks_no_terminal() -> None:
    script = (
        "import sys, labbox.tui.app as app; app.preload(); "
        "assert 'textual_image' not in sys.modules; "
        "assert 'labbox.tui.screens.submit' in sys.modules; import os; "
        "assert os.environ['TEXTUAL_SMOOTH_SCROLL'] == '0'; "
        "import threading; assert threading.active_count() == 1"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(labbox.__file__).parent.parent)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)


def test_the_fake_has_the_clients_own_methods(fakes: Any) -> None:
    for name, method in inspect.getmembers(fakes.FakeClient, inspect.isfunction):
        if name.startswith("_") or not hasattr(Client, name):
            continue
        real = list(inspect.signature(getattr(Client, name)).parameters)
        assert list(inspect.signature(method).parameters) == real, name
    missing = {"list_jobs", "events", "job_log", "usage", "audit", "add_token"} - set(dir(Client))
    assert not missing


@pytest.mark.parametrize(
    ("environ", "depth", "theme"),
    [
        ({"TERM": "xterm-256color"}, "256", "labbox-dark"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "true", "labbox-dark"),
        ({"TERM": "xterm-kitty"}, "true", "labbox-dark"),
        ({"TERM": "linux"}, "16", "labbox-ansi"),
        ({}, "16", "labbox-ansi"),
        ({"TERM": "xterm-256color", "COLORFGBG": "0;15"}, "256", "labbox-light"),
        ({"TERM": "linux", "LABBOX_THEME": "blue"}, "16", "labbox-blue"),
    ],
)
def test_colours_fit_the_terminal(environ: dict[str, str], depth: str, theme: str) -> None:
    assert depth_of(environ) == depth
    assert theme_for(environ) == theme
