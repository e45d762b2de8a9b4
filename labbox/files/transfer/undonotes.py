"""Writing down what a transfer puts where, in the words of locations."""

from __future__ import annotations

import os
import stat
import time

from labbox.files.places.base import EntryKind
from labbox.files.transfer.journal import Journal, Undoable
from labbox.files.transfer.reporting import Reporter
from labbox.locations import Location, path_text


class UndoNotes:
    """Notes below a target folder and, for moves, below a source's folder."""

    def __init__(self, journal: Journal, reporter: Reporter) -> None:
        """Notes go into the journal's folder."""
        self._journal, self._reporter = journal, reporter
        self._source = self._target = ""
        self.moving = False

    def between(self, source: Location, target: Location) -> None:
        """Paths in the notes to come are below these two folders."""
        self._source, self._target = _text(source), _text(target)

    def made(self, path: str, was: str, made: os.stat_result) -> None:
        """Something new gets its name: a copy of `was`, which leaves its place where things are moved."""
        if self.moving:
            self.moved(path, was, made)
        else:
            self._note("made", path, "", made)

    def moved(self, path: str, was: str, found: os.stat_result) -> None:
        """Something is renamed."""
        self._note("moved", path, self._source + path_text(was), found)

    def replaced(self, path: str) -> None:
        """Something takes the place of another file, which is lost."""
        self._journal.note_undo(Undoable("replaced", self._target + path_text(path)))

    def void(self, path: str) -> None:
        """The last note of that path came to nothing."""
        self._journal.note_undo(Undoable("void", self._target + path_text(path)))

    def _note(self, what: str, path: str, was: str, found: os.stat_result) -> None:
        folder = stat.S_ISDIR(found.st_mode)
        kind = (
            EntryKind.FOLDER if folder else EntryKind.LINK if stat.S_ISLNK(found.st_mode) else EntryKind.FILE
        )
        self._reporter.undoable = True
        self._journal.note_undo(
            Undoable(
                what=what,
                path=self._target + path_text(path),
                was=was,
                kind=kind.value,
                size=0 if folder else found.st_size,
                mtime=found.st_mtime_ns,
                inode=found.st_ino,
                at=time.time_ns(),
            )
        )


def _text(folder: Location) -> str:
    """The beginning of the texts of all that is below a folder."""
    text = str(folder)
    return text if text.endswith("/") else text + "/"
