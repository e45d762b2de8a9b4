"""`labbox file cat`, `head` and `tail`: what files hold, byte for byte, from wherever they are."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Final

import click

from labbox.cli.places import complete_locations, on_the_box, sources, within
from labbox.cli.session import Session, shared_options
from labbox.errors import LabboxError
from labbox.locations import Location
from labbox.text import visible, visible_line
from labbox.units import parse_size

if TYPE_CHECKING:
    from labbox.files.places.base import Handle
    from labbox.files.places.opening import Places

_PIECE: Final = 1 << 18
_LINES: Final = 10
_LOOK_EVERY: Final = 0.5  # seconds between two looks at a file that is followed
_HELD: Final = 64 << 20  # bytes of lines that are kept for the end of what cannot be read backwards


class _Counted(click.Command):
    """Takes ``-20`` for ``-n 20``, as head and tail do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words: list[str] = []
        for before, arg in zip(["", *args], args, strict=False):
            short = re.fullmatch(r"-\d+", arg) and before not in ("-n", "-c", "--lines", "--bytes")
            words += ["-n", arg[1:]] if short else [arg]
        return super().parse_args(ctx, words)


class _Out:
    """Standard output: bytes as they are, but for a terminal, which gets no controls."""

    def __init__(self) -> None:
        self._shown = sys.stdout.isatty()
        self._held = b""

    def put(self, data: bytes, *, last: bool = False) -> None:
        if not self._shown:
            sys.stdout.buffer.write(data)
            return
        data = self._held + data
        cut = len(data) if last else _whole(data)
        data, self._held = data[:cut], data[cut:]
        sys.stdout.write(visible(data.decode("utf-8", "surrogateescape")))

    def end(self) -> None:
        if self._shown:
            self.put(b"", last=True)
        sys.stdout.flush()


def _whole(data: bytes) -> int:
    """Up to where no character is cut."""
    for back in range(1, min(4, len(data)) + 1):
        lead = data[-back]
        if lead >= 0xC0:
            return len(data) - back if back < (2 if lead < 0xE0 else 3 if lead < 0xF0 else 4) else len(data)
        if lead < 0x80:
            break
    return len(data)


