"""Projects: who shares which folder. Administrators make and remove them, and say who is in."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from textual import on
from textual.widget import Widget

from labbox.errors import LabboxError
from labbox.protocol import Project
from labbox.text import visible_line
from labbox.tui.format import local_time, so_many
from labbox.tui.screens.base import Pane
from labbox.tui.widgets.dialog import Field, Form
from labbox.tui.widgets.table import Cell, Column, RowsTable


def names_of(text: str) -> tuple[str, ...]:
    """Names with blanks or commas between them, each once."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))


def some_names(text: str) -> tuple[str, ...]:
    """The same, at least one."""
    names = names_of(text)
    if not names:
        raise LabboxError(
            "invalid", "cannot tell who is meant", "Write one name, or several with blanks between."
        )
    return names


def members_among(members: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """A check that takes names of these members alone."""

    def check(text: str) -> tuple[str, ...]:
        names = some_names(text)
        for name in names:
            if name not in members:
                raise LabboxError(
                    "invalid", f"cannot let {name} go: not a member", f"In it are {', '.join(members)}."
                )
        return names

    return check


class ProjectsScreen(Pane):
    """One row for each project; Enter shows its folder in the panes."""

    KEYS = "projects"
    HEADING = "Projects"
    FOLLOWS = frozenset({"project", "user"})
    AUTO_FOCUS = "RowsTable"

    def __init__(self) -> None:
        """Nothing read yet."""
        super().__init__()
        self._projects: list[Project] = []

    def body(self) -> Iterator[Widget]:
        """One table."""
        table = RowsTable(
            [
                Column("name", "project", 12, grow=0.5, most=32),
                Column("count", "people", 6, right=True),
                Column("members", "who", 16, grow=1),
                Column("made", "since", 16, need=72),
                Column("gid", "gid", 6, right=True, need=90),
            ]
        )
        table.empty = "Reading…"
        yield table

    def begin(self) -> None:
        """Ask."""
        self.read_again()

    def read_again(self) -> None:
        """Ask again."""
        self.attempt(self._load(), group="load", exclusive=True)

    def action_reread(self) -> None:
        """Ask again."""
        self.read_again()

    async def _load(self) -> None:
        self._projects = list((await self.ask(self.lab.client.list_projects)).projects)
        rows: list[list[Cell]] = [
            [
                [(visible_line(one.name), "text")],
                [(str(len(one.members)), "dim")],
                [
                    (
                        ", ".join(map(visible_line, one.members)) or "nobody yet",
                        "text" if one.members else "warn",
                    )
                ],
                [(local_time(one.created_at), "dim")],
                [(str(one.gid), "dim")],
            ]
            for one in self._projects
        ]
        table = self.query_one(RowsTable)
        table.empty = (
            "No projects yet. F2 makes one: a folder that its members share."
            if self.lab.is_admin
            else "You are in no project. An administrator makes one and takes you in."
        )
        table.set_rows(rows, [one.name for one in self._projects])

    @property
    def _here(self) -> Project | None:
        return self._projects[self.query_one(RowsTable).cursor] if self._projects else None

    def _do(self, work: Callable[[Project], Coroutine[Any, Any, None]]) -> None:
        """Something with the project under the cursor, for those who may."""
        if (here := self._here) and self._may():
            self.attempt(work(here), group="dialog")

    def _may(self) -> bool:
        if not self.lab.is_admin:
            self.lab.say("Only administrators change projects.")
        return self.lab.is_admin

    # Keys.

    @on(RowsTable.Chosen)
    def chosen(self) -> None:
        """Show its folder."""
        self.action_folder()

    def action_folder(self) -> None:
        """Its folder, in the panes."""
        here = self._here
        if here is None:
            return
        name = visible_line(here.name)
        if self.lab.me not in here.members:
            self.lab.say(f"Only members see the files of {name}.")
        elif self.lab.caller is None or here.name not in self.lab.caller.projects:
            self.lab.say(f"You are in {name} since this login: its files are there at your next one.")
        else:
            self.lab.action_open_place(f"project:{here.name}/")

    def action_add(self) -> None:
        """Make a project."""
        if self._may():
            self.attempt(self._add(), group="dialog")

    async def _add(self) -> None:
        answer = await self.app.push_screen_wait(
            Form(
                "Make a project",
                [
                    Field("name", "Name", example="atlas"),
                    Field("members", "Members", self.lab.me, "ada grace", names_of),
                ],
                "Make",
                "Its members share the folder project:NAME/, each from the next login on.",
            )
        )
        if answer is not None:
            name, members = str(answer["name"]).strip(), names_of(" ".join(_tuple(answer["members"])))
            made = await self.ask(lambda: self.lab.client.add_project(name, members))
            self.lab.say(f"The project {made.name} is there, with {so_many(len(made.members), 'member')}.")
            await self._load()

    def action_join(self) -> None:
        """Take people in."""
        self._do(self._join)

    async def _join(self, here: Project) -> None:
        await self._change(
            Form(
                f"Take into {visible_line(here.name)}",
                [Field("who", "Who", example="ada grace", check=some_names)],
                "Take in",
                "They reach its folder from their next login on.",
            ),
            lambda who: self.lab.client.join_project(here.name, who),
        )

    def action_let_go(self) -> None:
        """Let people go."""
        self._do(self._let_go)

    async def _let_go(self, here: Project) -> None:
        if not here.members:
            self.lab.say(f"Nobody is in {visible_line(here.name)}.")
            return
        only = here.members[0] if len(here.members) == 1 else ""
        await self._change(
            Form(
                f"Let go of {visible_line(here.name)}",
                [Field("who", "Who", only, here.members[0], members_among(here.members))],
                "Let go",
                f"In it are {', '.join(map(visible_line, here.members))}. Their files there stay.",
            ),
            lambda who: self.lab.client.leave_project(here.name, who),
        )

    async def _change(self, form: Form, change: Callable[[str], Project]) -> None:
        """Ask who, and change their membership one after the other; what was done is shown if one fails."""
        answer = await self.app.push_screen_wait(form)
        try:
            for who in _tuple(answer["who"]) if answer else ():
                await self.ask(lambda who=who: change(who))  # type: ignore[misc]
        finally:
            await self._load()

    def action_remove(self) -> None:
        """Forget a project."""
        self._do(self._remove)

    async def _remove(self, here: Project) -> None:
        answer = await self.app.push_screen_wait(
            Form(
                f"Remove the project {visible_line(here.name)}?",
                [Field("files", "Delete its files", flag=False)],
                "Remove",
                f"{so_many(len(here.members), 'member')} will not reach it any more. "
                "Its folder stays on the disk unless you tick the box.",
            )
        )
        if answer is not None:
            deleted = bool(answer["files"])
            await self.ask(lambda: self.lab.client.remove_project(here.name, deleted))
            files = "deleted" if deleted else "kept"
            self.lab.say(f"The project {visible_line(here.name)} is removed, its files are {files}.")
            await self._load()


def _tuple(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()
