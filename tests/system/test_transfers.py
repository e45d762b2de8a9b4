"""Transfers on a whole box: killed under way, paused, cancelled, without disk, of two people; and the loop
of a study on another machine: fetched, run, delivered.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Box
from person import Person, wait_for
from sshd import Sshd

from labbox.client import Client
from labbox.model import FINAL, Conflict, JobSpec, JobState, TransferSpec, TransferVerb
from labbox.protocol import Job

pytestmark = [pytest.mark.root]

LARGE = 192 << 20  # bytes: seconds of copying on a busy machine


@pytest.fixture(scope="module")
def alone() -> Iterator[Box]:
    """A box that may be killed."""
    folder = Path(tempfile.mkdtemp(prefix="labbox-transfers-", dir="/var/tmp"))
    folder.chmod(0o755)
    running = Box(folder, ("ada", "grace"))
    yield running
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


def home(box: Box, name: str) -> Path:
    return box.state / "homes" / name


def large(box: Box, name: str) -> Path:
    """A file of somebody's that takes a while; not compressible, without holes."""
    path = home(box, name) / "large"
    if not path.exists():
        with path.open("wb") as file:
            for _ in range(LARGE >> 20):
                file.write(os.urandom(1 << 20))
        user = box.client().show_user(name)
        os.chown(path, user.uid, user.gid)
    return path


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def copy(box: Client, target: str, *, verify: bool = True) -> Job:
    """Slow enough to be met under way: read again and compared."""
    asked = TransferSpec(verb=TransferVerb.COPY, sources=("~/large",), target=target, verify=verify)
    return box.submit_job(JobSpec(transfer=asked))


def under_way(box: Client, job: int) -> None:
    """Wait until some of it is done; a fast machine may be done altogether."""

    def seen() -> bool:
        now = box.show_job(job).job
        return now.state in FINAL or (now.progress is not None and now.progress.done > 0)

    wait_for(seen)


def ended(box: Client, job: int, seconds: float = 100) -> Job:
    wait_for(lambda: box.show_job(job).job.state in FINAL, seconds)
    return box.show_job(job).job


def test_a_copy_goes_on_where_kill_9_cut_it(alone: Box) -> None:
    source = large(alone, "ada")
    for number in range(3):
        job = copy(alone.client("ada"), f"~/killed-{number}")
        under_way(alone.client("ada"), job.id)
        alone.kill()
        alone.start()
        done = ended(alone.client("ada"), job.id)
        assert (done.state, done.attempt) == (JobState.SUCCEEDED, 1), done.reason
        there = home(alone, "ada") / f"killed-{number}"
        assert [one.name for one in there.iterdir()] == ["large"]
        assert digest(there / "large") == digest(source)
        assert alone.client("ada").transfer_summary(job.id).failed == 0
        shutil.rmtree(there)


def test_a_paused_copy_stands_still_and_goes_on(alone: Box) -> None:
    source, box = large(alone, "ada"), alone.client("ada")
    job = copy(box, "~/paused")
    under_way(box, job.id)
    assert box.pause_job(job.id).state is JobState.PAUSED
    there = home(alone, "ada") / "paused"
    alone.kill()  # the pause outlives the daemon
    alone.start()
    box = alone.client("ada")
    assert box.show_job(job.id).job.state is JobState.PAUSED
    assert not (there / "large").exists()
    box.resume_job(job.id)
    assert ended(box, job.id).state is JobState.SUCCEEDED
    assert digest(there / "large") == digest(source)


def test_a_cancelled_copy_leaves_nothing_half_written(alone: Box) -> None:
    large(alone, "ada")
    box = alone.client("ada")
    job = copy(box, "~/cancelled")
    under_way(box, job.id)
    box.pause_job(job.id)
    box.cancel_job(job.id)
    done = ended(box, job.id)
    assert (done.state, done.reason.text if done.reason else "") == (JobState.CANCELLED, "cancelled by ada")
    there = home(alone, "ada") / "cancelled"
    assert not there.exists() or list(there.iterdir()) == []


