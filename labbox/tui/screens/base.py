"""What all screens have in common: the two bars, keys from the table, the way to ask the box."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from textual.app import ComposeResult
from textual.css.query import NoMatches
from textual.widget import Widget

from labbox.protocol import Event
from labbox.tui import keys
from labbox.tui.widgets.bars import Banner, KeyBar, TitleBar
from labbox.tui.widgets.leaving import LeavesOnce
from labbox.tui.widgets.paint import Alike

if TYPE_CHECKING:
    from labbox.tui.app import LabboxApp

T = TypeVar("T")

# Groups of work whose outcome the next key is to meet: a dialog that opens, a folder that is gone into.
AWAITED: Final = ("dialog", "go", "open", "show", "find", "seek", "filter", "arrange")


class _Begun:
    """Work that the next one of its group may take the place of before it has begun: then it is dropped."""

    def __init__(
        self,
        work: Coroutine[Any, Any, None],
        wrap: Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, None]],
        group: str,
        owed: set[_Begun],
    ) -> None:
        self._work, self._wrap = work, wrap
        self._begun = False
        self.group, self._owed = group, owed
        self.seen = False  # there is something on the screen to see of it
        if group.partition("-")[0] in AWAITED:
            owed.add(self)

    async def run(self) -> None:
        self._begun = True
        try:
            await self._wrap(self._work)
        finally:
            self._owed.discard(self)

    def drop(self) -> None:
        self._owed.discard(self)
        if not self._begun:
            self._work.close()


class Pane(LeavesOnce[None], Alike):
    """A full screen between the title bar and the function keys."""

    KEYS: ClassVar[str] = "pane"  # its name in `keys.SCREENS`
    HEADING: ClassVar[str] = ""
    FOLLOWS: ClassVar[frozenset[str]] = frozenset()  # kinds of events after which its list is read again

    def __init_subclass__(cls, **options: Any) -> None:
        """Bind the keys of the table."""
        if "KEYS" in cls.__dict__ or not cls.__dict__.get("BINDINGS"):
            cls.BINDINGS = list(keys.bindings(cls.KEYS))
        super().__init_subclass__(**options)

    def __init__(self) -> None:
        """Nothing is asked for before it stands."""
        super().__init__()
        self._latest: dict[str, _Begun] = {}
        self.owed: set[_Begun] = set()  # what keys began and the next key waits for, a moment at most

    @property
    def lab(self) -> LabboxApp:
        """The app, by its own type."""
        from labbox.tui.app import LabboxApp

        app = self.app
        assert isinstance(app, LabboxApp)  # noqa: S101 - for the type checker: no other app shows these screens
        return app

    def body(self) -> Iterator[Widget]:
        """What stands between the bars."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Title, banner, body, keys."""
        yield TitleBar(self.heading(), self.lab.whereabouts(self.notices_key()))
        yield Banner()
        yield from self.body()
        yield KeyBar(keys.function_keys(self.KEYS, self.lab.is_admin))

    def heading(self) -> str:
        """What the title bar says."""
        return self.HEADING

    def on_mount(self) -> None:
        """Show what is wrong right now, if anything is, and begin."""
        self.show_trouble(self.lab.trouble)
        self.begin()

    def begin(self) -> None:
        """Called once when the screen stands: ask for what it shows."""

    def show_trouble(self, text: str) -> None:
        """Put a sentence under the title; an empty one takes it away."""
        for banner in self.query(Banner):
            banner.say(text)

    def retitle(self) -> None:
        """Write the title bar anew."""
        for bar in self.query(TitleBar):
            bar.say(self.heading(), self.lab.whereabouts(self.notices_key()))

    def notices_key(self) -> str:
        """What shows the notices here: their letter, or the menu where that letter means something else."""
        return "n" if keys.means(self.KEYS, "n") == "app.notices" else "F9 Box"

    async def ask(self, call: Callable[[], T]) -> T:
        """The result of a client call, made in a thread."""
        return await self.lab.calls.ask(call)

    def attempt(
        self, work: Coroutine[Any, Any, None], group: str = "default", exclusive: bool = False
    ) -> None:
        """Do something that may fail; a failure is shown at the one boundary."""
        begun = _Begun(work, lambda work: self.lab.guarded(self._while_shown(work)), group, self.owed)
        if exclusive:
            if group in self._latest:
                self._latest[group].drop()
            self._latest[group] = begun
        run: Callable[[], Awaitable[None]] = begun.run
        self.run_worker(run, group=group, exclusive=exclusive, exit_on_error=True)

    def seen(self, group: str) -> None:
        """There is something to see of the work of a group, which goes on."""
        for begun in self.owed:
            if begun.group == group:
                begun.seen = True

    async def _while_shown(self, work: Coroutine[Any, Any, None]) -> None:
        """An answer that comes while the screen goes away finds its widgets gone; nothing is left to do."""
        try:
            await work
        except NoMatches:
            if self.is_current and self.app.is_running and not self.app._exit:  # noqa: SLF001 - told nowhere else
                raise

    def events_arrived(self, events: list[Event]) -> None:
        """Something changed on the box."""
        if any(event.kind in self.FOLLOWS for event in events):
            self.read_again()

    def read_again(self) -> None:
        """The connection was lost for long, or too much changed: ask for everything again."""

    def tick(self) -> None:
        """A second has passed, and the screen is in front."""

    def before_escape(self) -> Callable[[], None] | None:
        """What takes back what Esc is about to do here, if a digit behind it makes a function key of both."""
        return None

    def action_back(self) -> None:
        """Return to the screen before; nothing stands beneath the first one."""
        if self.lab.panes()[:1] == [self]:
            self.lab.say("F10 quits. Jobs go on without you.")
        else:
            self.dismiss(None)

    def on_key_bar_pressed(self, message: KeyBar.Pressed) -> None:
        """A function key was clicked."""
        for binding in keys.bindings(self.KEYS):
            if binding.key == message.key:
                self.call_later(self.app.run_action, binding.action, self)
