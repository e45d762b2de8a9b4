"""What others see of the queue: that jobs are there, what room they take, nothing of what they are about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from labbox.model import JobKind, JobSpec, Progress, TransferSpec, TransferVerb
from labbox.protocol import Failure

Lab = Any  # conftest's; a fixture gives it

SECRET = "sekrit"


def _seen(*messages: msgspec.Struct) -> str:
    return msgspec.json.encode(messages).decode()


@pytest.mark.attack("S12")
@pytest.mark.parametrize(
    "asked",
    [
        TransferSpec(verb=TransferVerb.COPY, sources=(f"~/{SECRET}.csv",), target="shared:/"),
        TransferSpec(verb=TransferVerb.COPY, sources=("~/a",), target=f"sftp://me@{SECRET}.example/in"),
        TransferSpec(verb=TransferVerb.MOVE, sources=("~/a",), target=f"~/{SECRET}", exact=True),
        TransferSpec(verb=TransferVerb.TRASH, sources=(f"project:{SECRET}/x",)),
        TransferSpec(verb=TransferVerb.PACK, sources=("~/a",), target=f"~/{SECRET}.zip", exact=True),
        TransferSpec(verb=TransferVerb.FIND, sources=("~/a",), text=SECRET),
    ],
    ids=lambda asked: asked.verb.value,
)
async def test_others_see_neither_files_nor_hosts_nor_failures_of_a_transfer(
    lab: Lab, tried: Callable[..., None], asked: TransferSpec
) -> None:
    ada, grace, root = (lab.account(name) for name in ("ada", "grace", "root"))
    job = await lab.jobs.submit(ada, JobSpec(transfer=asked, group=SECRET), "test")
    worker = await lab.transfers.worker(0)
    worker.tell(Progress(phase="copy", done=1, current=f"{SECRET}/one.csv"))
    await _looked_through(lab, tried)
    failures = (Failure(path=f"{SECRET}/one.csv", code="forbidden", text=f"cannot read {SECRET}"),)
    worker.end(failed=1, failures=failures)
    await lab.ended(job.id)
    await _looked_through(lab, tried)
    (shown,) = (await lab.jobs.page(grace)).jobs
    assert (shown.id, shown.owner, shown.kind, shown.name) == (job.id, "ada", JobKind.TRANSFER, "transfer")
    for account in (ada, root):
        (whole,) = (await lab.jobs.page(account)).jobs
        assert whole.name == job.name and whole.group == SECRET


@pytest.mark.attack("S12")
async def test_others_see_neither_commands_nor_groups_nor_failures_of_a_run(
    lab: Lab, tried: Callable[..., None]
) -> None:
    words = ("sh", "-c", f"exit 3 {SECRET}")
    spec = JobSpec(command=words, env={"TOKEN": SECRET}, group=SECRET)
    waits = await lab.jobs.submit(lab.account("ada"), msgspec.structs.replace(spec, hold=True), "test")
    failed = await lab.jobs.submit(lab.account("ada"), spec, "test")
    await lab.ended(failed.id)
    await _looked_through(lab, tried)
    shown = {job.id: job for job in (await lab.jobs.page(lab.account("grace"))).jobs}
    assert shown[failed.id].exit_code is None
    assert shown[failed.id].reason is not None and shown[failed.id].reason.text == "it did not end well"
    assert shown[waits.id].resources == waits.resources


@pytest.mark.attack("S12")
async def test_what_is_not_shown_of_others_is_not_found_by_either(
    lab: Lab, tried: Callable[..., None]
) -> None:
    grace = lab.account("grace")
    copy = TransferSpec(verb=TransferVerb.COPY, sources=(f"~/{SECRET}.csv",), target="~/x")
    for owner in ("ada", "grace"):
        await lab.jobs.submit(lab.account(owner), JobSpec(transfer=copy, group=SECRET, hold=True), "test")
    for asked in ({"name": SECRET[:3]}, {"group": SECRET}, {"name": SECRET, "group": SECRET}):
        tried()
        assert {job.owner for job in (await lab.jobs.page(grace, **asked)).jobs} == {"grace"}
        tried()
        assert (await lab.jobs.page(grace, owner="ada", **asked)).jobs == ()
    assert len((await lab.jobs.page(lab.account("root"), name=SECRET)).jobs) == 2


async def _looked_through(lab: Lab, tried: Callable[..., None]) -> None:
    grace = lab.account("grace")
    tried(2)
    page = await lab.jobs.page(grace)
    events = [event async for event in lab.jobs.events(grace, after=0)]
    assert page.jobs and events
    assert SECRET not in _seen(page, *events)
