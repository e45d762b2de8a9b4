"""A Dockerfile, read for the images that it uses: lines and directives as Docker has them."""

from __future__ import annotations

import re
from typing import Final

from labbox.files.software.asked import LONGEST, Recipe
from labbox.files.software.reading import Reading

_OWN: Final = re.compile(
    r"(?mi)^[ \t]*FROM[ \t]+(?:--[^\s]+[ \t]+)*(?=labbox/base(?::latest)?[ \t\r]*(?:$|[ \t]))"
)
_BASE: Final = re.compile(r"labbox/base(?::latest)?", re.IGNORECASE)
_DIRECTIVE: Final = re.compile(r"#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*(\S+)[ \t]*")
_FROM: Final = re.compile(
    r"FROM[\t\v\f\r ]+(?:--\S+[\t\v\f\r ]+)*(\S+)(?:[\t\v\f\r ]+AS[\t\v\f\r ]+(\S+))?", re.I
)
_COMMAND: Final = re.compile(r"(?:CMD|ENTRYPOINT)[\t\v\f\r ]+\S", re.IGNORECASE)
_COPY: Final = re.compile(r"(?:ONBUILD[\t\v\f\r ]+)*(?:COPY|ADD|RUN)\b", re.IGNORECASE)
_SOURCE: Final = re.compile(r"(?:--|[,=])from=([^\s,]+)", re.IGNORECASE)


def read_recipe(name: str, content: bytes, reading: Reading) -> Recipe | None:
    """What a Dockerfile uses; None, and an error, where it cannot be used."""
    reading.begin(name, content)
    text = reading.text(name, content)
    if text is None:
        return None
    text = text.replace("\r\n", "\n")
    images: dict[str, None] = {}
    stages, count, own, command = {"scratch"}, 0, 0, False
    for line in instructions(text):
        reading.line(name)
        found: list[str] = []
        command |= _COMMAND.match(line) is not None
        if match := _FROM.match(line):
            found = [match[1]]
            own += bool(_BASE.fullmatch(match[1]))
        elif _COPY.match(line):
            found = _SOURCE.findall(line)
        for image in found:
            if image.lower() not in stages:
                images[image] = None
        if match:
            stages |= {str(count), (match[2] or str(count)).lower()}
            count += 1
    if any(len(image) > LONGEST for image in images) or len(images) > 100:
        reading.error(name, None, "it names images that are none", "FROM python:3.12")
        return None
    pieces = _pieces(text)
    if len(pieces) != own + 1:
        hint = "write FROM labbox/base in one line"
        reading.error(name, None, "the box's base image is named over several lines", hint)
        return None
    return Recipe(file=name, pieces=pieces, images=tuple(images), command=command)


def _pieces(text: str) -> tuple[str, ...]:
    """The text between the names of the box's base image."""
    pieces, at = [], 0
    for match in _OWN.finditer(text):
        end = _BASE.match(text, match.end())
        if end is not None:
            pieces.append(text[at : match.end()])
            at = end.end()
    return (*pieces, text[at:])


def instructions(text: str) -> list[str]:
    r"""The instructions of a Dockerfile, a line each: ``\n`` alone ends lines, and `# escape=` counts."""
    found: list[str] = []
    escape, heading = "\\", True
    joined: str | None = None
    for raw in text.split("\n"):
        line = raw.strip(" \t\r\v\f")
        if heading and (directive := _DIRECTIVE.fullmatch(line)):
            if directive[1].lower() == "escape" and directive[2] in ("`", "\\"):
                escape = directive[2]
            continue
        heading = False
        if line.startswith("#") or not line:
            continue
        goes_on = line.endswith(escape) and not line.endswith(escape * 2)
        part = line[:-1] if goes_on else line
        joined = part if joined is None else joined + part
        if not goes_on:
            found.append(joined)
            joined = None
    if joined:
        found.append(joined)
    return found
