"""Ctrl+C in the very moment before a wait: noted by Python, unknown to the call that waits."""

from __future__ import annotations

import _thread
import os
import pty
import select
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from operator import call
from pathlib import Path

import click
import pytest

from labbox.cli.interrupts import heard
from labbox.cli.session import Session, shared_options

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
