"""One file as what it is: text, hex, a picture, a table, a tree of arrays, a document, an archive.

The viewer and the quick view both show this; they differ in what is around it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from labbox.errors import LabboxError
from labbox.files.viewing import arrays, documents, formats, pictures, tables
from labbox.files.viewing.encodings import ALL, BY_CODEC, UTF8, Encoding, guess
from labbox.files.viewing.formats import Format, View
from labbox.files.viewing.source import Source
from labbox.locations import Location, packed_ending
from labbox.text import counted, format_bytes, visible_line
from labbox.tui.widgets.archiveview import archive_rows
from labbox.tui.widgets.gridview import GridView
from labbox.tui.widgets.lines import Lines
from labbox.tui.widgets.picture import HalfBlocks
from labbox.tui.widgets.table import Cell, Column, RowsTable, Table
from labbox.tui.widgets.textpage import TextPage
from labbox.tui.widgets.working import begin

if TYPE_CHECKING:
    from labbox.files.places.opening import Places
    from labbox.tui.graphics import Graphics

_RAW: Final = frozenset({View.TEXT, View.HEX})
_HAVE_TEXT: Final = frozenset({View.LOG, View.TABLE, View.MARKDOWN, View.NOTEBOOK})


class FileView(Vertical):
    """Shows an open file. The workers that read for it end with it."""

    class Told(Message):
        """What is said about the file has changed."""

    class Failed(Message):
        """Something could not be done; the file is still shown in some way."""

        def __init__(self, error: LabboxError) -> None:
            """What."""
            super().__init__()
            self.error = error

    def __init__(self, graphics: Graphics | None = None) -> None:
        """`graphics`: the terminal's own, where it has them."""
        super().__init__()
        self.source: Source | None = None
        self.format = Format(view=View.TEXT, words="")
        self.view = View.TEXT
        self.encoding: Encoding = UTF8
        self.words = ""  # what is known beside the format: pixels, rows, columns
        self._graphics = graphics
        self._location: Location | None = None
        self._places: Places | None = None
        self._found: tuple[arrays.Node, ...] = ()
        self._array = ""
        self._head = b""
        self._chosen: Encoding | None = None
        self._changing = asyncio.Lock()

    # What is shown.

    async def open(self, location: Location, places: Places) -> None:
        """Open a file and show it as what it is; LabboxError where it cannot be opened."""
        place, path = await places.get(location)
        source = await Source.open(place, path)
        inside = await self._unpacked(location, places, source.size)
        if inside is not None:
            await source.close()
            source = inside
        await self.close()
        if not self.is_attached:  # it was closed meanwhile, and nobody would close this
            await source.close()
            return
        self._location, self._places, self.source = location, places, source
        head = await source.read(0, formats.HEAD)
        self.format = formats.identify(
            head, source.name if inside is not None else location.name, source.size
        )
        self._head = head
        self.encoding = guess(head, source.size <= len(head))
        self._chosen = None
        if self.format.view in _HAVE_TEXT and self.format.view is not View.TABLE:
            self.encoding = await self._detected(source)
        self._array = ""
        await self.show(self.format.view)

    async def _unpacked(self, location: Location, places: Places, size: int) -> Source | None:
        """What is in a single packed file; None for others, and where that is too much."""
        ending = packed_ending(location.name)
        if ending is None or location.inner is not None:
            return None
        if self.most_packed is not None and size > self.most_packed:
            return None
        try:
            place, path = await places.get(location.entered().joined(location.name[: -len(ending)]))
            return await Source.open(place, path)
        except LabboxError:  # damaged, or too much: its bytes are shown
            return None

    async def close(self) -> None:
        """Let go of the file."""
        source, self.source = self.source, None
        if source is not None:
            self.workers.cancel_node(self)
            await self.remove_children()
            await source.close()

    async def on_unmount(self) -> None:
        """Let go of the file."""
        source, self.source = self.source, None
        if source is not None:
            await source.close()

    async def show(self, view: View) -> None:
        """Show it in another way; what cannot be parsed is said, and shown as text or in hex."""
        async with self._changing:
            self.view, self.words = view, ""
            try:
                made = await self._made(view)
            except LabboxError as error:
                self.post_message(self.Failed(error))
                self.view = View.TEXT if self.format.view in _HAVE_TEXT else View.HEX
                made = self._text()
            if self.source is None or not self.is_attached:
                return
            had_keys = self.app.focused is not None and self in self.app.focused.ancestors_with_self
            await self.remove_children()
            await self.mount(made)
            if had_keys or self.can_take_keys:
                made.focus()
        self.post_message(self.Told())

    can_take_keys = True
    most_packed: ClassVar[int | None] = None  # bytes of a single packed file that is unpacked; None: any

    async def _made(self, view: View) -> Widget:
        source = self._open_source()
        match view:
            case View.PICTURE:
                return await self._picture(source)
            case View.TABLE:
                return await self._table(source)
            case View.HDF5 | View.ARRAYS | View.MATLAB:
                return await self._tree(source) if not self._array else await self._window(source)
            case View.ARRAY:
                return await self._window(source)
            case View.MARKDOWN | View.NOTEBOOK:
                return await self._document(source)
            case View.ARCHIVE:
                return await self._archive()
            case _:
                return self._text()

    def _open_source(self) -> Source:
        if self.source is None:
            raise LabboxError("conflict", "cannot show the file: it was closed", "open it again")
        return self.source

    @property
    def text(self) -> TextPage | None:
        """The text or the bytes, where those are shown."""
        return next(iter(self.query(TextPage)), None)

    @property
    def has_parsed_view(self) -> bool:
        """Whether it is more than text and bytes."""
        return self.format.view not in _RAW

    @property
    def in_array(self) -> bool:
        """Whether an array out of a tree is shown."""
        return bool(self._array)

    def _text(self) -> Widget:
        source = self._open_source()
        name = self._location.name if self._location else source.name
        return TextPage(
            source,
            self.encoding if self.view is View.LOG else self.encoding.ending_as(self._head),
            hexadecimal=self.view is View.HEX,
            name=name,
            as_log=self.view is View.LOG,
        )

    async def _picture(self, source: Source) -> Widget:
        width, height = max(1, self.size.width), max(1, self.size.height)
        own = self._graphics is not None and self._graphics.ready(self.app)
        ground = self.background_colors[1].rgb
        scale = (8, 16) if own else (1, 2)
        found = await pictures.picture(source, width * scale[0], height * scale[1], ground)
        frames = f", {found.frames} frames" if found.frames > 1 else ""
        self.words = f"{found.width} × {found.height} pixels{frames}"
        if own and self._graphics is not None:
            return self._graphics.widget(found)
        blocks = HalfBlocks()
        blocks.set_pixels(found)
        return blocks

    def on_resize(self) -> None:
        """A picture or a document is laid out anew."""
        if self.view in (View.PICTURE, View.MARKDOWN, View.NOTEBOOK) and self.source is not None:
            begin(self, partial(self.show, self.view), group="lay", exclusive=True)

    async def _document(self, source: Source) -> Widget:
        width = max(20, min(100, self.size.width - 2))
        make = documents.markdown if self.view is View.MARKDOWN else documents.notebook
        found = await make(source, width)
        page = Lines()
        page.set_lines([[(" ", "text"), *line] for line in found])
        return page

    async def _table(self, source: Source) -> Widget:
        shape = await tables.shape(source, self._chosen.codec if self._chosen is not None else None)
        self.encoding = BY_CODEC[shape.codec]
        places = [shape.body]
        grid: GridView

        async def fetch(first: int, count: int) -> list[list[str]]:
            at = min(first // tables.STRIDE, len(places) - 1)
            rows = await tables.rows(source, shape, places[at], first - at * tables.STRIDE, count)
            return [[str(number), *row] for number, row in enumerate(rows, first + 1)]

        def told(noted: tables.Noted) -> None:
            known = len(places) if len(places) > 1 else 0
            places[known:] = [*places[known:known], *noted.places] if known else list(noted.places) or places
            grid.set_rows(noted.rows)
            more = "" if noted.read >= source.size else " so far"
            wide = " (the first ones)" if shape.wider else ""
            above = f", {counted(len(shape.above), 'line')} above them" if shape.above else ""
            written = "" if self.encoding is UTF8 else f", {self.encoding.name}"
            rows, columns = counted(noted.rows, "row"), counted(len(shape.columns), "column")
            self.words = f"{rows}{more}, {columns}{wide}{above}{written}"
            self.post_message(self.Told())

        async def count() -> None:
            try:
                told(await tables.note(source, shape, told))
            except LabboxError as error:
                self.post_message(self.Failed(error))

        columns = [(each.title, each.width, each.kind in ("integer", "number")) for each in shape.columns]
        grid = GridView(columns, fetch, 0)
        grid.trouble = self._failed
        begin(self, count, group="count", exclusive=True)
        return grid

    def _failed(self, error: LabboxError) -> None:
        self.post_message(self.Failed(error))

    async def _tree(self, source: Source) -> Widget:
        self._found = await arrays.tree(source, self.format.view)
        table = RowsTable([Column("name", "name", 24, grow=1, most=60), Column("what", "what", 20, grow=2)])
        table.empty = "There is nothing in it."
        rows: list[list[Cell]] = []
        for node in self._found:
            ink = "dim" if node.attribute else "text" if node.array else "folder"
            sign = "@" if node.attribute else ""
            rows.append(
                [
                    [("  " * node.depth + sign + node.name, ink)],
                    [(node.what, "dim" if not node.array else "note")],
                ]
            )
        table.set_rows(rows)
        count = sum(node.array for node in self._found)
        self.words = f"{count} array{'' if count == 1 else 's'}"
        return table

    async def _window(self, source: Source) -> Widget:
        view, path = self.format.view, self._array
        first = await arrays.window(source, view, path, 0, 200)

        async def fetch(start: int, count: int) -> list[list[str]]:
            found = first if start == 0 else await arrays.window(source, view, path, start, count)
            return [list(row) for row in found.rows]

        widths = [
            max((len(row[place + 1]) for row in first.rows if place + 1 < len(row)), default=3)
            for place in range(len(first.columns))
        ]
        columns = [(title, width, True) for title, width in zip(first.columns, widths, strict=True)]
        grid = GridView(columns, fetch, first.total)
        grid.trouble = self._failed
        shown = f"{visible_line(path)}: " if path else ""
        self.words = f"{shown}{counted(first.total, 'row')}"
        return grid

    async def _archive(self) -> Widget:
        if self._location is None or self._places is None:
            raise LabboxError("invalid", "cannot look into the archive: it has no place", "")
        rows, words = await archive_rows(self._location, self._places)
        table = RowsTable([Column("name", "name", 20, grow=1), Column("size", "size", 10, right=True)])
        table.empty = "The archive is empty."
        table.set_rows(rows)
        self.words = words
        return table

    # Enter and back.

    def on_table_chosen(self, message: Table.Chosen) -> None:
        """Look into an array of a tree."""
        message.stop()
        if (
            self.view in (View.HDF5, View.ARRAYS, View.MATLAB)
            and not self._array
            and message.row < len(self._found)
        ):
            node = self._found[message.row]
            if node.array:
                self._array = node.path
                begin(self, partial(self.show, self.view), group="lay", exclusive=True)

    async def leave_array(self) -> None:
        """Back to the tree."""
        self._array = ""
        await self.show(self.view)

    # The file in words.

    def about(self) -> str:
        """What it is, how large, and what else is known."""
        size = format_bytes(self.source.size) if self.source is not None else ""
        return " · ".join(part for part in (self.format.words, size, self.words) if part)

    def next_encoding(self) -> Encoding:
        """The encoding after the present one."""
        self.encoding = self._chosen = ALL[(ALL.index(self.encoding) + 1) % len(ALL)]
        return self.encoding

    async def _detected(self, source: Source) -> Encoding:
        """The encoding of a text that is no UTF-8; where that cannot be told, the usual one."""
        from labbox.files.viewing import charsets

        try:
            return await charsets.detected(source, self.encoding)
        except LabboxError:
            return self.encoding

    def on_text_page_told(self, message: TextPage.Told) -> None:
        """Pass it on."""
        message.stop()
        self.post_message(self.Told())

    def on_text_page_failed(self, message: TextPage.Failed) -> None:
        """Pass it on."""
        message.stop()
        self.post_message(self.Failed(message.error))
