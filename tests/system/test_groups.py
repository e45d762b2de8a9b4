"""Groups over SSH: the name in `job.toml`, the limit, and the verbs for all jobs of one."""

from __future__ import annotations

import json

import pytest
from person import Person

pytestmark = [pytest.mark.engine, pytest.mark.root]


def test_a_group_is_named_limited_listed_and_ended_over_ssh(ada: Person) -> None:
    ada.project("grouped", {"run.sh": "true\n", "job.toml": 'group = "sims"\n'})
    first, second = (ada.run("job", "submit", "grouped", "--hold", "-q").stdout.strip() for _ in range(2))
    done = ada.run("job", "group", "set", "sims", "--parallel", "1")
    assert (done.returncode, done.stdout) == (0, "group sims runs 1 at once\n"), done.stderr
    assert ada.json("job", "group", "list")["groups"] == [
        {"owner": "ada", "name": "sims", "parallel": 1, "waiting": 2, "active": 0}
    ]
    listed = ada.json("job", "list", "--group", "sims")["jobs"]
    assert [str(job["id"]) for job in listed] == [second, first]
    done = ada.run("job", "cancel", "--group", "sims", "--json")
    assert done.returncode == 0, done.stderr
    assert {job["state"] for job in json.loads(done.stdout)["jobs"]} == {"cancelled"}
    assert ada.run("job", "group", "remove", "sims").stdout == "group sims is removed\n"
    assert ada.json("job", "group", "list")["groups"] == []
