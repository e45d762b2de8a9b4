"""Work on an outside format in a confined child: it asks for bytes over a socket, and answers in messages.

The child has no descriptor of the file itself, so this works for every place; what it says is decoded by
type (never unpickled) and has a cap. A child that crashes, takes too long or wants too much memory is an
error in a sentence.
"""

from __future__ import annotations

import asyncio
import codecs
import gc
import io
import mmap
import os
import signal
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar, cast

import msgspec

from labbox.errors import Code, LabboxError
from labbox.files import confined
from labbox.files.viewing.source import Source
from labbox.text import format_bytes, visible_line

_T = TypeVar("_T")
_HEAD: Final = struct.Struct("<cI")
_ASK: Final = struct.Struct("<QI")
_LENGTH: Final = struct.Struct("<I")  # of what the parent put into the shared memory
_MOST_ANSWER: Final = 64 << 20  # bytes of one answer
_MOST_READ: Final = 2 << 20  # bytes that a child may ask for at once
_PIECE: Final = 128 << 10  # that it asks for at least: a question costs more than its bytes
_READ, _TOLD, _DONE, _FAILED = b"R", b"T", b"D", b"E"


for _codec in ("ascii", "cp437", "cp1252", "latin-1", "utf-8", "utf-16-le", "utf-16-be", "utf-32-le"):
    codecs.lookup(_codec)  # Python imports an encoding when it is first used, and the child can open nothing


class Limits(NamedTuple):
    """What a child may use; None: no end, somebody watches it and can end it."""

    seconds: float | None = 20.0
    cpu_seconds: int | None = 15
    memory: int = 512 << 20


Tell = Callable[[object], None]
Work = Callable[..., object]
"""`work(file, tell, *arguments)`, in the child: a binary file that can seek, and what sends ahead."""


async def run(
    source: Source,
    work: Work,
    arguments: tuple[object, ...],
    result: type[_T],
    *,
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
    imports: Callable[[], object] | None = None,
    told: Callable[[Any], None] | None = None,
    tells: Any = int,
) -> _T:
    """What `work` returns, of the type `result`; cancelling ends the child at once.

    `imports` runs in the child before it is tied up: it can open nothing afterwards. `told` gets what the
    child tells ahead, of the type `tells`.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    shared = mmap.mmap(-1, _MOST_READ)  # the bytes of the file: through a socket they are ten times slower
    pid = os.fork()
    if pid == 0:
        _be_the_child(theirs.fileno(), shared, source.size, work, arguments, limits, imports)
    theirs.close()
    ended = os.pidfd_open(pid)
    try:
        async with asyncio.timeout(limits.seconds):
            kind, data = await _serve(ours, shared, source, told, tells)
    except TimeoutError:
        raise _failed(source, f"it took longer than {limits.seconds:.0f} seconds") from None
    except EOFError:
        status = await _reaped(pid, ended)
        pid = 0
        raise _failed(source, _how_it_ended(status, limits)) from None
    finally:
        ours.close()
        shared.close()
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            await asyncio.shield(_reaped(pid, ended))
        os.close(ended)
    if kind == _DONE:
        try:
            return msgspec.msgpack.decode(data, type=result)
        except msgspec.MsgspecError as error:
            raise _failed(source, "its reader answered nonsense") from error
    code, message, hint = msgspec.msgpack.decode(data, type=tuple[str, str, str])
    raise LabboxError(cast("Code", code), visible_line(message), visible_line(hint))


async def _serve(
    ours: socket.socket, shared: mmap.mmap, source: Source, told: Callable[[Any], None] | None, tells: Any
) -> tuple[bytes, bytes]:
    """Answer the child's questions until it is done."""
    loop = asyncio.get_running_loop()
    while True:
        kind, length = _HEAD.unpack(await _exactly(loop, ours, _HEAD.size))
        if length > _MOST_ANSWER:
            raise _failed(source, f"there is more of it than {format_bytes(_MOST_ANSWER)}")
        data = await _exactly(loop, ours, length)
        if kind == _READ and length == _ASK.size:
            offset, size = _ASK.unpack(data)
            found = await source.unkept(offset, min(size, _MOST_READ))
            shared[: len(found)] = found
            with suppress(BrokenPipeError, ConnectionResetError):
                await loop.sock_sendall(ours, _LENGTH.pack(len(found)))
        elif kind == _TOLD:
            if told is not None:
                with suppress(msgspec.MsgspecError):
                    told(msgspec.msgpack.decode(data, type=tells))
        else:
            return kind, data


