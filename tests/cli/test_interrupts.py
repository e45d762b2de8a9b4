"""Ctrl+C in the very moment before a wait: noted by Python, unknown to the call that waits."""

from __future__ import annotations

import _thread
import io
import os
import pty
import select
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from operator import call
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from person import Person

from labbox import cli
from labbox.cli.asking import confirm
from labbox.cli.interrupts import heard
from labbox.cli.session import Session, shared_options

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LOST = 10.0  # seconds after which a wait ends of itself

Wait = tuple[Callable[[], object], threading.Event]


@pytest.fixture(params=["pipe", "socket", "select", "lock", "terminal"])
def wait(request: pytest.FixtureRequest) -> Iterator[Wait]:
    """A call that waits, of C alone, and whether it has come to its end."""
    ended = threading.Event()
    ours, theirs = socket.socketpair()
    master, slave = pty.openpty()
    lock = threading.Lock()
    lock.acquire()
    with ours, theirs, os.fdopen(slave) as terminal:

        def end() -> None:
            ended.set()
            theirs.send(b"x")
            os.write(master, b"x\n")
            lock.release()

        timer = threading.Timer(LOST, end)
        timer.start()
        waits: dict[str, Callable[[], object]] = {
            "pipe": partial(os.read, ours.fileno(), 1),
            "socket": partial(ours.recv, 1),
            "select": partial(select.select, [ours], [], []),
            "lock": lock.acquire,
            "terminal": terminal.readline,
        }
        yield waits[request.param], ended
        timer.cancel()
        timer.join()
    os.close(master)


def interrupted_just_before(wait: Callable[[], object]) -> None:
    """The signal comes, and without a step of Python's between the call is made."""
    deque(map(call, (_thread.interrupt_main, wait)), maxlen=0)


def test_a_signal_just_before_a_wait_ends_it(wait: Wait) -> None:
    call_that_waits, ended = wait
    with pytest.raises(KeyboardInterrupt), heard():
        interrupted_just_before(call_that_waits)
    assert not ended.is_set()


def test_every_command_hears_it(wait: Wait) -> None:
    call_that_waits, ended = wait

    @click.command()
    @shared_options
    def waiting(session: Session) -> None:
        interrupted_just_before(call_that_waits)

    with pytest.raises(click.Abort):
        waiting.main([], standalone_mode=False, obj=Session())
    assert not ended.is_set()


class Interrupted(io.RawIOBase):
    """A terminal on which Ctrl+C is typed while the question is written."""

    typed = False

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        if not self.typed:
            self.typed = True
            _thread.interrupt_main()
        return len(bytes(data))


def test_an_interrupt_while_a_question_is_written_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer = os.pipe()
    os.write(answer, b"y\n")
    os.close(answer)
    with os.fdopen(asked) as stdin, io.TextIOWrapper(io.BufferedWriter(Interrupted())) as stderr:
        monkeypatch.setattr("sys.stdin", stdin)
        monkeypatch.setattr("sys.stderr", stderr)
        with pytest.raises(click.Abort):
            confirm("Overwrite it?")


@pytest.mark.parametrize(
    ("typed", "yes"), [("y\n", True), ("YES\n", True), ("\n", False), ("no\n", False), ("maybe\n y \n", True)]
)
def test_nothing_but_a_yes_is_one(
    typed: str, yes: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert confirm("Delete it?") is yes
    assert capsys.readouterr().err.count("Delete it? [y/N]: ") == typed.count("\n")
    with pytest.raises(click.Abort):
        confirm("And this?")


def test_no_question_is_asked_with_input() -> None:
    for module in Path(cli.__file__).parent.glob("*.py"):
        text = module.read_text()
        assert "click.confirm(" not in text and " input(" not in text, module
        assert text.count("click.prompt(") == text.count("hide_input=True"), module


def test_one_interrupt_is_one() -> None:
    went_on = []
    with heard():
        for _ in range(20):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            went_on.append(sum(range(10_000)))
    assert len(went_on) == 20


def test_all_is_afterwards_as_before() -> None:
    urgent, told = signal.getsignal(signal.SIGURG), signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(told)
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    with heard():
        assert "signals" in {each.name for each in threading.enumerate()}
        with heard():
            os.kill(os.getpid(), signal.SIGWINCH)
    assert "signals" not in {each.name for each in threading.enumerate()}
    assert signal.getsignal(signal.SIGURG) == urgent
    assert signal.set_wakeup_fd(told) == told
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before


def test_without_room_for_a_thread_commands_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    with heard(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_another_thread_is_left_alone() -> None:
    seen: list[str] = []

    def work() -> None:
        with heard():
            seen.extend(each.name for each in threading.enumerate())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen and "signals" not in seen


def test_no_child_that_goes_on_keeps_a_command_from_its_end() -> None:
    told, tell = os.pipe()
    with heard():
        child = os.fork()
        if child == 0:
            os.close(tell)
            os.read(told, 1)  # until the test is over
            os._exit(0)
    assert os.waitpid(child, os.WNOHANG) == (0, 0)
    os.close(tell)
    os.waitpid(child, 0)
    os.close(told)


def test_what_is_typed_before_a_command_has_begun_is_heard(ada: Person) -> None:
    for _ in range(5):
        words = ada.box.ssh("ada", "events", "--follow")
        words.insert(1, "-tt")
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ssh:
            assert ssh.stdin is not None
            ssh.stdin.write(b"\x03")
            ssh.stdin.flush()
            assert ssh.wait(30) in (0, 130)
