"""What a running job takes, while it runs."""

from __future__ import annotations

import pytest
from person import Person, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.root]


def test_a_running_job_shows_what_it_takes_and_its_course(ada: Person) -> None:
    ada.project("busy", {"run.sh": "head -c 30M /dev/zero > /tmp/held; while :; do :; done\n"})
    number = ada.run("job", "submit", "busy", "--quiet", "--memory", "200M").stdout.strip()
    wait_for(lambda: len(((ada.json("job", "show", number)["live"]) or {}).get("cpu_course", ())) >= 2)
    live = ada.json("job", "show", number)["live"]
    assert live["cpus"] > 0.05
    assert 30 << 20 < live["memory"] <= live["peak_memory"] < 200 << 20
    told = ada.run("job", "show", number).stdout
    assert "CPU now:" in told and "memory now:" in told and "peak" in told
    ada.run("job", "kill", number)
    wait_for(lambda: ada.job(number)["state"] == "cancelled")
    assert ada.json("job", "show", number)["live"] is None
    assert "CPU now:" not in ada.run("job", "show", number).stdout
