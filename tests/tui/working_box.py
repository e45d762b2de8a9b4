"""The fake box as one that really does its transfers: by threads of its own process, with the real engine."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import msgspec

from labbox.errors import LabboxError
from labbox.files.places.credentials import AskedCredentials
from labbox.files.places.opening import Places, Roots
from labbox.files.transfer import run
from labbox.model import JobKind, JobSpec, JobState, Role, TransferSpec
from labbox.protocol import Caller, Host, Hosts, HostSecret, Job


def put_to_work(box: Any, home: str, hosts: tuple[HostSecret, ...] = (), **caller: Any) -> None:
    """`hosts`: what the box keeps of other machines. `caller`: more about who one is."""
    _Work(box, Path(home), {secret.name: secret for secret in hosts}, Caller(
        name="ada", uid=70000, role=Role.ADMIN, home=home, **caller
    )).begin()  # fmt: skip


class _Work:
    def __init__(self, box: Any, home: Path, hosts: dict[str, HostSecret], caller: Caller) -> None:
        self.box, self.home, self.hosts, self.caller = box, home, hosts, caller
        self._asked = box.submit_job

    def begin(self) -> None:
        self.box.whoami = lambda: self.caller
        self.box.list_hosts = lambda: Hosts(hosts=tuple(map(self._host, self.hosts.values())))
        self.box.host_secret = self._secret
        self.box.submit_job = self._submit

    def _host(self, secret: HostSecret) -> Host:
        return Host(
            name=secret.name,
            user=secret.user,
            host=secret.host,
            port=secret.port,
            kind="key",
            public_key=None,
            created_at=self.box.now,
        )

    def _secret(self, name: str) -> HostSecret:
        if name not in self.hosts:
            raise LabboxError(
                "not_found", f"cannot find {name}: nothing is kept for it", f"labbox host add sftp://{name}"
            )
        return self.hosts[name]

    def _submit(self, spec: JobSpec) -> Job:
        job: Job = self._asked(spec)
        if spec.transfer is None:
            return job
        job = self.box.change(job.id, kind=JobKind.TRANSFER, state=JobState.RUNNING, owner="ada")
        threading.Thread(target=self._transfer, args=(job, spec.transfer), daemon=True).start()
        return job

    def _folder(self, number: int) -> Path:
        return self.home / ".jobs" / str(number)

    def _transfer(self, job: Job, spec: TransferSpec) -> None:
        folder = self._folder(job.id)
        folder.mkdir(parents=True)
        undone = None if spec.undo is None else self._folder(spec.undo)
        roots = Roots(home=str(self.home), shared=self.caller.shared, projects=dict(self.caller.projects))

        async def work() -> None:
            async with Places(roots, credentials=AskedCredentials(self._secret)) as places:
                summary = await run(spec, places, folder, undo_of=undone)
            (folder / "summary.json").write_bytes(msgspec.json.encode(summary))

        try:
            asyncio.run(work())
        except LabboxError as error:
            (folder / "error.txt").write_text(error.message)
            self.box.change(job.id, state=JobState.FAILED)
            return
        self.box.change(job.id, state=JobState.SUCCEEDED, progress=None)
