"""Files that are lists of words: apt.txt."""

from __future__ import annotations

import re
from typing import Final

from labbox.files.software.asked import LONGEST, MAX_PACKAGES
from labbox.files.software.reading import Reading, shown

_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,127}(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]{1,128})?", re.ASCII)


def is_package(word: str) -> bool:
    """Whether it names a Debian package; what ends in - or + would have apt remove or install another one."""
    bare = re.split("[:=]", word, maxsplit=1)[0]
    plain = not bare.endswith("-") and (not bare.endswith("+") or bare.endswith("++"))
    return len(word) <= LONGEST and plain and _PACKAGE.fullmatch(word) is not None


_INSTALL: Final = re.compile(
    r"\s*(?:RUN\s+)?(?:sudo\s+)?(?:apt-get|aptitude|apt)\s+(?:-\S+\s+)*install\s", re.ASCII
)
_OF_APT: Final = re.compile(r"-y|-qq?|-yq?|--yes|--assume-yes|--no-install-recommends|-|\\", re.ASCII)


def _mend(word: str) -> str:
    """What to write instead of a word that is no package."""
    bare = re.split(r"[<>=~!(\[]", word, maxsplit=1)[0]
    if re.search(r"[<>~!(]|==", word) and is_package(bare.lower()):
        return f"write {bare.lower()}: the box's Debian has one version of it"
    if is_package(word.lower()):
        return f"write {word.lower()}: names of Debian packages have small letters"
    if word.endswith(".deb") or "://" in word:
        return "name a package that Debian has; others come with an image: image = … in job.toml"
    return "write the names of Debian packages, such as ffmpeg, and nothing else"


def read_packages(name: str, content: bytes, reading: Reading) -> tuple[str, ...]:
    """The Debian packages of an apt.txt."""
    reading.begin(name, content)
    found: list[str] = []
    for number, raw in enumerate((reading.text(name, content) or "").splitlines(), start=1):
        reading.line(name)
        text = raw.split("#", 1)[0]
        if (match := _INSTALL.match(text)) is not None:
            text = text[match.end() :]
        words = [word for word in re.split(r"[\s,;]+", text) if word and not _OF_APT.fullmatch(word)]
        for word in words:
            if is_package(word):
                found.append(word)
            else:
                hint = _mend(word)
                reading.error(name, number, f"“{shown(word)}” is no package name", hint)
    if len(found) > MAX_PACKAGES:
        reading.error(name, None, f"it names over {MAX_PACKAGES} packages", "list only what is needed")
    return tuple(found[:MAX_PACKAGES])
