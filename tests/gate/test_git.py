"""Pushing and fetching with stock git; and that nothing of the user's is run for it."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from labbox.daemon.gate import repositories
from labbox.daemon.gate.words import Git

pytestmark = pytest.mark.root


@pytest.fixture
def git(box: Any, tmp_path: Path) -> Any:
    """Run git in a work tree with the box as its `origin`."""
    work = tmp_path / "work"
    work.mkdir()
    env = {
        "GIT_SSH_COMMAND": shlex.join(["ssh", *box.options()]), "HOME": str(tmp_path),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
    }  # fmt: skip

    async def git(*words: str, cwd: Path = work, more: dict[str, str] | None = None) -> Any:
        return await box.run(["git", *words], cwd=cwd, env={**env, **(more or {})})

    return git


async def prepared(
    git: Any, box: Any, tmp_path: Path, *, branch: str = "main", job: str | None = None
) -> str:
    url = f"ssh://ada@127.0.0.1:{box.port}/study"
    await git("init", "-q", "-b", branch)
    work = tmp_path / "work"
    (work / "app.py").write_text("print(1)\n")
    if job is not None:
        (work / "job.toml").write_text(job)
    await git("add", ".")
    assert (await git("commit", "-qm", "first")).returncode == 0
    await git("remote", "add", "origin", url)
    return url


async def test_first_push_makes_it_and_it_can_be_cloned(git: Any, box: Any, tmp_path: Path) -> None:
    url = await prepared(git, box, tmp_path, branch="trunk")
    done = await git("push", "-q", "origin", "trunk")
    assert (done.returncode, done.stderr) == (0, b"")
    repository = box.state / "git" / "ada" / "study.git"
    assert repository.stat().st_uid == 73000
    assert (repository / "config").stat().st_uid == 0
    done = await git("clone", "-q", url, str(tmp_path / "clone"))
    assert done.returncode == 0
    assert (tmp_path / "clone" / "app.py").read_text() == "print(1)\n"  # its HEAD is the branch pushed first
    (tmp_path / "work" / "app.py").write_text("print(2)\n")
    await git("commit", "-qam", "second")
    assert (await git("push", "-q", "origin", "trunk")).returncode == 0
    assert (await git("pull", "-q", cwd=tmp_path / "clone")).returncode == 0
    assert (tmp_path / "clone" / "app.py").read_text() == "print(2)\n"
    assert (await git("push", "-q", "origin", "trunk:other", "HEAD:refs/tags/v1")).returncode == 0
    assert (await git("push", "-q", "origin", ":other")).returncode == 0


async def test_missing_repository_is_a_sentence(git: Any, box: Any, tmp_path: Path) -> None:
    done = await git("clone", f"ssh://ada@127.0.0.1:{box.port}/nothing", str(tmp_path / "x"))
    assert done.returncode == 128
    assert "cannot find the repository “nothing”" in done.stderr.decode()


async def test_others_repositories_are_out_of_reach(git: Any, box: Any, tmp_path: Path) -> None:
    await prepared(git, box, tmp_path)
    await git("push", "-q", "origin", "main")
    for path in ("study", "../ada/study", "/ada/study"):
        done = await git("clone", f"ssh://grace@127.0.0.1:{box.port}/{path}", str(tmp_path / "x"))
        assert done.returncode == 128


async def test_hooks_filters_and_settings_of_the_user_never_run(git: Any, box: Any, tmp_path: Path) -> None:
    """Everything that git would run from the home or the repository is planted, and leaves no trace."""
    url = await prepared(git, box, tmp_path)
    assert (await git("push", "-q", "origin", "main")).returncode == 0
    traces = box.home() / "traces"
    traces.mkdir()
    os.chown(traces, 73000, 73000)
    evil = tmp_path / "evil"
    shutil.copy("/usr/bin/touch", evil)
    script = box.home() / "evil"
    script.write_text(f"#!/bin/sh\ntouch {traces}/ran\n")
    script.chmod(0o755)
    planted = (
        f"[core]\nhooksPath = {box.home()}\nfsmonitor = {script}\nsshCommand = {script}\npager = {script}\n"
        f"[uploadpack]\npackObjectsHook = {script}\n[alias]\nupload-pack = !{script}\n"
        f"receive-pack = !{script}\n"
        f'[filter "x"]\nclean = {script}\nsmudge = {script}\n[include]\npath = {script}\n'
        f"[receive]\nprocReceiveRefs = refs/heads\n[gc]\nauto = 1\n"
    )
    (box.home() / ".gitconfig").write_text(planted)
    (box.home() / ".config" / "git").mkdir(parents=True)
    (box.home() / ".config" / "git" / "config").write_text(planted)
    repository = box.state / "git" / "ada" / "study.git"
    (repository / "config").write_text(planted)  # which no push can; the session does not look at it
    (repository / "hooks").mkdir()
    for folder in (repository / "hooks", box.home()):
        for name in ("pre-receive", "update", "post-receive", "post-update", "proc-receive", "pre-auto-gc"):
            shutil.copy(script, folder / name)
    (tmp_path / "work" / ".gitattributes").write_text("* filter=x\n")
    (tmp_path / "work" / "app.py").write_text("print(3)\n")
    await git("add", ".")
    await git("commit", "-qm", "again")
    sent = {
        "GIT_SSH_COMMAND": shlex.join(["ssh", *box.options(), "-oSetEnv=GIT_CONFIG_COUNT=0 GIT_DIR=/tmp"])
    }
    done = await git("push", "-q", "origin", "main", more=sent)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (await git("clone", "-q", url, str(tmp_path / "clone"))).returncode == 0
    assert list(traces.iterdir()) == []


async def test_config_is_read_only_in_the_session(box: Any) -> None:
    """Seen from inside: the user's folder alone, and root's config over the repository's."""
    account = await box.people.account("ada")
    opened = repositories.Repositories(box.state).open(account, Git("receive-pack", "new"))
    assert [mount.read_only for mount in opened.mounts] == [False, True]
    assert opened.path == str(box.state / "git" / "new.git")
    assert (box.state / "git").stat().st_mode & 0o777 == 0o700
    assert (box.state / "hooks" / "git" / "post-receive").stat().st_uid == 0
    done = await box.run(box.ssh("ask-git"))
    assert str(box.state / "git") not in done.stdout.decode()


async def test_push_that_asks_for_a_job_submits_it(git: Any, box: Any, tmp_path: Path) -> None:
    """No API answers here: the person pushing reads the sentence of the client, and the push stands."""
    await prepared(git, box, tmp_path, job="[git]\nsubmit = true\n")
    done = await git("push", "origin", "main")
    assert done.returncode == 0
    assert b"remote: error: cannot " in done.stderr
    assert (await git("ls-remote", "origin", "main")).stdout


@pytest.mark.parametrize("job", ["[git]\nsubmit = false\n", "command = 'x'\n", "[git]\nsubmit = 'yes'\n"])
async def test_push_that_asks_for_none_is_silent(git: Any, box: Any, tmp_path: Path, job: str) -> None:
    await prepared(git, box, tmp_path, job=job)
    done = await git("push", "-q", "origin", "main")
    assert (done.returncode, done.stderr) == (0, b"")


async def test_damaged_settings_are_a_sentence(git: Any, box: Any, tmp_path: Path) -> None:
    await prepared(git, box, tmp_path, job="[git\n")
    done = await git("push", "-q", "origin", "main")
    assert done.returncode == 0
    assert b"cannot read job.toml" in done.stderr
