"""A box whose engine comes late, is killed under its jobs, and whose disk is full."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Box
from person import Person, wait_for

from labbox.model import JobSpec

pytestmark = [pytest.mark.engine, pytest.mark.root]

CUSTOM = """
[jobs]
cpus = 4
default_memory = "64M"
free_floor = "40M"

[containers]
base_image = "labbox-test/outages"
pull = false
"""
STATE_ROOM = "200m"
COUNTING = "i=0; while [ $i -lt {} ]; do i=$((i+1)); echo $i || exit 1; sleep 0.02; done"


class OwnEngine:
    """An engine of the tests' own, which they may stop, kill and start."""

    def __init__(self, data: Path, run: Path) -> None:
        self.data, self.run = data, run
        self.url = f"unix://{run}/docker.sock"
        self.started = False

    def start(self) -> None:
        self.started = True
        subprocess.run([_ENGINE_UP, "--data", self.data, "--run", self.run], check=True, timeout=90)

    def stop(self) -> None:
        if self.started:
            subprocess.run([_ENGINE_UP, "--run", self.run, "stop"], check=True, timeout=90)

    def end(self, number: int) -> None:
        """End the engine alone; what runs in it goes on."""
        pid = int((self.run / "dockerd.pid").read_text())
        os.kill(pid, number)
        wait_for(lambda: not Path(f"/proc/{pid}/exe").exists())

    def import_image(self) -> None:
        """A small image: the box's busybox under the names of its programs."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name in ("bin", "etc", "tmp", "proc", "code", "input", "output"):
                (root / name).mkdir()
            shutil.copy("/bin/busybox", root / "bin/busybox")
            for name in ("sh", "echo", "cat", "sleep", "true"):
                (root / "bin" / name).symlink_to("busybox")
            archive = subprocess.run(["tar", "-C", folder, "-c", "."], check=True, capture_output=True).stdout
        subprocess.run(
            ["docker", "-H", self.url, "import", "--change", "ENV PATH=/bin", "-", "labbox-test/outages"],
            input=archive,
            check=True,
            stdout=subprocess.DEVNULL,
        )


_ENGINE_UP = Path(__file__).parents[1] / "engine-up"


@pytest.fixture(scope="module")
def engine(state_disk: Path) -> Iterator[OwnEngine]:
    """It has its image and does not run; made after the disk is mounted, so that its processes see that."""
    assert state_disk.is_mount()
    run = Path(tempfile.mkdtemp(prefix="labbox-test-", dir="/run"))  # paths of sockets must be short
    data = Path(tempfile.mkdtemp(prefix="labbox-test-", dir=os.environ.get("LABBOX_TEST_DATA", "/var/tmp")))
    own = OwnEngine(data, run)
    try:
        own.start()
        own.import_image()
        own.end(signal.SIGTERM)
        yield own
    finally:
        own.stop()
        shutil.rmtree(run)
        shutil.rmtree(data)


@pytest.fixture(scope="module")
def state_disk() -> Iterator[Path]:
    """A small disk of its own for the state folder."""
    folder = Path(tempfile.mkdtemp(prefix="labbox-small-", dir="/var/tmp"))
    folder.chmod(0o755)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={STATE_ROOM},mode=755", "labbox-test", folder], check=True
    )
    yield folder
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


@pytest.fixture(scope="module")
def box(engine: OwnEngine, state_disk: Path) -> Iterator[Box]:
    running = Box(state_disk, ("ada", "grace"), CUSTOM, {"DOCKER_HOST": engine.url})
    yield running
    running.stop()


def submit(person: Person, script: str, *words: str) -> str:
    done = person.run("job", "submit", "--quiet", *words, "--", "sh", "-c", f"'{script}'")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def numbers(person: Person, job: str) -> list[str]:
    return person.run("job", "log", job).stdout.splitlines()


def has_ended(person: Person, job: str) -> bool:
    return person.job(job)["state"] in ("succeeded", "failed", "cancelled", "lost", "timed_out")


def test_jobs_wait_for_an_engine_and_say_so(box: Box, engine: OwnEngine) -> None:
    """First in this file: the engine does not run yet."""
    ada = Person(box, "ada")
    job = submit(ada, "echo started")
    why = ada.run("job", "why", job)
    assert why.returncode == 0
    assert "container engine" in why.stdout
    assert ada.job(job)["state"] == "queued"
    assert "jobs do not start: " in ada.run("status").stdout
    assert ada.project("study", {"run.sh": "true\n"}) == "study"  # files come and go
    engine.start()
    wait_for(lambda: has_ended(ada, job))
    assert numbers(ada, job) == ["started"]
    assert ada.job(job)["state"] == "succeeded"
    assert "jobs do not start" not in ada.run("status").stdout


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_engine_that_ends_under_running_jobs(number: int, box: Box, engine: OwnEngine) -> None:
    engine.start()
    ada, grace = Person(box, "ada"), Person(box, "grace")
    counting = submit(grace, COUNTING.format(750))  # for longer than an engine takes to end
    wait_for(lambda: len(numbers(grace, counting)) > 5)
    engine.end(number)
    waiting = submit(ada, "echo later")
    assert "container engine" in ada.run("job", "why", waiting).stdout
    seen = len(numbers(grace, counting))
    wait_for(lambda: len(numbers(grace, counting)) > seen)  # its log comes without the engine
    engine.start()
    wait_for(lambda: has_ended(grace, counting) and has_ended(ada, waiting))
    assert numbers(grace, counting) == [str(each) for each in range(1, 751)]
    job = grace.job(counting)
    assert (job["state"], job["attempt"], job["exit_code"]) == ("succeeded", 1, 0)
    assert numbers(ada, waiting) == ["later"]


def test_kills_of_box_and_engine_lose_nothing_that_runs_write_to_their_code(
    box: Box, engine: OwnEngine, state_disk: Path
) -> None:
    """At moments that nobody chose: while runs begin, write, end, and while what they wrote comes back."""
    engine.start()
    ada, chance = Person(box, "ada"), random.Random(7)
    script = "i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo $i; echo $i >> lines.txt; sleep 0.02; done\n"
    ada.project("writing", {"run.sh": script})
    client, jobs = box.client(act_as="ada"), []
    for _ in range(5):
        jobs += [client.submit_job(JobSpec(path="writing", command=("sh", "run.sh"))).id for _ in range(2)]
        time.sleep(chance.uniform(0.1, 3))
        box.kill()
        engine.end(signal.SIGKILL)
        time.sleep(chance.uniform(0, 1))
        engine.start()
        box.start()
        client = box.client(act_as="ada")
    wait_for(lambda: all(has_ended(ada, str(job)) for job in jobs), 200)
    expected = [str(each) for each in range(1, 101)]
    for number in jobs:
        job = ada.job(number)
        assert job["state"] == "succeeded", job["reason"]
        folder = box.state / "results/ada" / job["results"].removeprefix("jobs/")
        assert [path.name for path in (folder / "code").iterdir()] == ["lines.txt"]
        left = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*")}
        log = (folder / "log.txt").read_text()
        assert (folder / "code/lines.txt").read_text().split() == expected, (job, left, log)
        assert (folder / "log.txt").read_text().splitlines().count("50") == 1
    box.kill()  # an engine forgets the mounts of those before it when it starts anew; the box sweeps then
    engine.end(signal.SIGTERM)
    engine.start()
    box.start()
    words = ["docker", "-H", engine.url, "volume", "ls", "-q"]
    wait_for(lambda: not subprocess.run(words, check=True, capture_output=True).stdout)
    mounts = Path(f"/proc/{(engine.run / 'dockerd.pid').read_text().strip()}/mountinfo")
    assert f"{box.state}/spool" not in mounts.read_text()
    wait_for(lambda: not list((box.state / "spool").iterdir()))


def test_a_full_disk_refuses_in_words_and_all_goes_on_when_there_is_room(
    box: Box, engine: OwnEngine, state_disk: Path
) -> None:
    engine.start()
    ada, grace = Person(box, "ada"), Person(box, "grace")
    ada.project("study", {"run.sh": "cat /input/data\n", "input/data": "x" * 4_000_000 + "\n"})
    running = submit(grace, "while :; do sleep 0.05; done")
    wait_for(lambda: grace.job(running)["state"] == "running")
    filler = state_disk / "filler"
    with filler.open("wb") as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(b"\0" * (1 << 20))
            file.flush()
    refused = ada.run("job", "submit", "study")
    assert refused.returncode == 1, refused.stdout
    assert refused.stderr.startswith("error: cannot ")
    assert re.search(r"the box has only .+ of disk left", refused.stderr)
    assert "hint: " in refused.stderr
    assert refused.stdout == ""
    assert ada.run("job", "list").returncode == 0
    assert re.search(r"has only .+ free", ada.run("status").stdout)
    assert grace.job(running)["state"] == "running"
    # enough to take a job in, too little to start one
    os.truncate(filler, filler.stat().st_size - (26 << 20))
    wait_for(lambda: ada.run("job", "submit", "--quiet", "--", "echo", "late").returncode == 0)
    late = str(ada.json("job", "list")["jobs"][0]["id"])
    assert "disk" in ada.run("job", "why", late).stdout
    assert ada.job(late)["state"] == "queued"
    filler.unlink()
    wait_for(lambda: has_ended(ada, late))
    assert numbers(ada, late) == ["late"]
    done = ada.run("job", "submit", "study", "--follow", "--", "sh", "run.sh")
    assert done.returncode == 0
    assert done.stdout.endswith("x" * 4_000_000 + "\n")
    assert grace.job(running)["state"] == "running"
    assert grace.run("job", "kill", running).returncode == 0
    assert "Traceback" not in (state_disk / "up.log").read_text()
