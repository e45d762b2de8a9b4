"""One's other machines: what is kept to log in there, and whether their keys are confirmed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from textual import on
from textual.widget import Widget

from labbox.locations import Location
from labbox.protocol import Host
from labbox.text import visible_line
from labbox.tui.format import local_time
from labbox.tui.screens.base import Pane
from labbox.tui.screens.hosts_dialogs import machine_of, which_machine
from labbox.tui.screens.hosts_meeting import HOST_ERRORS, Meeting
from labbox.tui.widgets.dialog import Confirm
from labbox.tui.widgets.table import Cell, Column, RowsTable

if TYPE_CHECKING:
    from labbox.tui.screens.files_hosts import FilesHosts


class HostsScreen(Pane):
    """The machines by name; Enter goes there."""

    KEYS = "hosts"
    AUTO_FOCUS = "RowsTable"
    FOLLOWS = frozenset({"host"})

    def __init__(self, files: FilesHosts) -> None:
        """`files`: whose pane goes there."""
        super().__init__()
        self._files = files
        self._hosts: list[Host] = []

    def heading(self) -> str:
        """Whose."""
        return f"Other machines of {self.lab.me}"

    def body(self) -> Iterator[Widget]:
        """One table."""
        table = RowsTable(
            [
                Column("name", "machine", 16, grow=1),
                Column("kind", "by", 8),
                Column("trusted", "its key", 50),  # a whole fingerprint: it is there to be compared
                Column("since", "since", 16, need=96),
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
        self._hosts = list((await self.ask(self.lab.client.list_hosts)).hosts)
        rows: list[list[Cell]] = []
        for host in self._hosts:
            known = " ".join(visible_line(key.fingerprint) for key in host.trusted)
            rows.append(
                [
                    [(visible_line(host.name), "text")],
                    [(visible_line(host.kind), "accent" if host.kind == "password" else "note")],
                    [(known, "dim") if known else ("not confirmed", "warn")],
                    [(local_time(host.created_at), "dim")],
                ]
            )
        table = self.query_one(RowsTable)
        table.empty = "No other machines yet. F2 adds your own PC, for one."
        table.set_rows(rows, [host.name for host in self._hosts])

    @property
    def _host(self) -> Host | None:
        return self._hosts[self.query_one(RowsTable).cursor] if self._hosts else None

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something, and show what has become of it, whether it went well or not."""
        self.attempt(self._and_load(work), group="dialog")

    async def _and_load(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            if self.is_attached:
                self.read_again()

    # Keys.

    @on(RowsTable.Chosen)
    def chosen(self) -> None:
        """Show it in the pane."""
        if host := self._host:
            self.dismiss(None)
            self._files.go_soon(machine_of(f"sftp://{host.name}/"))

    def action_add(self) -> None:
        """Keep a key or a password for another one, and confirm its key."""
        self._do(self._add())

    async def _add(self) -> None:
        answer = await self.app.push_screen_wait(which_machine("Go on"))
        machine = None if answer is None else answer["text"]
        if not isinstance(machine, Location):
            return
        if any(host.name == machine.host for host in self._hosts):
            self.lab.say(f"sftp://{machine.host} is in the list already.")
        elif await Meeting(self, machine.host).settle():
            self.lab.say(f"sftp://{machine.host} is kept. F4 tests it, Enter goes there.")

    def action_line(self) -> None:
        """Show the line for its authorized_keys."""
        if host := self._host:
            if host.public_key is None:
                self.lab.say(f"A password is kept for sftp://{host.name}, no key.")
            else:
                self._do(self._line(host))

    async def _line(self, host: Host) -> None:
        if await Meeting(self, host.name, "Test it").show_line():
            await self._test(host)

    def action_test(self) -> None:
        """Log in and look at its home."""
        if host := self._host:
            self._do(self._test(host))

    async def _test(self, host: Host) -> None:
        self.lab.say(f"Logging in to sftp://{host.name} …")
        while True:
            began = time.monotonic()
            try:
                home = await self._home(host.name)
            except HOST_ERRORS as error:
                if not await Meeting(self, host.name, "Try again").after(error):
                    return
            else:
                break
        seconds = time.monotonic() - began
        self.lab.say(f"sftp://{host.name} answers: its home is {visible_line(home)}, {seconds:.1f} s")

    async def _home(self, name: str) -> str:
        credential = await self._files.credential_source().credential(name)
        sftp = await asyncio.to_thread(import_module, "labbox.files.places.sftp")  # slow: it is SSH
        async with await sftp.SftpPlace.connect(credential) as place:
            return str(await place.real_path("~"))

    def action_confirm(self) -> None:
        """Confirm the key that it shows now."""
        if host := self._host:
            self._do(self._confirm(host))

    async def _confirm(self, host: Host) -> None:
        if await Meeting(self, host.name).confirm():
            await self._files.let_go(host.name)
            self.lab.say(f"sftp://{host.name} is known by the key that it shows.")

    def action_password(self) -> None:
        """Keep a password in place of what is kept."""
        if host := self._host:
            self._do(self._password(host))

    async def _password(self, host: Host) -> None:
        if await Meeting(self, host.name).password():
            self.lab.say(f"The password for sftp://{host.name} is kept.")

    def action_remove(self) -> None:
        """Forget what is under the cursor."""
        if host := self._host:
            self._do(self._remove(host))

    async def _remove(self, host: Host) -> None:
        question = (
            f"Forget sftp://{host.name}, with the {host.kind} that is kept for it?\n"
            "Panes and transfers reach it no more."
        )
        if await self.app.push_screen_wait(Confirm("Forget a machine", question, "Forget")):
            await self.ask(lambda: self.lab.client.remove_host(host.name))
            await self._files.let_go(host.name)
