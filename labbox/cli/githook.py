"""What a push does: a branch whose commit says `[git] submit = true` in its job.toml becomes a job.

Run by git as `post-receive` of a repository behind the gate, as the user who pushed; git gives the changed
refs on standard input and shows what is printed to the person pushing. The job is named by the repository and
the commit: `JobSpec(path="NAME.git", commit=ID)`. A push whose client goes away leaves the job running.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

from labbox.cli.check import warn
from labbox.cli.follow import follow
from labbox.cli.session import Session
from labbox.errors import LabboxError
from labbox.model import JobSpec
from labbox.text import visible_line

_SETTINGS: Final = "job.toml"
_LARGEST: Final = 256 * 1024  # bytes of a job.toml
_SECONDS: Final = 60.0
_BRANCHES: Final = "refs/heads/"


def main() -> None:
    """Submit what was pushed and stay with it; nothing that goes wrong here undoes the push."""
    pushed = [line.split(" ", 2) for line in sys.stdin.read().splitlines()]
    branches = [(new, ref.removeprefix(_BRANCHES)) for _old, new, ref in pushed if ref.startswith(_BRANCHES)]
    code = 0
    for commit, branch in branches:
        if set(commit) == {"0"}:
            continue  # the branch was deleted
        _point_head_at(branch)
        try:
            if _wants_to_run(commit):
                code = _run(commit, branch)
        except LabboxError as error:
            code = error.exit_code
            print(
                f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr
            )
    sys.exit(code)


def _run(commit: str, branch: str) -> int:
    session = Session()
    try:
        job = session.box.submit_job(JobSpec(path=Path.cwd().name, commit=commit))
        warn(job.warnings)
        print(f"job {job.id}: {visible_line(branch)} at {commit[:10]}", flush=True)
        return follow(session, job)
    finally:
        session.close()


def _wants_to_run(commit: str) -> bool:
    """Whether the commit asks to be run; LabboxError where its job.toml cannot be read."""
    size = _git("cat-file", "-s", f"{commit}:{_SETTINGS}")
    if size is None:
        return False
    if int(size) > _LARGEST:
        raise LabboxError("invalid", f"cannot read {_SETTINGS} of {commit[:10]}: it is too large")
    from labbox.files.software.finding import in_utf8

    text = _git("cat-file", "blob", f"{commit}:{_SETTINGS}")
    try:
        table: Any = tomllib.loads(in_utf8(text or b"").decode())
    except (ValueError, RecursionError) as error:  # TOML and UTF-8 errors are such, and numbers without end
        raise LabboxError(
            "invalid", f"cannot read {_SETTINGS} of {commit[:10]}: {visible_line(str(error))}"
        ) from error
    git = table.get("git")
    return isinstance(git, dict) and git.get("submit") is True


def _point_head_at(branch: str) -> None:
    """A clone checks out what HEAD names: the first branch that was pushed, whatever it is called."""
    if _git("rev-parse", "--verify", "--quiet", "HEAD") is None:
        _git("symbolic-ref", "HEAD", f"{_BRANCHES}{branch}")


def _git(*words: str) -> bytes | None:
    """What git prints; None where it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - our words, and an id that git itself gave
            ["git", *words],  # noqa: S607 - the gate sets PATH
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
            env=os.environ,
        )
    except subprocess.TimeoutExpired as error:
        raise LabboxError("unavailable", "cannot read the commit: git does not answer") from error
    return done.stdout if done.returncode == 0 else None
