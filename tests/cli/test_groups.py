"""Groups of jobs on the command line: their limits, and verbs for all jobs of one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from labbox.model import JobState

if TYPE_CHECKING:
    from done import Done
    from serving import Served

Run = Callable[..., "Done"]


def submit(labbox: Run, *words: str, owner: str = "ada") -> int:
    done = labbox("job", "submit", "study", "--quiet", "--as", owner, *words)
    assert done.code == 0, done.err
    return int(done.out)


def as_json(done: Done) -> Any:
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_groups_are_set_listed_and_removed(served: Served, labbox: Run) -> None:
    assert labbox("job", "group", "set", "sims", "--parallel", "4", "--as", "ada").out == (
        "group sims runs 4 at once\n"
    )
    made = as_json(labbox("job", "group", "set", "sims", "--parallel", "2", "--user", "grace", "--json"))
    assert (made["owner"], made["name"], made["parallel"]) == ("grace", "sims", 2)
    assert labbox("job", "group", "set", "plots", "--parallel", "none", "--as", "ada").out == (
        "group plots has no limit\n"
    )
    lines = labbox("job", "group", "list", "--as", "ada").out.splitlines()
    assert [line.split() for line in lines] == [
        ["NAME", "USER", "AT", "ONCE", "RUNNING", "WAITING"],
        ["plots", "ada", "none", "0", "0"],
        ["sims", "ada", "4", "0", "0"],
    ]
    found = as_json(labbox("job", "group", "list", "--json"))["groups"]
    assert [(one["owner"], one["name"]) for one in found] == [
        ("ada", "plots"),
        ("ada", "sims"),
        ("grace", "sims"),
    ]
    assert len(as_json(labbox("job", "group", "list", "--user", "grace", "--json"))["groups"]) == 1
    assert labbox("job", "group", "remove", "sims", "--as", "ada").out == "group sims is removed\n"
    done = labbox("job", "group", "remove", "sims", "--as", "ada")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: cannot remove the group sims: ada has none of that name")
    assert as_json(labbox("job", "group", "remove", "plots", "--as", "ada", "--json")) == {}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("set", "sims"), "--parallel"),
        (("set", "sims", "--parallel", "0"), "cannot run 0 jobs of a group at once"),
        (("set", "sims", "--parallel", "many"), "cannot read “many” as a number of jobs"),
        (("set", "a b", "--parallel", "1"), "cannot use “a b” as the name of a group"),
        (("set", "none", "--parallel", "1"), "cannot use “none” as the name of a group"),
        (("remove", "\x1b[1m"), "as the name of a group"),
        (("remove",), "NAME"),
    ],
)
def test_wrong_words_about_groups(served: Served, labbox: Run, words: tuple[str, ...], sentence: str) -> None:
    done = labbox("job", "group", *words, "--as", "ada")
    assert (done.code, done.out) == (2, "")
    assert re.match(r"error: cannot .*\nhint: .*\n$", done.err), done.err
    assert sentence in done.err
    assert "\x1b" not in done.err
    assert served.jobs.limits == {}


def test_root_says_whose_group_it_means(served: Served, labbox: Run) -> None:
    done = labbox("job", "group", "set", "sims", "--parallel", "1")
    assert done.code == 1
    assert done.err == (
        "error: cannot change a group of root: that is not a user of the box\nhint: say whose: --user NAME\n"
    )


def test_a_job_is_handed_in_listed_and_shown_with_its_group(served: Served, labbox: Run) -> None:
    number = submit(labbox, "--group", "sims")
    assert served.jobs.specs[number].group == "sims"
    other = submit(labbox)
    lines = labbox("job", "list").out.splitlines()
    assert lines[0].split()[:4] == ["ID", "NAME", "USER", "GROUP"]
    assert lines[1].split()[:4] == [str(other), "study", "ada", "-"]
    assert lines[2].split()[:4] == [str(number), "study", "ada", "sims"]
    found = as_json(labbox("job", "list", "--group", "sims", "--json"))["jobs"]
    assert [(job["id"], job["group"]) for job in found] == [(number, "sims")]
    assert re.search("^group: +sims$", labbox("job", "show", str(number)).out, re.M)
    assert labbox("job", "list", "--group", "a b").code == 2
    assert labbox("job", "submit", "study", "--group", "a b", "--as", "ada").code == 2


def test_edit_and_rerun_take_a_job_into_a_group_and_out_of_it(
    served: Served, labbox: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, asked = str(submit(labbox, "--group", "sims")), []
    real = type(served.jobs).edit

    async def edit(self: Any, account: Any, job: int, change: Any, origin: str) -> Any:
        asked.append(change.group)
        return await real(self, account, job, change, origin)

    monkeypatch.setattr(type(served.jobs), "edit", edit)
    for word in ("plots", "none"):
        assert labbox("job", "edit", number, "--group", word, "--as", "ada").code == 0
    assert asked == ["plots", ""]


def test_verbs_concern_all_jobs_of_a_group(served: Served, labbox: Run) -> None:
    first, second, third = (submit(labbox, "--group", "sims") for _ in range(3))
    alone, theirs = submit(labbox), submit(labbox, "--group", "sims", owner="grace")
    served.do(served.jobs.move(first, JobState.RUNNING))
    done = labbox("job", "hold", "--group", "sims", "--as", "ada")
    assert done.out == f"job {third} is held\njob {second} is held\n"  # the one that runs is not concerned
    assert labbox("job", "release", "--group", "sims", "--as", "ada").code == 0
    changed = as_json(labbox("job", "cancel", "--group", "sims", "--as", "ada", "--json"))["jobs"]
    assert [job["id"] for job in changed] == [third, second, first]  # those that wait come first
    states = {number: job.state for number, job in served.jobs.jobs.items()}
    assert states[first] is states[second] is states[third] is JobState.CANCELLED
    assert states[alone] is states[theirs] is JobState.QUEUED
    done = labbox("job", "cancel", "--group", "sims", "--as", "ada")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "error: cannot cancel the group sims: none of your jobs in it is in a state for that\n"
        "hint: `labbox job list --group sims` shows its jobs\n"
    )
    changed = as_json(labbox("job", "retry", "--group", "sims", "--as", "ada", "--json"))["jobs"]
    assert {job["state"] for job in changed} == {"queued"}
    assert len(changed) == 3
    assert labbox("job", "pause", "--group", "sims", "--as", "ada").code == 1


def test_a_verb_needs_jobs_or_a_group_and_not_both(served: Served, labbox: Run) -> None:
    number = str(submit(labbox, "--group", "sims"))
    for words in ((), (number, "--group", "sims")):
        done = labbox("job", "cancel", *words, "--as", "ada")
        assert done.code == 2
        assert done.err.startswith("error: cannot cancel: say which jobs\nhint: ")
    assert served.jobs.jobs[int(number)].state is JobState.QUEUED
