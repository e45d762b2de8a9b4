"""What jobs rely on, shown by the same functions on the engine in memory and on a real one."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import shutil
import tarfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import docker
import pytest

from labbox.daemon.containers.engine import Engine
from labbox.errors import LabboxError
from labbox.model import CANCELLED_EXIT, JobState
from labbox.protocol import Job

Lab = Any  # conftest's; a fixture gives it

S = JobState
_IMAGE = "labbox-test/jobs"


@pytest.fixture(scope="session")
def image() -> str:
    """A small image on the real engine, with a static busybox as all its programs."""
    names = ("sh", "true", "false", "echo", "sleep", "cat")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "tmp", "code", "input", "output", "labbox", "etc", "proc", "dev", "sys"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        tar.add("/bin/busybox", "bin/busybox")
        for name in names:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name in ("etc/passwd", "etc/group"):
            tar.addfile(tarfile.TarInfo(name))
    api = docker.APIClient(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"), timeout=60)
    try:
        api.import_image_from_data(buffer.getvalue(), repository=_IMAGE, changes=["ENV PATH=/bin"])
        return str(api.inspect_image(_IMAGE)["Id"])
    finally:
        api.close()


class _RealEngine(Engine):
    """The real one, which outlives the daemons of a test."""

    def forget_listeners(self) -> None:
        self._listeners.clear()
        self._changed.clear()


@pytest.fixture(params=["fake", pytest.param("real", marks=[pytest.mark.engine, pytest.mark.root])])
async def box(request: pytest.FixtureRequest, new_lab: Any) -> AsyncIterator[Lab]:
    """A box that is off, on either engine; `follow` keeps the real one's events coming."""
    lab = new_lab()
    if request.param == "fake":
        yield lab
        await lab.down()
        return
    lab.environments.image = request.getfixturevalue("image")
    lab.box_id = f"jobs{uuid.uuid4().hex[:8]}"
    engine = _RealEngine(box=lab.box_id)
    lab.engine = engine
    following = asyncio.create_task(engine.run())
    async with asyncio.timeout(30):
        await engine.wait_available()
    yield lab
    await lab.down()
    for name in await engine.list():
        with contextlib.suppress(LabboxError):  # the service was just removing it itself
            await engine.remove(name)
    following.cancel()
    await asyncio.wait({following})
    shutil.rmtree(lab.state, ignore_errors=True)


async def _log(lab: Lab, job: Job) -> str:
    return "".join([record.text async for record in lab.jobs.log(lab.account("ada"), job.id)])


async def test_ends_and_their_codes(box: Lab) -> None:
    await box.up()
    good = await box.submit("echo", "hello")
    bad = await box.submit("sh", "-c", "exit 3")
    missing = await box.submit("no-such-program")
    done = await box.ended(good.id)
    assert (done.state, done.exit_code) == (S.SUCCEEDED, 0)
    assert (await _log(box, done)).endswith("hello\n")
    assert (await box.ended(bad.id)).exit_code == 3
    done = await box.ended(missing.id)
    assert (done.state, done.exit_code) == (S.FAILED, 127)
    async with asyncio.timeout(20):
        while await box.engine.list():
            await asyncio.sleep(0.01)


async def test_cancel_kill_pause_and_time_limit(box: Lab) -> None:
    await box.up()
    ada = box.account("ada")
    cancelled, killed, late = (
        await box.submit("sleep", "1000"),
        await box.submit("sleep", "1000"),
        await box.submit("sleep", "1000", time_limit=1.0),
    )
    for job in (cancelled, killed):
        await box.until(job.id, S.RUNNING)
    assert (await box.jobs.pause(ada, cancelled.id, "test")).state is S.PAUSED
    await box.jobs.cancel(ada, cancelled.id, "test")
    await box.jobs.kill(ada, killed.id, "test")
    for job in (cancelled, killed):  # whatever the command ended with
        ended = await box.ended(job.id)
        assert (ended.state, ended.exit_code) == (S.CANCELLED, CANCELLED_EXIT)
    assert (await box.ended(late.id)).state is S.TIMED_OUT


async def test_a_restart_adopts_and_collects(box: Lab) -> None:
    await box.up()
    runs, ends = await box.submit("sleep", "1000"), await box.submit("sleep", "1000")
    for job in (runs, ends):
        await box.until(job.id, S.RUNNING)
    await box.down()
    await box.engine.kill(f"labbox-{box.box_id}-{ends.id}-1")
    await box.up()
    done = await box.ended(ends.id)
    assert (done.state, done.exit_code, done.attempt) == (S.FAILED, 137, 1)
    assert (await box.job(runs.id)).state is S.RUNNING
    await box.jobs.kill(box.account("ada"), runs.id, "test")
    assert (await box.ended(runs.id)).attempt == 1


def test_the_results_folder_cannot_be_left_by_progress(tmp_path: Path) -> None:
    from labbox.daemon.jobs import results

    (tmp_path / "output").mkdir()
    secret = tmp_path / "secret"
    secret.write_text("40/100")
    output = results.open_output(tmp_path)
    try:
        assert results.read_progress(output) is None
        (tmp_path / "output/.progress").symlink_to(secret)
        assert results.read_progress(output) is None
        (tmp_path / "output/.progress").unlink()
        os.mkfifo(tmp_path / "output/.progress")
        assert results.read_progress(output) is None  # and does not hang
        (tmp_path / "output/.progress").unlink()
        (tmp_path / "output/.progress").write_text("7/9\nmore")
        assert results.read_progress(output) == "7/9"
    finally:
        os.close(output)
