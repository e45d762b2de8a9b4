"""A cancelled job's exit is 130, wherever one asks."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

import pytest
from harness import Box
from person import Person, wait_for

from labbox.model import CANCELLED_EXIT, JobSpec

pytestmark = [pytest.mark.engine, pytest.mark.root]
# one that leaves with a code of its own when it is asked to end, and one that has to be killed
SCRIPTS = {
    "polite": "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done\n",
    "deaf": "echo up; exec sleep 600\n",
}


def _following(ada: Person, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ada.box.ssh("ada", *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _ends(process: subprocess.Popen[bytes]) -> int:
    process.communicate(timeout=100)
    return process.returncode


def _up(ada: Person, number: str) -> None:
    wait_for(lambda: "up" in ada.run("job", "log", number).stdout)


def _submit(ada: Person, *words: str) -> str:
    return ada.run("job", "submit", *words, "--quiet", "--memory", "32M", "--cpus", "0.2").stdout.strip()


@pytest.mark.parametrize(("name", "verb"), [("polite", "cancel"), ("deaf", "cancel"), ("polite", "kill")])
def test_a_run_that_is_cancelled(ada: Person, name: str, verb: str) -> None:
    ada.project(name, {"run.sh": SCRIPTS[name]})
    number = _submit(ada, name)
    _up(ada, number)
    followers = [_following(ada, "job", "wait", number)]
    ada.run("job", verb, number)
    assert [_ends(one) for one in followers] == [CANCELLED_EXIT]
    _everywhere(ada, [number])
    follower = _following(ada, "job", "retry", number, "--follow")
    wait_for(lambda: ada.job(number)["state"] == "running")
    _up(ada, number)
    ada.run("job", verb, number)
    assert _ends(follower) == CANCELLED_EXIT
    _everywhere(ada, [number])


def test_follow_of_a_run_that_is_cancelled(ada: Person) -> None:
    ada.project("deaf", {"run.sh": SCRIPTS["deaf"]})
    before = max((one["id"] for one in ada.json("job", "list")["jobs"]), default=0)
    follower = _following(ada, "job", "submit", "deaf", "--follow", "--memory", "32M", "--cpus", "0.2")
    wait_for(lambda: max((one["id"] for one in ada.json("job", "list")["jobs"]), default=0) > before)
    number = str(max(one["id"] for one in ada.json("job", "list")["jobs"]))
    _up(ada, number)
    ada.run("job", "kill", number)
    assert _ends(follower) == CANCELLED_EXIT


def test_what_waits_and_arrays(ada: Person, box: Box) -> None:
    ada.project("deaf", {"run.sh": SCRIPTS["deaf"]})
    held = _submit(ada, "deaf", "--hold")
    array = _submit(ada, "deaf", "--array", "1-3%1")
    elements = [str(one["id"]) for one in ada.json("job", "list", "--array", array)["jobs"]]
    wait_for(lambda: any(ada.job(one)["state"] == "running" for one in elements))
    ada.run("job", "cancel", held)
    ada.run("job", "cancel", array)
    assert ada.run("job", "wait", array).returncode == CANCELLED_EXIT
    assert ada.run("job", "wait", held).returncode == CANCELLED_EXIT
    _everywhere(ada, [held, array, *elements])
    client = box.client(act_as="ada")
    job = client.submit_job(JobSpec(path="deaf", hold=True))
    assert client.cancel_job(job.id).exit_code == CANCELLED_EXIT
    assert [
        event.job.exit_code
        for event in client.events(after=0, follow=False)
        if event.job is not None and event.job.id == job.id and event.job.state == "cancelled"
    ] == [CANCELLED_EXIT]


def _everywhere(ada: Person, numbers: Sequence[str]) -> None:
    listed = {str(one["id"]): one for one in ada.json("job", "list", "--limit", "1000")["jobs"]}
    for number in numbers:
        shown = ada.json("job", "show", number)
        assert (shown["state"], shown["exit_code"]) == ("cancelled", CANCELLED_EXIT), shown
        assert ada.run("job", "wait", number).returncode == CANCELLED_EXIT
        assert json.loads(ada.run("job", "wait", number, "--json").stdout)["exit_code"] == CANCELLED_EXIT
        if number in listed:
            assert listed[number]["exit_code"] == CANCELLED_EXIT
        last = shown["attempts"][-1:]
        assert all(one["exit_code"] == CANCELLED_EXIT for one in last), last
