"""Searching a file of any size, forwards or backwards, in a child of its own: a pattern can take for ever.

Pieces overlap, so what lies across their border is found; a match is at most `OVERLAP` bytes long.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, cast

from labbox.errors import LabboxError
from labbox.files.viewing import apart
from labbox.files.viewing.encodings import BY_CODEC, Encoding
from labbox.files.viewing.source import Source
from labbox.model import Value

PIECE: Final = 1 << 20
OVERLAP: Final = 64 << 10
CONTEXT: Final = 4 << 10  # bytes before a piece that ^ and looking behind may see
_LIMITS: Final = apart.Limits(seconds=None, cpu_seconds=None, memory=512 << 20)


class Query(Value):
    """What to search for. `hex`: the words are bytes in hex; `codec` "": bytes, not text."""

    words: str
    regex: bool = False
    case: bool = False  # capitals matter
    hex: bool = False
    codec: str = "utf-8"


class Match(Value):
    """Where something was found, in bytes."""

    start: int
    end: int


def check(query: Query) -> Query:
    """The query itself; LabboxError in words where it makes no sense."""
    try:
        if not query.words:
            raise LabboxError("invalid", "cannot search for nothing", "type what to look for")
        _pattern(query)
    except re.error as error:
        raise LabboxError(
            "invalid", f"cannot use the pattern: {error.msg}", "without “pattern” it is taken as it stands"
        ) from error
    except (ValueError, OverflowError, RecursionError) as error:
        raise LabboxError("invalid", "cannot read the bytes", "as in: de ad be ef") from error
    return query


async def find(
    source: Source,
    query: Query,
    start: int,
    *,
    backward: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Match | None:
    """The first match that begins at or after `start`, or the last one that begins before it.

    `progress` gets the bytes searched so far. Cancelling ends the search at once.
    """
    check(query)
    return await apart.run(
        source,
        _search,
        (query, start, source.size, backward),
        Match | None,  # type: ignore[arg-type]  # a union is no type to mypy
        limits=_LIMITS,
        told=progress,
    )


def _pattern(query: Query) -> re.Pattern[str] | re.Pattern[bytes] | bytes:
    if query.hex:
        return bytes.fromhex(query.words)
    if not query.codec:
        data = query.words.encode("utf-8", "surrogateescape")
        if query.regex or not query.case:
            flags = (0 if query.case else re.IGNORECASE) | re.MULTILINE | re.DOTALL
            return re.compile(data if query.regex else re.escape(data), flags)
        return data
    encoding = BY_CODEC[query.codec]
    if query.regex or not query.case:
        words = query.words if query.regex else re.escape(query.words)
        return re.compile(words, (0 if query.case else re.IGNORECASE) | re.MULTILINE)
    try:
        return encoding.encode(query.words)
    except UnicodeEncodeError:
        return query.words.encode("utf-8", "surrogateescape")


def _search(
    file: BinaryIO, tell: Callable[[object], None], query: Query, start: int, size: int, backward: bool
) -> Match | None:
    """In the child."""
    pattern = _pattern(query)
    unit = BY_CODEC[query.codec].unit if query.codec else 1
    begin = 0 if backward else start
    end = start if backward else size
    searched = 0
    for low, high in _pieces(begin, end, backward):
        first = max(0, low - CONTEXT)
        first -= first % 4
        file.seek(first)
        data = file.read(high + OVERLAP - first)
        found = _find_in(data, pattern, query, unit, low - first, high - first, backward)
        if found is not None:
            return Match(start=first + found[0], end=first + found[1])
        searched += high - low
        tell(searched)
    return None


def _pieces(begin: int, end: int, backward: bool) -> Iterator[tuple[int, int]]:
    if not backward:
        for low in range(begin, end, PIECE):
            yield low, min(low + PIECE, end)
        return
    while end > begin:
        low = max(begin, end - PIECE)
        yield low, end
        end = low


def _find_in(
    data: bytes,
    pattern: re.Pattern[str] | re.Pattern[bytes] | bytes,
    query: Query,
    unit: int,
    low: int,
    high: int,
    backward: bool,
) -> tuple[int, int] | None:
    """A match that begins in data[low:high], in bytes of `data`."""
    if isinstance(pattern, bytes):
        reach = min(len(data), high + len(pattern) - 1)
        at = data.rfind(pattern, low, reach) if backward else data.find(pattern, low, reach)
        while at >= 0 and at % unit and not query.hex:
            if backward:
                at = data.rfind(pattern, low, at + len(pattern) - 1)
            else:
                at = data.find(pattern, at + 1, reach)
        return (at, at + len(pattern)) if at >= 0 else None
    if not query.codec:
        as_bytes = cast("re.Pattern[bytes]", pattern)
        return _picked(as_bytes.finditer(data, low), low, high, backward)
    encoding = BY_CODEC[query.codec]
    skip = encoding.cut(data, 0)
    return _in_text(data[skip:], skip, cast("re.Pattern[str]", pattern), encoding, low, high, backward)


def _picked(
    matches: Iterator[re.Match[bytes]] | Iterator[re.Match[str]], low: int, high: int, backward: bool
) -> tuple[int, int] | None:
    last = None
    for match in matches:
        if match.start() >= high:
            break
        if match.start() >= low and match.end() > match.start():
            last = match.span()
            if not backward:
                break
    return last


def _in_text(
    data: bytes, skip: int, pattern: re.Pattern[str], encoding: Encoding, low: int, high: int, backward: bool
) -> tuple[int, int] | None:
    text = encoding.decode(data)
    from_char = len(encoding.decode(data[: max(0, low - skip)]))
    to_char = len(encoding.decode(data[: max(0, high - skip)]))
    found = _picked(pattern.finditer(text, from_char), from_char, to_char, backward)
    if found is None:
        return None
    start = skip + len(encoding.encode(text[: found[0]]))
    return start, start + len(encoding.encode(text[found[0] : found[1]]))
