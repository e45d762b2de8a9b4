"""The interface of a session: one app over one client."""

from __future__ import annotations

import asyncio
import os
import termios
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

os.environ.setdefault(
    "TEXTUAL_SMOOTH_SCROLL", "0"
)  # read when Textual is imported: no mouse reports in pixels
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")

from msgspec.structs import replace
from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.app import App
from textual.binding import Binding
from textual.css.query import NoMatches
from textual.driver import Driver
from textual.keys import Keys

from labbox.errors import LabboxError
from labbox.locations import parse as parse_location
from labbox.model import RUNS, Role
from labbox.protocol import Caller, Event, JobPage, Notice, Status
from labbox.text import visible, visible_line
from labbox.tui import clock, keys, look
from labbox.tui.graphics import Graphics
from labbox.tui.joblist import PAGE
from labbox.tui.keyorder import KeyOrder
from labbox.tui.link import Calls, Feed
from labbox.tui.screens.base import Pane
from labbox.tui.screens.files import FilesScreen
from labbox.tui.screens.jobs import JobsScreen
from labbox.tui.settings import Settings, load_settings, save_settings
from labbox.tui.sparing import Sparing
from labbox.tui.terminalkeys import EscapeDigits, function_key, read_as_sent
from labbox.tui.widgets.working import begin

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.screen import Screen

    from labbox.client import Client
    from labbox.tui.prepared import Prepared

STATUS_EVERY = 10  # seconds between two looks at the box while nobody types
STATUS_SOON = (
    2  # while somebody does, or something is wrong: with SILENCE, a box that hangs is told of within five
)
ATTENDED = 15  # seconds after a key in which somebody is there
SILENCE = 3  # seconds without an answer after which the box counts as lost
STATUS_AFTER_JOBS = (
    0.5  # seconds in which changes of jobs are gathered before the box's numbers are asked for
)
MOST_SAID = 200  # what was told in passing and can be read again
MOST_TOASTS = 3  # notices that are spoken of at a time
LONGEST_TITLE = 200  # characters
TITLE, PUSH_TITLE, POP_TITLE = "\x1b]2;{}\x07", "\x1b[22;2t", "\x1b[23;2t"  # as xterm has them


