"""Searching and replacing in the editor, match by match or all at once."""

from __future__ import annotations

from labbox.errors import LabboxError
from labbox.tui.screens.base import Pane
from labbox.tui.screens.editor_dialogs import Choose, WishForm
from labbox.tui.searching import Wish, find, replace_all
from labbox.tui.widgets.dialog import Prompt
from labbox.tui.widgets.textedit import TextEdit


class EditorSearching(Pane):
    """A screen with a text to search in."""

    KEYS = "editor"

    def __init__(self) -> None:
        """Nothing was looked for yet."""
        super().__init__()
        self._wish = Wish()

    @property
    def text(self) -> TextEdit:
        """The text."""
        return self.query_one(TextEdit)

    def action_find(self) -> None:
        """Ask for words, and go to them."""
        self.attempt(self._find_asked(), group="find", exclusive=True)

    async def _find_asked(self) -> None:
        if await self._ask_wish(replace=False) is not None:
            await self._find()

    async def _ask_wish(self, *, replace: bool) -> bool | None:
        """Ask what to look for; whether all is meant, None: nothing is."""
        selected = self.text.selected_text
        wish = self._wish._replace(words=selected) if selected and "\n" not in selected else self._wish
        answer = await self.app.push_screen_wait(WishForm(wish, replace=replace))
        if answer is None or not answer["words"]:
            return None
        self._wish = Wish(
            str(answer["words"]),
            str(answer.get("instead", self._wish.instead)),
            bool(answer["regex"]),
            bool(answer["case"]),
            bool(answer["whole"]),
        )
        self._wish.pattern()
        return bool(answer.get("all"))

    def action_find_next(self) -> None:
        """The same again."""
        self.attempt(self._find() if self._wish.words else self._find_asked(), group="find", exclusive=True)

    def action_find_previous(self) -> None:
        """The one before."""
        self.attempt(self._find(backward=True), group="find", exclusive=True)

    async def _find(self, *, backward: bool = False) -> None:
        text = self.text
        if not self._wish.words:
            return
        row, column = min(text.selection) if backward else max(text.selection)
        if not backward and text.selection.is_empty and self._stands_on_match(row, column):
            column += 1
        found = await find(text.document.lines, self._wish.pattern(), row, column, backward=backward)
        if found is None:
            self.lab.say(f"“{self._wish.words}” is nowhere in the text.")
            return
        if found.around:
            self.lab.say("Round the end of the text.")
        self._select(found.row, found.match.start(), found.match.end())

    def _stands_on_match(self, row: int, column: int) -> bool:
        match = self._wish.pattern().match(self.text.document.get_line(row), column)
        return match is not None and match.end() == column

    def _select(self, row: int, start: int, end: int) -> None:
        self.text.marking = False
        self.text.move_cursor((row, start))
        self.text.move_cursor((row, end), select=True, center=True)

    def action_replace(self) -> None:
        """Ask what to put in the place of what."""
        self.attempt(self._replace(), group="find", exclusive=True)

    async def _replace(self) -> None:
        if self.text.read_only:
            return
        everything = await self._ask_wish(replace=True)
        if everything is None:
            return
        if everything:
            await self._replace_all()
            return
        text, pattern = self.text, self._wish.pattern()
        begun = min(text.selection)
        row, column = begun
        count, around = 0, False
        while (found := await find(text.document.lines, pattern, row, column)) is not None:
            around = around or found.around
            start, end = found.match.span()
            if around and (
                (found.around and found.row == row and start >= column) or (found.row, start) >= begun
            ):
                break
            self._select(found.row, start, end)
            answer = await self.app.push_screen_wait(
                Choose(
                    "Replace",
                    f"“{found.match[0]}” by “{self._wish.instead}”",
                    {"replace": "Replace", "skip": "Skip", "all": "All"},
                    low=True,
                )
            )
            if answer is None:
                break
            if answer == "all":
                await self._replace_all()
                return
            if answer == "replace":
                result = text.replace(
                    self._wish.replacement(found.match),
                    (found.row, start),
                    (found.row, end),
                    maintain_selection_offset=False,
                )
                row, column = result.end_location
                count += 1
            else:
                row, column = found.row, end
            if start == end:
                column += 1
        self.lab.say(f"Replaced {count}.")

    async def _replace_all(self) -> None:
        text = self.text
        block = text.marked()
        rows = (block.start[0], block.end[0]) if block and block.start[0] != block.end[0] else None
        state = text.state
        count, first, last, lines = await replace_all(text.document.lines, self._wish, rows)
        if text.state is not state:
            raise LabboxError("conflict", "cannot replace: the text changed meanwhile", "ask for it again")
        if count:
            where = text.cursor_location
            text.history.checkpoint()
            end = (last, len(text.document.get_line(last)))
            text.replace("\n".join(lines), (first, 0), end, maintain_selection_offset=False)
            text.history.checkpoint()
            text.move_cursor(text.clamp_visitable(where), center=True)
        self.lab.say(f"Replaced {count}.")

    def action_goto_line(self) -> None:
        """Ask for a line."""
        self.attempt(self._goto_line(), group="find", exclusive=True)

    async def _goto_line(self) -> None:
        last = self.text.document.line_count

        def line(words: str) -> int:
            if not words.strip().isdecimal() or not 0 < int(words) <= last:
                raise LabboxError(
                    "invalid", f"cannot go to line “{words}”", f"give a number from 1 to {last}"
                )
            return int(words)

        answer = await self.app.push_screen_wait(
            Prompt("Go to a line", f"Line of {last}", check=line, verb="Go")
        )
        if answer is not None and isinstance(answer["text"], int):
            self.text.move_cursor((answer["text"] - 1, 0), center=True)
