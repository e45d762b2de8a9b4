"""The verbs against a real API: what they print, what they refuse, and how they end."""

from __future__ import annotations

import io
import json
import re
import shlex
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labbox import cli
from labbox.model import JobState, Progress, Reason, ReasonCode, Stream
from labbox.tui.format import submit_words

if TYPE_CHECKING:
    from done import Done
    from serving import Served

Run = Callable[..., "Done"]


def submit(labbox: Run, *words: str) -> int:
    done = labbox("job", "submit", "study", "--quiet", "--as", "ada", *words)
    assert done.code == 0, done.err
    return int(done.out)


def as_json(done: Done) -> Any:
    assert done.code == 0, done.err
    return json.loads(done.out)


# ── handing in ────────────────────────────────────────────────────────────────────────────────────────────


def test_submit_prints_the_number_and_nothing_else(served: Served, labbox: Run) -> None:
    done = labbox("job", "submit", "study", "--quiet", "--as", "ada")
    assert (done.code, done.out, done.err) == (0, "1\n", "")
    assert as_json(labbox("job", "submit", "study", "--json", "--as", "ada"))["id"] == 2


def test_every_option_of_submit_reaches_the_box(served: Served, labbox: Run) -> None:
    options = (
        "--name", "große Übung", "--cpus", "0.5", "--memory", "2G", "--gpus", "1", "--time", "1h30m",
        "--priority", "-3", "--after", "7,8", "--after", "9", "--array", "1-9:4%2", "--retries", "2",
        "--hold", "--start-at", "+2h", "--network", "--env", "A=1", "--env", "B=x=y", "--image", "img",
        "--template", "shell", "--stdin", "--project", "vision",
    )  # fmt: skip
    number = submit(labbox, *options)
    spec = served.jobs.specs[number]
    assert (spec.path, spec.name) == ("study", "große Übung")
    assert (spec.cpus, spec.memory, spec.gpus) == (0.5, 2 << 30, 1)
    assert (spec.time_limit, spec.priority, spec.after) == (5400, -3, (7, 8, 9))
    assert (spec.array, spec.parallel, spec.retries, spec.hold) == ((1, 5, 9), 2, 2, True)
    assert (spec.network, spec.env) == (True, {"A": "1", "B": "x=y"})
    assert (spec.image, spec.template) == ("img", "shell")
    assert spec.start_at is not None
    assert spec.start_at.utcoffset() == timedelta(0)
    assert (spec.stdin, spec.project) == (True, "vision")


def test_the_words_in_the_header_of_a_log_ask_for_the_same_again(served: Served, labbox: Run) -> None:
    options = (
        "--name", "große Übung", "--cpus", "0.5", "--memory", "2G", "--gpus", "1", "--time", "1h30m",
        "--priority", "-3", "--after", "7", "--after", "9", "--array", "1-9:4%2", "--retries", "2", "--hold",
        "--start-at", "2026-11-22T08:00", "--no-network", "--env", "A=1", "--env", "B=x y", "--image", "img",
        "--template", "shell", "--stdin", "--project", "vision", "--group", "sims",
        "--deliver", "sftp://me@my-pc/out", "--", "python3", "app.py", "--verbose", "two words",
    )  # fmt: skip
    first = served.jobs.specs[submit(labbox, *options)]
    words = shlex.split(submit_words(first))
    at = words.index("--")
    done = labbox(*words[:at], "--quiet", "--as", "ada", *words[at:])
    assert done.code == 0, done.err
    assert served.jobs.specs[int(done.out)] == first
    sweep = served.jobs.specs[submit(labbox, "--sweep", "lr=0.1,0.2", "seed=1:3", "--network")]
    done = labbox(*shlex.split(submit_words(sweep)), "--quiet", "--as", "ada")
    assert served.jobs.specs[int(done.out)] == sweep


def test_a_folder_elsewhere_goes_to_the_box_as_it_is_written(served: Served, labbox: Run) -> None:
    done = labbox(
        "job", "submit", "sftp://me@my-pc/study", "--deliver", "sftp://me@my-pc/out", "-q", "--as", "ada"
    )
    spec = served.jobs.specs[int(done.out)]
    assert (spec.path, spec.deliver) == ("sftp://me@my-pc/study", "sftp://me@my-pc/out")


def test_what_is_not_said_is_left_to_the_box(served: Served, labbox: Run) -> None:
    spec = served.jobs.specs[submit(labbox)]
    assert (spec.cpus, spec.memory, spec.time_limit, spec.network, spec.retries) == (None,) * 5


