"""Git repositories behind the gate: pushed to and fetched from as the user, with nothing of the user's run.

What git would run for a repository, and why none of it is the user's:

- *Hooks* come from `core.hooksPath`, which our own configuration sets to STATE/hooks/git: root's, with a
single
  `post-receive` in it. What stands in the repository's own `hooks` is not looked at. A push cannot put
  anything there anyway: it writes objects and refs, and a ref's name begins with `refs/`.
- *Configuration* (filters, aliases, fsmonitor, credential helpers, pack hooks, includes): the user's and the
  system's are switched off by environment (GIT_CONFIG_GLOBAL, GIT_CONFIG_NOSYSTEM). The repository's `config`
  is a read-only mount of root's STATE/hooks/config in the session's mount namespace, so that neither git nor
  a bug in it can change or replace it; the settings that matter are given by environment too, which overrides
  every file.
- *Attributes* (filter, textconv, merge drivers) act on work trees; these repositories have none, and the
commands
  run here check nothing out.
- *Other paths*: the name of a repository is one word without folders, and the only thing below STATE/git that
the
  session's namespace shows is the user's own folder. STATE/git is root's and 0700: sftp, scp, rsync and verbs
  never see a repository as files, so the folder that git must write to (objects, refs) is out of reach by any
  other way.
- *The client's environment*: of what it sends, GIT_PROTOCOL alone is passed on, and only as `version=1` or
`2`. - *Pushed objects* are checked (`receive.fsckObjects`), and a push has a largest size.

Without root there is one person and no namespace: the same environment rules, and `config` is written anew
each time.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import labbox
from labbox.daemon.gate.words import Git
from labbox.errors import LabboxError
from labbox.spawning import Mount

if TYPE_CHECKING:
    from labbox.daemon.people import Account

MAX_PUSH: Final = 20 << 30  # bytes
MAX_REPOSITORIES: Final = 500  # of one user

_SETTINGS: Final = {
    "core.bare": "true",
    "core.repositoryFormatVersion": "0",
    "core.fileMode": "true",
    "core.fsmonitor": "false",
    "core.attributesFile": os.devnull,
    "receive.fsckObjects": "true",
    "receive.maxInputSize": str(MAX_PUSH),
    "receive.advertisePushOptions": "false",
    "gc.autoDetach": "false",  # a process that stays behind would be ended with the session
    "uploadpack.allowFilter": "true",
}


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as the session is to see it."""

    path: str
    mounts: tuple[Mount, ...]
    env: dict[str, str]


class Repositories:
    """STATE/git and what belongs to it."""

    def __init__(self, state: Path) -> None:
        """Make the folders and write the hook and the configuration of this version of labbox."""
        self._root = os.geteuid() == 0
        self._folder = state / "git"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        ours = state / "hooks"
        self._hooks = ours / "git"
        self._hooks.mkdir(mode=0o755, parents=True, exist_ok=True)
        for folder in (ours, self._hooks):
            folder.chmod(0o755)
        self._settings = {**_SETTINGS, "core.hooksPath": str(self._hooks)}
        self._config = ours / "config"
        _write(self._config, _config_file(self._settings), 0o644)
        _write(self._hooks / "post-receive", _hook(), 0o755)

    def open(self, account: Account, wish: Git) -> Repository:
        """The repository for one session, made if it is pushed to for the first time."""
        mine = self._folder / account.name
        repository = mine / f"{wish.repository}.git"
        if not (repository / "HEAD").exists():
            if wish.service != "receive-pack":
                raise LabboxError(
                    "not_found", f"cannot find the repository “{wish.repository}”", "a first push makes it"
                )
            self._make(mine, repository, account)
        seen = repository
        mounts: tuple[Mount, ...] = ()
        if self._root:
            seen = self._folder / repository.name
            mounts = (
                Mount(source=str(mine), target=str(self._folder), read_only=False),
                Mount(source=str(self._config), target=str(seen / "config")),
            )
        else:
            shutil.copyfile(self._config, repository / "config")
        return Repository(str(seen), mounts, self._environment())

    def _make(self, mine: Path, repository: Path, account: Account) -> None:
        """A bare repository, whole or not at all; no path here can be rearranged by the user."""
        mine.mkdir(mode=0o755, exist_ok=True)
        mine.chmod(0o755)
        if sum(1 for _ in mine.iterdir()) >= MAX_REPOSITORIES:
            raise LabboxError("limit", f"cannot make another repository: you have {MAX_REPOSITORIES}")
        made = mine / f".new-{repository.name}"
        shutil.rmtree(made, ignore_errors=True)
        for folder in (
            "",
            "objects",
            "objects/info",
            "objects/pack",
            "refs",
            "refs/heads",
            "refs/tags",
            "info",
        ):
            (made / folder).mkdir(mode=0o700)
        (made / "HEAD").write_text("ref: refs/heads/main\n")
        if self._root:
            for path in (made, *made.rglob("*")):
                os.chown(path, account.uid, account.gid)
        shutil.copyfile(self._config, made / "config")  # root's; the session sees the mount instead
        made.rename(repository)

    def _environment(self) -> dict[str, str]:
        env = {
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": str(len(self._settings)),
        }
        for number, (key, value) in enumerate(self._settings.items()):
            env[f"GIT_CONFIG_KEY_{number}"] = key
            env[f"GIT_CONFIG_VALUE_{number}"] = value
        return env


def _config_file(settings: dict[str, str]) -> str:
    lines = []
    for key, value in settings.items():
        section, name = key.split(".")
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'[{section}]\n\t{name} = "{quoted}"\n')
    return "# Written by labbox at each start.\n" + "".join(lines)


def _hook() -> str:
    """Runs our own module with the daemon's Python, isolated from every variable and folder of the user."""
    package = Path(labbox.__file__).parent.parent
    program = (
        f"import sys; sys.path.insert(0, {str(package)!r}); from labbox.cli import githook; githook.main()"
    )
    return f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -I -c {shlex.quote(program)}\n"


def _write(path: Path, text: str, mode: int) -> None:
    made = path.with_name(f".{path.name}.new")
    made.write_text(text)
    made.chmod(mode)
    made.rename(path)
