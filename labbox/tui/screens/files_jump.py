"""Go to a path: a line to type it in, completed from what is there."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input, Static

from labbox.errors import LabboxError
from labbox.files.ordering import natural
from labbox.files.places.base import EntryKind
from labbox.locations import Location, path_text
from labbox.text import visible, visible_line
from labbox.tui.browsing import Browser, location_below
from labbox.tui.widgets.dialog import Dialog
from labbox.tui.widgets.entry import Entry
from labbox.tui.widgets.working import begin

_MOST = 200  # names that a completion looks at to be shown
_SHOWN = 8


class Jump(Dialog[Location]):
    """Dismissed with the location."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("tab", "complete", show=False, priority=True),
    ]

    def __init__(self, browser: Browser) -> None:
        """Relative paths begin where the browser is."""
        super().__init__("Go to")
        self._browser = browser

    def compose(self) -> ComposeResult:
        """The line, what would complete it, the hint."""
        yield self.framed(
            Entry(example="a path, shared:/…, project:NAME/…, job:17/, sftp://host/…", id="path"),
            Static("", id="candidates", markup=False),
            Static("", id="complaint", markup=False),
            Static("Tab completes · Enter goes · Esc back", classes="hint", markup=False),
            kind="wide",
        )

    def on_mount(self) -> None:
        """Type away."""
        self.query_one("#path", Input).focus()

    @on(Input.Submitted)
    def entered(self, event: Input.Submitted) -> None:
        """Go there, if it is a location."""
        try:
            self.dismiss(location_below(event.value, self._browser.location))
        except LabboxError as error:
            self.query_one("#complaint", Static).update(visible(f"{error.message}\n{error.hint}"))

    def action_complete(self) -> None:
        """Complete the last name as far as only one can be meant, and show what it could be."""
        begin(self, self._complete, group="complete", exclusive=True)

    async def _complete(self) -> None:
        entry = self.query_one("#path", Input)
        text = entry.value
        folder, slash, begun = text.rpartition("/")
        before = folder + slash
        try:
            base = location_below(before, self._browser.location) if before else self._browser.location
            names = await self._names(base, begun)
        except LabboxError as error:
            self.query_one("#complaint", Static).update(visible(error.message))
            return
        self.query_one("#complaint", Static).update("")
        if names:
            common = names[0]
            for name in names:
                while not name.startswith(common):
                    common = common[:-1]
            if len(common) >= len(begun) and entry.value == text:
                entry.value = before + path_text(common)
                entry.cursor_position = len(entry.value)
        shown = "\n".join("  " + visible_line(name) for name in names[:_SHOWN])
        more = f"\n  … {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        self.query_one("#candidates", Static).update(shown + more if names else "  nothing like that")

    async def _names(self, base: Location, begun: str) -> list[str]:
        place, path = await self._browser.place_of(base)
        found: list[str] = []
        async for batch in place.list(path, full=False):
            for entry in batch:
                if entry.name.startswith(begun) and (begun.startswith(".") or entry.name[0] != "."):
                    folder = entry.folder or entry.kind is EntryKind.FOLDER
                    found.append(entry.name + "/" if folder else entry.name)
            if len(found) > 100 * _MOST:
                break
        return sorted(found, key=natural)
