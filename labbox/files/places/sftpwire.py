"""SFTP (version 3, as OpenSSH speaks it) over one SSH channel: many requests under way, answers by number.

What is asked in one turn of the event loop goes out in one piece, so that thousands of small requests cost
few packets; the bytes of a file that is read are never copied before the caller gets them. Both are why this
does not go through asyncssh's own SFTP client, which takes about ten times the time for a small request.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import asyncssh

from labbox.errors import LabboxError

VERSION: Final = 3
OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT, OPENDIR, READDIR, REMOVE, MKDIR, RMDIR = range(
    3, 16
)
REALPATH, STAT, RENAME, READLINK, SYMLINK = range(16, 21)
EXTENDED: Final = 200
_INIT, _VERSION_ANSWER, _STATUS, _HANDLE, _DATA, _NAME, _ATTRS, _EXTENDED_REPLY = (
    1,
    2,
    101,
    102,
    103,
    104,
    105,
    201,
)
EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE, OP_UNSUPPORTED = 1, 2, 3, 4, 5, 8

IN_FLIGHT: Final = 8 << 20  # bytes of writes that have not been answered
MANY: Final = 48  # requests under way: the host has enough to do until more have gathered
_GATHER_SECONDS: Final = 0.002
_FULL: Final = 64 << 10  # bytes that go out without waiting for more
_LONG: Final = 16 << 10  # bytes that are not copied to be sent with others
_LARGEST: Final = 1 << 20  # bytes of an answer; ours are asked for in smaller pieces
_HEAD: Final = struct.Struct(">IBI")
_U32: Final = struct.Struct(">I")
_ALL: Final = struct.Struct(
    ">IQIIIII"
)  # flags, size, uid, gid, mode, atime, mtime: what OpenSSH always sends

Payload = bytes | list[memoryview]
"""Of an answer, without its kind and number; pieces only where it is data."""


class Refusal(Exception):  # noqa: N818 - an answer, until it is explained
    """The server said no; `code` is one of the protocol's, `text` its own words."""

    def __init__(self, code: int, text: str = "") -> None:
        """Keep both."""
        super().__init__(f"{code} {text}")
        self.code, self.text = code, text


class StrangeAnswerError(LabboxError):
    """What the other side says is not what SFTP says there: it is broken, or means harm."""

    def __init__(self, what: str) -> None:
        """`what` came instead."""
        super().__init__(
            "invalid",
            f"cannot go on: {what}",
            "its SFTP server is broken: tell whoever runs it",
        )


class Stat(NamedTuple):
    """What the server tells of an entry; None: it does not."""

    size: int | None = None
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None  # with the bits that say what it is
    atime: int | None = None  # seconds
    mtime: int | None = None


class Name(NamedTuple):
    """One entry of a folder; `line` is what ``ls -l`` would say."""

    name: bytes
    line: bytes
    stat: Stat


def text(data: bytes) -> bytes:
    """A string as it goes over the wire."""
    return _U32.pack(len(data)) + data


def packed(
    *,
    size: int | None = None,
    owner: tuple[int, int] | None = None,
    mode: int | None = None,
    mtime: int | None = None,
) -> bytes:
    """Attributes to set; the access time is set with the other one, as the protocol has it."""
    flags, body = 0, b""
    if size is not None:
        flags, body = 1, struct.pack(">Q", size)
    if owner is not None:
        flags, body = flags | 2, body + struct.pack(">II", *owner)
    if mode is not None:
        flags, body = flags | 4, body + _U32.pack(mode)
    if mtime is not None:
        flags, body = flags | 8, body + struct.pack(">II", mtime, mtime)
    return _U32.pack(flags) + body


