"""An open file on another host: reads and writes in pieces, many of them under way."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Any, Final

from labbox.errors import LabboxError
from labbox.files.places.base import Entry, Handle
from labbox.files.places.sftpentry import entry_of
from labbox.files.places.sftperrors import Explainer
from labbox.files.places.sftpwire import (
    CLOSE,
    FSETSTAT,
    FSTAT,
    IN_FLIGHT,
    READ,
    WRITE,
    Refusal,
    Wire,
    data_of,
    packed,
    text,
)

_ZERO: Final = (0).to_bytes(4, "big")


class SftpFile(Handle):
    """A plain file; calls may be made at once."""

    def __init__(
        self, wire: Wire, explainer: Explainer, handle: bytes, path: str, way: bytes, pieces: tuple[int, int]
    ) -> None:
        """`pieces`: bytes of one read and of one write that the host takes."""
        self._wire, self._explainer = wire, explainer
        self._handle, self._path, self._way = text(handle), path, way
        self._raw = handle
        self._read_size, self._write_size = pieces
        self._writing = 0  # pieces and calls that are not through
        self._under_way: dict[int, int] = {}  # where pieces that are not answered begin; how many
        self._unanswered = 0  # bytes of them
        self._still = asyncio.Event()
        self._settling: asyncio.Future[None] | None = None
        self._failed: BaseException | None = None
        self._closed = False

    async def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only at the end of the file."""
        self._check_open()
        try:
            pieces = await self._pieces(offset, size)
        except Refusal as refusal:
            raise await self._told(refusal, "read") from refusal
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)

    async def _pieces(self, offset: int, size: int) -> list[memoryview]:
        count = -(-size // self._read_size) or 1
        step = -(-size // count)
        most = max(1, IN_FLIGHT // max(step, 1))
        asked: deque[tuple[int, int, asyncio.Future[Any]]] = deque()
        pieces: list[memoryview] = []
        at, end = offset, offset + size
        try:
            while asked or at < end:
                while at < end and len(asked) < most:
                    part = min(step, end - at)
                    asked.append((at, part, self._ask_read(at, part)))
                    at += part
                start, part, future = asked[0]
                while part:
                    data = data_of(await future, part)
                    if data is None:
                        return pieces
                    pieces += data
                    got = sum(map(len, data))
                    start, part = start + got, part - got
                    if part:  # fewer than asked for: the end of the file, or a host of few words
                        future = self._ask_read(start, part)
                asked.popleft()
        finally:
            for _, _, future in asked:
                future.cancel()
        return pieces

    def _ask_read(self, offset: int, size: int) -> asyncio.Future[Any]:
        return self._wire.ask(READ, self._handle, offset.to_bytes(8, "big"), size.to_bytes(4, "big"))

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """Send all of it; `flush` waits for the answers."""
        self._check_open()
        self._begin()
        try:
            view = memoryview(data)
            if not view.readonly:  # it may change before it is sent
                view = memoryview(bytes(view))
            await self._send(offset, view.cast("B"))
        finally:
            self._end()

    async def _send(self, offset: int, octets: memoryview) -> None:
        count = -(-len(octets) // self._write_size) or 1
        step = -(-len(octets) // count) or 1
        for at in range(0, len(octets), step):
            piece = octets[at : at + step]
            await self._wire.room(len(piece))
            if self._failed is not None:
                self._wire.arrived(len(piece))
                await self._raise_failure()
            try:
                head = self._handle + (offset + at).to_bytes(8, "big") + len(piece).to_bytes(4, "big")
                answer = self._wire.ask(WRITE, head, piece)
            except BaseException:
                self._wire.arrived(len(piece))
                raise
            self._begin()
            self._under_way[offset + at] = self._under_way.get(offset + at, 0) + 1
            self._unanswered += len(piece)
            answer.add_done_callback(partial(self._written, offset + at, len(piece)))

    def _written(self, at: int, size: int, done: asyncio.Future[Any]) -> None:
        self._wire.arrived(size)
        self._unanswered -= size
        self._under_way[at] -= 1
        if not self._under_way[at]:
            del self._under_way[at]
        if self._settling is not None and not self._settling.done():
            self._settling.set_result(None)
        self._end()
        if done.cancelled():
            return
        failure = done.exception()
        if failure is None:
            kind, payload = done.result()
            code = int.from_bytes(payload[:4], "big") if kind == 101 else 0
            failure = Refusal(code) if code else None
        if failure is not None and self._failed is None:
            self._failed = failure

    async def settle(self, most: int) -> None:
        """Wait until no more than `most` bytes are on their way; what failed so far is raised."""
        while self._unanswered > most:
            if self._settling is None or self._settling.done():
                self._settling = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._settling)
        await self._raise_failure()

    def there(self, end: int) -> int:
        """Up to where the host has answered for every piece."""
        return min(self._under_way, default=end)

    async def flush(self, *, durable: bool = False) -> None:
        """Wait until the host has all; `durable`: and its disk, where it can say so."""
        while self._writing:
            await self._still.wait()
        await self._raise_failure()
        if durable and self._wire.has("fsync@openssh.com"):
            await self._done("write", self._wire.extended("fsync@openssh.com", self._handle))

    async def truncate(self, size: int) -> None:
        """Make the file so long."""
        await self.flush()
        await self._done("resize", self._wire.done(FSETSTAT, self._handle, packed(size=size)))

    async def entry(self) -> Entry:
        """How the open file is now."""
        self._check_open()
        while self._writing:
            await self._still.wait()
        try:
            found = await self._wire.stat(FSTAT, self._raw)
        except Refusal as refusal:
            raise await self._told(refusal, "look at") from refusal
        return entry_of(self._path.rpartition("/")[2], found)

    async def close(self) -> None:
        """Let go of it, after what is under way."""
        if self._closed:
            return
        while self._writing:
            await self._still.wait()
        if self._closed:  # somebody else was quicker
            return
        self._closed = True
        try:
            await self._wire.done(CLOSE, self._handle)
        except Refusal as refusal:  # file servers tell only now what they could not keep
            raise await self._told(refusal, "write") from refusal
        except LabboxError:
            if self._failed is None:  # nothing was lost with a file that was read, or flushed
                return
            raise

    async def _done(self, doing: str, asked: Any) -> None:
        try:
            await asked
        except Refusal as refusal:
            raise await self._told(refusal, doing) from refusal

    async def _raise_failure(self) -> None:
        failed = self._failed
        if isinstance(failed, Refusal):
            raise await self._told(failed, "write") from failed
        if failed is not None:
            raise failed

    async def _told(self, refusal: Refusal, doing: str) -> LabboxError:
        return await self._explainer.told(refusal, doing, self._path, self._way)

    def _check_open(self) -> None:
        if self._closed:
            raise LabboxError(
                "unavailable",
                f"cannot use “{self._explainer.shown(self._path)}”: it is closed",
                "open it again",
            )

    def _begin(self) -> None:
        self._writing += 1
        self._still.clear()

    def _end(self) -> None:
        self._writing -= 1
        if not self._writing:
            self._still.set()