class LabboxApp(App[int]):
    """Holds what all screens share: who one is, the events, the notices, the boundary for errors."""

    CSS_PATH = "theme.tcss"
    TITLE = "labbox"
    ENABLE_COMMAND_PALETTE = False  # Textual's own key for it; ours is in the table of keys
    BINDINGS: ClassVar[list[Any]] = [
        Binding("ctrl+c", "help_quit", show=False, priority=False),
        Binding(
            "ctrl+q", "nothing", show=False, priority=False
        ),  # Textual's quit; the quick view of the files
    ]

    def __init__(
        self,
        client: Client,
        theme: str | None = None,
        driver_class: type[Driver] | None = None,
        start: str = "files",
    ) -> None:
        """`theme`, `driver_class` None: what fits the terminal. `start`: the first screen, files or jobs."""
        super().__init__(driver_class)
        for each in look.themes_for(look.depth_of(os.environ)):
            self.register_theme(each)
        self._own_theme = theme is None  # what fits, or what the person has chosen
        self.theme = theme or look.theme_for(os.environ)
        self._painted_with = self.get_css_variables()
        self.stylesheet.set_variables(self._painted_with)
        self.animation_level = "none"
        self.client = client
        self.start = start
        self.awake = asyncio.Event()  # set when there is a client to ask
        self._introduced = asyncio.Event()  # set when the box has said who asks, or has not
        self.calls = Calls()
        self._key_order = KeyOrder(self)
        self._escape_digits = EscapeDigits()
        self.graphics = Graphics()
        self._sparing = Sparing()
        self.caller: Caller | None = None
        self.status: Status | None = None
        self.trouble = ""
        self.settings = Settings()
        self.notices: list[Notice] = []  # all that are kept, newest first
        self.unread = 0  # of them, those that nobody has looked at
        self._notices_asked = self._notices_of = 0  # how often; and with which of these they came
        self._told = 0  # the newest one that was spoken of
        self.said: deque[tuple[datetime, str, str]] = deque(maxlen=MOST_SAID)  # when, title, text
        self.spoken: set[int | None] = set()  # jobs of whose end a screen has told in words of its own
        self._titled = False  # the terminal's title is ours
        self.first_page: asyncio.Future[JobPage]
        self._page_used = False
        self._feed: Feed | None = None
        self._seconds = 0
        self._typed = 0  # the second of the last key
        self._status_asked: float | None = None
        self._status_due = False

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Send only the cells that differ; all of them where the terminal's own pictures lie over cells."""
        super()._display(screen, renderable if self.graphics.asked else self._sparing.lean(renderable))

    def _resume_signal(self) -> None:
        """Another program has had the terminal."""
        self._sparing.forget()
        super()._resume_signal()

    # Who and where.

    @property
    def me(self) -> str:
        """The caller's name; the login's until the box has said it."""
        return self.caller.name if self.caller else os.environ.get("USER", "")

    async def who(self) -> str:
        """The caller's name as the box has it; a login on another machine may be called otherwise."""
        await self._introduced.wait()
        return self.me

    @property
    def is_admin(self) -> bool:
        """Whether the caller administers the box."""
        return self.caller is not None and self.caller.role is Role.ADMIN

    @property
    def box_name(self) -> str:
        """The box's name, once known."""
        return self.status.box if self.status else ""

    def whereabouts(self, key: str) -> str:
        """What the title bar says at its right end; `key` shows the notices."""
        unread = f"{self.unread} notices ({key}) · " if self.unread > 1 else ""
        unread = f"1 notice ({key}) · " if self.unread == 1 else unread
        who = f"{self.me} (admin)" if self.is_admin else self.me
        return f"{unread}{who}@{self.box_name}" if self.box_name else f"{unread}{who}"

    # The beginning and the end.

    def refresh_css(self, animate: bool = True) -> None:
        """Read the style sheet again where the theme is another; Textual asks at every start, for nothing."""
        wanted = self.get_css_variables()
        if wanted != self._painted_with:
            self._painted_with = wanted
            super().refresh_css(animate)

    def on_mount(self) -> None:
        """Show the first screen."""
        self.begin()
        self._show(JobsScreen if self.start == "jobs" else FilesScreen)

    def begin(self) -> None:
        """Ask for the first page at once, beside the making of the first screen."""
        self.settings = load_settings()
        theme = look.theme_for(os.environ, self.settings.theme)
        if self._own_theme and theme != self.theme:
            self.theme = theme
        self.graphics.wanted = self.graphics.wanted or self.settings.graphics
        limit = PAGE if self.start == "jobs" else 1  # the file manager wants no more than where events stand
        self.first_page = asyncio.ensure_future(
            self.calls.ask(lambda: self.client.list_jobs(limit=limit, array=0, kind=RUNS))
        )
        self.awake.set()
        self.run_worker(self.guarded(self._introduce()), group="app")
        self.set_interval(1.0, self._tick)

    async def newest_jobs(self) -> JobPage:
        """The newest jobs: what was asked for at the start, the first time and where that was for them."""
        if self._page_used or self.start != "jobs":
            return await self.calls.ask(lambda: self.client.list_jobs(limit=PAGE, array=0, kind=RUNS))
        self._page_used = True
        return await self.first_page

    async def cursor(self) -> int:
        """The place in the box's events from which on to follow them."""
        if self._page_used:
            return (await self.calls.ask(lambda: self.client.list_jobs(limit=1))).cursor
        self._page_used = True
        return (await self.first_page).cursor

    # The two main screens stand on each other, and each keeps its state while the other is in front.

    def _show(self, kind: type[JobsScreen] | type[FilesScreen]) -> None:
        for place, screen in enumerate(self.screen_stack):
            if isinstance(screen, kind):
                for _ in self.screen_stack[place + 1 :]:
                    self.pop_screen()
                return
        name = kind.KEYS
        if self.is_screen_installed(name):
            self.push_screen(name)
            shown = self.get_screen(name)
            if isinstance(shown, Pane):
                shown.retitle()
                shown.read_again()
        else:
            screen = kind()
            self.install_screen(screen, name)
            self.push_screen(screen)

    def show_jobs(self) -> None:
        """The job view."""
        self._show(JobsScreen)

    def show_files(self) -> None:
        """The file manager."""
        self._show(FilesScreen)

    async def _introduce(self) -> None:
        try:
            self.caller = await self.calls.ask(self.client.whoami)
        finally:
            self._introduced.set()
        await self._ask_status()
        for screen in self.panes():
            screen.retitle()
        await self.fetch_notices(quiet=True)

    def follow(self, cursor: int) -> None:
        """Follow the box's events from here on."""
        if self._feed is None:
            self._feed = Feed(self.client, self._events_arrived, self._lost, self._found)
            self._feed.start(cursor)

    async def on_event(self, event: events.Event) -> None:
        """One key after the other; Esc and a digit are a function key, Esc and another key two keys.

        Terminals send Alt with a key as the same bytes, and a slow line puts Esc and the next key into one
        packet. Where no Alt key is bound both would be lost.
        """
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        self._typed = self._seconds
        if not self.screen_stack or self._key_order.holds(event):  # without a screen the app is ending
            return
        screen = self.screen
        if isinstance(event, events.Key):
            wanted = self._escape_digits.key_for(event, screen)
            if wanted is None:
                return
            event = wanted
            if event.key == "escape" and isinstance(screen, Pane):
                self._escape_digits.escaped(screen, screen.before_escape())
        if (
            isinstance(event, events.Key)
            and isinstance(screen, FilesScreen)
            and self.app_focus
            and screen.take(event.key, more=self._key_order.has_more or not self._message_queue.empty())
        ):
            return
        if isinstance(event, events.Key) and event.key.startswith("alt+"):
            last = event.key.removeprefix("alt+")
            bound = self.screen.active_bindings
            escape = bound.get("escape")
            if len(last) == 1 and last.isdigit():
                event = function_key(last)
            elif isinstance(screen, Pane) and screen.KEYS in keys.TYPING and event.key not in bound:
                self.say(
                    f"{keys.key_name(event.key)} means nothing here. F1 lists the keys, F9 has the menu."
                )
                return
            elif escape is not None and event.key not in bound and event.character is not None:
                await self.run_action(escape.binding.action, escape.node)
                event = events.Key(last, event.character)
        target = self.focused or self.screen
        self._key_order.begins()
        await super().on_event(event)
        self._key_order.sent(target)

    async def on_unmount(self) -> None:
        """Let the threads go, and the terminal have its title back."""
        self.entitle("")
        if self._feed is not None:
            self._feed.stop()
        self.calls.close()
        self._key_order.close()
        if not self.first_page.done():
            self.first_page.cancel()

    # Events.

    def panes(self) -> list[Pane]:
        """The open screens, the first one first."""
        return [screen for screen in self.screen_stack if isinstance(screen, Pane)]

    def _events_arrived(self, events: list[Event]) -> None:
        for screen in self.panes():
            if screen.is_mounted:
                screen.events_arrived(events)
        if any(event.kind == "job" for event in events) and not self._status_due:
            self._status_due = True
            asyncio.get_running_loop().call_later(STATUS_AFTER_JOBS, self._jobs_changed)
        if any(event.kind == "notice" for event in events):
            begin(self, partial(self._guarded, self.fetch_notices), group="notices", exclusive=True)

    def _jobs_changed(self) -> None:
        self._status_due = False
        if self.is_running:
            begin(self, self._look_after, group="status", exclusive=True)

    def _lost(self, problem: str) -> None:
        self.set_trouble(f"The box does not answer; trying again. ({problem})")

    def _found(self, everything: bool) -> None:
        self.set_trouble("")
        for screen in self.panes():
            if everything:
                screen.read_again()
        begin(self, partial(self._guarded, self._ask_status), group="status", exclusive=True)

    def set_trouble(self, text: str) -> None:
        """Put a sentence under the title of every screen; an empty one takes it away."""
        if text != self.trouble:
            self.trouble = text
            for screen in self.panes():
                if screen.is_mounted:
                    screen.show_trouble(text)

    async def _ask_status(self) -> None:
        self._status_asked = asyncio.get_running_loop().time()
        try:
            self.status = await self.calls.ask(self.client.status)
        finally:
            self._status_asked = None
        engine = self.status.engine
        for screen in self.panes():
            screen.retitle()
        self.set_trouble(
            "" if engine.available else f"The container engine is away: jobs wait. {engine.reason}".strip()
        )

    def _tick(self) -> None:
        if not self.screen_stack:  # the app is ending
            return
        self._seconds += 1
        if isinstance(self.screen, Pane) and self.screen.is_mounted:
            with suppress(NoMatches):  # it is taken down, and has not all its widgets any more
                self.screen.tick()
        if self._status_asked is not None:
            if asyncio.get_running_loop().time() - self._status_asked > SILENCE:
                self.set_trouble("The box does not answer; trying again. What is shown may be old.")
        elif self._seconds % self._pace() == 0:
            begin(self, self._look_after, group="status")

    def _pace(self) -> int:
        return STATUS_SOON if self.trouble or self._seconds - self._typed <= ATTENDED else STATUS_EVERY

    async def _look_after(self) -> None:
        try:
            await self._ask_status()
        except LabboxError as error:
            self.set_trouble(f"The box does not answer; trying again. ({error.message})")

    async def fetch_notices(self, quiet: bool = False) -> None:
        """Ask for the notices, and tell of those that came: once, however often they are asked for.

        Answers may overtake one another: one that was asked for before what is known is left aside.
        """
        self._notices_asked += 1
        asked = self._notices_asked
        answer = await self.calls.ask(lambda: self.client.notices(True))
        if asked < self._notices_of:
            return
        self._notices_of = asked
        self.notices = list(answer.notices)
        fresh = [notice for notice in self.notices if not notice.seen and notice.id > self._told]
        self._told = max([self._told, *(notice.id for notice in fresh)])
        self.unread = sum(not notice.seen for notice in self.notices)
        if fresh and (not quiet or len(fresh) == 1):
            self._tell(fresh, at_once=not quiet)
        elif fresh:
            key = self.screen.notices_key() if isinstance(self.screen, Pane) else "n"
            self.say(f"{len(fresh)} things happened since your last look. {key} shows them.", "Notices")
        if not self.unread:
            self.entitle("")
        for screen in self.panes():
            screen.retitle()

    def _tell(self, fresh: list[Notice], at_once: bool) -> None:
        """Notices came: in the corner, by the bell, in the terminal's title, as the person has chosen."""
        unspoken = [notice for notice in fresh if notice.job not in self.spoken]
        if self.settings.toasts:
            for notice in reversed(unspoken[:MOST_TOASTS]):
                self.say(notice.text, "Notice")
            if len(unspoken) > MOST_TOASTS:
                self.say(f"and {len(unspoken) - MOST_TOASTS} more", "Notices")
        if at_once and self.settings.bell:
            self.bell()
        if at_once:
            self.entitle(fresh[0].text if len(fresh) == 1 else f"{len(fresh)} notices")

    def notices_seen(self) -> None:
        """Their person looks at them, here: other screens of theirs, and the words, hear of it."""
        newest = self.notices[0].id if self.notices else 0
        if self.unread:
            self.unread = 0
            self._notices_asked += 1
            self._notices_of = self._notices_asked  # what was asked for before calls them new
            self.entitle("")
            self.run_worker(self.guarded(self._mark_seen(newest)), group="seen")

    async def _mark_seen(self, newest: int) -> None:
        try:
            await self.calls.ask(lambda: self.client.see_notices(newest))
        except LabboxError as error:
            if error.code != "forbidden":  # a token that only reads: they stay new
                raise

    def entitle(self, text: str) -> None:
        """Let the terminal's title say something; empty: what it said before us."""
        driver = self._driver
        if driver is None or not (self._titled or (text and self.settings.title)):
            return
        if not self._titled:
            driver.write(PUSH_TITLE)
        self._titled = bool(text)
        driver.write(TITLE.format(visible_line(f"● {text}")[:LONGEST_TITLE]) if text else POP_TITLE)
        driver.flush()

    # The boundary.

    def say(self, text: str, title: str = "") -> None:
        """Tell something in passing; M shows it once more."""
        self.said.append((clock.now(), title, text))
        self.notify(visible(text), title=title, markup=False, timeout=6)

    def show_error(self, error: LabboxError) -> None:
        """What could not be done, and what to do next."""
        from labbox.tui.widgets.dialog import Message

        if error.code == "unavailable" and self._feed is not None:
            self.set_trouble(f"The box does not answer. ({error.message})")
        first, verb = (*error.message.split(maxsplit=2), "", "")[:2]
        title = f"Cannot {verb.rstrip(':')}…" if first == "cannot" and verb else "Error"
        self.push_screen(Message(title, error.message, error.hint, kind="danger"))

    async def guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something; what the box or the system refuses is shown, and nothing else is swallowed."""
        try:
            await work
        except LabboxError as error:
            self.show_error(error)

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """The same of work that is begun here: what is dropped before that leaves nothing behind."""
        await self.guarded(work())

    # Actions of the scope "app".

    def action_help(self) -> None:
        """Keys of the screen in front."""
        from labbox.tui.screens.help import HelpScreen

        if isinstance(self.screen, Pane):
            self.push_screen(HelpScreen(self.screen.KEYS))

    def action_menu(self) -> None:
        """The menu of everything."""
        from labbox.tui.screens.menu import MenuScreen

        if isinstance(self.screen, Pane):
            self.push_screen(MenuScreen(self.screen.KEYS, self.is_admin), self.perform)

    def action_palette(self) -> None:
        """Everything, by words."""
        from labbox.tui.screens.palette import PaletteScreen

        if isinstance(self.screen, Pane):
            self.push_screen(PaletteScreen(self.screen.KEYS, self.is_admin), self.perform)

    def perform(self, action: str | None) -> None:
        """Run an action by its name in the table, on the screen in front."""
        if action:
            self.call_later(self.run_action, action, self.screen)

    def _open(self, screen: Pane) -> None:
        if type(self.screen) is not type(screen):
            self.push_screen(screen)

    def action_notices(self) -> None:
        """What happened."""
        from labbox.tui.screens.notices import NoticesScreen

        self._open(NoticesScreen())

    def action_open_job(self, number: int) -> None:
        """The details of a job, by its number."""
        self.run_worker(self.guarded(self._open_job(number)), group="open")

    async def _open_job(self, number: int) -> None:
        from labbox.tui.screens.detail import DetailScreen

        detail = await self.calls.ask(lambda: self.client.show_job(number))
        self.push_screen(DetailScreen(detail.job))

    def action_open_place(self, text: str) -> None:
        """A place of the panes, by its path."""
        self.run_worker(self.guarded(self._open_place(text)), group="open")

    async def _open_place(self, text: str) -> None:
        location = parse_location(text)
        self.show_files()
        if isinstance(self.screen, FilesScreen):
            self.screen.go_soon(location)

    def action_messages(self) -> None:
        """What was told in passing."""
        from labbox.tui.screens.messages import MessagesScreen

        self._open(MessagesScreen())

    def action_settings(self) -> None:
        """What a person may choose for their screens."""
        from labbox.tui.screens.settings import SettingsScreen

        self._open(SettingsScreen())

    def choose(self, settings: Settings) -> None:
        """Take settings at once, and for every login from now on."""
        if settings == self.settings:
            return
        self.settings = settings
        self.theme = look.theme_for(os.environ, settings.theme)
        self.graphics.wanted = settings.graphics
        if not settings.title:
            self.entitle("")
        begin(self, partial(self._guarded, partial(self._keep, settings)), group="settings", exclusive=True)

    async def _keep(self, settings: Settings) -> None:
        try:
            await self.calls.ask(lambda: save_settings(settings))
        except LabboxError as error:
            raise LabboxError(
                "unavailable", f"cannot keep the settings: {error.message}", "They hold until you leave."
            ) from error

    def action_box(self) -> None:
        """How the box stands."""
        from labbox.tui.screens.box import BoxScreen

        self._open(BoxScreen())

    def action_usage(self) -> None:
        """Who took how much."""
        from labbox.tui.screens.usage import UsageScreen

        self._open(UsageScreen())

    def action_account(self) -> None:
        """Password, keys and tokens."""
        from labbox.tui.screens.account import AccountScreen

        self._open(AccountScreen())

    def action_users(self) -> None:
        """All people, for administrators."""
        from labbox.tui.screens.users import UsersScreen

        if self.is_admin:
            self._open(UsersScreen())
        else:
            self.say("Only administrators see the users.")

    def action_projects(self) -> None:
        """Who shares which folder."""
        from labbox.tui.screens.projects import ProjectsScreen

        self._open(ProjectsScreen())

    def action_audit(self) -> None:
        """Who did what, for administrators."""
        from labbox.tui.screens.audit import AuditScreen

        if self.is_admin:
            self._open(AuditScreen())
        else:
            self.say("Only administrators see the audit trail.")

    def action_theme(self) -> None:
        """The next theme, here and at the next login."""
        names = [theme.name for theme in look.THEMES]
        name = names[(names.index(self.theme) + 1) % len(names)]
        self.choose(replace(self.settings, theme=name.removeprefix("labbox-")))
        self.theme = name
        self.say(f"Theme: {name.removeprefix('labbox-')}. It is there again at your next login.")

    def action_leave(self) -> None:
        """End the session; jobs go on."""
        self.exit(0)

    def action_nothing(self) -> None:
        """A key of Textual's that means nothing here."""

    def action_help_quit(self) -> None:
        """Ctrl+C is no way out by accident."""
        self.say("F10 quits. Jobs go on without you.")


read_as_sent()

_prepared: Prepared | None = None  # in the spawner, and so at the start of a session


def preload() -> None:
    """Import all that a session may need, and begin an app that it only wakes."""
    global _prepared
    from labbox.tui.preload import preload as load

    _prepared = load()


def main(client: Client, start: str = "files") -> int:
    """Show the interface on the controlling terminal; returns the exit code.

    `start` is the first screen: files or jobs.
    """
    global _prepared
    prepared, _prepared = _prepared, None
    tell_backspace_from_ctrl_h()
    if prepared is not None and start == "files" and prepared.fits():
        return prepared.run(client)
    return LabboxApp(client, start=start).run() or 0


def tell_backspace_from_ctrl_h() -> None:
    """Both keys may send the same byte; the terminal says which one Backspace sends (its erase character)."""
    try:
        erase = termios.tcgetattr(0)[6][termios.VERASE]
    except (termios.error, OSError):
        return
    if erase == b"\x7f":
        cast("dict[str, Any]", ANSI_SEQUENCES_KEYS)["\x08"] = (Keys.ControlH,)
