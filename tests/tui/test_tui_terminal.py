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
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyte
import pytest
from emulator import Emulator

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
        self.screen = Emulator(columns, rows)
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

    def take(self, seconds: float = 0.2) -> None:
        """What is painted within the time."""
        if select.select([self.master], [], [], seconds)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b""
            self.seen += data
            self.stream.feed(re.sub(rb"\x1b\[[<>=][0-9;]*u", b"", data))

    def wait(self, reached: Callable[[str], object], seconds: float = 20) -> str:
        deadline = time.monotonic() + seconds
        while not reached("\n".join(self.screen.display)):
            if time.monotonic() > deadline:
                raise AssertionError("it did not come about:\n" + "\n".join(self.screen.display))
            self.take()
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
        with suppress(ProcessLookupError):  # a forked session outlives the one that was started
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)


START = "import sys; sys.path.insert(0, sys.argv[1]); import fake_client; box = fake_client.full_box(60); "
MAIN = "from labbox.tui.app import main; raise SystemExit(main(box, {start!r}))"

# As the spawner does it: prepare, fork, and only then say who is there and what terminal it is.
FORKED = (
    "import os, sys\n"
    "theirs = dict(os.environ); os.environ.clear(); os.environ['TERM'] = 'dumb'\n"
    "from labbox.tui import app\n"
    "app.preload()\n"
    "session = os.fork()\n"
    "if session: os._exit(os.waitstatus_to_exitcode(os.waitpid(session, 0)[1]))\n"
    "os.environ.clear(); os.environ.update(theirs)\n"
)


def whole(page: str) -> bool:
    """The first screen has been painted, from its first line to its last."""
    first, *_, last = page.splitlines()
    return all(text in page for text in ("Name ↑", "notes.txt", "Up")) and "ada" in first and "F10" in last


COLOURS = [
    {"TERM": "xterm-256color"},
    {"TERM": "xterm"},
    {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
    {"TERM": "xterm-256color", "NO_COLOR": "1"},
    {"TERM": "screen-256color", "LABBOX_THEME": "light"},
]


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def start(script: str = "", start: str = "jobs", **options: Any) -> Terminal:
        made.append(Terminal(START + script + MAIN.format(start=start), **options))
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
    shown.wait(lambda page: "Log of job 998" in page and "trial  60" in page)
    shown.press("\x1b[21~")
    assert shown.ended() == 0
    assert b"\x1b[?1049l" in shown.seen


def test_sixteen_colours_use_the_terminals_own(terminal: Any) -> None:
    shown = terminal(TERM="xterm", COLORTERM="")
    shown.wait(lambda page: "F10Quit" in page)
    assert b"38;2;" not in shown.seen and b"38;5;" not in shown.seen


@pytest.mark.parametrize("term", ["xterm", "linux"])
@pytest.mark.parametrize("keys", ["\x1b[20~", "c", "\x10"])
def test_what_stands_behind_a_question_stays_in_sixteen_colours(terminal: Any, term: str, keys: str) -> None:
    shown = terminal(TERM=term, COLORTERM="")
    before: list[str] = shown.wait(lambda page: "reaction-t" in page and "F10Quit" in page).splitlines()
    shown.press(keys)

    def as_before(page: str) -> bool:
        rows = page.splitlines()
        return (rows[-1], rows[-3][:8]) == (before[-1], before[-3][:8])

    shown.wait(lambda page: any(corner in page for corner in ("─╮", "─┐")) and as_before(page), seconds=10)


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
        shown.wait(lambda page: "Runs 60" in page and "╭─" not in page)
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
        shown.wait(lambda page: "Runs 60" in page and "╭─" not in page)
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
    shown.wait(lambda page: "Log of job" in page and "Runs 60" not in page)
    shown.press("\x1bt")  # the bytes of Alt+T too
    shown.wait(lambda page: "History of" in page and "Log of job" not in page)
    shown.press("\x1bw")
    shown.wait(lambda page: "Why job" in page)
    shown.press("\x1bn")
    shown.wait(lambda page: "Notices" in page and "Why job" not in page)
    shown.press("\x1b")
    shown.wait(lambda page: "Runs 60" in page)
    shown.press("\x1b[21~")
    assert shown.ended() == 0


@pytest.mark.parametrize(("rows", "columns"), [(24, 80), (40, 120)])
def test_an_app_prepared_before_the_fork_is_a_whole_one(
    terminal: Any, rows: int, columns: int, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").touch()
    shown = terminal(FORKED, rows=rows, columns=columns, start="files")
    page = shown.wait(whole)
    assert page.splitlines()[-1].startswith("F1Help") and "ada" in page.splitlines()[0]
    shown.resize(30, 100)
    os.killpg(shown.process.pid, signal.SIGWINCH)
    shown.wait(lambda page: "F10Quit" in page.splitlines()[-1] and len(page.splitlines()) == 30)
    shown.press("\x0f")
    shown.wait(lambda page: "Runs 60" in page and "reaction-t" in page)
    shown.press("\x1b[B\x1b[Bl")
    shown.wait(lambda page: "Log of job 998" in page and "trial  60" in page)
    shown.press("\x1b[21~")
    assert shown.ended() == 0
    assert b"\x1b[?1049l" in shown.seen


@pytest.mark.parametrize("colours", COLOURS, ids=lambda colours: " ".join(colours.values()))
def test_an_app_prepared_before_the_fork_has_the_colours_of_its_terminal(
    terminal: Any, colours: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").touch()

    def looks(shown: Any) -> list[tuple[object, ...]]:
        shown.take(0.05)
        cells = [shown.screen.buffer[y][x] for y in range(24) for x in range(80)]
        return [(cell.fg, cell.bg, cell.bold, cell.reverse) for cell in cells]

    own, prepared = (
        terminal(script, start="files", **{"COLORTERM": "", **colours}) for script in ("", FORKED)
    )
    own.wait(whole)
    prepared.wait(lambda page: whole(page) and looks(prepared) == looks(own))
    assert len(set(looks(own))) > 3


def test_an_app_prepared_before_the_fork_tells_why_there_is_no_first_page(terminal: Any) -> None:
    refuse = (
        "from labbox.errors import LabboxError\n"
        "def refuse(**question): raise LabboxError('internal', 'cannot list the jobs', 'Wait a little.')\n"
        "box.list_jobs = refuse\n"
    )
    shown = terminal(FORKED + refuse, start="files")
    shown.wait(lambda page: "cannot list the jobs" in page and "Wait a little." in page)
    shown.press("\r\x1b[21~")
    assert shown.ended() == 0


def test_a_prepared_app_holds_no_descriptor_and_knows_nobody() -> None:
    script = (
        "import os, sys; before = os.listdir('/proc/self/fd'), dict(os.environ)\n"
        "from labbox.tui import app\n"
        "app.preload()\n"
        "assert (os.listdir('/proc/self/fd'), dict(os.environ)) == before, os.listdir('/proc/self/fd')\n"
        "assert (sys.stdout, sys.stderr) == (sys.__stdout__, sys.__stderr__)\n"
        "from textual.app import App; import gc\n"
        "(asleep,) = (each for each in gc.get_objects() if isinstance(each, App) and each.is_running)\n"
        "assert asleep.client is None and asleep.caller is None\n"
        "assert 'somebody' not in asleep.export_screenshot() and 'Quit' in asleep.export_screenshot()\n"
    )
    root = str(Path(labbox.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": root, "USER": "somebody", "TEXTUAL_SMOOTH_SCROLL": "0"}
    environment["TEXTUAL_ANIMATIONS"] = "none"  # the app's module sets the two where they are not
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)


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
