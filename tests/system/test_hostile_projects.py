"""Small files that ask a parser for hours: their owner is told so, and others are answered as ever."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from harness import Box
from person import Person, wait_for

from labbox.errors import LabboxError
from labbox.model import FINAL, JobSpec, JobState, Sweep

pytestmark = [pytest.mark.engine, pytest.mark.root]

RUN = {"run.sh": "true\n"}
ALIASES = "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10) if level else 'x'}]\n" for level in range(10)
)
BACKTRACKING = "a*" * 100 + "b"
FILES: Mapping[str, Mapping[str, str]] = {
    "YAML aliases": {"environment.yml": f"{ALIASES}dependencies: *a9\n"},
    "YAML merges": {"environment.yml": f"x: &x {{dependencies: [six]}}\n{'y: {<<: *x}' + chr(10)}"},
    "nested YAML": {"environment.yml": "dependencies: " + "[" * 100_000},
    "a YAML number of base 60": {"environment.yml": "dependencies: [" + "1:" * 100_000 + "1]"},
    "a YAML package of a million letters": {"environment.yml": "dependencies:\n - " + "a" * 900_000},
    "includes of includes": {
        "requirements.txt": "-r a.txt\n" * 300,
        **{f"{one}.txt": f"-r {two}.txt\n" * 300 for one, two in ("ab", "bc", "cd", "de", "ef")},
        "f.txt": "six\n" * 300,
    },
    "files that include each other": {
        "requirements.txt": "-r a.txt\n-r b.txt\n" * 100,
        "a.txt": "-r b.txt\n" * 300,
        "b.txt": "-r a.txt\n" * 300,
    },
    "a requirement of a million letters": {"requirements.txt": "a" * 1_000_000},
    "a requirement of blanks": {"requirements.txt": "a" + " " * 500_000 + "!"},
    "extras without end": {"requirements.txt": "a[" + "b," * 300_000},
    "versions without end": {"requirements.txt": "a" + ">=1 , " * 100_000 + "!"},
    "hashes without end": {"requirements.txt": "a==1 " + "--hash=sha256:0 " * 60_000},
    "lines that go on": {"requirements.txt": "a\\\n" * 300_000},
    "options": {"requirements.txt": "--" + "a-" * 300_000},
    "nested TOML": {"pyproject.toml": "x = " + "[" * 200_000},
    "nested TOML tables": {"pyproject.toml": "[" + "a." * 200_000 + "a]\n"},
    "a TOML integer without end": {"pyproject.toml": "x = " + "1" * 900_000},
    "a number without end in job.toml": {"job.toml": "cpus = " + "9" * 4000},
    "an array without end": {"job.toml": 'array = "0-999999999999999999"'},
    "sweeps of huge numbers": {"job.toml": "[sweep]\nx = [" + "9" * 4000 + "]\n"},
    "many keys in job.toml": {"job.toml": "".join(f"k{n}=1\n" for n in range(25_000))},
    "nested job.toml": {"job.toml": "env = " + "{a=" * 50_000},
    "patterns in job.toml": {"job.toml": f'ignore = ["{BACKTRACKING}", "**/{BACKTRACKING}"]\n'},
    "many patterns in job.toml": {"job.toml": f"ignore = {['*a*b*c' + str(n) for n in range(9000)]}\n"},
    "packages of a million letters": {"apt.txt": "a" * 1_000_000},
    "packages without end": {"apt.txt": "a " * 500_000},
    "a base of a million letters": {"Dockerfile": "FROM " + "a" * 900_000},
    "a base behind many options": {"Dockerfile": "FROM " + "--a " * 200_000},
    "a Dockerfile of blank lines": {"Dockerfile": "\n" * 900_000},
    "a .dockerignore that backtracks": {
        "Dockerfile": "FROM labbox/base\nRUN true\n",
        ".dockerignore": f"{BACKTRACKING}\n**/{BACKTRACKING}\n" + "**/a" * 60 + "b\n",
        "a" * 200: "x",
        "a/" * 30 + "a" * 100: "x",
    },
    "a .dockerignore without end": {
        "Dockerfile": "FROM labbox/base\nRUN true\n",
        ".dockerignore": "x*y\n" * 50_000,
    },
}


class Latency:
    """Answers of the API to somebody else, meanwhile."""

    def __init__(self, box: Box) -> None:
        self.taken: list[float] = []
        self._box = box
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        client = self._box.client(act_as="grace")
        while not self._over.is_set():
            started = time.perf_counter()
            client.list_jobs(limit=5)
            self.taken.append(time.perf_counter() - started)
            self._over.wait(0.01)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join(60)


@contextmanager
def _others_are_answered(box: Box) -> Iterator[None]:
    latency = Latency(box)
    latency.start()
    try:
        yield
        wait_for(lambda: len(latency.taken) >= 50)
    finally:
        latency.end()
    assert statistics.median(latency.taken) <= 0.020
    assert max(latency.taken) < 5.0


def _over(ada: Person, box: Box, number: int) -> bool:
    return box.client(act_as="ada").show_job(number).job.state in FINAL


@pytest.mark.attack("S4")
def test_files_that_ask_for_hours_hold_up_nobody_else(
    ada: Person, box: Box, tried: Callable[..., None]
) -> None:
    taken: list[int] = []
    client = box.client(act_as="ada")
    with _others_are_answered(box):
        for number, (name, files) in enumerate(FILES.items()):
            tried()
            folder = box.put("ada", f"hostile-{number}", {**RUN, **files})
            started = time.monotonic()
            try:
                taken.append(client.submit_job(JobSpec(path=folder, time_limit=60.0)).id)
            except LabboxError as error:
                assert error.code in ("invalid", "limit"), (name, error.message)
                assert error.message.startswith("cannot "), name
                assert len(error.message) < 20_000, name
            assert time.monotonic() - started < 45, name
        for sweep in ("[" * 100_000, "9" * 5_000, "1e999", '{"a":' * 1000):
            tried()
            spec = JobSpec(command=("true",), sweep=(Sweep(name="x", values=(sweep, "2")),))
            taken.append(client.submit_job(spec).id)
    tried()
    box.kill()
    box.start()
    with _others_are_answered(box):
        for job in taken:
            wait_for(lambda job=job: _over(ada, box, job), 110)  # type: ignore[misc]


@pytest.mark.attack("S4")
def test_what_was_being_prepared_in_two_deaths_of_the_box_fails(
    ada: Person, box: Box, tried: Callable[..., None]
) -> None:
    folder = box.put(
        "ada", "deadly", {"Dockerfile": "FROM labbox/base\nRUN sleep 600 # deadly\n", "run.sh": "true\n"}
    )
    number = box.client(act_as="ada").submit_job(JobSpec(path=folder)).id
    spool = box.state / "spool" / f"{number}-1" / "preparing"
    for deaths in (1, 2):
        wait_for(lambda deaths=deaths: spool.exists() and spool.stat().st_size == deaths)  # type: ignore[misc]
        tried()
        box.kill()
        box.start()
    wait_for(lambda: _over(ada, box, number))
    shown = box.client(act_as="ada").show_job(number).job
    assert shown.state is JobState.FAILED
    assert shown.reason is not None
    assert "the box ended 2 times while it was preparing this job" in shown.reason.text
    assert not spool.exists()
    assert ada.run("job", "submit", "--follow", "--", "echo", "goes on").returncode == 0