class Reader:
    """Takes an answer apart; StrangeAnswerError where it is cut short."""

    def __init__(self, data: bytes) -> None:
        """Begin at its beginning."""
        self._data, self._at = data, 0

    @property
    def more(self) -> bool:
        """Whether anything is left."""
        return self._at < len(self._data)

    def number(self) -> int:
        """Four bytes."""
        return int.from_bytes(self._take(4), "big")

    def long(self) -> int:
        """Eight bytes."""
        return int.from_bytes(self._take(8), "big")

    def string(self) -> bytes:
        """Bytes with their length before them."""
        return self._take(self.number())

    def stat(self) -> Stat:
        """Attributes."""
        data, at = self._data, self._at
        if len(data) - at >= _ALL.size and data[at : at + 4] == b"\0\0\0\x0f":
            self._at = at + _ALL.size
            return Stat(*_ALL.unpack_from(data, at)[1:])
        flags = self.number()
        size = self.long() if flags & 1 else None
        uid, gid = (self.number(), self.number()) if flags & 2 else (None, None)
        mode = self.number() if flags & 4 else None
        atime, mtime = (self.number(), self.number()) if flags & 8 else (None, None)
        if flags & 0x8000_0000:
            for _ in range(2 * min(self.number(), 1024)):
                self.string()
        return Stat(size, uid, gid, mode, atime, mtime)

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise StrangeAnswerError("an SFTP answer is cut short")
        taken = self._data[self._at : end]
        self._at = end
        return taken


Answer = tuple[int, Payload]


class _Many:
    """Requests that were sent together; done when each has its answer."""

    def __init__(self, first: int, count: int, future: asyncio.Future[list[Answer]]) -> None:
        self._first, self._missing, self.future = first, count, future
        self._answers: list[Any] = [None] * count

    def take(self, number: int, answer: Answer) -> None:
        self._answers[(number - self._first) & 0xFFFF_FFFF] = answer
        self._missing -= 1
        if not self._missing and not self.future.done():
            self.future.set_result(self._answers)

    def handles(self) -> list[bytes]:
        """What has been opened so far."""
        return [Reader(answer[1]).string() for answer in self._answers if answer and answer[0] == _HANDLE]


