"""F3: one file over the whole screen."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, cast

from textual import on
from textual.widget import Widget

from labbox.errors import LabboxError
from labbox.files.viewing import searching
from labbox.files.viewing.formats import View
from labbox.locations import Location
from labbox.text import visible_line
from labbox.tui.screens.base import Pane
from labbox.tui.screens.folder import home
from labbox.tui.widgets.dialog import Field, Form, Prompt
from labbox.tui.widgets.factline import FactLine
from labbox.tui.widgets.fileview import FileView
from labbox.tui.widgets.textpage import TextPage

if TYPE_CHECKING:
    from labbox.files.places.opening import Places

FOLLOW_EVERY: Final = 0.5  # seconds between two looks at a file that is followed


class ViewerScreen(Pane):
    """Looks at a file, and at the ones before and after it."""

    KEYS = "viewer"
    AUTO_FOCUS = ""

    def __init__(
        self, location: Location, places: Places | None = None, siblings: Sequence[Location] = ()
    ) -> None:
        """`places` None: the box's own disk; `siblings`: the files of the pane, in its order."""
        super().__init__()
        self.location = location
        self._siblings = list(siblings)
        self._own_places = places is None
        self._places = places
        self._asked: dict[str, object] = {}
        self._search: asyncio.Task[None] | None = None
        self._looking = False

    def body(self) -> Iterator[Widget]:
        """The file and a line about it."""
        yield FileView(self.lab.graphics)
        yield FactLine()

    def heading(self) -> str:
        """Which file, and what it is."""
        about = self.file.about() if self.is_mounted and self.query(FileView) else ""
        return visible_line(self.location.name) + (f" · {about}" if about else "")

    @property
    def file(self) -> FileView:
        """The file."""
        return self.query_one(FileView)

    @property
    def text(self) -> TextPage | None:
        """The text or the bytes, where those are shown."""
        return self.file.text

    def begin(self) -> None:
        """Open it."""
        self.set_interval(FOLLOW_EVERY, self._follow)
        self.attempt(self._open(self.location), group="open")

    async def _open(self, location: Location) -> None:
        if self._places is None:
            from labbox.files.places.opening import Places, Roots

            self._places = Places(Roots(home=str(home())))
        try:
            await self.file.open(location, self._places)
        except LabboxError:
            if self.has_left:
                return  # closed while it was being opened
            if self.file.source is None:
                self.dismiss(None)
            raise
        if self.has_left:
            return
        self.location = location
        self.tell()

    async def on_unmount(self) -> None:
        """Let go of the places that were opened for the file."""
        self.stop_search()
        if self._own_places and self._places is not None:
            await self._places.close()

    # The line about it.

    def tell(self) -> None:
        """Write title and status line anew."""
        if not self.is_mounted:
            return
        self.retitle()
        text, source = self.text, self.file.source
        if text is None or source is None:
            self.query_one(FactLine).say(self._hint(), "")
            return
        size = source.size
        percent = 100 if text.at_end else text.top * 100 // max(1, size)
        parts = [f"{percent} %", f"byte {text.top:,} of {size:,}"]
        if not text.hexadecimal:
            parts.append(self.file.encoding.name)
            parts.append(
                "wrapped" if text.wrap else f"cut{f', from column {text.shift + 1}' if text.shift else ''}"
            )
        if text.following:
            parts.append("following")
        self.query_one(FactLine).say(" · ".join(parts), text.note)

    def _hint(self) -> str:
        match self.file.view:
            case View.HDF5 | View.ARRAYS | View.MATLAB if not self.file.in_array:
                return "Enter looks into an array"
            case View.TABLE | View.HDF5 | View.ARRAY | View.ARRAYS | View.MATLAB:
                return (
                    "← → further columns · F8 text" if self.file.view is View.TABLE else "← → further columns"
                )
            case View.MARKDOWN | View.NOTEBOOK:
                return "F8 shows the plain text"
            case _:
                return ""

    @on(FileView.Told)
    def told(self) -> None:
        """Something about it has changed."""
        self.tell()

    @on(FileView.Failed)
    def failed(self, message: FileView.Failed) -> None:
        """Say what could not be done; the file is shown all the same."""
        self.lab.say(f"{message.error.message}. {message.error.hint}", "Viewer")
        self.tell()

    # Ways to show it.

    def action_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        if self.text is not None and not self.text.hexadecimal:
            self.attempt(self.text.show_wrapped(not self.text.wrap), group="show")

    def action_numbers(self) -> None:
        """Line numbers, or none."""
        if self.text is not None and not self.text.hexadecimal:
            self.attempt(self.text.show_numbers(not self.text.numbers), group="show")

    def action_hex(self) -> None:
        """Bytes in hex, and back."""
        if self.file.view is View.HEX:
            raw = View.TEXT if self.file.format.view is View.HEX else self.file.format.view
            self._show(raw)
        else:
            self._show(View.HEX)

    def action_raw(self) -> None:
        """The plain text of what is shown as a table or a document, and back."""
        if self.file.has_parsed_view:
            self._show(View.TEXT if self.file.view is self.file.format.view else self.file.format.view)
        else:
            self.lab.say("It is plain text or plain bytes already.")

    def _show(self, view: View) -> None:
        self.stop_search()
        before = self.text
        self.attempt(self._show_at(view, before.top if before else 0), group="show")

    async def _show_at(self, view: View, offset: int) -> None:
        """The same place in another view."""
        await self.file.show(view)
        if offset and self.text is not None:
            await self.text.go(offset)

    def action_progress(self) -> None:
        """A log's lines that drive the progress bar, or not."""
        if self.text is not None and self.text.shows_progress is not None:
            self.attempt(self.text.show_progress(not self.text.shows_progress), group="show")

    def action_encoding(self) -> None:
        """The next encoding."""
        if self.file.view is View.TABLE or (self.text is not None and not self.text.hexadecimal):
            self.lab.say(f"Encoding: {self.file.next_encoding().name}")
            self._show(self.file.view)

    def action_follow(self) -> None:
        """Stay at the end as the file grows, or stop that."""
        if self.text is not None:
            self.attempt(self.text.follow(not self.text.following), group="show")

    def _follow(self) -> None:
        if self.text is not None and self.text.following and not self._looking:
            self._looking = True
            self.attempt(self._look(), group="look")

    async def _look(self) -> None:
        try:
            if self.text is not None:
                await self.text.look()
        finally:
            self._looking = False

    # Going somewhere.

    def action_go(self) -> None:
        """Ask for a line, a percentage or a byte."""
        if self.text is not None:
            self.app.push_screen(
                Prompt(
                    "Go to", "Place", example="120 (line), 50%, @4096 or 0x1000 (byte)", check=self._place
                ),
                self._gone,
            )

    def _place(self, words: str) -> tuple[str, int]:
        """What was typed, as ("line" or "byte", number)."""
        text = words.strip().replace(",", "").replace("_", "")
        source = self.file.source
        size = source.size if source is not None else 0
        try:
            if text.endswith("%"):
                share = min(100.0, max(0.0, float(text[:-1])))
                return "byte", min(max(0, size - 1), int(size * share / 100))
            if text.startswith("@"):
                return "byte", int(text[1:], 0)
            if text.lower().startswith("0x"):
                return "byte", int(text, 16)
            if int(text) < 1:
                raise ValueError
            return ("byte", int(text)) if self.text and self.text.hexadecimal else ("line", int(text))
        except (ValueError, OverflowError) as error:
            raise LabboxError(
                "invalid", "cannot go there", "as in 120 (a line), 50%, @4096 or 0x1000 (a byte)"
            ) from error

    def _gone(self, values: dict[str, object] | None) -> None:
        text = self.text
        if values is None or text is None:
            return
        what, number = cast("tuple[str, int]", values["text"])
        self.attempt(text.go_line(number) if what == "line" else text.go(number), group="go", exclusive=True)

    # Searching.

    def action_find(self) -> None:
        """Ask what to look for."""
        text = self.text
        if text is None:
            self.lab.say("F8 or F4 shows the text or the bytes, which can be searched.")
            return
        before = self._asked
        fields = [
            Field("words", "Find", str(before.get("words", ""))),
            Field("regex", "Regular expression", flag=bool(before.get("regex", False))),
            Field("case", "Match case", flag=bool(before.get("case", False))),
            Field("backward", "Backwards", flag=bool(before.get("backward", False))),
        ]
        if text.hexadecimal:
            fields.insert(2, Field("hex", "Hex: de ad be ef", flag=bool(before.get("hex", False))))
        self.app.push_screen(Form("Search", fields, "Search"), self._find_entered)

    def _find_entered(self, values: dict[str, object] | None) -> None:
        if values is not None and self.text is not None:
            self._asked = values
            self.text.match = None
            self._find(bool(values["backward"]))

    def _find(self, backward: bool) -> None:
        text, values = self.text, self._asked
        if text is None:
            return
        if not values:
            self.action_find()
            return
        query = searching.Query(
            words=str(values["words"]),
            regex=bool(values["regex"]),
            case=bool(values["case"]),
            hex=text.hexadecimal and bool(values.get("hex", False)),
            codec="" if text.hexadecimal else self.file.encoding.codec,
        )
        self.stop_search()
        self.attempt(self._searching(text, query, backward), group="search", exclusive=True)

    async def _searching(self, text: TextPage, query: searching.Query, backward: bool) -> None:
        search = self._search = asyncio.ensure_future(self._searched(text, query, backward))
        try:
            await asyncio.wait({search})
            if not search.cancelled():
                search.result()
        finally:
            search.cancel()

    async def _searched(self, text: TextPage, query: searching.Query, backward: bool) -> None:
        if not await text.search(query, backward):
            where = "before here" if backward else "from here on"
            self.lab.say(f"“{visible_line(query.words)}” is not there {where}.")

    def stop_search(self) -> bool:
        """End a search that goes on; False where there is none."""
        search, self._search = self._search, None
        if search is None or search.done():
            return False
        search.cancel()
        return True

    def action_next_match(self) -> None:
        """The next match."""
        self._find(bool(self._asked.get("backward", False)))

    def action_previous_match(self) -> None:
        """The match before."""
        self._find(not self._asked.get("backward", False))

    # Other files, and away.

    def action_sibling(self, by: int) -> None:
        """The next file of the pane, or the one before."""
        if self.location not in self._siblings:
            return
        at = self._siblings.index(self.location) + by
        if 0 <= at < len(self._siblings):
            self.stop_search()
            self.attempt(self._open(self._siblings[at]), group="open", exclusive=True)
        else:
            self.lab.say("That was the last file." if by > 0 else "That was the first file.")

    def action_back(self) -> None:
        """End a search; leave an array; close."""
        if self.stop_search():
            self.lab.say("The search was ended.")
        elif self.file.in_array and self.file.view in (View.HDF5, View.ARRAYS, View.MATLAB):
            self.attempt(self.file.leave_array(), group="show")
        else:
            super().action_back()
