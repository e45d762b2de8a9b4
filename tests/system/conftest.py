"""A whole box with a real engine, reached by stock clients only."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Box
from neighbours import jobs_that_go_on
from person import Person, wait_for

CUSTOM = """
[jobs]
cpus = 8
disk = "200M"
code_results = "100M"
log = "20M"
grace = "2s"

[containers]
dockerfiles = true
bases = ["labbox/base"]
"""


@pytest.fixture(scope="session")
def box() -> Iterator[Box]:
    folder = Path(tempfile.mkdtemp(prefix="labbox-system-", dir="/var/tmp"))
    folder.chmod(0o755)
    running = Box(folder, ("ada", "grace"), CUSTOM)
    yield running
    running.stop()
    names = subprocess.run(
        [
            "docker",
            "ps",
            "-aq",
            "--filter",
            f"label=labbox.box={(running.state / 'box.id').read_text().strip()}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    if names:
        subprocess.run(["docker", "rm", "-f", *names], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ada(box: Box) -> Person:
    return Person(box, "ada")


@pytest.fixture
def grace(box: Box) -> Person:
    return Person(box, "grace")


@pytest.fixture
def neighbour(grace: Person) -> Iterator[Callable[[], None]]:
    """Grace's job that counts while somebody else does something foolish; call it to see that it went on."""
    grace.project(
        "counting", {"code/run.sh": "i=0; while [ $i -lt 600 ]; do i=$((i+1)); echo $i; sleep 0.2; done\n"}
    )
    number = grace.run(
        "job", "submit", "counting", "--quiet", "--memory", "64M", "--cpus", "0.2"
    ).stdout.strip()
    wait_for(lambda: _lines(grace, number) > 0)

    def goes_on() -> None:
        before = _lines(grace, number)
        wait_for(lambda: _lines(grace, number) > before + 2)

    yield goes_on
    goes_on()
    grace.run("job", "kill", number)


@pytest.fixture
def other(grace: Person) -> Iterator[Callable[[], None]]:
    """Grace's running and waiting job beside what is refused; call it to see both end well."""
    with jobs_that_go_on(grace) as go_on:
        yield go_on


def _lines(person: Person, number: str) -> int:
    return len(person.run("job", "log", number).stdout.splitlines())