class Wire(asyncssh.SSHClientSession[bytes]):
    """One SFTP session; `ask` and what is built on it. All calls come from one event loop."""

    def __init__(self, gone: Callable[[], LabboxError]) -> None:
        """`gone` says why the connection has ended, for each who waits."""
        self._why = gone
        self._loop = asyncio.get_running_loop()
        self._channel: Any = None
        self._ended = False
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Answer] | _Many] = {}
        self._cause: LabboxError | None = None  # of an end that the connection does not know of
        self._out: list[bytes | memoryview] = []
        self._out_size = 0  # bytes of it
        self._parts: list[memoryview] = []  # of an answer that has not come whole
        self._missing = 0  # bytes of it
        self._rest = b""  # less than an answer's length
        self._unwritten = 0
        self._roomless: deque[asyncio.Future[None]] = deque()
        self._version: asyncio.Future[Answer] = self._loop.create_future()
        self.answers = 0  # that came so far: who watches the connection looks at it
        self.extensions: dict[str, str] = {}

    # What asyncssh tells.

    def connection_made(self, chan: Any) -> None:
        """The channel is there."""
        self._channel = chan

    @property
    def ended(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._ended

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, whoever ended it."""
        self._ended = True
        waiting = [*self._waiting.values(), self._version]
        self._waiting.clear()
        for waiter in waiting:
            future: asyncio.Future[Any] = waiter.future if isinstance(waiter, _Many) else waiter
            if not future.done():
                future.set_exception(self._end())
        if not self._version.cancelled():
            self._version.exception()  # nobody may be waiting for it any more
        self._let_in()

    def _end(self) -> LabboxError:
        return self._cause or self._why()

    def eof_received(self) -> bool:
        """The other side says no more."""
        return False

    def data_received(self, data: Any, datatype: int | None = None) -> None:
        """Some bytes of answers."""
        if datatype is not None:  # what a shell prints on its error stream is no answer
            return
        view = memoryview(self._rest + bytes(data) if self._rest else data)
        self._rest = b""
        at, end = 0, len(view)
        if self._missing:
            at = min(self._missing, end)
            self._parts.append(view[:at])
            self._missing -= at
            if self._missing:
                return
            parts, self._parts = self._parts, []
            self._answer(parts)
        while end - at >= 4:
            size = int.from_bytes(view[at : at + 4], "big")
            if not 5 <= size <= _LARGEST:
                raise asyncssh.ProtocolError("what it sends is no SFTP")
            at += 4
            if size > end - at:
                self._parts, self._missing = [view[at:]], size - (end - at)
                return
            self._answer([view[at : at + size]])
            at += size
        self._rest = bytes(view[at:])

    def _answer(self, parts: list[memoryview]) -> None:
        self.answers += 1
        if len(parts) > 1 and len(parts[0]) < 9:
            parts = [memoryview(b"".join(parts))]
        first = parts[0]
        kind, number = first[0], int.from_bytes(first[1:5], "big")
        if kind == _VERSION_ANSWER:
            if not self._version.done():
                self._version.set_result((number, b"".join(parts)[5:]))
            return
        waiter = self._waiting.pop(number, None)
        if waiter is None:
            raise asyncssh.ProtocolError("an SFTP answer that nobody asked for")
        future: asyncio.Future[Any] = waiter.future if isinstance(waiter, _Many) else waiter
        payload: Payload
        if kind == _DATA:
            parts[0] = first[9:]
            payload = parts
        else:
            payload = bytes(first[5:]) if len(parts) == 1 else b"".join(parts)[5:]
        if not future.done():
            if isinstance(waiter, _Many):
                waiter.take(number, (kind, payload))
            else:
                future.set_result((kind, payload))
        elif kind == _HANDLE and isinstance(payload, bytes):  # whoever opened it was cancelled
            with suppress(StrangeAnswerError):
                self.forget(Reader(payload).string())

    # Asking.

    async def begin(self) -> None:
        """Agree on the version; LabboxError where the connection ends meanwhile."""
        self._channel.write(_U32.pack(5) + bytes((_INIT,)) + _U32.pack(VERSION))
        _version, payload = await self._version
        reader = Reader(payload if isinstance(payload, bytes) else b"".join(payload))
        while reader.more:
            name = reader.string().decode("utf-8", "replace")
            self.extensions[name] = reader.string().decode("utf-8", "replace")

    def ask(self, kind: int, *body: bytes | memoryview) -> asyncio.Future[Answer]:
        """Send a request; the future is its answer. Long parts are not copied: they must not change."""
        if self._ended:
            raise self._end()
        self._number = number = (self._number + 1) & 0xFFFF_FFFF
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting[number] = future
        if not self._out and len(self._waiting) < MANY:
            self._loop.call_soon(self._send)
        elif not self._out:
            self._loop.call_later(_GATHER_SECONDS, self._send)
        size = sum(map(len, body))
        self._out.append(_HEAD.pack(5 + size, kind, number))
        self._out += body
        self._out_size += size
        if self._out_size >= _FULL > self._out_size - size:
            self._loop.call_soon(self._send)
        return future

    async def ask_all(self, requests: Sequence[tuple[int, bytes]]) -> list[Answer]:
        """Send many requests in one piece and wait for all their answers, which come in their order."""
        if not requests:
            return []
        if self._ended:
            raise self._end()
        number = self._number
        future: asyncio.Future[list[Answer]] = self._loop.create_future()
        many = _Many((number + 1) & 0xFFFF_FFFF, len(requests), future)
        pieces: list[bytes] = []
        for kind, body in requests:
            number = (number + 1) & 0xFFFF_FFFF
            self._waiting[number] = many
            pieces += (_HEAD.pack(5 + len(body), kind, number), body)
        self._number = number
        if not self._out:
            self._loop.call_soon(self._send)
        self._out += pieces
        self._out_size += sum(map(len, pieces))
        try:
            return await future
        except BaseException:  # nobody closes what these have opened
            for handle in many.handles():
                self.forget(handle)
            raise

    def _send(self) -> None:
        out, self._out, self._out_size = self._out, [], 0
        if self._ended or not out:
            return
        try:
            self._channel.write_lasting(_joined(out))
        except BrokenPipeError:
            pass  # it is being closed: `connection_lost` tells those who wait
        except Exception as error:  # noqa: BLE001 - those who wait are told: nobody else hears of it here
            self._cause = LabboxError("unavailable", f"cannot go on: {error}", "try again")
            self.connection_lost(error)
            self.close()

    @property
    def asked(self) -> int:
        """Requests without an answer."""
        return len(self._waiting)

    def has(self, extension: str) -> bool:
        """Whether the server knows an extension."""
        return extension in self.extensions

    async def done(self, kind: int, *body: bytes) -> None:
        """Ask for what has no answer but yes; Refusal for no."""
        check_done(await self.ask(kind, *body))

    async def extended(self, name: str, *body: bytes) -> None:
        """The same for an extension."""
        await self.done(EXTENDED, text(name.encode()), *body)

    async def reply(self, name: str, *body: bytes) -> Reader:
        """An extension that has an answer."""
        return Reader(_expect(*await self.ask(EXTENDED, text(name.encode()), *body), _EXTENDED_REPLY))

    async def handle(self, kind: int, *body: bytes) -> bytes:
        """Open something."""
        return Reader(_expect(*await self.ask(kind, *body), _HANDLE)).string()

    async def stat(self, kind: int, body: bytes) -> Stat:
        """Look at something; `body` is a path or a handle."""
        return stat_of(await self.ask(kind, text(body)))

    async def path(self, kind: int, path: bytes) -> bytes:
        """A path about a path: where a link leads, what it really is."""
        names = names_of(await self.ask(kind, text(path)))
        if not names:
            raise Refusal(FAILURE)
        return names[0].name

    def forget(self, handle: bytes) -> None:
        """Close what was opened; whatever the answer is."""
        if not self._ended:
            self.ask(CLOSE, text(handle)).add_done_callback(_nothing)

    async def room(self, count: int) -> None:
        """Wait until so many more bytes may be on their way."""
        while self._unwritten and self._unwritten + count > IN_FLIGHT and not self._ended:
            waiter = self._loop.create_future()
            self._roomless.append(waiter)
            await waiter
        self._unwritten += count

    def arrived(self, count: int) -> None:
        """So many bytes have been answered."""
        self._unwritten -= count
        self._let_in()

    def _let_in(self) -> None:
        while self._roomless:
            waiter = self._roomless.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def close(self) -> None:
        """End the session."""
        if self._channel is not None:
            self._channel.close()


def _joined(pieces: list[bytes | memoryview]) -> list[bytes | memoryview]:
    """Long pieces as they are, what lies between them as one."""
    made: list[bytes | memoryview] = []
    short: list[bytes | memoryview] = []
    for piece in pieces:
        if len(piece) < _LONG:
            short.append(piece)
            continue
        made += (b"".join(short), piece)
        short.clear()
    made.append(b"".join(short))
    return made


def data_of(answer: tuple[int, Payload], asked: int) -> list[memoryview] | None:
    """The pieces of what was read, of the bytes that were asked for; None at the end of the file."""
    kind, payload = answer
    if kind == _DATA and isinstance(payload, list):
        size = sum(map(len, payload))
        if not 0 < size <= asked:  # nothing at all would be asked for again without end
            raise StrangeAnswerError(f"{size:,} bytes of a file came, of {asked:,} that were asked for")
        return payload
    try:
        _expect(kind, payload, _DATA)
    except Refusal as refusal:
        if refusal.code != EOF:
            raise
    return None


def handle_of(answer: Answer) -> bytes:
    """What was opened."""
    return Reader(_expect(*answer, _HANDLE)).string()


def agreed(answer: Answer) -> bool:
    """Whether the answer is yes."""
    return answer[0] == _STATUS and answer[1][:4] == b"\0\0\0\0"


def check_done(answer: Answer) -> None:
    """Refusal where the answer is not yes."""
    _expect(*answer, _STATUS)


def stat_of(answer: tuple[int, Payload]) -> Stat:
    """What the server tells of an entry."""
    return Reader(_expect(*answer, _ATTRS)).stat()


def names_of(answer: tuple[int, Payload]) -> Sequence[Name]:
    """Entries; none at the end of the folder."""
    kind, payload = answer
    try:
        reader = Reader(_expect(kind, payload, _NAME))
    except Refusal as refusal:
        if refusal.code != EOF:
            raise
        return ()
    return [Name(reader.string(), reader.string(), reader.stat()) for _ in range(reader.number())]


def _expect(kind: int, payload: Payload, wanted: int) -> bytes:
    """The answer that was meant; Refusal where the server says no."""
    data = payload if isinstance(payload, bytes) else b"".join(payload)
    if kind == _STATUS:
        code = int.from_bytes(data[:4], "big")
        if code:
            words = Reader(data[4:]).string() if len(data) >= 8 else b""
            raise Refusal(code, words.decode("utf-8", "replace"))
        if wanted == _STATUS:
            return data
    if kind != wanted:
        raise StrangeAnswerError(f"an SFTP answer of kind {kind} came, not {wanted}")
    return data


def _nothing(done: asyncio.Future[Answer]) -> None:
    if not done.cancelled():
        done.exception()
