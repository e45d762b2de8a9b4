"""A person is suspended while their run computes in a real engine, and comes back."""

from __future__ import annotations

import subprocess

import pytest
from harness import Box
from person import Person, wait_for

from labbox.model import JobState

pytestmark = [pytest.mark.engine, pytest.mark.root]


@pytest.mark.parametrize("cancel", [True, False])
def test_a_run_through_the_suspension_of_its_person(box: Box, ada: Person, cancel: bool) -> None:
    ada.project(
        "long", {"run.sh": "echo begun; while [ ! -e /output/end ]; do sleep 0.1; done; echo ended\n"}
    )
    number = int(ada.run("job", "submit", "long", "--quiet", "--memory", "64M").stdout)
    waiting = int(ada.run("job", "submit", "long", "--quiet", "--after", str(number)).stdout)
    wait_for(lambda: "begun" in ada.run("job", "log", str(number)).stdout)
    boss = box.client()
    words = ["--yes", *(("--jobs", "cancel") if cancel else ())]
    subprocess.run([*box.labbox, "user", "suspend", "ada", *words], check=True, stdout=subprocess.DEVNULL)
    try:
        assert ada.run("whoami").returncode != 0
        if cancel:
            wait_for(lambda: boss.show_job(number).job.state is JobState.CANCELLED)
        else:
            assert boss.show_job(number).job.state is JobState.RUNNING
    finally:
        subprocess.run([*box.labbox, "user", "unsuspend", "ada"], check=True, stdout=subprocess.DEVNULL)
    assert ada.run("whoami").returncode == 0
    shown = ada.job(number)
    assert (shown["state"], shown["exit_code"]) == (("cancelled", 130) if cancel else ("running", None))
    assert "begun" in ada.run("job", "log", str(number)).stdout
    for one in (number, waiting):
        ada.run("job", "kill", str(one))
