"""Getting to know another machine: what is kept to log in there, and whose key it shows."""

from __future__ import annotations

import asyncio
from importlib import import_module

from labbox.errors import LabboxError
from labbox.files.places.credentials import Secret
from labbox.files.places.hosts import (
    ChangedHostError,
    LoginRefusedError,
    UnkeptHostError,
    UnknownHostError,
)
from labbox.protocol import Host, HostSecret
from labbox.tui.screens.base import Pane
from labbox.tui.screens.hosts_dialogs import (
    AnotherKey,
    ConfirmKey,
    GivePassword,
    KeyLine,
    Stranger,
    changed_key,
)

HOST_ERRORS = (UnkeptHostError, UnknownHostError, LoginRefusedError, ChangedHostError)


class Meeting:
    """One machine, and the dialogs that lead to it; True is returned where it may be gone to now."""

    def __init__(self, pane: Pane, name: str, onward: str = "Go on") -> None:
        """`name` as the location has it: `[user@]host[:port]`; `onward`: what a button says that leads on."""
        self._pane, self.name, self._onward = pane, name, onward

    async def after(self, error: LabboxError) -> bool:
        """What can be done about one of `HOST_ERRORS`."""
        match error:
            case ChangedHostError():
                self._pane.app.push_screen(changed_key(self.name, error.fingerprint, error.pinned))
                return False
            case LoginRefusedError():
                return await self._refused()
            case UnknownHostError():
                return await self.settle(error.key)
        return await self.settle()

    async def settle(self, shown: str = "") -> bool:
        """See that something is kept and the machine's key is confirmed; `shown` is the key, if known."""
        kept = await self._kept()
        if kept is None:
            if not await self._introduced():
                return False
            kept = await self._kept()
        if kept is None:
            return False  # forgotten meanwhile
        return bool(kept.host_keys) or await self._confirmed(kept, shown)

    async def confirm(self) -> bool:
        """Look at the key that it shows now; confirm it if it is not the known one."""
        kept = await self._ask_kept()
        key, fingerprint = await self._shown(kept)
        if not kept.host_keys:
            return await self._confirmed(kept, key)
        if key in kept.host_keys:
            return True
        known = tuple(one.fingerprint for one in (await self._host()).trusted)
        if await self._pane.app.push_screen_wait(AnotherKey(self.name, key, fingerprint, known)) is None:
            return False
        await self._pane.ask(lambda: self._pane.lab.client.trust_host(self.name, key))
        return True

    async def password(self, note: str = "") -> bool:
        """Ask for a password and keep it in place of what is kept."""
        answer = await self._pane.app.push_screen_wait(GivePassword(self.name, note))
        secret = None if answer is None else answer["password"]
        if not isinstance(secret, Secret):
            return False
        await self._pane.ask(lambda: self._pane.lab.client.add_host(self.name, password=secret.reveal()))
        return True

    async def show_line(self, refused: bool = False) -> bool:
        """Show the line for its authorized_keys; False where one goes back, or a password is kept."""
        host = await self._host()
        if host.public_key is None:
            return False
        way = await self._pane.app.push_screen_wait(
            KeyLine(self.name, host.user, host.public_key, self._onward, refused)
        )
        return await self.password() if way == "password" else way == "go"

    # The steps.

    async def _introduced(self) -> bool:
        how = await self._pane.app.push_screen_wait(Stranger(self.name))
        if how == "password":
            return await self.password()
        if how == "key":
            await self._pane.ask(lambda: self._pane.lab.client.add_host(self.name))
            return await self.show_line()
        return False

    async def _confirmed(self, kept: HostSecret, shown: str) -> bool:
        key, fingerprint = await self._shown(kept, shown)
        if await self._pane.app.push_screen_wait(ConfirmKey(self.name, key, fingerprint)) != "yes":
            return False
        await self._pane.ask(lambda: self._pane.lab.client.trust_host(self.name, key))
        return True

    async def _refused(self) -> bool:
        if (await self._host()).public_key is None:
            return await self.password("It does not take the password that is kept. Give the right one.")
        return await self.show_line(refused=True)

    async def _shown(self, kept: HostSecret, shown: str = "") -> tuple[str, str]:
        """The key that it shows, and its fingerprint."""
        login = await asyncio.to_thread(import_module, "labbox.files.places.sftplogin")  # slow: it is SSH
        key = shown or await login.shown_key(kept.host, kept.port, guarded=True)
        return key, login.fingerprint_of(key)

    # What the box keeps.

    async def _ask_kept(self) -> HostSecret:
        return await self._pane.ask(lambda: self._pane.lab.client.host_secret(self.name))

    async def _kept(self) -> HostSecret | None:
        try:
            return await self._ask_kept()
        except LabboxError as error:
            if error.code != "not_found":
                raise
            return None

    async def _host(self) -> Host:
        page = await self._pane.ask(self._pane.lab.client.list_hosts)
        for host in page.hosts:
            if host.name == self.name:
                return host
        raise LabboxError("not_found", f"cannot find sftp://{self.name} among your machines", "Ctrl+X M")
