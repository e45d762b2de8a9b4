"""Colours for the lines on the screen.

Lexers are regular expressions, here over hostile text: they run in a child.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from labbox.files.viewing import apart
from labbox.files.viewing.source import Source

if TYPE_CHECKING:
    from pygments.lexer import Lexer

MOST: Final = 64 << 10  # characters that are coloured at once
_LIMITS: Final = apart.Limits(seconds=5, cpu_seconds=3, memory=256 << 20)
_PLAIN: Final = frozenset({"text", "output"})

Span = tuple[int, int, str]
"""From one character to another one of a line, in an ink."""
Spans = tuple[Span, ...]


def lexer_for(name: str, first_line: str) -> Lexer | None:
    """The lexer of a file, by its name or the program that its first line names. Slow when first called."""
    from pygments.lexers import find_lexer_class_for_filename, get_lexer_by_name
    from pygments.util import ClassNotFound

    found = find_lexer_class_for_filename(name)
    if found is not None:
        return found() if not _PLAIN & set(found.aliases) else None
    if first_line.startswith("#!"):
        words = first_line[2:].split()
        program = words[1] if len(words) > 1 and words[0].endswith("/env") else (words or [""])[0]
        try:
            return get_lexer_by_name(program.rpartition("/")[2].rstrip("0123456789."))
        except ClassNotFound:
            return None
    return None


async def colours(source: Source, lexer: Lexer, lines: list[str]) -> tuple[Spans, ...]:
    """The coloured parts of each line."""
    return await apart.run(
        source, _colour, (lexer, lines), tuple[Spans, ...], limits=_LIMITS, imports=lambda: _warm(lexer)
    )


def _warm(lexer: Lexer) -> None:
    list(lexer.get_tokens("x"))  # what it imports when it is first used


def _colour(
    _file: BinaryIO, _tell: Callable[[object], None], lexer: Lexer, lines: list[str]
) -> list[list[Span]]:
    spans: list[list[Span]] = [[] for _ in lines]
    row = column = 0
    for _at, kind, text in lexer.get_tokens_unprocessed("\n".join(lines)):
        ink = _ink(kind)
        for number, part in enumerate(text.split("\n")):
            if number:
                row, column = row + 1, 0
            if part and ink and row < len(spans):
                spans[row].append((column, column + len(part), ink))
            column += len(part)
    return spans


def _ink(kind: Any) -> str:
    """The ink of a kind of token, by the nearest name above it that has one."""
    while kind is not None:
        found = _INKS.get(str(kind).removeprefix("Token."))
        if found is not None:
            return found
        kind = kind.parent
    return ""


_INKS: Final = {
    "Comment": "dim",
    "Comment.Preproc": "note",
    "Keyword": "note",
    "Keyword.Type": "primary",
    "Name.Builtin": "primary",
    "Name.Class": "head",
    "Name.Decorator": "violet",
    "Name.Function": "primary",
    "Name.Namespace": "head",
    "Name.Tag": "primary",
    "Name.Attribute": "head",
    "Literal.String": "good",
    "Literal.String.Escape": "accent",
    "Literal.Number": "accent",
    "Literal.Date": "accent",
    "Operator.Word": "note",
    "Generic.Heading": "head",
    "Generic.Subheading": "head",
    "Generic.Deleted": "bad",
    "Generic.Inserted": "good",
    "Generic.Error": "bad",
    "Error": "bad",
}
