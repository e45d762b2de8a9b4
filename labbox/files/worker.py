"""The worker: a process with a person's ids that does the box's work on their files.

`serve` is the loop of such a process. It does one request after the other and lives as long as its socket;
what goes wrong with a request is that request's answer.
"""

from __future__ import annotations

import os
import select
import socket
import traceback
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from labbox.errors import LabboxError
from labbox.files import commits, snapshot, work
from labbox.files.following import Meter
from labbox.files.known import Known
from labbox.files.project import Look, look
from labbox.files.removing import remove_below, usage_below
from labbox.files.work import (
    Ask,
    Cancel,
    Done,
    Export,
    Exported,
    Failed,
    FromWorker,
    HandedIn,
    HandIn,
    Inspect,
    Looked,
    Measure,
    Measured,
    Prune,
    Pruned,
    Remove,
    Removed,
    Report,
    Result,
)
from labbox.text import visible_line

_SEND_SECONDS: Final = 60.0  # a daemon that takes nothing for so long has gone


class _Gone(Exception):  # noqa: N818 - no error: the daemon closed the socket
    """Nobody is there to answer."""


def serve(sock: socket.socket) -> None:
    """Answer requests until the other side closes the socket."""
    os.umask(0o022)
    worker = _Worker(sock)
    try:
        worker.run()
    except (_Gone, ConnectionError, TimeoutError):
        return
    finally:
        worker.close()


class _Worker:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._waiting: deque[tuple[Ask, list[int]]] = deque()
        self._cancelled: set[int] = set()

    def run(self) -> None:
        while True:
            while not self._waiting:
                self._receive()
            ask, descriptors = self._waiting.popleft()
            try:
                answer = self._answer(ask, descriptors)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
            self._cancelled.discard(ask.id)
            self._send(answer)

    def close(self) -> None:
        for _, descriptors in self._waiting:
            for descriptor in descriptors:
                os.close(descriptor)

    def _receive(self) -> None:
        received = work.receive(self._sock)
        if received is None:
            raise _Gone
        data, descriptors = received
        message = work.decode_to_worker(data)
        if isinstance(message, Cancel):
            self._cancelled.add(message.id)
        else:
            self._waiting.append((message, descriptors))

    def _send(self, message: FromWorker) -> None:
        self._sock.settimeout(_SEND_SECONDS)
        self._sock.sendall(work.frame(message))
        self._sock.settimeout(None)

    def _answer(self, ask: Ask, descriptors: Sequence[int]) -> FromWorker:
        meter = Meter(
            lambda progress: self._send(Report(id=ask.id, progress=progress)), lambda: self._look_up(ask.id)
        )
        try:
            if ask.id in self._cancelled:
                raise _cancelled()
            return Done(id=ask.id, result=_do(ask, descriptors, meter))
        except LabboxError as error:
            return Failed(id=ask.id, code=error.code, message=error.message, hint=error.hint)
        except (_Gone, ConnectionError):
            raise
        except OSError as error:
            return _failed(ask.id, error)
        except (
            ArithmeticError,
            AssertionError,
            AttributeError,
            LookupError,
            RuntimeError,
            TypeError,
            ValueError,
        ):
            traceback.print_exc()  # a fault of labbox: the daemon's journal gets it whole
            text = "cannot do this: labbox made a mistake"
            return Failed(
                id=ask.id, code="internal", message=text, hint="tell an administrator: the journal has more"
            )

    def _look_up(self, number: int) -> None:
        """Take in what has come meanwhile; LabboxError where the present request is no longer wanted."""
        while select.select([self._sock], [], [], 0)[0]:
            self._receive()
        if number in self._cancelled:
            raise _cancelled()


