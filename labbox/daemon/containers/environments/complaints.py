"""What uv complains of, in sentences for the person who wrote the requirements."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from labbox.daemon.containers.environments.wishes import satisfies
from labbox.errors import LabboxError
from labbox.files.software.asked import Line, Requirements
from labbox.text import visible_line

_NAME: Final = r"(?<![A-Za-z0-9._-])([A-Za-z0-9][A-Za-z0-9._-]{0,200})"
_NOT_FOUND: Final = re.compile(
    rf"{_NAME} was not found in the (?:package registry|provided package locations)"
)
_MISMATCH: Final = re.compile(
    r"Hash mismatch for `?([^`\s]+)`?.*?Expected:\s+([a-z0-9]+:[0-9a-f]+).*?Computed:\s+([a-z0-9]+:[0-9a-f]+)"
)
_NO_VERSION: Final = re.compile(
    rf"there (?:is|are) no versions? of {_NAME}(\[[^]]{{0,200}}\])?\s*([=<>!~][^ ,]{{0,200}})"
)
_ONLY: Final = re.compile(
    rf"only {_NAME}([=<>!~][^ ]{{0,200}}) (?:is|are) available and you require {_NAME}([=<>!~][^ ,]{{0,200}})"
)
_NO_WHEEL: Final = re.compile(
    r"no usable wheels|no wheels with a matching|no `?[\w.-]{1,200}`? wheels|building from source is disabled"
    r"|Building source distributions is disabled|no (?:binary|compatible wheel)",
    re.IGNORECASE,
)
_NEEDS_PYTHON: Final = re.compile(
    rf"{_NAME}==([A-Za-z0-9.+!_-]{{1,100}}) depends on Python"
    r"([<>=!~][^ ]{0,200}(?:, ?[<>=!~][^ ]{0,50})?)"
)
_HERE: Final = re.compile(r"[Pp]ython version \([<>=~]*([0-9.]{1,20})\) does not satisfy")
_MOST_TEXT: Final = 20_000  # characters of what uv says that are looked at
_POSITION: Final = re.compile(r"at position (\d+)")
_NETWORK: Final = re.compile(
    r"error sending request|dns error|Failed to fetch|timed out|Connection (?:refused|reset)"
    r"|tcp connect error|error decoding response body|Request failed after"
    r"|HTTP status (?:server error|client error \(429)"
    r"|network (?:is )?unreachable|connection closed",
    re.IGNORECASE,
)
_REFUSED: Final = re.compile(r"HTTP status client error \((4\d\d [A-Za-z ]+)\)|status code (4\d\d)")
_DISK: Final = re.compile(
    r"No space left on device|Disk quota exceeded|\(os error (?:28|122)\)", re.IGNORECASE
)
_CERTIFICATE: Final = re.compile(r"invalid peer certificate|certificate (?:verify|unknown)|UnknownIssuer")


class NeedsBuildError(Exception):
    """No wheel exists for something that is asked for: it must be built from its source."""


def explain(text: str, requirements: Requirements, where: str) -> NoReturn:
    """Raise what uv's standard error says.

    NeedsBuildError where only source distributions exist; LabboxError("unavailable") where it may be gone the
    next time (network, disk), "invalid" where the person must change something. `where` names the file.
    """
    text = text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT // 2] + "\n" + text[-_MOST_TEXT // 2 :]
    flat = " ".join(text.split())
    where = visible_line(where)
    if _DISK.search(flat):
        raise LabboxError(
            "unavailable",
            "cannot make the environment: no space left on the disk of the state folder",
            "make room (old results, `labbox status` shows the disk), then retry",
        )
    if match := _MISMATCH.search(flat):
        raise LabboxError(
            "invalid",
            f"cannot install {match[1]}: the file asks for {match[2]}, and what the index has is {match[3]}",
            "correct the hash if the version is meant; else somebody else's file stands in its place",
        )
    if match := _NOT_FOUND.search(flat):
        name = match[1]
        raise LabboxError(
            "invalid",
            f"cannot find the package {visible_line(name)}{_asked(requirements, name)}",
            f"check its name in {where}; pip's name is wanted, not the one that is imported",
        )
    if _CERTIFICATE.search(flat):
        raise LabboxError(
            "unavailable",
            "cannot reach the package index: its certificate is not trusted by this box",
            "whoever runs the box names the CA file in pip.conf (cert) or SSL_CERT_FILE",
        )
    if match := _REFUSED.search(flat):
        raise LabboxError(
            "unavailable",
            f"cannot use the package index: it answered {visible_line(match[1] or match[2])}",
            "whoever runs the box checks the index address and its password in pip.conf",
        )
    if _NETWORK.search(flat):
        raise LabboxError(
            "unavailable",
            "cannot reach the package index: " + _last_cause(text),
            "it is tried again; else check the network, proxy and pip.conf of the box",
        )
    if (needs := _NEEDS_PYTHON.search(flat)) and (here := _HERE.search(flat)):
        raise other_python(needs[1], needs[2], needs[3], here[1], requirements)
    if _NO_WHEEL.search(flat):
        raise NeedsBuildError(flat)
    if match := _POSITION.search(flat):
        line = requirements.at(int(match[1]))
        if line is not None:
            raise LabboxError(
                "invalid",
                f"cannot read {_place(line)}: {visible_line(line.text)}: {_first_cause(text)}",
                'write one package a line, such as "numpy" or "scipy>=1.10,<2"',
            )
    if match := _NO_VERSION.search(flat):
        _no_version(match[1], match[3].rstrip("."), "there is no such version", requirements)
    if (match := _ONLY.search(flat)) and match[1] == match[3]:
        _no_version(match[1], match[4].rstrip("."), f"there is {match[1]}{match[2]}", requirements)
    raise LabboxError(
        "invalid",
        f"cannot put together what {where} asks for: {_first_cause(text)}",
        "loosen the versions that exclude each other",
    )


def other_python(
    package: str, version: str, wanted: str, here: str, requirements: Requirements
) -> LabboxError:
    """A package is for other Pythons than `here`: ``>=3.7,<3.11``."""
    parts = [part.strip() for part in wanted.rstrip(".").split(",") if part.strip()]
    limits = [part for part in parts if not satisfies(here, part)] or parts
    words = " and ".join(re.sub(r"^([<>=!~]+)\s*", r"\1 ", part) for part in limits)
    series = ".".join(here.split(".")[:2])
    return LabboxError(
        "invalid",
        f"cannot use {visible_line(f'{package}=={version}')}{_asked(requirements, package)}: "
        f"it needs Python {visible_line(words)}, this box has {series}",
        "ask for another version, or for another Python: python-3.10 in a runtime.txt, or an image",
    )


def _no_version(name: str, version: str, why: str, requirements: Requirements) -> NoReturn:
    raise LabboxError(
        "invalid",
        f"cannot find {visible_line(name + version)}{_asked(requirements, name)}: {visible_line(why)}",
        "ask for another version, or leave the version out",
    )


def _asked(requirements: Requirements, name: str) -> str:
    """Where the person wrote the name, in brackets; nothing for a dependency of a dependency."""
    wanted = re.sub(r"[-_.]+", "-", name).lower()
    for line in requirements.requirements:
        match = re.match(_NAME, line.text)
        if match and re.sub(r"[-_.]+", "-", match[1]).lower() == wanted:
            return f" ({_place(line)})"
    return ""


def _place(line: Line) -> str:
    return f"line {line.number} of {visible_line(line.file)}" if line.number else visible_line(line.file)


def _first_cause(text: str) -> str:
    """The first cause that uv gives, without drawings below it."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.strip().startswith(("cause:", "╰─▶", "Caused by:")):
            words = [re.sub(r"^\s*(?:cause:|╰─▶|Caused by:)\s*", "", line)]
            for more in lines[number + 1 :]:
                if not more.strip() or more.strip().startswith(("cause:", "hint:")) or "^" in more:
                    break
                if more.startswith("         "):  # the quoted line with its marker
                    break
                words.append(more.strip())
            return visible_line(" ".join(words))[:600]
    meaningful = [line for line in lines if line.strip() and not line.startswith("warning")]
    return visible_line(meaningful[0].removeprefix("error: "))[:600] if meaningful else "uv gave no reason"


def _last_cause(text: str) -> str:
    causes = [line.strip() for line in text.splitlines() if line.strip().startswith(("cause:", "Caused by:"))]
    return visible_line(re.sub(r"^(?:cause:|Caused by:)\s*", "", causes[-1]))[:300] if causes else "no answer"
