"""The scrolling part of the log screen."""

from __future__ import annotations

from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from labbox.model import Stream
from labbox.tui.logbook import Logbook, View
from labbox.tui.widgets.paint import Mark, Painted, log_marks, marked

_INK = {Stream.OUT: "text", Stream.ERR: "warn", Stream.BOX: "note"}
_SIGN = {Stream.OUT: " ", Stream.ERR: "!", Stream.BOX: "›"}


class LogView(ScrollView, Painted, can_focus=True):
    """Draws the rows of a `View`; follows the end until someone scrolls up."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("up,k", "by(-1)", show=False),
        Binding("down,j", "by(1)", show=False),
        Binding("pageup", "by_page(-1)", show=False),
        Binding("pagedown,space", "by_page(1)", show=False),
        Binding("left", "sideways(-1)", show=False),
        Binding("right", "sideways(1)", show=False),
        Binding("home", "screen.from_start", show=False),
        Binding("end", "screen.to_end", show=False),
    ]

    class Scrolled(Message):
        """Somebody scrolled; `at_end` tells whether the last row is on screen."""

        def __init__(self, at_end: bool) -> None:
            """Where it stopped."""
            super().__init__()
            self.at_end = at_end

    def __init__(self, book: Logbook) -> None:
        """A view of this book."""
        super().__init__()
        self.book = book
        self.view = View(book)
        self.follow = True
        self.times = False
        self.words = ""
        self.found_row: int | None = None
        self._shift = 0

    @property
    def _margin(self) -> int:
        return 11 if self.times else 2

    def on_resize(self) -> None:
        """The width decides where wrapped lines break."""
        self.view.width = max(10, self.size.width - self._margin - 1)
        self.changed(everything=True)

    def changed(self, everything: bool = False, dropped: bool = False) -> None:
        """The book or the way it is shown changed."""
        if everything or dropped:
            before = len(self.view.rows)
            self.view.rebuild()
            if dropped and not self.follow:
                gone = max(0, before - len(self.view.rows))
                self.scroll_to(y=max(0, self.scroll_offset.y - gone), animate=False, force=True)
        else:
            self.view.extend()
        self.virtual_size = Size(self.size.width, len(self.view.rows))
        if self.follow:
            self.to_end()
        self.refresh()

    def set_times(self, on: bool) -> None:
        """Show or hide times."""
        self.times = on
        self.on_resize()

    def to_end(self) -> None:
        """Show the last row."""
        self.scroll_to(y=max(0, len(self.view.rows) - self.size.height), animate=False, force=True)

    @property
    def at_end(self) -> bool:
        """Whether the last row is on screen."""
        return self.scroll_offset.y >= len(self.view.rows) - self.size.height

    def action_by(self, rows: int) -> None:
        """Scroll by rows."""
        target = max(0, min(self.scroll_offset.y + rows, len(self.view.rows) - self.size.height))
        self.scroll_to(y=target, animate=False, force=True)
        self.post_message(self.Scrolled(target >= len(self.view.rows) - self.size.height))

    def action_by_page(self, pages: int) -> None:
        """Scroll by screens."""
        self.action_by(pages * max(1, self.size.height - 1))

    def action_sideways(self, by: int) -> None:
        """See the end of long lines."""
        if not self.view.wrap:
            self._shift = max(0, self._shift + by * 20)
            self.refresh()

    def on_mouse_scroll_up(self) -> None:
        """The wheel."""
        self.action_by(-3)

    def on_mouse_scroll_down(self) -> None:
        """The wheel."""
        self.action_by(3)

    def search(self, backward: bool = False, again: bool = False) -> bool:
        """Go to the next line with the words; False where there is none."""
        if not self.view.rows or not self.words:
            return False
        start = self.found_row if self.found_row is not None else self.scroll_offset.y
        if again:
            start += -1 if backward else 1
        row = self.view.find(self.words, start, backward)
        self.found_row = row
        if row is None:
            self.refresh()
            return False
        self.follow = False
        self.scroll_to(y=max(0, row - self.size.height // 3), animate=False, force=True)
        self.refresh()
        return True

    def render_line(self, y: int) -> Strip:
        """One row."""
        at = y + self.scroll_offset.y
        width = self.size.width
        if at >= len(self.view.rows):
            return self.strip([], width)
        place, first = self.view.rows[at]
        line, begins = self.book.lines[place], first == 0
        if not self.view.wrap:
            first, length = self._shift, width
        else:
            length = self.view.width
        text = line.text[first : first + length]
        parts: list[tuple[str, str]] = []
        if self.times:
            parts.append((line.at.astimezone().strftime("%H:%M:%S ") if begins else " " * 9, "faint"))
        parts.append((_SIGN[line.stream] + " " if begins else "  ", _INK[line.stream]))
        marks = log_marks(line.spans, first, len(text))
        if self.words and self.words.casefold() in text.casefold():
            marks += self._found(text, "found-now" if at == self.found_row else "found")
        parts += marked(text, marks, _INK[line.stream])
        return self.strip(parts, width)

    def _found(self, text: str, ink: str) -> list[Mark]:
        """Where the words stand."""
        low, words = text.casefold(), self.words.casefold()
        if len(low) != len(text):  # folding changed the length: mark the line as a whole
            return [(0, len(text), ink)]
        marks: list[Mark] = []
        at = 0
        while (hit := low.find(words, at)) >= 0:
            at = hit + len(words)
            marks.append((hit, at, ink))
        return marks