def test_a_full_disk_fails_the_copy_in_words_and_deleting_still_works(alone: Box) -> None:
    large(alone, "ada")
    box, there = alone.client("ada"), home(alone, "ada") / "small"
    there.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=777", "small", there], check=True)
    try:
        job = copy(box, "~/small", verify=False)
        done = ended(box, job.id)
        assert done.state is JobState.FAILED
        assert done.reason is not None
        assert "could not be copied" in done.reason.text
        (failure,) = box.transfer_summary(job.id).failures
        assert failure.code == "limit", failure
        assert list(there.iterdir()) == []
        (there / "rest").write_bytes(b"x" * (8 << 20))
        asked = TransferSpec(verb=TransferVerb.ERASE, sources=("~/small/rest",))
        assert ended(box, box.submit_job(JobSpec(transfer=asked)).id).state is JobState.SUCCEEDED
        assert list(there.iterdir()) == []
    finally:
        subprocess.run(["umount", there], check=True)


def test_two_people_copy_with_their_own_rights_and_share_what_is_shared(alone: Box) -> None:
    large(alone, "ada")
    root, ada, grace = alone.client(), alone.client("ada"), alone.client("grace")
    root.add_project("atlas", ("ada", "grace"))
    uid = root.show_user("grace").uid

    def run(box: Client, source: str, target: str) -> Job:
        asked = TransferSpec(
            verb=TransferVerb.COPY, sources=(source,), target=target, conflict=Conflict.OVERWRITE
        )
        return ended(box, box.submit_job(JobSpec(transfer=asked)).id)

    stolen = run(grace, str(large(alone, "ada")), "~/stolen")
    assert stolen.state is JobState.FAILED
    assert not (home(alone, "grace") / "stolen/large").exists()
    assert run(ada, "~/large", "project:atlas/data").state is JobState.SUCCEEDED
    assert run(grace, "project:atlas/data/large", "~/mine").state is JobState.SUCCEEDED
    assert (home(alone, "grace") / "mine/large").stat().st_uid == uid
    assert run(grace, "~/mine/large", "shared:/from-grace").state is JobState.SUCCEEDED
    assert (alone.state / "shared/from-grace/large").stat().st_size == LARGE
    root.leave_project("atlas", "grace")
    assert run(grace, "project:atlas/data/large", "~/more").state is JobState.FAILED


@pytest.mark.engine
def test_a_study_on_another_machine_is_fetched_run_and_delivered(alone: Box, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "run.sh").write_text("cp /code/answer /output/answer; echo done\n")
    (study / "answer").write_text("42")
    pc, box = Sshd(tmp_path / "pc"), alone.client("ada")
    name = f"root@127.0.0.1:{pc.port}"
    there = f"sftp://{name}/{study}"
    box.add_host(name, private_key=pc.key.read_text())
    box.trust_host(name, pc.host_key)
    run = box.submit_job(JobSpec(path=there, deliver=f"{there}/output", cpus=0.5))  # the PC is asleep
    (fetch,) = run.after
    wait_for(lambda: _reason(box, fetch).startswith(f"127.0.0.1:{pc.port} does not answer, trying again at"))
    assert _reason(box, run.id) == f"starts when job {fetch} has succeeded"
    with pc:
        assert ended(box, fetch).state is JobState.SUCCEEDED
        assert ended(box, run.id).state is JobState.SUCCEEDED
        (deliver,) = box.show_job(run.id).before
        assert ended(box, deliver).state is JobState.SUCCEEDED
        assert (study / "output/answer").read_text() == "42"
        (study / "answer").write_text("43")
        person = Person(alone, "ada")
        done = person.run("job", "submit", there, "--deliver", f"{there}/output", "--follow")
        assert done.returncode == 0, done.stderr
        assert "done\n" in done.stdout
        assert (study / "output/answer").read_text() == "43"
        (study / "run.sh").write_text("exit 3\n")
        assert person.run("job", "submit", there, "--follow").returncode == 3
        gone = person.run("job", "submit", f"{there}-not-there", "--follow")
        assert gone.returncode == 125
        assert "after which it was to run, ended as failed" in gone.stderr


def _reason(box: Client, job: int) -> str:
    found = box.show_job(job).job.reason
    return "" if found is None else found.text
