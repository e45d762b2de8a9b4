"""F4: a text is changed where it lies, with the keys of mcedit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from textual import on
from textual.timer import Timer
from textual.widget import Widget

from labbox.errors import LabboxError
from labbox.files.editing import ChangedBeneathError, EditedFile, FolderClosedError
from labbox.files.plaintext import Encoding, PlainText
from labbox.files.standins import name_of
from labbox.locations import Kind, Location, parse
from labbox.protocol import Caller
from labbox.tui.screens.editor_blocks import EditorBlocks
from labbox.tui.screens.editor_dialogs import Choose
from labbox.tui.screens.editor_searching import EditorSearching
from labbox.tui.screens.folder import home
from labbox.tui.widgets.dialog import Confirm, Prompt
from labbox.tui.widgets.editstatus import EditStatus
from labbox.tui.widgets.textcolours import AHEAD, Colours
from labbox.tui.widgets.textedit import TextEdit
from labbox.tui.widgets.working import begin

if TYPE_CHECKING:
    from labbox.files.places.opening import Places

LOOK_EVERY: Final = 3  # seconds between two looks whether somebody else changed the file
COLOUR_AFTER: Final = 0.1  # seconds without a key
BENEATH: Final = "Somebody else has changed this file meanwhile; F2 asks what to do."


class EditorScreen(EditorBlocks, EditorSearching):
    """One file, to be changed."""

    KEYS = "editor"
    AUTO_FOCUS = "TextEdit"

    def __init__(
        self, location: Location, places: Callable[[], Awaitable[Places]] | None = None, *, line: int = 1
    ) -> None:
        """`places` None: opens what it needs itself, and lets go of it; `line` is where to begin."""
        super().__init__()
        self.location = location
        self.file: EditedFile | None = None
        self._lent = places
        self._own: Places | None = None
        self._line = line
        self._as = PlainText()
        self._saved: object = None  # the state of the text that is in the file
        self._coloured: object = None
        self._colour_timer: Timer | None = None
        self._kept = True  # whether the file holds that state at all: not, where it was removed
        self._saving = False
        self._beneath = False
        self._seconds = 0

    def body(self) -> Iterator[Widget]:
        """The text and the line under it."""
        yield TextEdit()
        yield EditStatus()

    @property
    def modified(self) -> bool:
        """Whether the text is another than the file's."""
        return self.file is not None and (self.text.state is not self._saved or not self._kept)

    def heading(self) -> str:
        """Which file."""
        return f"Edit {self.location.shown()}"

    def begin(self) -> None:
        """Read it."""
        self.attempt(self._load(), group="open")

    def on_unmount(self) -> None:
        """Let go of what was opened."""
        if self._own is not None:
            self.app.run_worker(self._own.close(), exit_on_error=True)

    async def _places(self) -> Places:
        if self._lent is not None:
            return await self._lent()
        if self._own is None:
            from labbox.files.places.opening import Places, Roots

            caller = await self._caller()
            self._own = Places(
                Roots(home=str(home()), shared=caller.shared, projects=dict(caller.projects), jobs={})
            )
        return self._own

    async def _caller(self) -> Caller:
        known = self.lab.caller
        return known if known is not None else await self.ask(self.lab.client.whoami)

    async def _load(self) -> None:
        try:
            file = await EditedFile.at(await self._places(), self.location)
            plain = await file.read()
        except LabboxError:
            if self.has_left:
                return  # closed while it was being read
            self.dismiss(None)
            raise
        if self.has_left:
            return
        self._take(file, plain)
        self.text.take_up(plain.text)
        self._saved = self._coloured = self.text.state
        self.text.colours = Colours(self.location.name, plain.text[:200].partition("\n")[0])
        self.text.read_only = not file.writable
        if not file.writable:
            self.show_trouble("Nothing can be written here: look, copy, and save it elsewhere.")
        self.text.move_cursor(self.text.clamp_visitable((self._line - 1, 0)), center=True)
        self.tell()

    def _take(self, file: EditedFile, plain: PlainText) -> None:
        self.file, self._as = file, plain._replace(text="")
        self.location = file.location
        self.retitle()

    # The line under the text.

    @on(TextEdit.Changed)
    @on(TextEdit.SelectionChanged)
    @on(TextEdit.Moved)
    def tell(self) -> None:
        """Write it anew."""
        if self.file is None:
            return
        text = self.text
        row, column = text.cursor_location
        line = text.document.get_line(row)
        here = name_of(line[column]) if column < len(line) else "end of line"
        state = ("modified", "mark") if self.modified else ("saved" if self.file.exists else "new", "dim")
        if text.read_only:
            state = ("read-only", "warn")
        parts = [
            (f" {row + 1}", "bold"),
            (f"/{text.document.line_count}  ", "dim"),
            (f"{column + 1}", "bold"),
            (f"  {here}  ", "text"),
            state,
        ]
        if text.marking:
            parts.append(("  marking: F3 ends", "note"))
        elif (block := text.marked()) is not None:
            lines = block.end[0] - block.start[0] + 1
            parts.append((f"  {lines} lines marked" if lines > 1 else "  marked", "note"))
        self.query_one(EditStatus).say(parts, f"{self._as.encoding}  {self._as.ends}")
        self._colour()

    def _colour(self) -> None:
        text = self.text
        if text.colours is None:
            return
        fresh = text.state is not self._coloured
        if fresh or text.colours.lack(text.on_screen(0)):
            self._coloured = text.state
            if self._colour_timer is not None:
                self._colour_timer.stop()
            self._colour_timer = self.set_timer(COLOUR_AFTER, self._begin_to_colour)

    def _begin_to_colour(self) -> None:
        begin(self, partial(self._look_at_colours, self.text), group="colours", exclusive=True)

    async def _look_at_colours(self, text: TextEdit) -> None:
        if text.colours is not None and await text.colours.look(text.on_screen(AHEAD)):
            text.repaint()

    def tick(self) -> None:
        """Look whether somebody else changed it."""
        self._seconds += 1
        if self.file is not None and not self._saving and self.location.kind is not Kind.SFTP:
            if self._seconds % LOOK_EVERY == 0 and not self._beneath:
                begin(self, partial(self._look, self.file), group="look", exclusive=True)

    async def _look(self, file: EditedFile) -> None:
        try:
            changed = await file.changed()
        except LabboxError:
            return  # a save will tell it
        if changed and file is self.file and not self._saving:
            self._beneath = True
            self.show_trouble(BENEATH)

    # Saving.

    def action_save(self) -> None:
        """Save."""
        self.attempt(self._save_here(), group="save")

    async def _save_here(self) -> None:
        await self._save()

    async def _save(self, *, over: bool = False, in_place: bool = False) -> bool:
        """Save, asking what must be asked; whether it is saved now."""
        file, text = self.file, self.text
        if file is None or self._saving:
            return False
        text.history.checkpoint()
        state = text.state
        plain = self._as._replace(text=text.document.text)
        self._saving = True
        try:
            await file.save(plain, over=over, in_place=in_place)
        except ChangedBeneathError as error:
            self._saving = False
            return await self._beneath_asked(error)
        except FolderClosedError as error:
            self._saving = False
            question = f"{error.message}.\n\n{error.hint}."
            if await self.app.push_screen_wait(Confirm("Write into the file?", question, "Write")):
                return await self._save(over=over, in_place=True)
            return False
        except LabboxError as error:
            self._saving = False
            if error.code != "invalid" or plain.encoding is Encoding.UTF8 or not file.writable:
                raise
            answer = await self.app.push_screen_wait(
                Choose("Another encoding?", f"{error.message}.", {"utf8": "Save as UTF-8"})
            )
            if answer is None:
                return False
            self._as = self._as._replace(encoding=Encoding.UTF8)
            return await self._save(over=over, in_place=in_place)
        finally:
            self._saving = False
        self._now_saved(state)
        return True

    def _now_saved(self, state: object) -> None:
        self._saved, self._kept, self._beneath = state, True, False
        self.show_trouble("")
        self.tell()

    async def _beneath_asked(self, error: LabboxError) -> bool:
        answer = await self.app.push_screen_wait(
            Choose(
                "Changed underneath",
                f"{error.message}.",
                {"over": "Overwrite", "reload": "Read again", "elsewhere": "Save as…"},
            )
        )
        match answer:
            case "over":
                return await self._save(over=True)
            case "reload":
                await self._reload()
                return True
            case "elsewhere":
                return await self._save_as()
        return False

    def action_save_as(self) -> None:
        """Save under another name."""
        self.attempt(self._save_elsewhere(), group="save")

    async def _save_elsewhere(self) -> None:
        await self._save_as()

    async def _save_as(self) -> bool:
        if self.file is None:
            return False
        parent = self.location.parent
        answer = await self.app.push_screen_wait(
            Prompt(
                "Save as", "Where", str(self.location), check=lambda text: parse(text, parent), verb="Save"
            )
        )
        if answer is None or not isinstance(answer["text"], Location):
            return False
        file = await EditedFile.at(await self._places(), answer["text"])
        if file.exists:
            question = f"{file.location.shown()} is there already. Write over it?"
            if not await self.app.push_screen_wait(Confirm("Write over it?", question, "Overwrite")):
                return False
        self._take(file, self._as)
        self._kept = False
        saved = await self._save()
        self.text.read_only = not file.writable
        self.tell()
        return saved

    def action_reload(self) -> None:
        """Read the file again; undo brings the present text back."""
        self.attempt(self._reload(), group="save")

    async def _reload(self) -> None:
        file = await EditedFile.at(await self._places(), self.location)
        plain = await file.read()
        self._take(file, plain)
        self.text.exchange(plain.text)
        self._now_saved(self.text.state)
        self.lab.say("Read again. Ctrl+Z brings your text back.")

    def action_close(self) -> None:
        """Back, after a question where something would be lost."""
        self.attempt(self._close(), group="save")

    async def _close(self) -> None:
        if self.text.marking:
            self.text.drop_block()
            return
        if self.modified:
            answer = await self.app.push_screen_wait(
                Choose(
                    "Not saved",
                    f"{self.location.shown()} has changes that are not saved.",
                    {"save": "Save", "discard": "Discard"},
                )
            )
            if answer is None or (answer == "save" and not await self._save()):
                return
        self.dismiss(None)

    def action_external(self) -> None:
        """Edit in the person's own editor."""
        self.attempt(self._external(), group="save")

    async def _external(self) -> None:
        from labbox.tui.external import edit

        if self.file is None or (self.modified and not await self._save()):
            return
        allowed = (await self._caller()).external_editor
        await edit(self.lab, allowed, self.file.system_path, self.location)
        await self._reload()
