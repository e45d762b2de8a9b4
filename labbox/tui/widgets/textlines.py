"""What the editor's widget works on: lines that end in a newline and nothing else, quick when they are many.

Textual's own document takes form feeds, U+2028 and others for ends of lines and writes newlines in their
place; and it measures every line at every key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from rich.cells import cell_len
from textual.document._document import Document, DocumentBase, EditResult, Location
from textual.document._wrapped_document import WrappedDocument
from textual.expand_tabs import get_tab_widths
from textual.geometry import Size

T = TypeVar("T")


class TextLines(Document):
    r"""A text with stand-ins (`labbox.files.standins`), cut at ``\n`` alone."""

    def __init__(self, text: str) -> None:
        """Take it as it is."""
        super().__init__("")
        self._lines = text.split("\n")
        self._whole: str | None = text
        self._widest = 0
        self._tab_width = 0

    @property
    def text(self) -> str:
        """The whole text; made once after a change."""
        if self._whole is None:
            self._whole = "\n".join(self._lines)
        return self._whole

    def get_size(self, tab_width: int) -> Size:
        """Cells and lines; a line that was the widest counts until the text is read again."""
        if tab_width != self._tab_width:
            self._tab_width = tab_width
            self._widest = max(self._width(line) for line in self._lines)
        return Size(self._widest, len(self._lines))

    def replace_range(self, start: Location, end: Location, text: str) -> EditResult:
        """Put a text in the place of another."""
        (top, left), (bottom, right) = sorted((start, end))
        lines = self._lines
        replaced = self.get_text_range(start, end)
        after = lines[bottom][right:] if bottom < len(lines) else ""
        before = lines[top][:left] if top < len(lines) else ""
        made = text.split("\n")
        made[0] = before + made[0]
        column = len(made[-1])
        made[-1] += after
        lines[top : bottom + 1] = made
        self._whole = None
        if self._tab_width:
            self._widest = max(self._widest, max(self._width(line) for line in made))
        return EditResult((top + len(made) - 1, column), replaced)

    def get_text_range(self, start: Location, end: Location) -> str:
        """The text between two places."""
        (top, left), (bottom, right) = sorted((start, end))
        lines = self._lines[top : bottom + 1]
        if not lines:
            return ""
        if bottom >= len(self._lines):  # up to and with the end of the last line
            lines.append("")
        else:
            lines[-1] = lines[-1][:right]
        lines[0] = lines[0][left:]
        return "\n".join(lines)

    def _width(self, line: str) -> int:
        if line.isascii():
            return len(line.expandtabs(self._tab_width)) if "\t" in line else len(line)
        return cell_len(line.expandtabs(self._tab_width))


class _PerLine(Sequence[T]):
    """What is known of each line without keeping anything: as many as the document has lines."""

    def __init__(self, document: DocumentBase, make: Callable[[int], T]) -> None:
        self._document, self._make = document, make

    def __len__(self) -> int:
        return self._document.line_count

    def __getitem__(self, index: Any) -> Any:
        count = len(self)
        index = index + count if index < 0 else index
        if not 0 <= index < count:
            raise IndexError(index)
        return self._make(index)


class WrappedLines(WrappedDocument):
    """Where the lines are wrapped; where they are not, nothing is made and nothing mended."""

    @property
    def height(self) -> int:
        """Lines on the screen."""
        return len(self._offset_to_line_info)

    def wrap(self, width: int, tab_width: int | None = None) -> None:
        """Wrap all lines, or none."""
        if width:
            super().wrap(width, tab_width)
            return
        self._width = 0
        self._tab_width = tab_width or self._tab_width

        def tabs(line: int) -> list[int]:
            return [width for _, width in get_tab_widths(self.document[line], self._tab_width)]

        none: list[int] = []
        self._wrap_offsets = cast(Any, _PerLine(self.document, lambda _: none))
        self._offset_to_line_info = cast(Any, _PerLine(self.document, lambda line: (line, 0)))
        self._line_index_to_offsets = cast(Any, _PerLine(self.document, lambda line: [line]))
        self._tab_width_cache = cast(Any, _PerLine(self.document, tabs))

    def wrap_range(self, start: Location, old_end: Location, new_end: Location) -> None:
        """Mend the wrapping after an edit."""
        if self._width:
            super().wrap_range(start, old_end, new_end)
