"""The calls of `labbox.client.Client`, awaited. Written by docs/write_aio.py; do not edit."""
# fmt: off

from __future__ import annotations

from collections.abc import AsyncIterator
from labbox.client.results import Fetched
from labbox.model import JobSpec
from labbox.model import Limits
from labbox.model import Scope
from labbox.protocol import AuditEntry
from labbox.protocol import AuditPage
from labbox.protocol import Caller
from labbox.protocol import Event
from labbox.protocol import Group
from labbox.protocol import Groups
from labbox.protocol import Host
from labbox.protocol import HostSecret
from labbox.protocol import Hosts
from labbox.protocol import InspectBody
from labbox.protocol import Inspection
from labbox.protocol import Invite
from labbox.protocol import Job
from labbox.protocol import JobCounts
from labbox.protocol import JobDetail
from labbox.protocol import JobEdit
from labbox.protocol import JobHistory
from labbox.protocol import JobPage
from labbox.protocol import Key
from labbox.protocol import Keys
from labbox.protocol import LiveJobs
from labbox.protocol import LogRecord
from labbox.protocol import NewToken
from labbox.protocol import Notices
from labbox.protocol import Project
from labbox.protocol import ProjectPage
from labbox.protocol import Status
from labbox.protocol import Submitted
from labbox.protocol import Templates
from labbox.protocol import Tokens
from labbox.protocol import TransferSummary
from labbox.protocol import UsagePage
from labbox.protocol import User
from labbox.protocol import UserAdd
from labbox.protocol import UserEdit
from labbox.protocol import UserPage
from labbox.protocol import Why
from typing import Any
from typing import overload
import os
import socket