def _do(ask: Ask, descriptors: Sequence[int], meter: Meter) -> Result:
    match ask.request:
        case Inspect():
            with ExitStack() as stack:
                seen = _look(ask.request, ask.home, descriptors, meter, stack)
                return Looked(inspection=seen.inspection, plan=seen.plan)
        case HandIn():
            return _hand_in(ask.request, ask.home, descriptors, meter)
        case Prune():
            with snapshot.opened(descriptors[0], meter, alone=True) as snapshots:
                keep = frozenset(ask.request.keep)
                return Pruned(trees=snapshots.prune(keep, ask.request.unused_since, meter))
        case Measure():
            return _measure(ask.home, descriptors, meter)
        case Remove():
            try:
                remove_below(descriptors[0], ask.request.name, meter.tick)
            except FileNotFoundError:
                pass
            return Removed()
        case Export():
            written = commits.export(descriptors[0], ask.request.commit, descriptors[1], meter)
            return Exported(files=written.files, size=written.size, skipped=written.skipped)


def _look(request: Inspect, home: str, descriptors: Sequence[int], meter: Meter, stack: ExitStack) -> Look:
    if descriptors:
        folder = descriptors[0]
    else:
        folder = open_project(home, request.path)
        stack.callback(os.close, folder)
    return look(folder, request.path, request.spec, request.templates, request.defaults, meter, stack)


def _hand_in(request: HandIn, home: str, descriptors: Sequence[int], meter: Meter) -> HandedIn:
    with ExitStack() as stack:
        seen = _look(request.look, home, descriptors[1:], meter, stack)
        if seen.plan is None:
            return HandedIn(inspection=seen.inspection)
        snapshots = stack.enter_context(snapshot.opened(descriptors[0], meter))
        known = snapshots.load_known(seen.identity)
        before = dict(known)
        data = None if seen.input is None else snapshots.take(seen.input, known, meter, request.room)
        room = request.room if request.room is None or data is None else request.room - data.added
        code = snapshots.take(seen.code, known, meter, room)
        present = _present(seen, known)
        if present != before:
            snapshots.save_known(seen.identity, present)
        return HandedIn(inspection=seen.inspection, plan=seen.plan, code=code, input=data)


def _present(seen: Look, known: Known) -> Known:
    """What is known of files that are still there."""
    halves = [seen.code] if seen.input is None else [seen.code, seen.input]
    return {
        file.stamp: known[file.stamp]
        for half in halves
        for file in half.listing.files()
        if file.stamp in known
    }


def _measure(home: str, descriptors: Sequence[int], meter: Meter) -> Measured:
    if descriptors:
        return Measured(usages=tuple(usage_below(one, meter.tick) for one in descriptors))
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return Measured(usages=(usage_below(folder, meter.tick),))
    finally:
        os.close(folder)


def open_project(home: str, path: str) -> int:
    """Open a folder of the person's by the path they gave; LabboxError in words where there is none.

    The kernel holds what they may reach, since this runs with their ids; that it stays in the home keeps
    whole systems from being handed in by a slip.
    """
    shown = visible_line(path)
    words = path.removeprefix("~/") if path != "~" else "."
    try:
        top = os.path.realpath(home, strict=True)
        real = os.path.realpath(os.path.join(top, words), strict=True)  # noqa: PTH118 - keeps undecodable bytes
        if real != top and not real.startswith(top + "/"):
            raise LabboxError(
                "forbidden",
                f"cannot hand in “{shown}”: it is outside your home",
                "copy it into your home first",
            )
        return os.open(real, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        hint = "give the folder's path below your home; sftp or scp brings it there"
        raise LabboxError("not_found", f"cannot find the folder “{shown}”", hint) from error
    except NotADirectoryError as error:
        raise LabboxError(
            "invalid", f"cannot hand in “{shown}”: it is no folder", "give the folder that it stands in"
        ) from error
    except PermissionError as error:
        raise LabboxError(
            "forbidden", f"cannot read “{shown}”: you may not", "make it readable: chmod u+rx"
        ) from error
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "it holds a NUL character"
        raise LabboxError("invalid", f"cannot open “{shown}”: {reason}", "give another path") from error


def _cancelled() -> LabboxError:
    return LabboxError("conflict", "cannot go on: it was cancelled", "")


def _failed(number: int, error: OSError) -> Failed:
    name = (
        f" “{visible_line(os.fsdecode(error.filename))}”" if isinstance(error.filename, str | bytes) else ""
    )
    text = f"cannot work on your files{name}: {os.strerror(error.errno or 0)}"
    return Failed(
        id=number, code="unavailable", message=text, hint="try again; if it goes on, tell an administrator"
    )