class _Source:
    """An open file of some place, or standard input."""

    def __init__(self, opened: Handle | None, size: int) -> None:
        self.opened, self.size = opened, size

    async def pieces(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        if self.opened is None:
            while data := os.read(sys.stdin.fileno(), _PIECE):
                skipped = min(start, len(data))
                start -= skipped
                data = data[skipped:]
                if end is not None:
                    data, end = data[: max(0, end)], end - len(data) - skipped
                yield data
                if end is not None and end <= 0:
                    return
            return
        from labbox.files.transfer.placefiles import blocks

        async for data in blocks(self.opened, start, self.size if end is None else min(end, self.size)):
            yield data


Work = Callable[[_Source, _Out], Any]


def _each(session: Session, texts: tuple[str, ...], work: Work, titles: bool = False) -> int:
    """Do it for every file; one that cannot be read does not keep the others from it."""
    wanted = [(text, None) if text == "-" else (text, one) for text in texts for one in _named(session, text)]

    async def go(places: Places) -> int:
        failed = 0
        out = _Out()
        for number, (text, one) in enumerate(wanted):
            try:
                if titles:
                    name = "standard input" if one is None else str(one)
                    out.put(f"{chr(10) if number else ''}==> {name} <==\n".encode())
                await _one(places, one, work, out)
            except LabboxError as error:
                if len(wanted) == 1:
                    raise
                failed += 1
                sys.stdout.flush()
                print(f"error: {visible_line(error.message or text)}", file=sys.stderr)
        out.end()
        return 1 if failed else 0

    return within(session, go, *(one for _text, one in wanted if one is not None))


def _named(session: Session, text: str) -> list[Location | None]:
    return [None] if text == "-" else list(sources(session, (text,)))


async def _one(places: Places, one: Location | None, work: Work, out: _Out) -> None:
    if one is None:
        await work(_Source(None, 0), out)
        return
    from labbox.files.places.base import EntryKind

    place, path = await places.get(one)
    if (await place.entry(path)).kind is EntryKind.LINK:
        path = await place.real_path(path)
    entry = await place.entry(path)
    if entry.kind is not EntryKind.FILE:
        what = "a folder" if entry.kind is EntryKind.FOLDER else "no plain file"
        raise LabboxError("invalid", f"cannot read {one.shown()}: it is {what}", "name a file in it")
    async with await place.open(path) as opened:
        await work(_Source(opened, (await opened.entry()).size), out)


_some = click.argument("texts", metavar="[LOCATION]...", nargs=-1, shell_complete=complete_locations)


@click.command()
@_some
@click.option("--offset", metavar="N", default="0", help="Begin behind N bytes: 4096, 2G.")
@click.option("--bytes", "-c", "count", metavar="N", help="No more than N bytes.")
@shared_options
@on_the_box
def cat(session: Session, texts: tuple[str, ...], offset: str, count: str | None) -> int:
    """Print what files hold, byte for byte; `-` is standard input.

    On a terminal, control characters are shown, not sent.
    """
    start = parse_size(offset)
    end = None if count is None else start + parse_size(count)

    async def work(source: _Source, out: _Out) -> None:
        async for data in source.pieces(start, end):
            out.put(data)

    return _each(session, texts or ("-",), work)


_lines = click.option("--lines", "-n", "lines", metavar="N", help="Lines; by default 10.")
_bytes = click.option("--bytes", "-c", "size", metavar="N", help="Bytes: 100, 4K.")
_quiet = click.option("--quiet", "-q", "quiet", is_flag=True, help="No names above several files.")
_verbose = click.option("--verbose", "-v", "verbose", is_flag=True, help="A name above a single file too.")


@click.command(cls=_Counted)
@_some
@_lines
@_bytes
@_quiet
@_verbose
@shared_options
@on_the_box
def head(
    session: Session, texts: tuple[str, ...], lines: str | None, size: str | None, quiet: bool, verbose: bool
) -> int:
    """Print the first lines or bytes of files; with -N, all but the last N."""
    by_bytes, count, sign = _amount(lines, size)

    async def work(source: _Source, out: _Out) -> None:
        if sign == "-":
            held = _Tail(by_bytes, count)
            async for data in source.pieces():
                out.put(held.add(data))
            return
        left = count
        async for data in source.pieces(0, count if by_bytes else None):
            if by_bytes:
                out.put(data)
                continue
            at = 0
            while left and at < len(data):
                cut = data.find(b"\n", at) + 1
                left, at = (left - 1, cut) if cut else (left, len(data))
            out.put(data[:at])
            if not left:
                return

    titles = verbose or (len(texts) > 1 and not quiet)
    return _each(session, texts or ("-",), work, titles)


@click.command(cls=_Counted)
@_some
@_lines
@_bytes
@click.option("--follow", "-f", "-F", "follow", is_flag=True, help="Stay, and print what is added.")
@_quiet
@_verbose
@shared_options
@on_the_box
def tail(
    session: Session,
    texts: tuple[str, ...],
    lines: str | None,
    size: str | None,
    follow: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Print the last lines or bytes of files; with +N, everything from the Nth on."""
    by_bytes, count, sign = _amount(lines, size)
    if follow and len(texts) != 1:
        raise LabboxError("usage", "cannot follow several files", "follow one: labbox file tail -f run.log")

    async def work(source: _Source, out: _Out) -> None:
        start = await _start(source, by_bytes, count, sign)
        if start is None:
            held = _Tail(by_bytes, count)
            async for data in source.pieces():
                held.add(data)
            out.put(held.rest())
        else:
            async for data in source.pieces(start):
                out.put(data)
        if follow and source.opened is not None:
            await _follow(source, out)

    titles = verbose or (len(texts) > 1 and not quiet)
    try:
        return _each(session, texts or ("-",), work, titles)
    except KeyboardInterrupt:
        return 130


async def _start(source: _Source, by_bytes: bool, count: int, sign: str) -> int | None:
    """The byte where the end begins; None where that takes reading all of standard input."""
    if sign == "+":
        if by_bytes:
            return max(0, count - 1)
        left, at = max(0, count - 1), 0
        if source.opened is None:
            return await _lines_skipped(source, left)
        async for data in source.pieces():
            for found in re.finditer(rb"\n", data) if left else ():
                left -= 1
                if not left:
                    return at + found.end()
            if not left:
                return 0
            at += len(data)
        return source.size if left else 0
    if source.opened is None:
        return None
    if by_bytes:
        return max(0, source.size - count)
    return await _last_lines(source, count)


async def _lines_skipped(source: _Source, left: int) -> int:
    """Pass over lines of standard input; what was read with the last of them is printed."""
    async for data in source.pieces():
        at = 0
        while left and at < len(data):
            cut = data.find(b"\n", at) + 1
            left, at = (left - 1, cut) if cut else (left, len(data))
        if not left:
            sys.stdout.buffer.write(data[at:])
            return 0
    return 0


async def _last_lines(source: _Source, count: int) -> int:
    """Where the last lines begin, looked for from the end."""
    assert source.opened is not None  # noqa: S101 - for the types
    end, left = source.size, count
    if not count or not end:
        return end
    first = True
    while end:
        begin = max(0, end - _PIECE)
        data = await source.opened.read(begin, end - begin)
        at = len(data) - 1 if first and data.endswith(b"\n") else len(data)
        first = False
        while (at := data.rfind(b"\n", 0, at)) >= 0:
            left -= 1
            if not left:
                return begin + at + 1
        end = begin
    return 0


async def _follow(source: _Source, out: _Out) -> None:
    assert source.opened is not None  # noqa: S101 - for the types
    at = source.size
    while True:
        sys.stdout.flush()
        size = (await source.opened.entry()).size
        if size < at:
            print("file truncated: it is shown from its beginning", file=sys.stderr)
            at = 0
        while at < size and (data := await source.opened.read(at, min(_PIECE, size - at))):
            out.put(data)
            at += len(data)
        sys.stdout.flush()
        await asyncio.sleep(_LOOK_EVERY)


class _Tail:
    """Keeps the last lines or bytes of what comes, and hands back what is not among them any more."""

    def __init__(self, by_bytes: bool, count: int) -> None:
        self._by_bytes, self._count = by_bytes, count
        self._held: deque[bytes] = deque()
        self._bytes = self._lines = 0
        self._open = b""  # a line without an end

    def add(self, data: bytes) -> bytes:
        """Take more; what is before the end now."""
        gone: list[bytes] = []
        if self._by_bytes:
            self._held.append(data)
            self._bytes += len(data)
            while self._held and self._bytes - len(self._held[0]) >= self._count:
                gone.append(self._held.popleft())
                self._bytes -= len(gone[-1])
            over = self._bytes - self._count
            if over > 0:
                gone.append(self._held[0][:over])
                self._held[0] = self._held[0][over:]
                self._bytes -= over
            return b"".join(gone)
        *lines, self._open = (self._open + data).split(b"\n")
        self._held.extend(line + b"\n" for line in lines)
        self._bytes += sum(map(len, lines)) + len(lines)
        keep = self._count - (1 if self._open else 0)
        while len(self._held) > max(0, keep):
            gone.append(self._held.popleft())
            self._bytes -= len(gone[-1])
        if self._bytes + len(self._open) > _HELD:
            raise LabboxError(
                "limit",
                f"cannot keep more than {_HELD >> 20} MiB of lines",
                "ask for fewer, or for bytes: -c",
            )
        return b"".join(gone)

    def rest(self) -> bytes:
        """What is kept."""
        if not self._count:
            return b""
        return b"".join(self._held) + self._open


def _amount(lines: str | None, size: str | None) -> tuple[bool, int, str]:
    """Whether bytes are counted, how many, and the sign before the number."""
    if lines is not None and size is not None:
        raise LabboxError("usage", "cannot count lines and bytes at once", "say -n or -c")
    text = size if size is not None else lines if lines is not None else str(_LINES)
    sign = text[:1] if text[:1] in ("+", "-") else ""
    number = text.removeprefix(sign) if sign else text
    return size is not None, parse_size(number) if size is not None else _number(number), sign


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise LabboxError("usage", f"cannot read “{visible_line(text)}” as a number of lines", "as in -n 20")
    return int(text)
