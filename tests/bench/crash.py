"""kill -9 of the daemon at random moments under load, and the count of what went wrong: it must be nothing.

The engine itself is the witness: its event stream tells how often each container started. Each job prints
numbered lines, so that a line lost or doubled shows. Used by the suite (20 kills) and the benchmark (1,000).
"""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from harness import Box, percentile

from labbox.errors import LabboxError
from labbox.model import FINAL, JobSpec, JobState
from labbox.protocol import Job

LINES = 300
SCRIPT = (
    f"mkdir made; i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i; echo line $i >> made/lines.txt;"
    " [ $((i % 20)) != 0 ] || sleep 0.02; done\n"
)


@dataclass
class Findings:
    """What a crash run found."""

    kills: int = 0
    jobs: int = 0
    lost: list[int] = field(default_factory=list)
    started_twice: list[str] = field(default_factory=list)
    wrong_lines: list[int] = field(default_factory=list)
    illegal: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)  # to their code, and it did not come back whole
    left_behind: list[str] = field(default_factory=list)  # volumes and mounts
    recoveries: list[float] = field(default_factory=list)
    own_recoveries: list[float] = field(default_factory=list)  # less what others' work on the machine took

    @property
    def clean(self) -> bool:
        return not (
            self.lost
            or self.started_twice
            or self.wrong_lines
            or self.illegal
            or self.written
            or self.left_behind
        )

    def __str__(self) -> str:
        parts = (
            f"{self.kills} kills, {self.jobs} jobs: {len(self.lost)} lost",
            f"{len(self.started_twice)} started twice",
            f"{len(self.wrong_lines)} with lines lost or doubled",
            f"{len(self.illegal)} in an illegal state",
            f"{len(self.written)} without what they wrote to their code",
            f"{len(self.left_behind)} volumes and mounts left behind",
            f"back after p99 {percentile(self.recoveries, 0.99):.2f} s",
        )
        return ", ".join(parts)


class _Witness:
    """Counts container starts of this box, from the engine's own events."""

    def __init__(self) -> None:
        self.starts: Counter[str] = Counter()
        self._process = subprocess.Popen(
            [
                "docker",
                "events",
                "--filter",
                "event=start",
                "--filter",
                "type=container",
                "--format",
                "{{json .}}",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            attributes = json.loads(line)["Actor"]["Attributes"]
            if "labbox.job" in attributes:
                self.starts[attributes["name"]] += 1

    def stop(self) -> None:
        self._process.terminate()
        self._listener.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait()


def crash(box: Box, kills: int, seed: int = 1, concurrency: int = 3) -> Findings:
    """Kill the daemon `kills` times while people submit; then let all finish and look at every job."""
    findings, chance = Findings(), random.Random(seed)
    box.put("ada", "lines", {"code/run.sh": SCRIPT})
    accepted: list[int] = []
    stop = threading.Event()

    def submit() -> None:
        client = box.client(act_as="ada")
        while not stop.is_set():
            try:
                waiting = sum(
                    count for state, count in client.count_jobs().by_state.items() if state not in FINAL
                )
                if waiting < 2 * concurrency + 4:
                    accepted.append(client.submit_job(JobSpec(path="lines", cpus=0.5, memory=64 << 20)).id)
                else:
                    stop.wait(0.1)
            except LabboxError:  # the daemon was just killed: nothing was acknowledged
                stop.wait(0.05)

    witness = _Witness()
    threads = [threading.Thread(target=submit) for _ in range(concurrency)]
    try:
        for thread in threads:
            thread.start()
        for _ in range(kills):
            time.sleep(chance.uniform(0.02, 1.2))
            box.kill()
            findings.recoveries.append(box.start())
            findings.own_recoveries.append(findings.recoveries[-1] - box.stood)
            findings.kills += 1
        stop.set()
        for thread in threads:
            thread.join()
        _settle(box, accepted, findings)
    finally:
        stop.set()
        witness.stop()
    findings.started_twice += [name for name, count in witness.starts.items() if count > 1]
    return findings


def _settle(box: Box, accepted: list[int], findings: Findings) -> None:
    client = box.client(act_as="ada")
    findings.jobs = len(accepted)
    expected = [f"line {number}" for number in range(1, LINES + 1)]
    for number in accepted:
        try:
            end = time.monotonic() + 120
            while (detail := client.show_job(number)).job.state not in FINAL and time.monotonic() < end:
                time.sleep(0.05)
        except LabboxError:
            findings.lost.append(number)
            continue
        if detail.job.state is not JobState.SUCCEEDED:
            findings.illegal.append(f"{number}: {detail.job.state} {detail.job.reason}")
            continue
        if detail.job.attempt != 1:
            findings.started_twice.append(f"job {number} took {detail.job.attempt} attempts")
        log = (_results(box, detail.job) / "log.txt").read_text()
        if [line for line in log.splitlines() if line.startswith("line ")] != expected:
            findings.wrong_lines.append(number)
        code = _results(box, detail.job) / "code"
        made = [str(path.relative_to(code)) for path in code.rglob("*") if path.is_file()]
        if made != ["made/lines.txt"] or (code / made[0]).read_text().splitlines() != expected:
            told = [line for line in log.splitlines() if not line.startswith("line ")]
            findings.written.append(f"{number}: {made}, its log says {told}")
    findings.left_behind += _left_behind(box)


def _results(box: Box, job: Job) -> Path:
    """Where the box keeps them; in the person's logins they stand below ~/jobs."""
    return box.state / "results" / job.owner / job.results.removeprefix("jobs/")


def _left_behind(box: Box) -> list[str]:
    """Volumes of the box in the engine, and mounts of what its runs wrote; each has a moment to go."""
    label = f"label=labbox.box={(box.state / 'box.id').read_text().strip()}"
    end = time.monotonic() + 30
    while True:
        words = ["docker", "volume", "ls", "-q", "--filter", label]
        volumes = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
        mounts = [
            line
            for line in Path("/proc/self/mountinfo").read_text().splitlines()
            if f"{box.state}/spool" in line
        ]
        if not volumes + mounts or time.monotonic() > end:
            return volumes + mounts
        time.sleep(0.1)