async def _exactly(loop: asyncio.AbstractEventLoop, ours: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        try:
            data = await loop.sock_recv(ours, min(size, 1 << 20))
        except ConnectionResetError:
            data = b""
        if not data:
            raise EOFError
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


async def _reaped(pid: int, ended: int) -> int:
    """How a child ended, waited for without holding up the loop."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.add_reader(ended, lambda: None if over.done() else over.set_result(None))
    try:
        await over
    finally:
        loop.remove_reader(ended)
    return os.waitpid(pid, 0)[1]  # noqa: ASYNC222 - it has ended


def _how_it_ended(status: int, limits: Limits) -> str:
    if not os.WIFSIGNALED(status):
        return "its reader gave up"
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU or (number == signal.SIGKILL and limits.cpu_seconds):
        return f"it would take more than {limits.cpu_seconds} seconds of work"
    return f"its reader crashed ({signal.Signals(number).name}): it may be damaged, or made to do harm"


def _failed(source: Source, why: str) -> LabboxError:
    return LabboxError(
        "invalid", f"cannot show “{visible_line(source.name)}”: {why}", "F4 shows its bytes in hex"
    )


class AskingFile(io.RawIOBase):
    """In the child: a file whose bytes the parent reads."""

    def __init__(self, channel: socket.socket, shared: mmap.mmap, size: int) -> None:
        """`size` is the file's."""
        self._channel, self._shared = channel, shared
        self._size = size
        self._at = 0
        self._kept_at, self._kept = 0, b""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go there."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("negative seek")
        self._at = base + offset
        return self._at

    def readinto(self, into: Any) -> int:
        """Some bytes from here on."""
        wanted = memoryview(into).cast("B")
        if not wanted.nbytes or self._at >= self._size:
            return 0
        if not self._kept_at <= self._at < self._kept_at + len(self._kept):
            self._kept_at = self._at
            self._kept = self._ask(self._at, min(max(wanted.nbytes, _PIECE), _MOST_READ))
        start = self._at - self._kept_at
        found = self._kept[start : start + wanted.nbytes]
        wanted[: len(found)] = found
        self._at += len(found)
        return len(found)

    def _ask(self, offset: int, size: int) -> bytes:
        self._channel.sendall(_HEAD.pack(_READ, _ASK.size) + _ASK.pack(offset, size))
        (length,) = _LENGTH.unpack(_received(self._channel, _LENGTH.size))
        return self._shared[:length]


def _received(channel: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = channel.recv(min(size - len(data), 1 << 20))
        if not part:
            os._exit(1)  # the parent wants nothing any more
        data += part
    return bytes(data)


def _be_the_child(
    descriptor: int,
    shared: mmap.mmap,
    size: int,
    work: Work,
    arguments: tuple[object, ...],
    limits: Limits,
    imports: Callable[[], object] | None,
) -> None:
    """Never returns: whatever happens here ends in an answer or in the end of the process."""
    try:
        gc.disable()
        channel = socket.socket(fileno=confined.leave_everything(descriptor)[0])
        channel.setblocking(True)
        if imports is not None:
            imports()
        confined.tie_up(limits.memory, limits.cpu_seconds)
        file = io.BufferedReader(AskingFile(channel, shared, size), _PIECE)

        def send(kind: bytes, what: object) -> None:
            data = msgspec.msgpack.encode(what)
            channel.sendall(_HEAD.pack(kind, len(data)) + data)

        try:
            found = work(file, lambda what: send(_TOLD, what), *arguments)
        except LabboxError as error:
            send(_FAILED, (error.code, error.message, error.hint))
        except MemoryError:
            send(_FAILED, _too_much(limits))
        except RecursionError:
            send(_FAILED, ("invalid", "cannot show it: it is nested too deeply", "F4 shows its bytes in hex"))
        except Exception as error:  # noqa: BLE001 - readers of damaged files raise anything
            why = f"{type(error).__name__}: {error}"[:300]
            send(_FAILED, ("invalid", f"cannot show it: it is damaged ({why})", "F4 shows its bytes in hex"))
        else:
            send(_DONE, found)
    finally:
        os._exit(0)


def _too_much(limits: Limits) -> tuple[str, str, str]:
    much = format_bytes(limits.memory)
    return "limit", f"cannot show it: that would take more than {much} of memory", "F4 shows its bytes in hex"
