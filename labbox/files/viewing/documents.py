"""Notebooks and Markdown as lines with inks. Runs in a confined child."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

import msgspec

from labbox.errors import LabboxError
from labbox.files.viewing import apart
from labbox.files.viewing.encodings import guess
from labbox.files.viewing.source import Source
from labbox.text import format_bytes, visible, visible_line

MOST_BYTES: Final = 64 << 20
MOST_LINES: Final = 50_000
_CELL_LINES: Final = 2000
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # colours in the output of notebooks

Part = tuple[str, str]
Line = tuple[Part, ...]
"""One line of (text, ink), safe to show. The inks are those of the screens."""


async def markdown(source: Source, width: int) -> tuple[Line, ...]:
    """A Markdown file as lines of at most `width` characters."""
    return await _document(source, read_markdown, width)


async def notebook(source: Source, width: int) -> tuple[Line, ...]:
    """A Jupyter notebook: its texts, code and outputs."""
    return await _document(source, read_notebook, width)


async def _document(source: Source, work: apart.Work, width: int) -> tuple[Line, ...]:
    if source.size > MOST_BYTES:
        raise LabboxError(
            "limit", f"cannot lay out a document of {format_bytes(source.size)}", "F8 shows it as plain text"
        )
    return await apart.run(source, work, (max(20, width),), tuple[Line, ...], imports=_imports)


def _imports() -> None:
    from markdown_it import MarkdownIt

    MarkdownIt("commonmark").enable("table").parse("*a*")  # what it imports when it is first used


def read_markdown(file: BinaryIO, _tell: Callable[[object], None], width: int) -> list[Line]:
    """In the child: what `markdown` returns."""
    return _rendered(_text(file), width)[:MOST_LINES]


def _text(file: BinaryIO) -> str:
    data = file.read(MOST_BYTES)
    encoding = guess(data, True)
    return encoding.decode(data.removeprefix(encoding.mark))


def _rendered(text: str, width: int) -> list[Line]:
    from markdown_it import MarkdownIt

    writer = _Writer(width)
    writer.block(MarkdownIt("commonmark").enable("table").parse(visible(text)))
    return writer.lines


class _Writer:
    """Turns the tokens of Markdown into lines."""

    def __init__(self, width: int) -> None:
        self.lines: list[Line] = []
        self._width = width
        self._indent: list[str] = []  # what each list or quotation puts before a line
        self._bullet = ""
        self._numbers: list[int | None] = []
        self._heading = 0
        self._table: list[list[str]] | None = None

    def block(self, tokens: list[Any]) -> None:
        for token in tokens:
            handler = getattr(self, "_" + token.type, None)
            if handler is not None:
                handler(token)

    def _blank(self) -> None:
        if self.lines and self.lines[-1]:
            self.lines.append(())

    def _heading_open(self, token: Any) -> None:
        self._blank()
        self._heading = int(token.tag[1:])

    def _heading_close(self, _token: Any) -> None:
        if self._heading == 1 and self.lines:
            length = min(self._width, sum(len(text) for text, _ in self.lines[-1]))
            self.lines.append((("═" * length, "head"),))
        self._heading = 0
        self._blank()

    def _paragraph_close(self, token: Any) -> None:
        if not token.hidden:
            self._blank()

    def _bullet_list_open(self, _token: Any) -> None:
        self._numbers.append(None)

    def _ordered_list_open(self, token: Any) -> None:
        self._numbers.append(int(token.attrs.get("start", 1)))

    def _bullet_list_close(self, _token: Any) -> None:
        self._numbers.pop()
        if not self._numbers:
            self._blank()

    _ordered_list_close = _bullet_list_close

    def _list_item_open(self, _token: Any) -> None:
        number = self._numbers[-1]
        self._bullet = "• " if number is None else f"{number}. "
        if number is not None:
            self._numbers[-1] = number + 1
        self._indent.append(" " * len(self._bullet))

    def _list_item_close(self, _token: Any) -> None:
        self._indent.pop()

    def _blockquote_open(self, _token: Any) -> None:
        self._indent.append("│ ")

    def _blockquote_close(self, _token: Any) -> None:
        self._indent.pop()
        self._blank()

    def _hr(self, _token: Any) -> None:
        self._blank()
        self.lines.append((("─" * min(self._width, 60), "faint"),))

    def _fence(self, token: Any) -> None:
        self._blank()
        for line in token.content.rstrip("\n").split("\n"):
            self.lines.append((("".join(self._indent) + "  ", "dim"), (line.expandtabs(4), "accent")))
        self._blank()

    _code_block = _fence

    def _html_block(self, token: Any) -> None:
        for line in token.content.rstrip("\n").split("\n"):
            self.lines.append(((line.expandtabs(4), "faint"),))

    def _table_open(self, _token: Any) -> None:
        self._blank()
        self._table = []

    def _tr_open(self, _token: Any) -> None:
        if self._table is not None:
            self._table.append([])

    def _table_close(self, _token: Any) -> None:
        rows, self._table = self._table or [], None
        count = max((len(row) for row in rows), default=0)
        most = max(6, (self._width - 3 * count) // max(1, count))
        widths = [
            min(most, max((len(row[place]) for row in rows if place < len(row)), default=0))
            for place in range(count)
        ]
        for number, row in enumerate(rows):
            cells = [
                (cell if len(cell) <= wide else cell[: wide - 1] + "…").ljust(wide)
                for cell, wide in zip(row, widths, strict=False)
            ]
            self.lines.append(((" │ ".join(cells), "head" if number == 0 else "text"),))
            if number == 0:
                self.lines.append((("─┼─".join("─" * wide for wide in widths), "faint"),))
        self._blank()

    def _inline(self, token: Any) -> None:
        if self._table is not None:
            self._table[-1].append("".join(text for text, _ in _spans(token, "text")).replace("\n", " "))
            return
        ink = ("head" if self._heading < 3 else "bold") if self._heading else "text"
        self._paragraph(list(_spans(token, ink)))

    def _paragraph(self, spans: list[Part]) -> None:
        """Words of all spans, broken at the width."""
        before = "".join(self._indent[:-1]) + self._bullet if self._bullet else "".join(self._indent)
        follow, self._bullet = "".join(self._indent), ""
        room = max(10, self._width - len(follow))
        line: list[Part] = [(before, "dim")] if before else []
        used = 0
        for text, ink in spans:
            for word in re.findall(r"\n|[^ \n]+| +", text):
                if word == "\n" or (used + len(word) > room and used and not word.isspace()):
                    self.lines.append(tuple(line))
                    line, used = ([(follow, "dim")] if follow else []), 0
                if word != "\n" and (used or not word.isspace()):
                    for piece in textwrap.wrap(word, room) if len(word) > room else [word]:
                        if used and used + len(piece) > room:
                            self.lines.append(tuple(line))
                            line, used = ([(follow, "dim")] if follow else []), 0
                        line.append((piece, ink))
                        used += len(piece)
        self.lines.append(tuple(line))


def _spans(token: Any, ink: str) -> Iterator[Part]:
    """The pieces of a paragraph with their inks."""
    inks = [ink]
    for child in token.children or []:
        match child.type:
            case "text":
                yield child.content, inks[-1]
            case "softbreak":
                yield " ", inks[-1]
            case "hardbreak":
                yield "\n", inks[-1]
            case "code_inline":
                yield child.content, "accent"
            case "strong_open" | "em_open":
                inks.append("bold" if child.type == "strong_open" else "note")
            case "link_open":
                inks.append("primary")
            case "strong_close" | "em_close" | "link_close":
                del inks[-1:]
            case "image":
                yield f"[picture: {child.content or child.attrs.get('src', '')}]", "violet"
            case "html_inline":
                yield child.content, "faint"


def read_notebook(file: BinaryIO, _tell: Callable[[object], None], width: int) -> list[Line]:
    """In the child: what `notebook` returns."""
    book = msgspec.json.decode(file.read(MOST_BYTES))
    cells = book.get("cells") if isinstance(book, dict) else None
    if not isinstance(cells, list):
        raise LabboxError("invalid", "cannot read the notebook: it has no cells", "F8 shows it as plain text")
    lines: list[Line] = []
    for cell in cells:
        if isinstance(cell, dict) and len(lines) < MOST_LINES:
            lines += _cell(cell, width)
    return lines[:MOST_LINES]


def _cell(cell: dict[str, Any], width: int) -> Iterator[Line]:
    source = _joined(cell.get("source"))
    if cell.get("cell_type") == "markdown":
        yield from _rendered(source, width)
        yield ()
        return
    number = cell.get("execution_count")
    sign = f"In [{number if isinstance(number, int) else ' '}]: " if cell.get("cell_type") == "code" else ""
    for at, line in enumerate(source.split("\n")[:_CELL_LINES]):
        yield ((sign if at == 0 else " " * len(sign), "good"), (visible_line(line.expandtabs(4)), "accent"))
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else []:
        if isinstance(output, dict):
            yield from _output(output)
    yield ()


def _output(output: dict[str, Any]) -> Iterator[Line]:
    ink, text = "text", ""
    if output.get("output_type") == "error":
        ink, text = "bad", _joined(output.get("traceback"), "\n") or _joined(output.get("evalue"))
    elif output.get("output_type") == "stream":
        ink, text = ("warn" if output.get("name") == "stderr" else "text"), _joined(output.get("text"))
    else:
        data = output.get("data")
        data = data if isinstance(data, dict) else {}
        text = _joined(data.get("text/plain"))
        for kind in data:
            if str(kind).startswith("image/"):
                yield ((f"[{visible_line(str(kind))}]", "violet"),)
    for line in _ESCAPES.sub("", text).rstrip("\n").split("\n")[:_CELL_LINES] if text else []:
        yield ((visible_line(line.expandtabs(8)), ink),)


def _joined(text: object, between: str = "") -> str:
    if isinstance(text, list):
        return between.join(str(part) for part in text)
    return text if isinstance(text, str) else ""