def test_sweeps_take_several_words_or_several_options(served: Served, labbox: Run) -> None:
    done = labbox("job", "submit", "--sweep", "lr=0.1,0.2", "seed=1:5", "study", "-q", "--as", "ada")
    assert done.code == 0, done.err
    spec = served.jobs.specs[int(done.out)]
    assert [(one.name, one.values) for one in spec.sweep] == [
        ("lr", ("0.1", "0.2")),
        ("seed", ("1", "2", "3", "4", "5")),
    ]
    again = served.jobs.specs[submit(labbox, "--sweep", "lr=0.1,0.2", "--sweep", "seed=1:5")]
    assert (again.sweep, again.path) == (spec.sweep, "study")


def test_the_words_after_dashes_are_the_command(served: Served, labbox: Run) -> None:
    number = submit(labbox, "--", "python", "-c", "print(1)", "--quiet", "--", "x")
    assert served.jobs.specs[number].command == ("python", "-c", "print(1)", "--quiet", "--", "x")
    done = labbox("job", "submit", "-q", "--as", "ada", "--", "echo", "hi")
    assert served.jobs.specs[int(done.out)].path is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--cpus", "lots"), "lots"),
        (("--memory", "2X"), "2X"),
        (("--time", "soon"), "soon"),
        (("--array", "5-1"), "“5-1” as an array"),
        (("--sweep", "lr"), "sweep"),
        (("--sweep", "9x=1"), "“9x=1” as a sweep"),
        (("--env", "=1"), "“=1” as a variable"),
        (("--after", "first"), "'first'"),
        (("--start-at", "whenever"), "whenever"),
        (("--gpus", "-1"), "--gpus"),
        (("--frobnicate",), "--frobnicate"),
        (("second-path",), "second-path"),
    ],
)
def test_wrong_words_end_with_2_and_a_sentence(
    served: Served, labbox: Run, words: tuple[str, ...], sentence: str
) -> None:
    done = labbox("job", "submit", "study", "--as", "ada", *words)
    assert done.code == 2
    assert done.out == ""
    assert re.match(r"error: cannot .*\nhint: .*\n$", done.err), done.err
    assert sentence in done.err
    assert served.jobs.jobs == {}


