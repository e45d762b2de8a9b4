"""What the box adds to `docker run`: one job, and two hundred."""

from __future__ import annotations

import argparse
import subprocess
import threading
import time
from typing import Final

from harness import Box, Table, median, temporary_box

from labbox.client import Client
from labbox.model import FINAL, JobSpec

_JOBS: Final = 200
_TURNS: Final = 5


def docker_run(image: str, *command: str) -> list[str]:
    """The same image, mounts, limits and command as a job has, by the engine's own client."""
    return [
        "docker",
        "run",
        "--rm",
        "--init",
        "--network",
        "none",
        "--user",
        "70000:70000",
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--memory",
        "2g",
        "--cpus",
        "1",
        "--pids-limit",
        "512",
        "-v",
        "/var/tmp/labbox-bench-mounts/code:/code:ro",
        "-v",
        "/var/tmp/labbox-bench-mounts/input:/input:ro",
        "-v",
        "/var/tmp/labbox-bench-mounts/output:/output",
        "-w",
        "/code",
        image,
        *command,
    ]


def first_line(client: Client, spec: JobSpec) -> float:
    """Seconds from submitting over the API to the first line of the command's output."""
    started = time.perf_counter()
    job = client.submit_job(spec)
    for record in client.job_log(job.id, follow=True):
        if "labbox-bench" in record.text:
            took = time.perf_counter() - started
            break
    else:
        raise RuntimeError(f"job {job.id} printed nothing: {client.why_job(job.id)}")
    for _ in client.job_log(job.id, follow=True):
        pass
    return took


def wait_all(client: Client, ids: list[int]) -> None:
    """Until all these jobs have ended."""
    page = client.list_jobs(limit=1000)
    ended = {job.id for job in page.jobs if job.state in FINAL}
    left, cursor = set(ids) - ended, page.cursor
    if not left:
        return
    for event in client.events(after=cursor, follow=True):
        if event.job is not None and event.job.id in left and event.job.state in FINAL:
            left.discard(event.job.id)
            if not left:
                return


def image_of(box: Box) -> str:
    """Run one job, so that the image is there, and tell which it is."""
    client = box.client(act_as="ada")
    box.put("ada", "echo", {"code/run.sh": "echo labbox-bench\n", "input/data.txt": "1\n"})
    first_line(client, JobSpec(path="echo"))
    job = client.list_jobs(limit=1).jobs[0]
    image = client.show_job(job.id).image
    assert image is not None
    return image


def measure(table: Table, _options: argparse.Namespace) -> None:
    subprocess.run(
        ["mkdir", "-p", *[f"/var/tmp/labbox-bench-mounts/{n}" for n in ("code", "input", "output")]],
        check=True,
    )
    with temporary_box(custom="[jobs]\ncpus = 4\n") as box:
        image = image_of(box)
        client = box.client(act_as="ada")
        ours, theirs = [], []
        for _ in range(15):
            ours.append(first_line(client, JobSpec(path="echo")))
            theirs.append(_first_docker(image))
        ratio = median(ours) / median(theirs)
        table.add(
            "API submit to first line of output, known environment",
            "`docker run` of the same",
            "≤ 1.5",
            f"{ratio:.2f} ({median(ours) * 1000:.0f} ms against {median(theirs) * 1000:.0f} ms)",
            ratio <= 1.5,
        )
        rounds = [_turn(client, image, own_first=bool(turn % 2)) for turn in range(_TURNS)]
        ratios = sorted(own / other for own, other in rounds)
        ratio = median(ratios)
        queue, loop = (median([pair[which] for pair in rounds]) for which in (0, 1))
        table.add(
            "200 no-op jobs, 4 at a time",
            "the same as a shell loop of `docker run`, in turns",
            "≤ 1.0",
            f"{ratio:.2f} ({queue:.1f} s against {loop:.1f} s; turns: {ratios[0]:.2f} to {ratios[-1]:.2f})",
            ratio <= 1.0,
        )


def _turn(client: Client, image: str, *, own_first: bool) -> tuple[float, float]:
    """Seconds of the queue and of the loop."""
    found: dict[bool, float] = {}
    for own in (own_first, not own_first):
        started = time.perf_counter()
        if own:
            wait_all(client, [client.submit_job(JobSpec(path="echo")).id for _ in range(_JOBS)])
        else:
            shells = [threading.Thread(target=_loop, args=(image, _JOBS // 4)) for _ in range(4)]
            for shell in shells:
                shell.start()
            for shell in shells:
                shell.join()
        found[own] = time.perf_counter() - started
    return found[True], found[False]


def _first_docker(image: str) -> float:
    from harness import first_output

    return first_output(docker_run(image, "sh", "-c", "echo labbox-bench"), b"labbox-bench")


def _loop(image: str, times: int) -> None:
    command = " ".join(docker_run(image, "sh", "-c", "'echo labbox-bench'"))
    subprocess.run(["sh", "-c", f"for i in $(seq {times}); do {command} >/dev/null; done"], check=True)
