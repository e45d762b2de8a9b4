"""A folder on another machine is fetched, run, and its output delivered: three jobs in a chain."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from labbox.daemon.jobs.ports import Reach
from labbox.daemon.jobs.submit import PATIENCE
from labbox.errors import LabboxError
from labbox.model import Conflict, JobKind, JobSpec, JobState, ReasonCode, TransferVerb
from labbox.protocol import InspectBody, Job, JobDetail, JobEdit

Lab = Any  # conftest's; a fixture gives it

S = JobState
THERE = "sftp://me@my-pc/study"


async def submit(lab: Lab, path: str = THERE, **more: Any) -> Job:
    job: Job = await lab.jobs.submit(lab.account("ada"), JobSpec(path=path, **more), "test")
    return job


async def show(lab: Lab, job: int) -> JobDetail:
    detail: JobDetail = await lab.jobs.show(lab.account("ada"), job)
    return detail


async def arrive(lab: Lab, job: Job, name: str = "study", worker: int = 0) -> None:
    """The fetch of a job ends well."""
    (fetch,) = (await show(lab, job.id)).job.after
    at_work = await lab.transfers.worker(worker)
    folder = lab.folder(await lab.until(fetch, S.RUNNING)) / "output" / name
    folder.mkdir(exist_ok=True)
    at_work.end(files=3)
    await lab.ended(fetch)


async def test_the_whole_loop(lab: Lab) -> None:
    lab.folders.projects["study"] = msgspec.structs.replace(
        lab.folders.projects["study"], asked=JobSpec(cpus=2.0)
    )
    run = await submit(lab, deliver="sftp://me@my-pc/study/output")
    assert (run.kind, run.name, run.state) == (JobKind.CONTAINER, "study", S.QUEUED)
    detail = await show(lab, run.id)
    (fetch,), (deliver,) = run.after, detail.before
    first, last = await show(lab, fetch), await show(lab, deliver)
    assert first.job.name == "fetch study from my-pc"
    assert last.job.name == f"deliver the output of job {run.id} to my-pc"
    assert first.spec.transfer is not None
    assert (first.spec.transfer.sources, first.spec.transfer.target) == (
        (THERE,),
        f"job:{fetch}/output/study",
    )
    assert first.spec.transfer.wait == PATIENCE
    assert last.spec.transfer is not None
    assert last.spec.transfer.verb is TransferVerb.COPY
    assert last.spec.transfer.sources == (f"job:{run.id}/output",)
    assert (last.spec.transfer.exact, last.spec.transfer.conflict) == (True, Conflict.OVERWRITE)
    assert last.job.after == (run.id,)
    await arrive(lab, run)
    done = await lab.ended(run.id)
    assert (done.state, done.resources.cpus) == (S.SUCCEEDED, 2.0)
    assert lab.folders.cleared == ["study"]
    detail = await show(lab, run.id)
    assert (detail.command, detail.code_hash) == (("true",), "1")
    worker = await lab.transfers.worker(1)
    assert worker.request.jobs == {run.id: str(lab.folder(done))}
    worker.end(files=1)
    assert (await lab.ended(deliver)).state is S.SUCCEEDED


async def test_a_machine_that_sleeps_is_waited_for_and_the_chain_says_so(lab: Lab) -> None:
    run = await submit(lab)
    (await lab.transfers.worker(0)).fail(LabboxError("unavailable", "cannot reach my-pc"))
    fetch = await lab.until(run.after[0], S.QUEUED)
    while not fetch.reason.text.startswith("my-pc does not answer, trying again at "):
        fetch = await lab.job(run.after[0])
    why = await lab.jobs.why(lab.account("ada"), run.id)
    assert [reason.text for reason in why.reasons] == [f"starts when job {fetch.id} has succeeded"]
    lab.clock.extra += 60
    lab.service._parts.dispatcher.wake()
    await arrive(lab, run, worker=1)
    assert (await lab.ended(run.id)).state is S.SUCCEEDED


async def test_a_fetch_that_fails_fails_the_chain(lab: Lab) -> None:
    run = await submit(lab, deliver=f"{THERE}/output")
    (await lab.transfers.worker(0)).fail(LabboxError("not_found", "cannot find study"))
    assert (await lab.ended(run.id)).reason.code is ReasonCode.DEPENDENCY_FAILED
    (deliver,) = (await show(lab, run.id)).before
    assert (await lab.ended(deliver)).reason.code is ReasonCode.DEPENDENCY_FAILED


async def test_what_arrives_and_cannot_run_says_why_and_can_be_tried_again(lab: Lab) -> None:
    run = await submit(lab, "sftp://me@my-pc/empty")
    await arrive(lab, run, "empty")
    done = await lab.ended(run.id)
    assert (done.state, done.reason.text) == (S.FAILED, "cannot find empty")
    lab.folders.projects["empty"] = lab.folders.projects["study"]
    await lab.jobs.retry(lab.account("ada"), run.id, "test")
    assert (await lab.ended(run.id)).state is S.SUCCEEDED


async def test_what_arrived_while_the_daemon_was_down_is_handed_in(lab: Lab) -> None:
    run = await submit(lab, hold=False)
    await lab.transfers.worker(0)
    fetch = await lab.until(run.after[0], S.RUNNING)
    (lab.folder(fetch) / "output" / "study").mkdir()
    refuse = lab.folders.projects.pop("study")
    lab.service._arrivals._taking.add(run.id)  # the power goes before it is handed in
    (await lab.transfers.worker(0)).end(files=1)
    await lab.ended(fetch.id)
    why = await lab.jobs.why(lab.account("ada"), run.id)
    assert [one.text for one in why.reasons] == ["its folder has arrived and is being handed in"]
    lab.folders.projects["study"] = refuse
    await lab.restart()
    assert (await lab.ended(run.id)).state is S.SUCCEEDED


async def test_job_toml_says_where_the_output_goes(lab: Lab) -> None:
    lab.folders.projects["study"] = msgspec.structs.replace(
        lab.folders.projects["study"], asked=JobSpec(deliver="project:atlas/results")
    )
    here = await submit(lab, "study")
    (deliver,) = (await show(lab, here.id)).before
    assert (await show(lab, deliver)).spec.transfer.target == "project:atlas/results"  # type: ignore[union-attr]
    lab.folders.projects["wrong"] = msgspec.structs.replace(
        lab.folders.projects["study"], asked=JobSpec(deliver="project:closed/results")
    )
    with pytest.raises(LabboxError, match="you are in no project of that name"):
        await submit(lab, "wrong")
    there = await submit(lab)
    for number in (0, 1):
        worker = await lab.transfers.worker(number)
        if worker.request.spec.sources == (THERE,):
            await arrive(lab, there, worker=number)
    await lab.ended(there.id)
    (deliver,) = (await show(lab, there.id)).before
    assert (await show(lab, deliver)).job.after == (there.id,)


async def test_who_has_left_a_project_delivers_nothing_into_it(lab: Lab) -> None:
    runs = [await submit(lab, "study", deliver=f"{place}/x") for place in ("project:atlas", "shared:")]
    lab.transfers.at_once = True
    for run in runs:
        await lab.ended(run.id)
    lab.transfers.folders = Reach()
    for run, why in zip(runs, ("you are in no project of that name", "has no shared folder"), strict=True):
        with pytest.raises(LabboxError, match=why):
            await lab.jobs.rerun(lab.account("ada"), run.id, JobEdit(), "test")
    lab.folders.projects["study"] = msgspec.structs.replace(
        lab.folders.projects["study"], asked=JobSpec(deliver="project:atlas/results")
    )
    lab.transfers.at_once = False
    fetched = await submit(lab)
    await arrive(lab, fetched, worker=2)
    assert "you are in no project of that name" in (await lab.ended(fetched.id)).reason.text


async def test_another_run_takes_what_was_handed_in_and_a_fresh_one_fetches(lab: Lab) -> None:
    run = await submit(lab)
    await arrive(lab, run)
    await lab.ended(run.id)
    ada = lab.account("ada")
    again = await lab.jobs.rerun(ada, run.id, JobEdit(), "test")
    assert again.after == ()
    assert (await lab.ended(again.id)).state is S.SUCCEEDED
    fresh = await lab.jobs.rerun(ada, run.id, JobEdit(fresh=True), "test")
    await arrive(lab, fresh, worker=1)
    assert (await lab.ended(fresh.id)).state is S.SUCCEEDED


async def test_a_look_at_a_folder_elsewhere_says_what_will_be_done(lab: Lab) -> None:
    body = InspectBody(path=THERE, spec=JobSpec(deliver="sftp://me@my-pc/out", cpus=2.0))
    found = await lab.jobs.inspect(lab.account("ada"), body)
    assert (found.name, found.resources.cpus) == ("study", 2.0)
    assert [one.text for one in found.findings] == [
        "it is fetched from my-pc first, and handed in as it is then",
        "its output is delivered to sftp://me@my-pc/out",
    ]
    with pytest.raises(LabboxError, match="there is no kind of place"):
        await lab.jobs.inspect(lab.account("ada"), InspectBody(path=THERE, spec=JobSpec(deliver="ftp:/x")))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"array": (1, 1)}, "indexes must be different"),
        ({"deliver": "ftp:/x"}, "there is no kind of place"),
        ({"deliver": "job:1/output"}, "cannot deliver to job:1/output"),
        ({"deliver": "project:closed/x"}, "cannot deliver to project:closed/x: you are in no project"),
        ({"path": "study", "deliver": "project:closed/x"}, "you are in no project of that name"),
        ({"cpus": 1e6}, "it needs 1e"),
        ({"path": "sftp://"}, "cannot use the location"),
        ({"array": tuple(range(1001)), "deliver": "~/x"}, "cannot deliver the output of 1001 elements"),
        (
            {"path": "study", "array": tuple(range(1001)), "deliver": "~/x"},
            "cannot deliver the output of 1001 elements",
        ),
    ],
)
async def test_what_cannot_be_chained_is_refused_and_nothing_is_stored(
    lab: Lab, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(LabboxError, match=words):
        await submit(lab, **asked)
    assert (await lab.jobs.page(lab.account("ada"))).jobs == ()


async def test_an_array_that_arrives_fails_clearly(lab: Lab) -> None:
    lab.folders.projects["study"] = msgspec.structs.replace(
        lab.folders.projects["study"], asked=JobSpec(array=(1, 2))
    )
    run = await submit(lab)
    await arrive(lab, run)
    assert "its job.toml asks for an array" in (await lab.ended(run.id)).reason.text


async def elements_of(lab: Lab, array: Job) -> list[Job]:
    page = await lab.jobs.page(lab.account("ada"), array=array.id, order="oldest")
    return list(page.jobs)


async def test_an_array_is_fetched_once_and_each_element_is_delivered(lab: Lab) -> None:
    array = await submit(lab, array=(3, 7), deliver="sftp://me@my-pc/study/output")
    assert array.kind is JobKind.ARRAY
    one, other = await elements_of(lab, array)
    assert (one.index, other.index) == (3, 7) and one.after == other.after and len(one.after) == 1
    why = await lab.jobs.why(lab.account("ada"), one.id)
    assert [reason.text for reason in why.reasons] == [f"starts when job {one.after[0]} has succeeded"]
    await arrive(lab, one)
    for each in (one, other):
        assert (await lab.ended(each.id)).state is S.SUCCEEDED
    assert (await lab.ended(array.id)).state is S.SUCCEEDED
    assert lab.folders.cleared == ["study"]  # once
    assert (await show(lab, array.id)).command == ("true",)
    for each in (one, other):
        (deliver,) = (await show(lab, each.id)).before
        asked = (await show(lab, deliver)).spec.transfer
        assert asked is not None and asked.sources == (f"job:{each.id}/output",)
        assert asked.target == f"sftp://me@my-pc/study/output/{each.index}" and asked.exact
        await lab.until(deliver, S.RUNNING)
    for number in (1, 2):
        (await lab.transfers.worker(number)).end(files=1)
    for each in (one, other):
        assert (await lab.ended((await show(lab, each.id)).before[0])).state is S.SUCCEEDED


async def test_an_array_on_the_box_is_delivered_element_by_element(lab: Lab) -> None:
    array = await submit(lab, "study", array=(1, 2), deliver="sftp://me@my-pc/out")
    targets = []
    for each in await elements_of(lab, array):
        (deliver,) = (await show(lab, each.id)).before
        asked = (await show(lab, deliver)).spec.transfer
        assert asked is not None
        targets.append(asked.target)
    assert targets == ["sftp://me@my-pc/out/1", "sftp://me@my-pc/out/2"]


async def test_elements_cancelled_before_their_folder_is_there_stay_so(lab: Lab) -> None:
    array = await submit(lab, array=(1, 2, 3), deliver="~/out")
    first, *others = await elements_of(lab, array)
    await lab.jobs.cancel(lab.account("ada"), first.id, "test")
    (deliver,) = (await show(lab, first.id)).before
    assert (await lab.ended(deliver)).reason.code is ReasonCode.DEPENDENCY_FAILED
    await arrive(lab, others[0])
    for each in others:
        assert (await lab.ended(each.id)).state is S.SUCCEEDED
    assert (await lab.ended(first.id)).state is S.CANCELLED


async def test_a_whole_array_is_cancelled_with_its_deliveries(lab: Lab) -> None:
    array = await submit(lab, array=(1, 2), deliver="~/out")
    await lab.jobs.cancel(lab.account("ada"), array.id, "test")
    for each in await elements_of(lab, array):
        assert (await lab.ended(each.id)).state is S.CANCELLED
        (deliver,) = (await show(lab, each.id)).before
        assert (await lab.ended(deliver)).reason.code is ReasonCode.DEPENDENCY_FAILED


async def test_what_arrives_for_an_array_and_cannot_run_fails_all_of_it(lab: Lab) -> None:
    array = await submit(lab, "sftp://me@my-pc/empty", array=(1, 2))
    one, other = await elements_of(lab, array)
    await arrive(lab, one, "empty")
    for each in (one, other):
        ended = await lab.ended(each.id)
        assert (ended.state, ended.reason.text) == (S.FAILED, "cannot find empty")
    lab.folders.projects["empty"] = lab.folders.projects["study"]
    await lab.jobs.retry(lab.account("ada"), array.id, "test")
    for each in (one, other):
        assert (await lab.ended(each.id)).state is S.SUCCEEDED


async def test_one_element_is_run_again_and_fetched_again(lab: Lab) -> None:
    array = await submit(lab, array=(1, 2), deliver="sftp://me@my-pc/out")
    one, other = await elements_of(lab, array)
    await arrive(lab, one)
    await lab.ended(array.id)
    again = await lab.jobs.rerun(lab.account("ada"), other.id, JobEdit(fresh=True), "test")
    assert (again.index, again.array) == (2, None)
    (fetch,) = again.after
    assert (await show(lab, fetch)).spec.transfer is not None
    (deliver,) = (await show(lab, again.id)).before
    asked = (await show(lab, deliver)).spec.transfer
    assert asked is not None and asked.target == "sftp://me@my-pc/out/2"
