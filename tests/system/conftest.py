"""A whole box with a real engine, reached by stock clients only."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))

from harness import Box, ssh_options

CUSTOM = """
[jobs]
cpus = 8
disk = "200M"
log = "20M"
grace = "2s"

[containers]
dockerfiles = true
bases = ["labbox/base"]
"""


class Person:
    """Somebody with an OpenSSH client: what they type, and what comes back."""

    def __init__(self, box: Box, name: str) -> None:
        self.box, self.name = box, name

    def run(
        self, *words: str, stdin: bytes | None = None, timeout: float = 110
    ) -> subprocess.CompletedProcess[str]:
        """`ssh NAME@box WORD…`."""
        done = subprocess.run(
            self.box.ssh(self.name, *words), input=stdin or b"", capture_output=True, timeout=timeout
        )
        return subprocess.CompletedProcess(
            done.args,
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )

    def json(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def job(self, number: int | str) -> dict[str, Any]:
        """The job as `job show --json` has it."""
        shown = self.json("job", "show", str(number))
        return dict(shown.get("job", shown))

    def scp(self, source: str, target: str) -> None:
        options = [
            word.replace("-p", "-P") if word == "-p" else word
            for word in ssh_options(self.box.key, self.box.port)
        ]
        subprocess.run(
            ["scp", "-q", "-r", *options, source, target.replace("box:", f"{self.name}@127.0.0.1:")]
            if "box:" in target
            else ["scp", "-q", "-r", *options, source.replace("box:", f"{self.name}@127.0.0.1:"), target],
            check=True,
            timeout=60,
        )

    def project(self, name: str, files: dict[str, str]) -> str:
        """Put a folder into the home, with scp as people do."""
        with tempfile.TemporaryDirectory() as folder:
            top = Path(folder) / name
            top.mkdir(parents=True)
            for path, text in files.items():
                (top / path).parent.mkdir(parents=True, exist_ok=True)
                (top / path).write_text(text)
            self.scp(str(top), "box:")
        return name


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
    _wait_for(lambda: _lines(grace, number) > 0)

    def goes_on() -> None:
        before = _lines(grace, number)
        _wait_for(lambda: _lines(grace, number) > before + 2)

    yield goes_on
    goes_on()
    grace.run("job", "kill", number)


def _lines(person: Person, number: str) -> int:
    return len(person.run("job", "log", number).stdout.splitlines())


def _wait_for(true: Callable[[], bool], seconds: float = 60) -> None:
    import time

    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s"
        time.sleep(0.1)


@pytest.fixture
def wait_for() -> Callable[..., None]:
    return _wait_for


@pytest.fixture
def words() -> Callable[[Sequence[str]], str]:
    return lambda parts: " ".join(parts)