class AwaitedCalls:
    """Each call with its words and its answer."""

    async def _call(self, name: str, /, *words: Any, **named: Any) -> Any:
        raise NotImplementedError

    def _stream(self, name: str, /, *words: Any, **named: Any) -> AsyncIterator[Any]:
        raise NotImplementedError

    async def add_host(self, name: str, private_key: str | None = None, password: str | None = None) -> Host:
        answer: Host = await self._call("add_host", name=name, private_key=private_key, password=password)
        return answer

    async def add_key(self, name: str, key: str) -> Key:
        answer: Key = await self._call("add_key", name=name, key=key)
        return answer

    async def add_project(self, name: str, members: tuple[str, ...] = ()) -> Project:
        answer: Project = await self._call("add_project", name=name, members=members)
        return answer

    async def add_token(self, name: str, label: str, scope: Scope, valid: float = 7776000.0) -> NewToken:
        answer: NewToken = await self._call("add_token", name=name, label=label, scope=scope, valid=valid)
        return answer

    async def add_user(self, user: UserAdd) -> User:
        answer: User = await self._call("add_user", user=user)
        return answer

    async def audit(self, limit: int = 100, before: int | None = None) -> AuditPage:
        answer: AuditPage = await self._call("audit", limit=limit, before=before)
        return answer

    async def cancel_job(self, id: int) -> Job:
        answer: Job = await self._call("cancel_job", id=id)
        return answer

    async def count_jobs(self, owner: str | None = None, array: int | None = None, kind: str | None = None) -> JobCounts:
        answer: JobCounts = await self._call("count_jobs", owner=owner, array=array, kind=kind)
        return answer

    async def edit_job(self, id: int, edit: JobEdit) -> Job:
        answer: Job = await self._call("edit_job", id=id, edit=edit)
        return answer

    async def edit_user(self, name: str, edit: UserEdit) -> User:
        answer: User = await self._call("edit_user", name=name, edit=edit)
        return answer

    def events(self, after: int | None = None, follow: bool = False, mine: bool = False, patience: float = 20.0, until: float | None = None) -> AsyncIterator[Event]:
        return self._stream("events", after=after, follow=follow, mine=mine, patience=patience, until=until)

    async def fetch_results(self, id: int, target: str | os.PathLike[str] | None = None) -> Fetched:
        answer: Fetched = await self._call("fetch_results", id=id, target=target)
        return answer

    async def hold_job(self, id: int) -> Job:
        answer: Job = await self._call("hold_job", id=id)
        return answer

    async def host_secret(self, name: str) -> HostSecret:
        answer: HostSecret = await self._call("host_secret", name=name)
        return answer

    async def inspect(self, body: InspectBody | str) -> Inspection:
        answer: Inspection = await self._call("inspect", body=body)
        return answer

    async def invite_user(self, name: str, admin: bool = False, valid: float = 604800.0, full_name: str = '') -> Invite:
        answer: Invite = await self._call("invite_user", name=name, admin=admin, valid=valid, full_name=full_name)
        return answer

    def iter_audit(self, before: int | None = None) -> AsyncIterator[AuditEntry]:
        return self._stream("iter_audit", before=before)

    def iter_jobs(self, owner: str | None = None, state: str | None = None, name: str | None = None, array: int | None = None, before: int | None = None, order: str | None = None, group: str | None = None, kind: str | None = None) -> AsyncIterator[Job]:
        return self._stream("iter_jobs", owner=owner, state=state, name=name, array=array, before=before, order=order, group=group, kind=kind)

    def iter_users(self) -> AsyncIterator[User]:
        return self._stream("iter_users")

    async def job_history(self, id: int) -> JobHistory:
        answer: JobHistory = await self._call("job_history", id=id)
        return answer

    async def job_input(self, id: int, text: str = '', close: bool = False) -> None:
        await self._call("job_input", id=id, text=text, close=close)

    def job_log(self, id: int, after: int = 0, follow: bool = False, attempt: int | None = None, tail: int | None = None) -> AsyncIterator[LogRecord]:
        return self._stream("job_log", id=id, after=after, follow=follow, attempt=attempt, tail=tail)

    async def join_project(self, name: str, member: str) -> Project:
        answer: Project = await self._call("join_project", name=name, member=member)
        return answer

    async def kill_job(self, id: int) -> Job:
        answer: Job = await self._call("kill_job", id=id)
        return answer

    async def leave_project(self, name: str, member: str) -> Project:
        answer: Project = await self._call("leave_project", name=name, member=member)
        return answer

    async def list_groups(self, owner: str | None = None) -> Groups:
        answer: Groups = await self._call("list_groups", owner=owner)
        return answer

    async def list_hosts(self) -> Hosts:
        answer: Hosts = await self._call("list_hosts")
        return answer

    async def list_jobs(self, owner: str | None = None, state: str | None = None, name: str | None = None, array: int | None = None, limit: int = 100, before: int | None = None, order: str | None = None, group: str | None = None, kind: str | None = None) -> JobPage:
        answer: JobPage = await self._call("list_jobs", owner=owner, state=state, name=name, array=array, limit=limit, before=before, order=order, group=group, kind=kind)
        return answer

    async def list_keys(self, name: str) -> Keys:
        answer: Keys = await self._call("list_keys", name=name)
        return answer

    async def list_projects(self) -> ProjectPage:
        answer: ProjectPage = await self._call("list_projects")
        return answer

    async def list_tokens(self, name: str) -> Tokens:
        answer: Tokens = await self._call("list_tokens", name=name)
        return answer

    async def list_users(self) -> UserPage:
        answer: UserPage = await self._call("list_users")
        return answer

    async def live_jobs(self) -> LiveJobs:
        answer: LiveJobs = await self._call("live_jobs")
        return answer

    async def notices(self, everything: bool = False) -> Notices:
        answer: Notices = await self._call("notices", everything=everything)
        return answer

    async def open_shell(self, id: int, rows: int = 24, columns: int = 80, name: str = '') -> socket.socket:
        answer: socket.socket = await self._call("open_shell", id=id, rows=rows, columns=columns, name=name)
        return answer

    async def openapi(self) -> dict[str, Any]:
        answer: dict[str, Any] = await self._call("openapi")
        return answer

    async def pause_job(self, id: int) -> Job:
        answer: Job = await self._call("pause_job", id=id)
        return answer

    async def release_job(self, id: int) -> Job:
        answer: Job = await self._call("release_job", id=id)
        return answer

    async def remove_group(self, name: str, owner: str | None = None) -> None:
        await self._call("remove_group", name=name, owner=owner)

    async def remove_host(self, name: str) -> None:
        await self._call("remove_host", name=name)

    async def remove_key(self, name: str, fingerprint: str) -> None:
        await self._call("remove_key", name=name, fingerprint=fingerprint)

    async def remove_project(self, name: str, delete_files: bool = False) -> None:
        await self._call("remove_project", name=name, delete_files=delete_files)

    async def remove_user(self, name: str, files: str = 'keep') -> None:
        await self._call("remove_user", name=name, files=files)

    async def rerun_job(self, id: int, edit: JobEdit | None = None) -> Submitted:
        answer: Submitted = await self._call("rerun_job", id=id, edit=edit)
        return answer

    async def resize_shell(self, id: int, name: str, rows: int, columns: int) -> None:
        await self._call("resize_shell", id=id, name=name, rows=rows, columns=columns)

    async def resume_job(self, id: int) -> Job:
        answer: Job = await self._call("resume_job", id=id)
        return answer

    async def retry_job(self, id: int) -> Job:
        answer: Job = await self._call("retry_job", id=id)
        return answer

    async def revoke_token(self, name: str, id: int) -> None:
        await self._call("revoke_token", name=name, id=id)

    async def see_notices(self, up_to: int) -> None:
        await self._call("see_notices", up_to=up_to)

    async def set_admin(self, name: str, admin: bool) -> User:
        answer: User = await self._call("set_admin", name=name, admin=admin)
        return answer

    async def set_group(self, name: str, parallel: int | None = None, owner: str | None = None) -> Group:
        answer: Group = await self._call("set_group", name=name, parallel=parallel, owner=owner)
        return answer

    async def set_limits(self, name: str, limits: Limits) -> User:
        answer: User = await self._call("set_limits", name=name, limits=limits)
        return answer

    async def set_password(self, name: str, new: str, old: str | None = None) -> None:
        await self._call("set_password", name=name, new=new, old=old)

    async def show_job(self, id: int) -> JobDetail:
        answer: JobDetail = await self._call("show_job", id=id)
        return answer

    async def show_user(self, name: str) -> User:
        answer: User = await self._call("show_user", name=name)
        return answer

    async def status(self) -> Status:
        answer: Status = await self._call("status")
        return answer

    @overload
    async def submit_job(self, spec: JobSpec) -> Submitted: ...

    @overload
    async def submit_job(self, spec: None = None, **words: Any) -> Submitted: ...

    async def submit_job(self, spec: JobSpec | None = None, **words: Any) -> Submitted:
        answer: Submitted = await self._call("submit_job", spec=spec, **words)
        return answer

    async def submit_transfer(self, **words: Any) -> Job:
        answer: Job = await self._call("submit_transfer", **words)
        return answer

    async def suspend_user(self, name: str, cancel_running: bool = False) -> User:
        answer: User = await self._call("suspend_user", name=name, cancel_running=cancel_running)
        return answer

    async def templates(self) -> Templates:
        answer: Templates = await self._call("templates")
        return answer

    async def transfer_summary(self, id: int) -> TransferSummary:
        answer: TransferSummary = await self._call("transfer_summary", id=id)
        return answer

    async def trust_host(self, name: str, key: str) -> Host:
        answer: Host = await self._call("trust_host", name=name, key=key)
        return answer

    async def unsuspend_user(self, name: str) -> User:
        answer: User = await self._call("unsuspend_user", name=name)
        return answer

    async def usage(self, owner: str | None = None) -> UsagePage:
        answer: UsagePage = await self._call("usage", owner=owner)
        return answer

    async def wait_job(self, id: int, timeout: float | None = None) -> Job:
        answer: Job = await self._call("wait_job", id=id, timeout=timeout)
        return answer

    async def whoami(self) -> Caller:
        answer: Caller = await self._call("whoami")
        return answer

    async def why_job(self, id: int) -> Why:
        answer: Why = await self._call("why_job", id=id)
        return answer

    async def withdraw_invitation(self, name: str) -> User:
        answer: User = await self._call("withdraw_invitation", name=name)
        return answer
