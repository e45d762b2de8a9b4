"""The fake box as one that really does its transfers: by threads of its own process, with the real engine.

A pipe `.begin` in the home holds transfers up: each begins when somebody has written to it. A paused one
makes a file `paused` in its folder once it stands still.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from labbox.errors import LabboxError
from labbox.files.places.credentials import AskedCredentials
from labbox.files.places.opening import Places, Roots
from labbox.files.transfer import run
from labbox.model import ACTIVE, JobKind, JobSpec, JobState, Role, TransferSpec
from labbox.protocol import Caller, HostSecret, Job


def put_to_work(box: Any, home: str, hosts: tuple[HostSecret, ...] = (), **caller: Any) -> None:
    """`hosts`: what the box keeps of other machines. `caller`: more about who one is."""
    box.hosts.update({secret.name: secret for secret in hosts})
    _Work(box, Path(home), Caller(
        name="ada", uid=70000, role=Role.ADMIN, home=home, **caller
    )).begin()  # fmt: skip


def _pair() -> tuple[str, str]:
    """A private key that works, and its public line."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} ada@labbox"


class _Doing:
    """A transfer under way: its gate, and the way to end it from another thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._going = asyncio.Event()
        self._going.set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._unwanted = threading.Event()

    async def passed(self) -> None:
        if not self._going.is_set():
            (self._folder / "paused").touch()
            await self._going.wait()
            (self._folder / "paused").unlink()

    def begin(self) -> None:
        """In the loop and task that do it."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._unwanted.is_set():
            raise asyncio.CancelledError

    def pause(self) -> None:
        self._tell(self._going.clear)

    def resume(self) -> None:
        self._tell(self._going.set)

    def cancel(self) -> None:
        self._unwanted.set()
        if self._task is not None:
            self._tell(self._task.cancel)

    def _tell(self, what: Callable[[], object]) -> None:
        if self._loop is None:
            what()
        else:
            self._loop.call_soon_threadsafe(what)


class _Work:
    def __init__(self, box: Any, home: Path, caller: Caller) -> None:
        self.box, self.home, self.caller = box, home, caller
        self._asked = box.submit_job
        self._doing: dict[int, _Doing] = {}
        self._specs: dict[int, TransferSpec] = {}

    def begin(self) -> None:
        self.box.whoami = lambda: self.caller
        self.box.make_pair = _pair
        self.box.submit_job = self._submit
        for verb, done in (
            ("pause_job", _Doing.pause),
            ("resume_job", _Doing.resume),
            ("cancel_job", _Doing.cancel),
        ):
            setattr(self.box, verb, partial(self._deed, getattr(self.box, verb), done))
        self.box.retry_job = partial(self._again, self.box.retry_job)

    def _submit(self, spec: JobSpec) -> Job:
        from labbox.daemon.jobs.asking import check_transfer

        if spec.transfer is not None:  # the box refuses what it cannot do
            spec = msgspec.structs.replace(spec, transfer=check_transfer(spec))
        job: Job = self._asked(spec)
        if spec.transfer is None:
            return job
        self._specs[job.id] = spec.transfer
        return self._start(job.id)

    def _start(self, number: int) -> Job:
        folder = self._folder(number)
        folder.mkdir(parents=True, exist_ok=True)
        doing = self._doing[number] = _Doing(folder)
        job: Job = self.box.change(
            number, kind=JobKind.TRANSFER, group="transfers", state=JobState.RUNNING, owner="ada"
        )
        words = (number, self._specs[number], doing)
        threading.Thread(target=self._transfer, args=words, daemon=True).start()
        return job

    def _deed(self, change: Callable[[int], Job], done: Callable[[_Doing], None], id: int) -> Job:  # noqa: A002 - as the client has it
        job = change(id)
        done(self._doing[id])
        return job

    def _again(self, change: Callable[[int], Job], id: int) -> Job:  # noqa: A002 - as above
        """Once more, where it was left."""
        change(id)
        return self._start(id)

    def _folder(self, number: int) -> Path:
        return self.home / ".jobs" / str(number)

    def _transfer(self, number: int, spec: TransferSpec, doing: _Doing) -> None:
        folder, begin = self._folder(number), self.home / ".begin"
        if begin.exists():
            begin.read_bytes()
        undone = None if spec.undo is None else self._folder(spec.undo)
        roots = Roots(home=str(self.home), shared=self.caller.shared, projects=dict(self.caller.projects))

        async def work() -> None:
            doing.begin()
            async with Places(roots, credentials=AskedCredentials(self.box.host_secret)) as places:
                summary = await run(spec, places, folder, gate=doing, undo_of=undone)
            (folder / "summary.json").write_bytes(msgspec.json.encode(summary))

        try:
            asyncio.run(work())
        except asyncio.CancelledError:
            (folder / "cancelled").touch()
            return
        except LabboxError as error:
            (folder / "error.txt").write_text(error.message)
            self._ends(number, JobState.FAILED)
            return
        self._ends(number, JobState.SUCCEEDED)

    def _ends(self, number: int, state: JobState) -> None:
        if self.box.jobs[number].state in ACTIVE:
            self.box.change(number, state=state, progress=None)
