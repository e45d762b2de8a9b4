"""Somebody who holds a token and stock clients, and what a box holds that they might change."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from harness import Box, ssh_options

from labbox.cli.root import root
from labbox.model import Scope

_SECONDS = 30.0
ENDED = 124  # the code of one that did not end by itself


class Holder:
    """A login by a token, kept open by OpenSSH's master so that each try costs a channel alone."""

    def __init__(self, box: Box, name: str, scope: Scope) -> None:
        self.box, self.name, self.scope = box, name, scope
        self.secret = box.client(name).add_token(name, f"{scope} of a thief", scope).secret
        self.control = box.folder / f"master-{scope}"
        helper = box.folder / f"askpass-{scope}"
        helper.write_text('#!/bin/sh\nprintf "%s\\n" "$ANSWER"\n')
        helper.chmod(0o755)
        self._env = {
            **os.environ, "SSH_ASKPASS": str(helper), "SSH_ASKPASS_REQUIRE": "force", "ANSWER": self.secret,
            "DISPLAY": "",
        }  # fmt: skip

    def options(self) -> list[str]:
        options = ssh_options(self.box.key, self.box.port)
        at = options.index("-i")
        return [
            *options[:at], *options[at + 2 :],
            "-o", "PubkeyAuthentication=no", "-o", "ControlMaster=auto", "-o", f"ControlPath={self.control}",
            "-o", "ControlPersist=60",
        ]  # fmt: skip

    def ssh(self, *words: str, tty: bool = False) -> list[str]:
        return ["ssh", *(["-tt"] if tty else []), *self.options(), f"{self.name}@127.0.0.1", *words]

    def begin(self) -> None:
        """Log in once: the others go through this connection."""
        subprocess.run(
            self.ssh("whoami"),
            env=self._env,
            check=True,
            timeout=_SECONDS,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # the master stays behind and holds it
        )

    def run(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """`ssh NAME@box WORD…`; one that does not end by itself is ended."""
        return self.local(self.ssh(*words), stdin=stdin)

    @contextmanager
    def going_on(self, *words: str) -> Iterator[None]:
        """The same of one that goes on by itself, ended afterwards."""
        with subprocess.Popen(
            self.ssh(*words), env=self._env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                yield
            finally:
                process.kill()

    def local(self, argv: Sequence[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """A client of the holder's own machine."""
        try:
            return subprocess.run(
                argv, input=stdin, capture_output=True, timeout=_SECONDS, env=self._env, check=False
            )
        except subprocess.TimeoutExpired as late:
            return subprocess.CompletedProcess(argv, ENDED, late.stdout or b"", late.stderr or b"")

    def end(self) -> None:
        subprocess.run(
            ["ssh", "-o", f"ControlPath={self.control}", "-O", "exit", "box"],
            capture_output=True,
            check=False,
        )


def verbs() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every verb of the command line with its words, but those that serve a terminal or a whole box."""

    def below(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            if isinstance(command, click.Group):
                yield from below(command, (*words, name))
            elif (*words, name) not in {("up",), ("api",), ("tui",)}:
                yield (*words, name), command

    yield from below(root, ())


def holds(*folders: Path) -> dict[str, str]:
    """All that stands below: its kind, mode, owner, time and content, by path."""
    found = {}
    for top in folders:
        for folder, names, files in os.walk(top):
            for name in (".", *names, *files):
                path = Path(folder, name)
                with suppress(FileNotFoundError):
                    status = path.lstat()
                    what = f"{status.st_mode:o} {status.st_uid} {status.st_gid} {status.st_mtime_ns}"
                    if path.is_symlink():
                        what += f" -> {path.readlink()}"
                    elif path.is_file():
                        what += f" {hashlib.sha256(path.read_bytes()).hexdigest()}"
                    found[str(path)] = what
    return found


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What differs."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
