"""The loop of a researcher: folder in, run, results out; with stock OpenSSH clients, rsync and git."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from harness import Box, Terminal, ssh_options
from person import Person

pytestmark = [pytest.mark.engine, pytest.mark.root]

STUDY = {
    "code/run.sh": "wc -l </input/data.csv\necho problem >&2\ncp /input/data.csv /output/copy.csv\n",
    "input/data.csv": "a,b\n1,2\n3,4\n",
}


def test_a_study_goes_in_runs_and_comes_back(ada: Person, tmp_path: Path) -> None:
    ada.project("study", STUDY)
    done = ada.run("job", "submit", "study", "--follow")
    assert done.returncode == 0, done.stderr
    assert "3" in done.stdout.splitlines()
    job = next(iter(ada.json("job", "list")["jobs"]))
    assert job["state"] == "succeeded"
    assert job["exit_code"] == 0
    for name in ("id", "kind", "name", "owner", "project", "reason", "attempt", "submitted_at", "progress"):
        assert name in job
    assert job["submitted_at"].endswith("Z")
    assert job["results"] == time.strftime("jobs/%Y/%m/%d/") + f"{job['id']}-study"
    ada.scp(f"box:{job['results']}", str(tmp_path / "back"))
    assert (tmp_path / "back/output/copy.csv").read_text() == STUDY["input/data.csv"]
    assert "problem" in (tmp_path / "back/log.txt").read_text()
    assert json.loads((tmp_path / "back/job.json").read_text())["id"] == job["id"]


def test_the_exit_status_of_follow_is_the_jobs(ada: Person) -> None:
    ada.project("seven", {"run.sh": "exit 7\n"})
    assert ada.run("job", "submit", "seven", "--follow").returncode == 7
    ada.project("sleeper", {"run.sh": "sleep 60\n"})
    assert ada.run("job", "submit", "sleeper", "--follow", "--time", "1s").returncode == 124
    ada.project("suicide", {"run.sh": "kill -SEGV $$\n"})
    assert ada.run("job", "submit", "suicide", "--follow").returncode == 139


def test_cancelling_a_followed_job_ends_it_with_130(ada: Person, box: Box) -> None:
    ada.project("sleeper", {"run.sh": "echo started; sleep 60\n"})
    follower = subprocess.Popen(
        box.ssh("ada", "job", "submit", "sleeper", "--follow"), stdout=subprocess.PIPE
    )
    assert follower.stdout is not None
    assert b"started" in follower.stdout.readline() + follower.stdout.readline()
    number = ada.json("job", "list")["jobs"][0]["id"]
    assert ada.run("job", "cancel", str(number)).returncode == 0
    follower.communicate(timeout=30)
    assert follower.returncode == 130
    assert ada.job(number)["state"] == "cancelled"


def test_dropping_the_login_leaves_the_job_running(ada: Person, box: Box) -> None:
    ada.project("long", {"run.sh": "echo started; sleep 3; echo finished\n"})
    follower = subprocess.Popen(box.ssh("ada", "job", "submit", "long", "--follow"), stdout=subprocess.PIPE)
    assert follower.stdout is not None
    assert b"started" in follower.stdout.readline() + follower.stdout.readline()
    follower.kill()
    follower.communicate()
    number = ada.json("job", "list")["jobs"][0]["id"]
    assert "finished" in ada.run("job", "log", str(number), "--follow").stdout


def test_rsync_carries_a_project(ada: Person, box: Box, tmp_path: Path) -> None:
    (tmp_path / "r" / "code").mkdir(parents=True)
    (tmp_path / "r" / "code" / "run.sh").write_text("echo by rsync\n")
    shell = " ".join(["ssh", *ssh_options(box.key, box.port)])
    subprocess.run(["rsync", "-a", "-e", shell, f"{tmp_path}/r", "ada@127.0.0.1:"], check=True, timeout=60)
    assert "by rsync" in ada.run("job", "submit", "r", "--follow").stdout


def test_a_push_is_a_submission(ada: Person, box: Box, tmp_path: Path) -> None:
    top = tmp_path / "pushed"
    (top / "code").mkdir(parents=True)
    (top / "code" / "run.sh").write_text("echo from the commit\n")
    (top / "job.toml").write_text("[git]\nsubmit = true\n")
    shell = " ".join(["ssh", *ssh_options(box.key, box.port)])

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                "git",
                "-c",
                "user.name=Ada",
                "-c",
                "user.email=ada@lab",
                "-c",
                f"core.sshCommand={shell}",
                *words,
            ],
            cwd=top,
            check=True,
            capture_output=True,
            text=True,
            timeout=90,
        )

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    pushed = git("push", f"ssh://ada@127.0.0.1:{box.port}/pushed", "main")
    assert "from the commit" in pushed.stderr
    job = ada.json("job", "list")["jobs"][0]
    assert job["state"] == "succeeded"
    spec = ada.json("job", "show", str(job["id"]))["spec"]
    assert spec["commit"] == git("rev-parse", "HEAD").stdout.strip()


def test_an_array_and_a_sweep_hand_their_values_to_the_code(ada: Person) -> None:
    ada.project("sweep", {"run.sh": 'echo "$LABBOX_SWEEP_lr $LABBOX_SWEEP_seed"; cat /labbox/params.json\n'})
    done = ada.run(
        "job", "submit", "sweep", "--sweep", "lr=0.1,0.2", "--sweep", "seed=1:2", "--quiet", "--follow"
    )
    assert done.returncode == 0, done.stderr
    parent = next(job for job in ada.json("job", "list")["jobs"] if job["kind"] == "array")
    elements = ada.json("job", "list", "--array", str(parent["id"]))["jobs"]
    seen = {ada.run("job", "log", str(job["id"])).stdout.splitlines()[0] for job in elements}
    assert seen == {"0.1 1", "0.1 2", "0.2 1", "0.2 2"}


def test_unchanged_input_is_shared_and_not_copied(ada: Person, box: Box) -> None:
    ada.project("unchanged", {"run.sh": "true\n"})
    home = box.state / "homes" / "ada" / "unchanged" / "input"
    home.mkdir()
    with (home / "five-gigabytes").open("wb") as file:
        file.truncate(5 << 30)  # sparse: the figure is about not reading it again
    subprocess.run(["chown", "-R", "--reference", home.parent, home], check=True)
    assert ada.run("job", "submit", "unchanged", "--hold", "--quiet").returncode == 0
    used = _used(box.state / "snapshots")
    started = time.perf_counter()
    assert ada.run("job", "submit", "unchanged", "--hold", "--quiet").returncode == 0
    assert time.perf_counter() - started < 1.5  # a login is in it
    assert _used(box.state / "snapshots") - used < 1 << 20


def _used(folder: Path) -> int:
    return int(subprocess.run(["du", "-s", "-B1", folder], capture_output=True, check=True).stdout.split()[0])


@pytest.mark.parametrize(
    "words", [("--follow",), ("--follow", "--time", "1h"), ("--follow", "--name", "x" * 60)]
)
def test_a_job_followed_on_a_terminal_ends_quietly(ada: Person, words: tuple[str, ...]) -> None:
    script = "for i in 1 2 3; do echo labbox:progress $i/3; echo step $i; sleep 0.6; done\n"
    ada.project("followed", {"code/run.sh": script})
    terminal = Terminal(ada.box.ssh("ada", "job", "submit", "followed", *words, tty=True))
    try:
        terminal.wait_for("step 3", seconds=60)
        deadline = time.monotonic() + 60
        while (ended := os.waitpid(terminal.pid, os.WNOHANG))[0] == 0:
            assert time.monotonic() < deadline
            terminal.read(0.05)
        terminal.drain()
    finally:
        os.close(terminal.fd)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    seen = bytes(terminal.data)
    assert b"step 1" in seen
    for fault in (b"Traceback", b"Exception in thread", b"Error"):
        assert fault not in seen, seen[-2000:]
