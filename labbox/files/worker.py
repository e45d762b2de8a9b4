"""The worker: a process with a person's ids that does the box's work on their files.

`serve` is the loop of such a process. It does one request after the other and lives as long as its socket;
what goes wrong with a request is that request's answer.
"""

from __future__ import annotations

import os
import select
import socket
import traceback
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Final

from labbox.errors import LabboxError
from labbox.files import commits, leavings, snapshot, work
from labbox.files.following import Meter
from labbox.files.known import Known
from labbox.files.project import Look, look
from labbox.files.removing import remove_below, usage_below
from labbox.files.understanding import understand_files
from labbox.files.work import (
    Ask,
    BringBack,
    BroughtBack,
    CopiedTree,
    CopyTree,
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
    Pack,
    Packed,
    Prune,
    Pruned,
    Remove,
    Removed,
    Report,
    Result,
    TakeIn,
    TookIn,
    Transfer,
    Understand,
    UnderstoodFiles,
)
from labbox.text import visible_line

_SEND_SECONDS: Final = 60.0  # a daemon that takes nothing for so long has gone

_MISTAKES: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


class _Gone(Exception):  # noqa: N818 - no error: the daemon closed the socket
    """Nobody is there to answer."""


def serve(sock: socket.socket) -> None:
    """Answer requests until the other side closes the socket."""
    os.umask(0o022)
    with suppress(_Gone, ConnectionError, TimeoutError):
        while (received := work.receive(sock)) is not None:
            data, descriptors = received
            try:
                answer = _answer(sock, work.decode_ask(data), descriptors)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
            _send(sock, answer)


def _send(sock: socket.socket, message: FromWorker) -> None:
    sock.settimeout(_SEND_SECONDS)
    sock.sendall(work.frame(message))
    sock.settimeout(None)


def _answer(sock: socket.socket, ask: Ask, descriptors: Sequence[int]) -> FromWorker:
    meter = Meter(
        lambda progress: _send(sock, Report(id=ask.id, progress=progress)), lambda: _check_wanted(sock)
    )
    try:
        return Done(id=ask.id, result=_do(sock, ask, descriptors, meter))
    except LabboxError as error:
        return Failed(id=ask.id, code=error.code, message=error.message, hint=error.hint)
    except (ConnectionError, TimeoutError):
        raise  # of the socket
    except OSError as error:
        return _failed(ask.id, error)
    except _MISTAKES:
        traceback.print_exc()  # a fault of labbox: the daemon's journal gets it whole
        text = "cannot do this: labbox made a mistake"
        hint = "tell an administrator: the journal has more"
        return Failed(id=ask.id, code="internal", message=text, hint=hint)


def _check_wanted(sock: socket.socket) -> None:
    """End the work where the other side closed the socket."""
    if select.select([sock], [], [], 0)[0] and not sock.recv(1, socket.MSG_PEEK):
        raise _Gone


def _do(sock: socket.socket, ask: Ask, descriptors: Sequence[int], meter: Meter) -> Result:
    match ask.request:
        case Transfer():
            from labbox.files.transferring import transfer  # most workers never see one

            return transfer(sock, ask, ask.request, descriptors)
        case Inspect():
            with ExitStack() as stack:
                seen = _look(ask.request, ask.home, descriptors, meter, stack)
                return Looked(inspection=seen.inspection, plan=seen.plan)
        case HandIn():
            return _hand_in(ask.request, ask.home, descriptors, meter)
        case Understand():
            return _understand(ask.request, meter)
        case Pack():
            return _pack(ask.request, descriptors, meter)
        case Prune():
            with snapshot.opened(descriptors[0], meter, alone=True) as snapshots:
                keep = frozenset(ask.request.keep)
                return Pruned(trees=snapshots.prune(keep, ask.request.unused_since, meter))
        case Measure():
            return _measure(ask.home, descriptors, ask.request.shared, meter)
        case Remove():
            with suppress(FileNotFoundError):
                remove_below(descriptors[0], ask.request.name, meter.tick)
            return Removed()
        case BringBack():
            found = leavings.bring_back(
                descriptors[0],
                descriptors[1],
                descriptors[2],
                most_bytes=ask.request.most_bytes,
                most_files=ask.request.most_files,
                below=ask.request.below,
                meter=meter,
            )
            return BroughtBack(leavings=found)
        case CopyTree():
            size = leavings.copy_tree(
                descriptors[0], descriptors[1], most_bytes=ask.request.most_bytes, meter=meter
            )
            return CopiedTree(size=size)
        case TakeIn():
            from labbox.files import deeds  # most workers never see one

            one = ask.request
            if not descriptors:
                deeds.open_copied(one.targets, ask.home, one.began, meter.tick)
                return TookIn()
            read = deeds.open_logged(descriptors[0], one.start, ask.home, one.began, one.folders, meter.tick)
            return TookIn(read=read)
        case Export():
            written = commits.export(descriptors[0], ask.request.commit, descriptors[1], meter)
            return Exported(files=written.files, size=written.size, skipped=written.skipped)


def _look(request: Inspect, home: str, descriptors: Sequence[int], meter: Meter, stack: ExitStack) -> Look:
    if descriptors:
        folder = descriptors[0]
    else:
        folder = open_project(home, request.path)
        stack.callback(os.close, folder)
    return look(
        folder, request.path, request.spec, request.templates, request.defaults, meter, stack, request.places
    )


def _understand(request: Understand, meter: Meter) -> UnderstoodFiles:
    found = understand_files(request.files, frozenset(request.places), meter.tick)
    wrong = next((one for one in found.findings if one.level == "error"), None)
    if wrong is not None:
        line = f", line {wrong.line}" if wrong.line is not None else ""
        raise LabboxError("invalid", f"{wrong.text}{line}", wrong.hint)
    return UnderstoodFiles(software=found.software)


def _pack(request: Pack, descriptors: Sequence[int], meter: Meter) -> Packed:
    from labbox.files import contexts  # most workers never make one

    with os.fdopen(os.dup(descriptors[1]), "wb") as target:
        contexts.pack(descriptors[0], target, request.recipe, request.beside, meter)
    return Packed()


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
        room = room if room is None else room - code.added
        beside = None if seen.beside is None else snapshots.take(seen.beside, known, meter, room)
        present = _present(seen, known)
        if present != before:
            snapshots.save_known(seen.identity, present)
        return HandedIn(inspection=seen.inspection, plan=seen.plan, code=code, input=data, beside=beside)


def _present(seen: Look, known: Known) -> Known:
    """What is known of files that are still there."""
    halves = [half for half in (seen.code, seen.input, seen.beside) if half is not None]
    return {
        file.stamp: known[file.stamp]
        for half in halves
        for file in half.listing.files()
        if file.stamp in known
    }


def _measure(home: str, descriptors: Sequence[int], shared: int, meter: Meter) -> Measured:
    if descriptors:
        whole = len(descriptors) - shared
        usages = [usage_below(one, meter.tick) for one in descriptors[:whole]]
        usages += [usage_below(one, meter.tick, of=os.geteuid()) for one in descriptors[whole:]]
        return Measured(usages=tuple(usages))
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


def _failed(number: int, error: OSError) -> Failed:
    name = (
        f" “{visible_line(os.fsdecode(error.filename))}”" if isinstance(error.filename, str | bytes) else ""
    )
    text = f"cannot work on your files{name}: {os.strerror(error.errno or 0)}"
    return Failed(
        id=number, code="unavailable", message=text, hint="try again; if it goes on, tell an administrator"
    )
