"""The first line of a script, `#!/bin/bash -e`, obeyed as `./run.sh` would obey it."""

from __future__ import annotations

import re
import shlex
from typing import Final, NamedTuple

from labbox.files.entries import TemplateView
from labbox.files.windows import plain_text

_ENV_SPLITS: Final = ("-S", "--split-string")
# What makes an environment of its own and starts Python in it: the run's environment is labbox's.
_KEEPERS: Final = frozenset("uv uvx pixi conda mamba micromamba poetry pdm hatch pipenv pipx rye".split())
# Shells that are in no run unless asked for, by the Debian package that has them.
_SHELLS: Final = {name: name for name in ("csh", "tcsh", "zsh", "ksh", "mksh", "fish")}
_POSIX: Final = frozenset({"sh", "dash", "ash", "bash", "ksh", "mksh", "zsh", "csh", "tcsh", "fish"})
# What bash understands, which is `sh` on many systems, and Debian's `sh` does not.
_OF_BASH: Final = re.compile(
    r"^[^\n#'\"]*(?:\[\[ |<<<|[<>]\(|&> ?\w)"
    r"|^\s*(?:source |function \w|shopt |declare |mapfile |readarray |pushd |let |\w+\+?=\()"
    r"|^\s*set [^\n]*pipefail",
    re.MULTILINE,
)


class Obeyed(NamedTuple):
    """The command that a first line asks for, and what to say of it."""

    command: tuple[str, ...]
    said: str = ""  # empty where the command is the template's own
    package: str = ""  # Debian's, of a shell that runs have only where it is asked for


def obeyed(words: tuple[str, ...], entry: str, head: bytes, template: TemplateView) -> Obeyed:
    """The command with which `entry` runs; `words` where its first line says nothing else.

    A program is looked up by its name, so that Python is the environment's. Options are split as by
    `env -S`: Linux hands them over as one word, of which programs make nothing. A login shell (`-l`) would
    read /etc/profile, which takes the environment's folders out of PATH: it is none.
    """
    text = plain_text(head)
    asked = _asked(text.partition("\n")[0])
    if not asked or entry not in words:
        return Obeyed(words)
    program, *options = asked
    at = words.index(entry)
    ours = template.runs(program) or program == template.name
    if not ours and not template.runs("bash") and (program in _KEEPERS or program == "env"):
        return Obeyed(words)
    if program in _POSIX:
        options = [kept for one in options if (kept := _without_login(one))]
    if ours:
        command = (words[0], *(one for one in options if one not in words), *words[1:])
    elif program == "sh" and template.runs("bash") and _OF_BASH.search(text):
        command = (words[0], *options, *words[at:])
        return Obeyed(command, f"{entry} asks for sh and is written for bash: bash runs it")
    else:
        command = (program, *options, *words[at:])
    if command == words:
        return Obeyed(words)
    said = f"{entry} runs as its first line says: {shlex.join(command)}"
    return Obeyed(command, said, _SHELLS.get(program, ""))


def _asked(line: str) -> list[str]:
    """The program and options of a first line; empty where it names none."""
    if not line.startswith("#!"):
        return []
    try:
        words = shlex.split(line[2:])
    except ValueError:
        words = line[2:].split()
    if not words:
        return []
    program, options = _name(words[0]), words[1:]
    if program != "env":
        return [program, *options] if program else []
    for split in _ENV_SPLITS:
        if options and options[0].startswith(split):
            rest = options[0].removeprefix(split).removeprefix("=")
            options = [rest, *options[1:]] if rest else options[1:]
    if not options:
        return []
    if options[0].startswith("-") or "=" in options[0]:
        return ["env", *options]  # it sets variables first
    return [_name(options[0]), *options[1:]]


def _name(word: str) -> str:
    return word.rpartition("/")[2]


def _without_login(option: str) -> str:
    if option == "--login":
        return ""
    if re.fullmatch(r"-[a-zA-Z]+", option):
        return "" if (kept := option.replace("l", "")) == "-" else kept
    return option