def test_a_folder_outside_the_home_is_told_where_it_belongs(
    served: Served, labbox: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = labbox("job", "submit", str(elsewhere), "--as", "ada")
    assert done.code == 1
    assert f"error: cannot submit {elsewhere}: it is not below the home of ada" in done.err
    assert f"hint: copy it there first: cp -r {elsewhere}" in done.err
    monkeypatch.chdir(tmp_path)
    assert "not below the home" in labbox("job", "submit", "elsewhere", "--as", "ada").err
    home = served.folder / "homes" / "ada"
    (home / "studies" / "one").mkdir(parents=True)
    for words in (("studies/one",), (str(home / "studies/one"),)):
        done = labbox("job", "submit", "-q", "--as", "ada", *words)
        assert served.jobs.specs[int(done.out)].path == "studies/one"
    monkeypatch.chdir(home / "studies")
    done = labbox("job", "submit", "-q", "--as", "ada", "one")
    assert served.jobs.specs[int(done.out)].path == "studies/one"


def test_refusals_of_the_box_are_shown_with_their_hint(served: Served, labbox: Run) -> None:
    done = labbox("job", "submit", "empty", "--as", "ada")
    assert (done.code, done.out) == (1, "")
    assert done.err == "error: cannot submit empty: there is nothing to run\nhint: add app.py or run.sh\n"
    done = labbox("job", "submit", "study")
    assert "cannot hand in a job as root" in done.err
    assert "--as NAME" in done.err


# ── following ─────────────────────────────────────────────────────────────────────────────────────────────


def end_soon(served: Served, state: JobState, exit_code: int | None = None, **fields: Any) -> None:
    """Let job 1 write and end as soon as it is there."""

    async def play() -> None:
        jobs = served.jobs
        while 1 not in jobs.jobs:
            async with jobs._changed:
                await jobs._changed.wait()
        await jobs.write(1, "building\n", Stream.BOX)
        await jobs.move(1, JobState.RUNNING)
        await jobs.write(1, "out \udcff\x1b[1m\n")
        await jobs.write(1, "err\n", Stream.ERR)
        await jobs.move(1, state, exit_code=exit_code, **fields)

    served.soon(play)


@pytest.mark.parametrize(
    ("state", "exit_code", "expected"),
    [
        (JobState.SUCCEEDED, 0, 0),
        (JobState.FAILED, 7, 7),
        (JobState.FAILED, 139, 139),
        (JobState.FAILED, None, 125),
        (JobState.LOST, None, 125),
        (JobState.TIMED_OUT, 143, 124),
        (JobState.CANCELLED, 137, 130),
    ],
)
def test_follow_ends_as_the_job_does(
    served: Served, labbox: Run, state: JobState, exit_code: int | None, expected: int
) -> None:
    end_soon(served, state, exit_code, reason=Reason(code=ReasonCode.EXIT, text="it ended like that"))
    done = labbox("job", "submit", "study", "--follow", "--as", "ada")
    assert done.code == expected
    assert done.out == "1\nout \udcff\x1b[1m\n"
    assert done.err.startswith("building\nerr\n")
    assert ("it ended like that" in done.err) == (expected != 0)


def test_interrupting_a_follower_leaves_the_job(
    served: Served, labbox: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("labbox.cli.follow._copy_log", interrupted)
    done = labbox("job", "submit", "study", "--follow", "--as", "ada")
    assert done.code == 130
    assert "come back:  labbox job log -f 1\n" in done.err
    assert served.jobs.jobs[1].state is JobState.QUEUED


def test_wait_ends_with_the_first_code_that_is_not_0(served: Served, labbox: Run) -> None:
    first, second = submit(labbox), submit(labbox)
    served.do(served.jobs.move(first, JobState.SUCCEEDED, exit_code=0))
    threading.Timer(0.1, lambda: served.do(served.jobs.move(second, JobState.FAILED, exit_code=3))).start()
    done = labbox("job", "wait", str(first), str(second), "--json")
    assert done.code == 3
    assert [job["exit_code"] for job in json.loads(done.out)["jobs"]] == [0, 3]


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────


def test_jobs_are_listed_as_a_table_and_as_json(served: Served, labbox: Run) -> None:
    submit(labbox, "--name", "a\x1b]0;evil\x07b")
    submit(labbox, "--name", "second")
    done = labbox("job", "list")
    lines = done.out.splitlines()
    assert lines[0].split() == ["ID", "NAME", "USER", "STATE", "ELAPSED", "EXIT", "WHY"]
    assert lines[1].split()[:4] == ["2", "second", "ada", "queued"]
    assert "waits for 2 free CPUs" in lines[1]
    assert "\x1b" not in done.out
    found = as_json(labbox("job", "list", "--json"))["jobs"]
    assert [job["id"] for job in found] == [2, 1]
    assert {"id", "kind", "name", "owner", "project", "state", "reason", "attempt", "exit_code"} <= set(
        found[0]
    )
    assert {"submitted_at", "started_at", "ended_at", "progress", "results"} <= set(found[0])
    assert found[0]["submitted_at"] == "2026-11-21T12:00:00Z"


def test_elements_say_which_they_are_and_a_held_array_why_it_waits(served: Served, labbox: Run) -> None:
    held = Reason(code=ReasonCode.HELD, text="held until someone releases it")
    progress = Progress(phase="elements", done=0, total=2, unit="elements")
    submit(labbox, "--name", "sweep", "--array", "1-2", "--hold")
    served.do(served.jobs.move(1, JobState.HELD, reason=held, progress=progress))
    submit(labbox, "--name", "sweep")
    served.do(served.jobs.move(2, JobState.RUNNING, array=1, index=2, reason=None))
    element, array = labbox("job", "list").out.splitlines()[1:]
    assert element.split()[:4] == ["2", "sweep[2]", "ada", "running"]
    assert array.split()[:4] == ["1", "sweep", "ada", "held"]
    assert array.endswith("  held until someone releases it")


def test_why_says_what_became_of_a_job_in_plain_words(served: Served, labbox: Run) -> None:
    for number, (state, said) in enumerate(
        [
            (JobState.SUCCEEDED, "job 1 has succeeded"),
            (JobState.FAILED, "job 2 has failed"),
            (JobState.TIMED_OUT, "job 3 has timed out"),
            (JobState.CANCELLED, "job 4 was cancelled"),
            (JobState.LOST, "job 5 is lost"),
            (JobState.PAUSED, "job 6 is paused"),
        ],
        start=1,
    ):
        submit(labbox)
        reason = Reason(code=ReasonCode.EXIT, text="because of \x1b[31mthis")
        served.do(served.jobs.move(number, state, reason=reason))
        assert labbox("job", "why", str(number)).out.splitlines() == [said, "because of ␛[31mthis"]


def test_jobs_are_filtered(served: Served, labbox: Run) -> None:
    for name in ("one", "two", "three"):
        submit(labbox, "--name", name)
    labbox("job", "submit", "study", "--as", "grace")
    served.do(served.jobs.move(2, JobState.RUNNING))

    def ids(*words: str) -> list[int]:
        return [job["id"] for job in as_json(labbox("job", "list", "--json", *words))["jobs"]]

    assert ids() == [4, 3, 2, 1]
    assert ids("--as", "grace") == [4]
    assert ids("--as", "grace", "--all") == [4, 3, 2, 1]
    assert ids("--user", "ada", "--state", "waiting") == [3, 1]
    assert ids("--state", "running") == [2]
    assert ids("--name", "o", "--limit", "1") == [2]
    assert labbox("job", "list", "--all", "--mine").code == 2


def test_groups_of_one_name_are_told_apart(served: Served, labbox: Run) -> None:
    submit(labbox, "--group", "sims")
    labbox("job", "submit", "study", "--group", "sims", "--as", "grace")

    def ids(*words: str) -> list[int]:
        listed = as_json(labbox("job", "list", "--json", "--group", "sims", *words))
        return [job["id"] for job in listed["jobs"]]

    refused = labbox("job", "list", "--group", "sims")  # root's question is about everybody
    assert refused.code == 2
    assert "ada, grace each have one" in refused.err and "--user NAME" in refused.err
    assert (ids("--user", "ada"), ids("--user", "grace"), ids("--all")) == ([1], [2], [2, 1])
    assert ids("--as", "grace") == [2]


def test_one_job_is_shown_described_and_explained(served: Served, labbox: Run) -> None:
    number = str(submit(labbox, "--env", "LR=1"))
    shown = labbox("job", "show", number).out
    assert "state:" in shown
    assert f"~/jobs/2026/11/21/{number}" in shown
    assert "LR=1" in labbox("job", "describe", number).out
    detail = as_json(labbox("job", "show", number, "--json"))
    assert (detail["id"], detail["state"], detail["template"]) == (1, "queued", "python")
    why = labbox("job", "why", number)
    assert "job 1 is queued, place 3 in the queue" in why.out
    assert "waits for 2 free CPUs" in why.out
    assert as_json(labbox("job", "why", number, "--json"))["reasons"][0]["code"] == "no_room"
    assert "queued" in labbox("job", "history", number).out
    assert labbox("job", "show", "99").err.startswith("error: cannot find job 99\nhint: ")


def test_a_log_is_given_byte_for_byte(served: Served, labbox: Run) -> None:
    number = submit(labbox)
    served.do(served.jobs.write(number, "a\x00\udcff\n"))
    served.do(served.jobs.write(number, "no newline", Stream.ERR))
    assert labbox("job", "log", str(number)).out == "a\x00\udcff\nno newline"
    assert labbox("job", "log", str(number), "--stream", "err").out == "no newline"
    lines = labbox("job", "log", str(number), "--json").out.splitlines()
    assert [json.loads(line).get("end") for line in lines] == [False, False, True]
    assert re.match(r"\d\d:\d\d:\d\d a", labbox("job", "log", str(number), "-t").out)


# ── steering ──────────────────────────────────────────────────────────────────────────────────────────────


def test_verbs_change_jobs(served: Served, labbox: Run) -> None:
    number = str(submit(labbox))
    for verb, state in (
        ("hold", "held"),
        ("release", "queued"),
        ("cancel", "cancelled"),
        ("retry", "queued"),
    ):
        assert as_json(labbox("job", verb, number, "--json"))["state"] == state
    served.do(served.jobs.move(int(number), JobState.RUNNING))
    for verb, state in (("pause", "paused"), ("resume", "running"), ("kill", "cancelled")):
        assert as_json(labbox("job", verb, number, "--json"))["state"] == state
    assert labbox("job", "hold", number).err.startswith("error: cannot change job 1: it is cancelled")
    assert labbox("job", "edit", number, "--priority", "4", "--as", "ada").code == 0
    assert served.jobs.jobs[1].priority == 4
    assert labbox("job", "edit", number, "--as", "ada").code == 2
    assert labbox("job", "rerun", number, "-q", "--as", "ada", "--memory", "4G").out == "2\n"


def test_one_refusal_does_not_keep_other_jobs(served: Served, labbox: Run) -> None:
    first, second = submit(labbox), submit(labbox)
    done = labbox("job", "cancel", str(first), "99", str(second))
    assert done.code == 1
    assert done.out == "job 1 is being cancelled\njob 2 is being cancelled\n"
    assert "error: cannot find job 99" in done.err


def test_input_goes_to_the_job(served: Served, labbox: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    number = str(submit(labbox, "--stdin"))
    assert labbox("job", "input", number, "next trial").code == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("a\nb\n"))
    assert labbox("job", "input", number).code == 0
    sent = [(body.text, body.close) for _, body in served.jobs.inputs]
    assert sent == [("next trial\n", False), ("a\n", False), ("b\n", False), ("", True)]


def test_a_list_goes_on_before_a_job_and_keeps_to_a_kind(served: Served, labbox: Run) -> None:
    for _ in range(5):
        submit(labbox)

    def listed(*words: str) -> list[int]:
        return [job["id"] for job in as_json(labbox("job", "list", *words, "--json"))["jobs"]]

    assert listed("--limit", "2") == [5, 4]
    assert listed("--limit", "2", "--before", "4") == [3, 2]
    assert listed("--before", "1") == []
    assert listed("--kind", "runs", "--before", "3") == [2, 1]
    assert listed("--kind", "any") == [5, 4, 3, 2, 1]
    assert listed("--kind", "files") == []
    assert labbox("job", "list", "--kind", "runs", "--files").code == 2
    assert labbox("job", "list", "--kind", "copies").code == 2
    assert labbox("job", "list", "--before", "soon").code == 2


def test_results_are_fetched_whole_or_not_at_all(
    served: Served, labbox: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    number = str(submit(labbox))
    done = labbox("job", "fetch", number)
    assert done.code == 1
    assert "there are none yet" in done.err
    results = served.folder / "results/ada/2026/11/21/1"
    (results / "output").mkdir(parents=True)
    (results / "output" / "table.csv").write_text("a,b\n")
    (results / "log.txt").write_text("done\n")
    assert labbox("job", "fetch", number).code == 0
    assert (tmp_path / "job-1/output/table.csv").read_text() == "a,b\n"
    done = labbox("job", "fetch", number)
    assert (done.code, "is not empty" in done.err) == (1, True)
    assert as_json(labbox("job", "fetch", number, "there", "--json"))["folder"] == str(tmp_path / "there")
    assert "there is no folder" in labbox("job", "fetch", number, "no/where").err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job-1", "state", "there"]


# ── people and the box ────────────────────────────────────────────────────────────────────────────────────


def test_people_are_added_changed_and_removed(
    served: Served, labbox: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key.pub"
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl eve@laptop"
    key.write_text(f"# mine\n{line}\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    eve = as_json(labbox("user", "add", "eve", "--key", str(key), "--password-stdin", "--admin", "--json"))
    assert (eve["name"], eve["admin"], eve["has_password"], eve["keys"]) == ("eve", True, True, 1)
    assert "eve" in labbox("user", "list").out
    (found,) = as_json(labbox("user", "key", "list", "eve", "--json"))["keys"]
    assert labbox("user", "key", "remove", "eve", found["fingerprint"]).code == 0
    assert labbox("user", "key", "add", "eve", str(key)).out.startswith(found["fingerprint"])
    words = ("--cpus", "4", "--memory", "8G", "--running-jobs", "2")
    limits = as_json(labbox("user", "limits", "eve", *words, "--json"))
    assert (limits["cpus"], limits["memory"], limits["running_jobs"]) == (4, 8 << 30, 2)
    limits = as_json(labbox("user", "limits", "eve", "--cpus", "none", "--json"))
    assert (limits["cpus"], limits["memory"]) == (None, 8 << 30)
    assert "running jobs: 2" in labbox("user", "limits", "eve").out
    monkeypatch.setattr("sys.stdin", io.StringIO("another long password\n"))
    assert labbox("user", "passwd", "eve", "--password-stdin").code == 0
    made = as_json(labbox("user", "token", "add", "nightly", "--user", "eve", "--scope", "submit", "--json"))
    printed = labbox("user", "token", "add", "n2", "--user", "eve", "--valid", "2h")
    (secret,) = printed.out.split("\n")[:-1]  # alone on standard output, for SECRET=$(…)
    assert secret.startswith("lbx_")
    assert secret != made["secret"]
    assert "may read until" in printed.err
    assert labbox("user", "token", "revoke", str(made["token"]["id"]), "--user", "eve").code == 0
    assert "revoked" in labbox("user", "token", "list", "eve").out
    invited = labbox("user", "invite", "zoe")
    assert len(invited.out.split()) == 1
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    kept = labbox("user", "remove", "zoe")
    assert (kept.code, kept.err) == (
        2,
        "error: cannot remove zoe without a yes: this is no terminal\nhint: say --yes\n",
    )
    assert labbox("user", "show", "zoe").code == 0
    assert labbox("user", "remove", "zoe", "--yes").out == (
        "zoe is removed; home and results stay on the disk\n"
    )
    assert labbox("user", "show", "zoe").code == 1


def test_a_private_key_is_refused(served: Served, labbox: Run, tmp_path: Path) -> None:
    private = tmp_path / "id_ed25519"
    private.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n")
    done = labbox("user", "add", "eve", "--key", str(private))
    assert "it is a private key" in done.err
    assert "no such file" in labbox("user", "add", "eve", "--key", str(tmp_path / "none")).err.lower()


def test_the_box_is_shown(served: Served, labbox: Run) -> None:
    assert "ssh 127.0.0.1:2222" in labbox("status").out
    assert as_json(labbox("status", "--json"))["box"] == "lab"
    served.problems = ("the disk is nearly full",)
    done = labbox("status")
    assert (done.code, "the disk is nearly full" in done.out) == (1, True)
    assert "ada" in labbox("usage").out
    assert as_json(labbox("usage", "--json"))["half_life"] == 86400
    assert "app.py" in labbox("templates").out
    assert "job 1 has ended" in labbox("notices").out
    assert "root (uid 0, admin)" in labbox("whoami").out
    assert as_json(labbox("whoami", "--json", "--as", "ada"))["name"] == "ada"
    assert "user add" in labbox("audit").out
    assert as_json(labbox("audit", "--json", "--limit", "1"))["intact"]


def test_events_are_lines(served: Served, labbox: Run) -> None:
    submit(labbox)
    done = labbox("events", "--after", "0", "--no-follow", "--json")
    (line,) = done.out.splitlines()
    assert json.loads(line)["job"]["id"] == 1
    assert "queued" in labbox("events", "--after", "0", "--no-follow").out


def test_no_box_is_a_sentence(labbox: Run, tmp_path: Path) -> None:
    done = labbox("job", "list", "--socket", str(tmp_path / "api.sock"))
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: cannot reach the box: there is no socket at ")
    assert "./autoboot.sh starts it" in done.err
    assert labbox("status", "--socket", "http://example.org").code == 2


def test_sessions_cannot_start_boxes_or_screens(served: Served, labbox: Run) -> None:
    assert "cannot start a box from inside a login" in labbox("up").err
    assert "cannot open the interface here" in labbox("tui").err
    started: list[object] = []

    def serve(*words: str | None) -> int:
        started.append(words)
        return 0

    def screens(*words: str | None) -> int:
        started.append(words)
        return 3

    assert cli.run(["up", "--state", "/s", "--ssh", ":1"], serve=serve) == 0
    assert cli.run(["tui", "--as", "ada"], screens=screens) == 3
    assert started == [("/s", None, ":1", None), (None, "ada", "files")]


@pytest.mark.parametrize(
    "words",
    ["", "job", "user", "project", "host", "file", "job group", "user key", "user token", "file trash"],
)
def test_a_group_of_verbs_alone_shows_its_help(labbox: Run, words: str) -> None:
    done = labbox(*words.split())
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: labbox {words}".rstrip())


@pytest.mark.parametrize(
    "words",
    ["user remove grace", "user remove grace --files delete", "project remove atlas --delete-files",
     "file trash empty", "file rm --erase x"],
)  # fmt: skip
def test_nothing_is_destroyed_where_nobody_can_be_asked(labbox: Run, served: Any, words: str) -> None:
    done = labbox("--as", "ada", *words.split()) if words.startswith("file") else labbox(*words.split())
    assert done.code == 2
    assert "without a yes" in done.err and "--yes" in done.err
    assert labbox("user", "show", "grace").code == 0
