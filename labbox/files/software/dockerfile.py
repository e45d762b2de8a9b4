r"""A Dockerfile in the one form that leaves nothing to interpretation: an instruction a line, in plain words.

Docker and whoever checks a file must not read it differently. So what is built is not the person's text but
the lines made here, and these are checked as they stand (`check_lines`): no comments, no directives, no
continued lines, images by whole names. ``\n`` alone ends lines, as in Docker's own parser (buildkit,
frontend/dockerfile/parser).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from labbox.text import visible_line

BASE: Final = "labbox/base:latest"  # stands for the box's own image, whatever its id
OWN_REPOSITORY: Final = "labbox/environment"  # what the box made for somebody is nobody's to name
MAX_LINES: Final = 5_000
LONGEST_LINE: Final = 64 * 1024  # characters

_BLANK: Final = " \t\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_CONTINUED: Final = re.compile(r"(?:(?<=[^\\])|^)\\[ \t]*\Z")
_DIRECTIVE: Final = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_PLAIN: Final = frozenset(
    "ARG CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL MAINTAINER SHELL STOPSIGNAL USER VOLUME WORKDIR".split()
)
_HEREDOC: Final = re.compile(r"(?:^|\s)\d*<<-?[^<\s]")
_FLAG: Final = re.compile(r"--[a-z-]+(?:=[^\s\"'\\]*)?")
_ADDRESS: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:/|//|git@|[^/]+@[^/]*:|github\.com/|[^/]+\.git(?:#|$)", re.IGNORECASE
)  # as a URL, without its scheme, and as git and scp have it: some builder takes each for another machine's
_STAGE: Final = re.compile(r"[a-z][a-z0-9._-]{0,127}")
_REFERENCE: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})(?::[0-9]{1,5})?/)?[a-z0-9](?:[a-z0-9._/-]{0,200}[a-z0-9])?"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_VARIABLE: Final = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}$]*))?\})")


class Refused(Exception):  # noqa: N818 - no error of the program: what the file may not say
    """A line that is not honoured; `hint` says what to write."""

    def __init__(self, line: int, why: str, hint: str) -> None:
        """`line` counts from 1."""
        super().__init__(why)
        self.line, self.why, self.hint = line, why, hint


class Uses(NamedTuple):
    """What the lines use: whole names of images, and whether they say what the image runs."""

    images: tuple[str, ...]
    command: bool


def canonical(text: str) -> tuple[str, ...]:
    """The instructions in plain lines; Refused where one is not honoured."""
    variables: dict[str, str] = {}
    stages: list[str] = []
    lines: list[str] = []
    for number, joined in _joined(text):
        if len(lines) >= MAX_LINES or len(joined) > LONGEST_LINE:
            raise Refused(number, "the file is too long", "put what it does into a script and RUN that")
        word, _, rest = re.sub(r"[\t\v\f\r ]+", " ", joined, count=1).partition(" ")
        keyword, rest = word.upper(), rest.strip(_BLANK)
        if keyword == "FROM":
            line = _from(number, rest, stages, variables)
        else:
            line = f"{keyword} {_body(number, keyword, rest, stages[:-1])}"  # not its own stage
            if keyword == "ARG" and not stages:
                _remember(rest, variables)
        lines.append(line)
    if not stages:
        raise Refused(1, "it has no FROM", "begin with FROM labbox/base")
    check_lines(lines)
    return tuple(lines)


def check_lines(lines: Sequence[str]) -> Uses:
    """What lines of that form use; Refused where they are not of that form. One look at each character."""
    images: dict[str, None] = {}
    stages: list[str] = []
    command = False
    for number, line in enumerate(lines, start=1):
        keyword, _, rest = line.partition(" ")
        if re.search(r"[\x00-\x08\n\r\x0b-\x1f\x7f]", line) or _CONTINUED.search(line):
            raise Refused(number, "a line holds what ends or continues lines", "write plain text")
        command |= keyword in ("CMD", "ENTRYPOINT")
        if keyword == "FROM":
            match = re.fullmatch(r"(\S+)(?: AS (\S+))?", rest)
            if match is None:
                raise Refused(number, "this is no FROM", "write FROM image or FROM image AS name")
            if match[1] not in ("scratch", *filter(None, stages)):
                images[_whole(number, match[1])] = None
            stages.append(_stage(match[2] or ""))
        elif not stages and keyword != "ARG":
            raise Refused(
                number, f"{visible_line(keyword)[:20]} is before FROM", "begin with FROM labbox/base"
            )
        else:
            for image in _sources(number, keyword, rest, stages[:-1]):
                images[_whole(number, image)] = None
    return Uses(tuple(images), command)


def whole_name(image: str) -> str:
    """An image by its whole name, `debian:latest` for `docker.io/library/debian`; "" for none."""
    if not _REFERENCE.fullmatch(image):
        return ""
    name = re.sub(r"^(?:index\.|registry-1\.)?docker\.io/(?:library/)?|^library/", "", image)
    if name.partition(":")[0] == "sha256":
        return ""
    return name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"


def is_own(image: str) -> bool:
    """Whether a whole name is of the images that the box made for somebody."""
    return re.split("[:@]", image, maxsplit=1)[0] == OWN_REPOSITORY


def _joined(text: str) -> list[tuple[int, str]]:
    """Instructions with the number of their first line; directives are honoured or refused."""
    found: list[tuple[int, str]] = []
    heading, parts, first = True, list[str](), 0
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = raw.rstrip("\r").lstrip(_BLANK)
        if heading:
            heading = line.startswith("#") and _directive(number, line)
        if line.startswith("#") or not line.strip(_BLANK):
            continue
        first = first if parts else number
        body = _CONTINUED.sub("", raw.rstrip("\r") if parts else line)
        goes_on = body != (raw.rstrip("\r") if parts else line)
        parts.append(body)
        if not goes_on:
            found.append((first, "".join(parts).strip(_BLANK)))
            parts = []
    if parts:
        found.append((first, "".join(parts).strip(_BLANK)))
    return [(number, line) for number, line in found if line]


def _directive(number: int, line: str) -> bool:
    """Whether a comment at the top is a directive; Refused for one that would change what is meant."""
    match = _DIRECTIVE.fullmatch(line)
    if match is None:
        return False
    name, value = match[1].lower(), match[2]
    if name == "escape" and value != "\\":
        raise Refused(
            number, "another escape character is not honoured", "remove the line, continue lines with \\"
        )
    if name == "syntax" and not re.fullmatch(r"(?:docker\.io/)?docker/dockerfile(?::[0-9][\w.-]*)?", value):
        raise Refused(number, "another syntax is not honoured", "remove the line")
    return True


def _from(number: int, rest: str, stages: list[str], variables: dict[str, str]) -> str:
    words = [word for word in rest.split() if not word.startswith("--platform=")]
    hint = "write FROM image or FROM image AS name"
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
        raise Refused(number, "this is no FROM", hint)
    if any(letter in words[0] for letter in "\"'\\"):
        raise Refused(number, "the image is not written plainly", hint)
    image = _VARIABLE.sub(lambda m: variables.get(m[1] or m[2]) or m[3] or "", words[0])
    if "$" in image:
        raise Refused(number, "the image is not written plainly", hint)
    if image != "scratch" and image.lower() not in filter(None, stages):
        image = _whole(number, image)
    else:
        image = image.lower()
    stage = words[2].lower() if len(words) == 3 else ""
    stages.append(_stage(stage))
    return f"FROM {image} AS {stage}" if stage else f"FROM {image}"


def _stage(name: str) -> str:
    """A name that Docker takes for a stage; "" for others, which it refuses itself."""
    return name if _STAGE.fullmatch(name) else ""


def _whole(number: int, image: str) -> str:
    name = whole_name(image)
    if not name or is_own(name):
        raise Refused(
            number, f"{visible_line(image)[:200]} is no image name", "write a name such as python:3.12"
        )
    return name


def _body(number: int, keyword: str, rest: str, stages: list[str]) -> str:
    """The rest of an instruction, images in it by their whole names."""
    if keyword == "ONBUILD":
        word, _, inner = rest.partition(" ")
        return f"{word.upper()} {_body(number, word.upper(), inner.strip(_BLANK), [])}"
    if keyword != "COPY":
        return rest

    def replace(match: re.Match[str]) -> str:
        image = match[1]
        known = image.lower() in filter(None, stages) or _is_stage(image, stages)
        return f"--from={image.lower() if known else _whole(number, image)} "

    flags, tail = _flags(number, rest)
    return "".join(re.sub(r"--from=(\S+) ", replace, f"{flag} ") for flag in flags) + tail


def _is_stage(name: str, stages: Sequence[str]) -> bool:
    """Whether it is the number of a stage before."""
    return re.fullmatch("[0-9]{1,4}", name) is not None and int(name) < len(stages)


def _flags(number: int, rest: str) -> tuple[list[str], str]:
    """The words that begin with dashes, and what follows them."""
    flags: list[str] = []
    while rest.startswith("--"):
        match = re.match(r"(\S+)\s*", rest)
        if match is None or not _FLAG.fullmatch(match[1]):
            raise Refused(number, "an option is not written plainly", "write it as --option=value")
        flags.append(match[1])
        rest = rest[match.end() :]
    return flags, rest


def _sources(number: int, keyword: str, rest: str, stages: Sequence[str]) -> list[str]:
    """The images that an instruction uses; Refused for what is not honoured."""
    if keyword == "ONBUILD":
        word, _, inner = rest.partition(" ")
        if word in ("FROM", "ONBUILD", "MAINTAINER"):
            raise Refused(number, f"ONBUILD {word} is not honoured", "remove the line")
        return _sources(number, word, inner, ())
    if keyword in _PLAIN:
        return []
    if keyword not in ("RUN", "COPY", "ADD"):
        raise Refused(number, f"{visible_line(keyword)[:40]} is no instruction", "see Docker's reference")
    if _HEREDOC.search(rest):
        raise Refused(number, "texts in the file (<<) are not honoured", "put it into a file of the project")
    flags, tail = _flags(number, rest)
    if keyword == "RUN":
        if flags:
            raise Refused(number, f"RUN {flags[0][:40]} is not honoured", "RUN without options")
        return []
    if keyword == "ADD":
        _check_sources(number, tail)
    found = []
    for flag in flags:
        name, _, value = flag.partition("=")
        if name == "--from":
            known = value in filter(None, stages) or _is_stage(value, stages)
            if not known:
                found.append(value)
    return found


def _check_sources(number: int, tail: str) -> None:
    """ADD fetches addresses from the engine's own network: files of the project only."""
    hint = "RUN curl inside the build, or put the file into the project"
    words = tail.split()
    if tail.startswith("["):
        try:
            words = [str(word) for word in json.loads(tail)]
        except (ValueError, TypeError, RecursionError):
            words = tail.split()
    if any(_ADDRESS.match(word.strip("[]\"',")) for word in words):
        raise Refused(number, "ADD of an address is not honoured", hint)
    if any(letter in word for word in words for letter in "$\"'\\"):
        raise Refused(number, "what ADD takes is not written plainly", "write plain paths, or use COPY")


def _remember(rest: str, variables: dict[str, str]) -> None:
    """The value that an ARG before the first FROM gives; nothing for what is not plain."""
    name, equals, value = rest.partition("=")
    if equals and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        plain = re.fullmatch(r"[A-Za-z0-9._/:@-]{0,255}", value)
        variables[name] = value if plain and not name.lower().endswith("_proxy") else "$"
