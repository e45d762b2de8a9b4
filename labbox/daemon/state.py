"""The state folder: its lock, its modes, the box's identity."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from labbox.daemon.reserve import Reserve
from labbox.errors import LabboxError
from labbox.model import Scope

_FOLDERS: Final = {
    "secrets": 0o700,
    "homes": 0o711,
    "results": 0o711,
    "operations": 0o711,
    "snapshots": 0o700,
    "spool": 0o700,
    "git": 0o700,
    "environments": 0o755,
    "environments-cache": 0o700,
    "environments-notes": 0o700,
    "wheels": 0o755,
    "scratch": 0o700,
}
# Where the API answers as a token allows at most; bound over `api.sock` in the namespace of a token's login.
SCOPED_SOCKETS: Final = {Scope.READ: "r.sock", Scope.SUBMIT: "s.sock"}
_SOCKET_PATH: Final = 107  # bytes; sun_path of unix(7)


class StateFolder:
    """An opened state folder; nobody else has it open as long as `close` was not called."""

    def __init__(self, path: Path) -> None:
        """Make what is missing, set what others rely on, take the lock.

        Raises LabboxError "conflict" where another labbox runs on it, "unavailable" where it cannot be used.
        """
        self.path = path
        self.store = path / "labbox.db"
        self.socket = path / "api.sock"
        if len(os.fsencode(self.socket)) + len(".new") + 1 > _SOCKET_PATH:
            raise LabboxError(
                "invalid",
                f"cannot use the state folder {path}: its path is too long for a socket in it",
                "choose one with a shorter path",
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o711)  # its maker may have made it 0700; people's processes pass through it
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            self._take_lock()
            self.reserve = Reserve(path)
            self._sign_lock()
            self._make_folders()
            self.box_id = self._identity()
        except OSError as error:
            os.close(self._lock)
            raise _unusable(path, error) from error
        except LabboxError:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._lock)

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip()
            raise LabboxError(
                "conflict",
                f"cannot start on {self.path}: another labbox runs on it"
                + (f" (pid {owner})" if owner else ""),
                "stop that one first, or choose another folder with --state",
            ) from error

    def _sign_lock(self) -> None:
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode("ascii"), 0)

    def _make_folders(self) -> None:
        for name, mode in _FOLDERS.items():
            folder = self.path / name
            with suppress(FileExistsError):
                folder.mkdir(mode=mode)
            if folder.is_symlink() or not folder.is_dir():
                raise LabboxError(
                    "invalid", f"cannot use {folder}: it is not a folder", "move it away and start again"
                )
            if folder.stat().st_uid == os.geteuid():
                folder.chmod(mode)

    def _identity(self) -> str:
        """The box's name among boxes that share a container engine; made once."""
        file = self.path / "box.id"
        try:
            found = file.read_text("ascii").strip()
        except FileNotFoundError:
            found = ""
        if not found:
            found = secrets.token_hex(4)
            fresh = file.with_name(".box.id.new")
            fresh.write_text(found + "\n", "ascii")
            fresh.replace(file)
        if not (found.isalnum() and len(found) <= 32):
            raise LabboxError(
                "invalid", f"cannot use {file}: it does not hold an identity", "restore it from a backup"
            )
        return found


def _unusable(path: Path, error: OSError) -> LabboxError:
    return LabboxError(
        "unavailable",
        f"cannot use the state folder {path}: {error.strerror or error}",
        "choose another with --state, or see to its permissions and its disk",
    )
