"""The way of the file manager to other machines: who is new is met in dialogs, not in an error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from labbox.errors import LabboxError
from labbox.locations import Kind, Location
from labbox.tui.screens.files_base import FilesBase
from labbox.tui.screens.hosts_dialogs import which_machine
from labbox.tui.screens.hosts_meeting import HOST_ERRORS, Meeting


class FilesHosts(FilesBase):
    """Meets other machines."""

    def __init__(self) -> None:
        """Nobody is met yet."""
        super().__init__()
        self._meeting = asyncio.Lock()

    def meet(self, error: LabboxError, location: Location, again: Callable[[], object]) -> bool:
        """Whether a machine can be met where it was an error; `again` is called once one may go there."""
        if location.kind is not Kind.SFTP or not isinstance(error, HOST_ERRORS):
            return False
        # Its own group: what reads a pane again in the meantime does not take the place of the dialog's work.
        self.attempt(self._meet(error, location.host, again), group="hosts")
        return True

    async def _meet(self, error: LabboxError, name: str, again: Callable[[], object]) -> None:
        async with self._meeting:  # both panes may want the same machine: it is asked about once
            met = await Meeting(self, name, "Go there").after(error)
        if met:
            again()

    async def acquainted(self, location: Location) -> bool:
        """Whether a transfer may go there: for another machine something is kept, and its key confirmed."""
        if location.kind is not Kind.SFTP:
            return True
        async with self._meeting:
            return await Meeting(self, location.host).settle()

    async def another_machine(self) -> Location | None:
        """Ask for a machine that is in no list."""
        answer = await self.app.push_screen_wait(which_machine("Go there"))
        location = None if answer is None else answer["text"]
        return location if isinstance(location, Location) else None

    async def let_go(self, name: str) -> None:
        """Close the connection to a machine: what is done there next begins with a login."""
        if self._opened is not None:
            await self._opened.drop(Location(kind=Kind.SFTP, host=name, path="~"))

    def action_hosts(self) -> None:
        """One's machines."""
        from labbox.tui.screens.hosts import HostsScreen

        self.app.push_screen(HostsScreen(self))

    def go_soon(self, location: Location, side: str | None = None, stand_on: str | None = None) -> None:
        """Show a folder in a pane."""
        raise NotImplementedError
