"""Understanding what a person wrote, in a forked child with little to use: so much processor, memory, time.

A few hundred bytes can ask a parser for hours and gigabytes. The child can do no more than the process that
forks it, has a part of its time and memory only, and hands back one message; whatever ends it instead is told
in words, with the name of the file that it was at.
"""

from __future__ import annotations

import gc
import mmap
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec

from labbox.errors import Code, LabboxError
from labbox.files import confined
from labbox.files.confined import limit
from labbox.files.following import Tick, no_tick
from labbox.model import MIB, Value
from labbox.text import format_bytes, visible_line

_NAME: Final = 512  # bytes of the name of a file that are told
_LOOK_MS: Final = 100  # between two looks whether anybody still wants it
_PIECE: Final = 1 << 18


class Bounds(NamedTuple):
    """What a child may use: seconds of processor and in all; bytes above what there is, and of its answer."""

    processor: int = 4
    seconds: float = 30.0
    memory: int = 384 * MIB
    answer: int = 4 * MIB


At = Callable[[str], None]
"""Tells which file is read now, for the words where that is its end."""


class _Said(Value, tag="said"):
    """An error of the work itself."""

    code: Code
    message: str
    hint: str = ""


def bounded(work: Callable[[At], bytes], bounds: Bounds = Bounds(), tick: Tick = no_tick) -> bytes:  # noqa: B008 - immutable
    """The bytes that `work` gives in a child; `tick` is called now and then, and may raise.

    LabboxError: the work's own; "limit" where it asks for more than it may use.
    """
    place = mmap.mmap(-1, _NAME)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _be_the_child(work, bounds, place, writing)
    os.close(writing)
    status: int | None = None
    try:
        data = _taken(reading, bounds, tick)
        status = _ended(pid)
    except TimeoutError:
        data = b""
    finally:
        os.close(reading)
        if status is None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        name = visible_line(place[:].split(b"\0", 1)[0].decode("utf-8", "replace"))
        place.close()
    if data[:1] == b"+":
        return data[1:]
    if data[:1] == b"-":
        with suppress(msgspec.MsgspecError):
            said = msgspec.json.decode(data[1:], type=_Said)
            raise LabboxError(said.code, said.message, said.hint)
    raise _too_much(name, bounds)


def _taken(reading: int, bounds: Bounds, tick: Tick) -> bytes:
    """All that the child writes; TimeoutError where that takes too long or is too much."""
    until = time.monotonic() + bounds.seconds
    found = bytearray()
    waiting = select.poll()
    waiting.register(reading, select.POLLIN)
    while time.monotonic() < until:
        if not waiting.poll(_LOOK_MS):
            tick()
            continue
        piece = os.read(reading, _PIECE)
        if not piece:
            return bytes(found)
        found += piece
        if len(found) > bounds.answer + 1:
            break
    raise TimeoutError


def _ended(pid: int) -> int:
    """Its end; it has closed its pipe, so that is near."""
    return os.waitpid(pid, 0)[1]


def _be_the_child(work: Callable[[At], bytes], bounds: Bounds, place: mmap.mmap, writing: int) -> None:
    """Do the work and end; nothing of the parent's is run, no handler, no exit function."""
    try:
        gc.disable()  # looking through what is the parent's would copy it
        confined.begin()
        _lower(bounds)

        def at(name: str) -> None:
            text = name.encode("utf-8", "replace")[: _NAME - 1]
            place[: len(text) + 1] = text + b"\0"

        try:
            answer = b"+" + work(at)
        except LabboxError as error:
            answer = b"-" + msgspec.json.encode(
                _Said(code=error.code, message=error.message, hint=error.hint)
            )
        _write(writing, answer)
    finally:
        os._exit(0)


def _lower(bounds: Bounds) -> None:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - the shortest way in a child
        used = int(file.read().split()[0]) * resource.getpagesize()
    spent = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    limit(resource.RLIMIT_AS, used + bounds.memory)
    limit(resource.RLIMIT_CPU, spent + bounds.processor, spent + bounds.processor + 1)
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_CORE, 0)


def _write(writing: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(writing, view) :]


def _too_much(name: str, bounds: Bounds) -> LabboxError:
    what = name or "what describes this project"
    return LabboxError(
        "limit",
        f"cannot understand {what}: to read it takes more than {bounds.processor} seconds of work "
        f"or {format_bytes(bounds.memory)} of memory",
        "make it shorter and plainer",
    )
