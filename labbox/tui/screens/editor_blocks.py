"""Marked blocks, the clipboard, undo: keys of the editor that change the text alone."""

from __future__ import annotations

from labbox.tui.screens.base import Pane
from labbox.tui.widgets.textedit import TextEdit


class EditorBlocks(Pane):
    """A screen with a text whose blocks are moved."""

    KEYS = "editor"

    @property
    def text(self) -> TextEdit:
        """The text."""
        return self.query_one(TextEdit)

    def action_mark(self) -> None:
        """Begin or end to mark."""
        self.text.toggle_mark()

    def action_copy_block(self) -> None:
        """Copy what is marked to the cursor."""
        if not self.text.copy_block():
            self.lab.say("Mark something with F3, go elsewhere, then press F5.")

    def action_move_block(self) -> None:
        """Move what is marked to the cursor."""
        if not self.text.copy_block(move=True):
            self.lab.say("Mark something with F3, go elsewhere, then press F6.")

    def action_delete_block(self) -> None:
        """Delete what is marked, or the line."""
        self.text.delete_block()

    def action_undo(self) -> None:
        """Take back."""
        if not self.text.read_only:
            self.text.undo()

    def action_redo(self) -> None:
        """Do again."""
        if not self.text.read_only:
            self.text.redo()

    def action_copy(self) -> None:
        """To the clipboard."""
        self.text.action_copy()

    def action_cut(self) -> None:
        """To the clipboard and away."""
        self.text.action_cut()

    def action_paste(self) -> None:
        """From the clipboard."""
        self.text.action_paste()

    def action_select_all(self) -> None:
        """Select everything."""
        self.text.select_all()

    def action_wrap(self) -> None:
        """Wrap long lines, or not."""
        self.text.soft_wrap = not self.text.soft_wrap
