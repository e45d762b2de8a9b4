"""The editor's widget: Textual's text area over text that may be hostile, with marked blocks as in mcedit.

What it holds has a harmless character in the place of each one that a terminal would obey; what it draws has
a picture in its place; what is saved has the character itself.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.document._document import EditResult, Location, Selection
from textual.document._document_navigator import DocumentNavigator
from textual.document._edit import Edit
from textual.message import Message
from textual.widgets import TextArea

from labbox.files.standins import hidden, pictured, revealed
from labbox.text import visible
from labbox.tui.widgets.paint import inks_of
from labbox.tui.widgets.textcolours import Colours
from labbox.tui.widgets.textlines import TextLines, WrappedLines

UNDO_STEPS: Final = 1000
BRACKET_REACH: Final = 20_000  # characters in which the other bracket is looked for
INDENT: Final = 4

_MOVES: Final = {
    "up": "cursor_up",
    "down": "cursor_down",
    "left": "cursor_left",
    "right": "cursor_right",
    "ctrl+left,alt+b": "cursor_word_left",
    "ctrl+right,alt+f": "cursor_word_right",
    "home": "cursor_line_start",
    "end,ctrl+e": "cursor_line_end",
    "pageup": "cursor_page_up",
    "pagedown": "cursor_page_down",
    "ctrl+home,ctrl+pageup": "cursor_first",
    "ctrl+end,ctrl+pagedown": "cursor_last",
    "shift+up": "cursor_up(True)",
    "shift+down": "cursor_down(True)",
    "shift+left": "cursor_left(True)",
    "shift+right": "cursor_right(True)",
    "ctrl+shift+left": "cursor_word_left(True)",
    "ctrl+shift+right": "cursor_word_right(True)",
    "shift+home": "cursor_line_start(True)",
    "shift+end": "cursor_line_end(True)",
    "backspace": "delete_left",
    "delete,ctrl+d": "delete_right",
    "ctrl+w,ctrl+backspace,alt+backspace": "delete_word_left",
    "alt+delete,alt+d": "delete_word_right",
    "ctrl+k": "delete_to_end_of_line_or_delete_line",
}


class TextEdit(TextArea, inherit_bindings=False):
    """A text to change. The keys of the table of keys are the screen's; moving and deleting are here."""

    DEFAULT_CSS = """
    TextEdit { border: none; padding: 0; background: $background; }
    TextEdit:focus { border: none; }
    TextEdit .text-area--gutter { color: $dim; }
    TextEdit .text-area--cursor-gutter { color: $head; }
    TextEdit .text-area--cursor { color: $background; background: $foreground; text-style: none; }
    TextEdit .text-area--selection { color: $cursor-text; background: $cursor; }
    TextEdit { scrollbar-size-vertical: 1; scrollbar-color: $border; scrollbar-background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding(key, deed, show=False) for key, deed in _MOVES.items()]

    class Moved(Message):
        """The cursor stands elsewhere, or the text is another."""

    def __init__(self) -> None:
        """Empty, and not to be changed until a text is taken up."""
        self.block: Selection | None = None
        self.marking = False
        self.colours: Colours | None = None
        self._clip = ("", "")  # what was copied, and how the terminal got to know it
        super().__init__(
            soft_wrap=False,
            show_line_numbers=True,
            tab_behavior="indent",
            max_checkpoints=UNDO_STEPS,
            read_only=True,
            compact=True,
            highlight_cursor_line=False,  # its style would take the colours of that line away
        )
        self.cursor_blink = False

    # The text.

    def take_up(self, text: str) -> None:
        """Begin with a text."""
        found = re.search(r"^[\t ]", text[:100_000], re.MULTILINE)
        self.indent_type = "tabs" if found and found[0] == "\t" else "spaces"
        self.block, self.marking = None, False
        self.load_text(text)

    def exchange(self, text: str) -> None:
        """Put another text in the place of all of it; undo brings the old one back."""
        row, column = self.cursor_location
        self.history.checkpoint()
        self.edit(Edit(text, (0, 0), self.document.end, False))
        self.history.checkpoint()
        self.move_cursor(self.clamp_visitable((row, column)))

    @property
    def state(self) -> object:
        """The last edit that is in force: after undo and redo it tells one text from another."""
        stack = self.history.undo_stack
        return stack[-1][-1] if stack else None

    def _set_document(self, text: str, language: str | None) -> None:
        """Textual's own, with the lines of this package."""
        self._highlight_query = None
        self.document = TextLines(text)
        self.wrapped_document = WrappedLines(self.document, tab_width=self.indent_width)
        self.navigator = DocumentNavigator(self.wrapped_document)
        self._build_highlight_map()
        self.move_cursor((0, 0))
        self._rewrap_and_refresh_virtual_size()

    def edit(self, edit: Edit) -> EditResult:
        """Change the text; whatever comes in is made harmless first."""
        edit.text = hidden(edit.text.replace("\r\n", "\n").replace("\r", "\n"))
        self.marking = False
        result = super().edit(edit)
        if self.block is not None:
            ends = [_shifted(each, edit.top, edit.bottom, result.end_location) for each in sorted(self.block)]
            start, end = ends
            self.block = Selection(start, end) if start is not None and end is not None else None
        return result

    def undo(self) -> None:
        """Take back the last change."""
        self.block, self.marking = None, False
        super().undo()

    def redo(self) -> None:
        """Do again what was taken back."""
        self.block, self.marking = None, False
        super().redo()

    # What is drawn.

    def get_line(self, line_index: int) -> Text:
        """One line, harmless, the marked block in it."""
        said = self.document.get_line(line_index)
        line = Text(pictured(said), end="", no_wrap=True)
        if self.colours is not None:
            inks = inks_of(self.app.theme_variables)
            for low, high, ink in self.colours.of(said):
                line.stylize(Style(color=inks[ink].color), low, high)
        if self.block is not None and self._theme is not None and self._theme.selection_style is not None:
            (top, left), (bottom, right) = sorted(self.block)
            if top <= line_index <= bottom:
                begin = left if line_index == top else 0
                line.stylize(self._theme.selection_style, begin, right if line_index == bottom else len(line))
        return line

    def find_matching_bracket(self, bracket: str, search_from: Location) -> Location | None:
        """The other bracket, where it is near."""
        others = {"(": ")", "[": "]", "{": "}"}
        backward = {other: one for one, other in others.items()}
        other = others.get(bracket) or backward.get(bracket)
        if other is None:
            return None
        step = (
            self._yield_character_locations if bracket in others else self._yield_character_locations_reverse
        )
        depth = 0
        for number, (character, location) in enumerate(step(search_from)):
            depth += (character == bracket) - (character == other)
            if depth == 0:
                return location
            if number > BRACKET_REACH:
                break
        return None

    def on_screen(self, ahead: int) -> list[str]:
        """The lines that are seen, and some before and behind them."""
        infos = self.wrapped_document._offset_to_line_info  # noqa: SLF001 - Textual gives it no other way
        top = self.scroll_offset.y
        if not infos:
            return []
        first = infos[min(top, len(infos) - 1)][0]
        last = infos[min(top + self.size.height, len(infos) - 1)][0]
        return self.document.lines[max(0, first - ahead) : last + 1 + ahead]

    def _watch_scroll_y(self) -> None:
        super()._watch_scroll_y()
        self.post_message(self.Moved())

    def repaint(self) -> None:
        """Draw all of it anew."""
        self._line_cache.clear()
        self.refresh()
        self.post_message(self.Moved())

    # Marking.

    def toggle_mark(self) -> None:
        """Begin to mark here, or be content with what is marked."""
        if self.marking:
            self.marking = False
            self.block = self.selection if not self.selection.is_empty else None
            self.selection = Selection.cursor(self.selection.end)
        else:
            self.marking, self.block = True, None
            self.selection = Selection.cursor(self.selection.end)
        self.repaint()

    def marked(self) -> Selection | None:
        """What is marked, or else selected."""
        found = self.block or (None if self.selection.is_empty else self.selection)
        return None if found is None else Selection(*sorted(found))

    def drop_block(self) -> None:
        """Nothing is marked any more."""
        self.block, self.marking = None, False
        self.selection = Selection.cursor(self.selection.end)
        self.repaint()

    def copy_block(self, *, move: bool = False) -> bool:
        """Put what is marked where the cursor is; False where nothing is, or the cursor is inside it."""
        block = self.marked()
        here = self.cursor_location
        if block is None or self.read_only or block.start < here < block.end:
            return False
        text = self.get_text_range(*block)
        self.block = None
        self.history.checkpoint()
        edits = [Edit(text, here, here, False)]
        if move:
            removal = Edit("", block.start, block.end, True)
            edits = [removal, *edits] if here <= block.start else [*edits, removal]
        end = here
        for edit in edits:
            result = self.edit(edit)
            if edit.text:
                end = result.end_location
        if move and here >= block.end:
            moved = _shifted(end, block.start, block.end, block.start)
            end = moved if moved is not None else end
        self.move_cursor(end)
        self.repaint()
        return True

    def delete_block(self) -> None:
        """Delete what is marked, or else the line."""
        block = self.marked()
        if self.read_only:
            return
        self.block = None
        if block is None:
            self.action_delete_line()
        else:
            self.delete(*block, maintain_selection_offset=False)
        self.repaint()

    # Keys and the clipboard.

    async def _on_key(self, event: events.Key) -> None:
        """A new line begins below the beginning of the one above; Esc and Alt's letters are the screen's."""
        if event.key == "escape" or event.key.startswith("alt+"):  # which comes with its letter
            event.prevent_default()
        elif event.key == "enter" and not self.read_only:
            event.stop()
            event.prevent_default()
            row, column = self.selection.end
            indent = re.match(r"[ \t]*", self.document.get_line(row)[:column])
            self._replace_via_keyboard("\n" + (indent[0] if indent else ""), *self.selection)

    def move_cursor(
        self, location: Location, select: bool = False, center: bool = False, record_width: bool = True
    ) -> None:
        """Move; while marking, what lies between is marked."""
        super().move_cursor(location, select or self.marking, center, record_width)

    def action_cursor_left(self, select: bool = False) -> None:
        """Left."""
        super().action_cursor_left(select or self.marking)

    def action_cursor_right(self, select: bool = False) -> None:
        """Right."""
        super().action_cursor_right(select or self.marking)

    def action_cursor_first(self) -> None:
        """To the beginning."""
        self.move_cursor((0, 0))

    def action_cursor_last(self) -> None:
        """To the end."""
        self.move_cursor(self.document.end)

    def copy_to_clipboard(self) -> str:
        """Copy what is marked, or else the line; the terminal gets it with controls made visible."""
        block = self.marked()
        row = self.cursor_location[0]
        text = self.get_text_range(*block) if block else self.document.get_line(row) + "\n"
        told = visible(revealed(text))
        self._clip = text, told
        self.app.copy_to_clipboard(told)
        return text

    def action_copy(self) -> None:
        """Copy."""
        self.copy_to_clipboard()

    def action_cut(self) -> None:
        """Copy and delete."""
        if not self.read_only:
            self.copy_to_clipboard()
            self.delete_block()

    def action_paste(self) -> None:
        """Put in what was copied, exactly; or what another program of this session copied."""
        if self.read_only:
            return
        text, told = self._clip
        clip = self.app.clipboard
        self._replace_via_keyboard(text if clip == told else clip, *self.selection)


def _shifted(place: Location, top: Location, bottom: Location, end: Location) -> Location | None:
    """Where a place is when the text from `top` to `bottom` is one that ends at `end`; None: it is gone."""
    if place <= top:
        return place
    if place < bottom:
        return None
    row, column = place
    if row == bottom[0]:
        return end[0], end[1] + column - bottom[1]
    return row + end[0] - bottom[0], column
