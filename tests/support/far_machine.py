"""Another machine without a network: its files are a folder here, its key is what a test says."""

from __future__ import annotations

from pathlib import Path

import pytest

from labbox.files.places import sftp, sftplogin
from labbox.files.places.credentials import Credential
from labbox.files.places.hosts import ChangedHostError, LoginRefusedError, UnknownHostError, lost
from labbox.files.places.local import LocalPlace

OLD = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBLk2DGMm8Zj7J+fAx41LSJi+H7G1RuXJjM93Zuv2foJ"
NEW = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMnRw+c/NRunrNlzlF3hYSNzCEYOugvFRd+tPLFOzvzT"


class FarMachine:
    """Answers in place of a login, in the same words and errors."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.key = OLD
        self.away = False
        self.takes_key = True
        self.password = ""
        self.logins: list[str] = []
        monkeypatch.setattr(sftp.SftpPlace, "connect", self._connect)
        monkeypatch.setattr(sftplogin, "shown_key", self._shown_key)

    @property
    def fingerprint(self) -> str:
        return sftplogin.fingerprint_of(self.key)

    async def _shown_key(self, host: str, port: int, *, guarded: bool = False) -> str:
        if self.away:
            raise lost(host)
        return self.key

    async def _connect(self, credential: Credential) -> LocalPlace:
        label = sftplogin.address_of(credential)
        shown = await self._shown_key(credential.host, credential.port)
        if not credential.host_keys:
            raise UnknownHostError(label, shown, self.fingerprint)
        if shown not in credential.host_keys:
            pinned = tuple(map(sftplogin.fingerprint_of, credential.host_keys))
            raise ChangedHostError(label, shown, self.fingerprint, pinned)
        if credential.password is None:
            if not self.takes_key:
                raise LoginRefusedError(label, f"cannot log in to {label}: it does not take the key", "")
        elif credential.password.reveal() != self.password:
            raise LoginRefusedError(label, f"cannot log in to {label}: it does not take the password", "")
        self.logins.append(label)
        return LocalPlace(home=str(self.folder))
