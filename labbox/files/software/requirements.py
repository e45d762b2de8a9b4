"""What a project asks of pip: requirements.txt, line by line, with all that it includes.

A person's file is data here. Lines that would make the trusted installer read files of this machine, run
a project's own build or go to other places than the box's indexes are refused, each with its line and what to
write instead; what is harmless and of no use here is left out with a note.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from labbox.files.software.asked import LONGEST, MAX_REQUIREMENTS, Line, Requirements, normal
from labbox.files.software.names import GONE, IMPORTED, WINDOWS
from labbox.files.software.reading import Reading, beside, shown

_OPTION: Final = re.compile(r"(-[A-Za-z]|--[A-Za-z][\w-]*)(?:\s*=\s*|\s+|(?<=-[A-Za-z])|$)(.*)")
_IGNORED: Final = frozenset(
    {
        "--prefer-binary",
        "--only-binary",
        "--no-binary",
        "--no-cache-dir",
        "--use-feature",
        "--progress-bar",
        "--disable-pip-version-check",
        "--no-build-isolation",
        "--no-deps",
        "--use-pep517",
        "--upgrade",
        "-U",
        "--quiet",
        "-q",
    }
)
_PLACES: Final = {
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--pypi-url": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "-f": "--find-links",
    "--find-links": "--find-links",
    "--no-index": "--no-index",
    "--trusted-host": "--trusted-host",
}
_ARCHIVES: Final = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz", ".tar.xz")
_MAX_DEPTH: Final = 10  # of files that include files
_LONGEST_LINE: Final = 1 << 16  # characters, hashes included

_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_EXTRAS: Final = r"(?: ?\[[A-Za-z0-9._, -]*\])?"
_ITSELF: Final = re.compile(rf"({_NAME}) ?\[([^\]]*)\] ?(?:;.*)?", re.ASCII)
_VERSION: Final = (
    r"(?:=== ?[^ ;,]+|(?:==|!=) ?[A-Za-z0-9._+!-]+(?:\.\*)?|(?:~=|>=|<=|>|<) ?[A-Za-z0-9._+!-]+)"
)
_VERSIONS: Final = rf"{_VERSION}(?: ?, ?{_VERSION})* ?,?"
_REQUIREMENT: Final = re.compile(
    rf"({_NAME}){_EXTRAS} ?({_VERSIONS}|\( ?{_VERSIONS} ?\))? ?(?:;(.+))?", re.ASCII
)
_ONE_EQUALS: Final = re.compile(rf"({_NAME}) ?= ?([0-9][^ =]*)", re.ASCII)
_CONDAS: Final = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]*)==?([0-9][^ =]*)=([A-Za-z0-9_.]+)", re.ASCII)
_TURNED_SIGN: Final = re.compile(rf"({_NAME}) ?(=>|=<|=~) ?([0-9][^ ]*)", re.ASCII)
_MISSING_SIGN: Final = re.compile(rf"({_NAME}) v?([0-9][0-9A-Za-z.]*)", re.ASCII)
_INSTALL: Final = re.compile(r"(?:!|%)?(?:python3? -m )?(?:pip3?|conda) install (.+)")
_WHEEL: Final = re.compile(r"([A-Za-z0-9_.]+)-([0-9][A-Za-z0-9_.!+]*)-[^/]*\.whl", re.ASCII)
_EGG: Final = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")
_HASH_DIGITS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_HASH: Final = re.compile(r"--hash[= ]\s*(\S+)")
_OTHER_SYSTEM: Final = re.compile(
    r"(?:sys_platform|platform_system|os_name) ?== ?[\"'](win32|Windows|nt)[\"']"
)

_ONE_A_LINE: Final = "write one package in a line: numpy or numpy==2.1"


Entry = tuple[str, int]
"""A line and its number, 0 where it has none."""


class RequirementsReader:
    """Takes requirements from files and lists; what it cannot use stands in the reading's findings."""

    def __init__(self, reading: Reading, places: frozenset[str] = frozenset()) -> None:
        """`places` are the addresses that the box uses anyway: a line that names one changes nothing."""
        self._reading = reading
        self._places = places
        self._requirements: list[Line] = []
        self._constraints: list[Line] = []
        self._prereleases = self._require_hashes = False
        self.itself = False  # the project itself is named: what it needs is needed
        self._extras: dict[str, tuple[str, int]] = {}  # of the project itself, and where they are asked for
        self._own: set[Line] = (
            set()
        )  # what the project says itself; lists made of it (`uv export`) have hashes
        self._known: dict[str, str] = {}  # the project's extras as they are written
        self._done: set[tuple[str, bool]] = set()
        self._open: list[str] = []

    def result(self, requires_python: str = "") -> Requirements:
        """All that was taken; where hashes are asked for, each line must have one."""
        hashed = {line.package for line in self._requirements if line.hashes}
        for line in self._requirements if hashed or self._require_hashes else ():
            listed = line in self._own and line.package in hashed
            if not line.hashes and not listed:
                other = "--require-hashes" if self._require_hashes else "another line"
                self._refuse(
                    line.file, line.number, f"“{shown(line.text)}” has no --hash, and {other} asks for them",
                    "give each line its hash (pip-compile --generate-hashes), or remove them all",
                )  # fmt: skip
        return Requirements(
            requirements=tuple(self._requirements),
            constraints=tuple(self._constraints),
            prereleases=self._prereleases,
            require_hashes=self._require_hashes,
            requires_python=requires_python,
        )

    def project(
        self, file: str, lines: Iterable[Entry], extras: Mapping[str, Sequence[Entry]], called: str = ""
    ) -> None:
        """Take what the project itself needs, and those of its extras that are asked for.

        `called` is its own name, by which one extra may ask for others.
        """
        before = len(self._requirements)
        self._known |= {normal(extra): extra for extra in extras}
        waiting: list[Iterable[Entry]] = [lines]
        waiting += [each for extra, each in extras.items() if normal(extra) in self._extras]
        while waiting:
            for text, number in waiting.pop(0):
                self._reading.line(file)
                itself = _ITSELF.fullmatch(" ".join(text.split())) if called else None
                if itself is None or normal(itself[1]) != normal(called):
                    self.line(text, file, number)
                    continue
                further = [one for one in extras if normal(one) in _extras(itself[2])]
                waiting += [extras[one] for one in further if normal(one) not in self._extras]
                self._extras |= dict.fromkeys(_extras(itself[2]) - self._extras.keys(), (file, number))
        self._own |= set(self._requirements[before:])

    def wants(self, extra: str) -> bool:
        """Whether an extra of the project is asked for."""
        return normal(extra) in self._extras

    def miss_extras(self) -> None:
        """Say which extras are asked for that the project does not have."""
        have = ", ".join(sorted(self._known.values())) or "none"
        for extra, (file, number) in self._extras.items():
            if extra not in self._known:
                why = f"the project has no extra “{shown(extra)}”; it has {shown(have)}"
                self._refuse(file, number, why, "correct its name, or list what it stands for")

    @property
    def asked(self) -> tuple[Line, ...]:
        """What is asked for so far."""
        return tuple(self._requirements)

    def settled(self, text: str, hashes: tuple[str, ...], file: str) -> None:
        """Take a constraint of a lock, which stands in `file`; its hashes are looked at as those of lines."""
        named = tuple(each.lower() for each in hashes)
        if self._are_hashes(named, file, 0) and len(self._constraints) < MAX_REQUIREMENTS:
            self._constraints.append(Line(text=text, file=file, number=0, hashes=named))

    def file(self, name: str, content: bytes, *, constraint: bool = False) -> None:
        """Take a requirements.txt and what it includes, each file once."""
        if (name, constraint) in self._done:
            return
        self._done.add((name, constraint))
        self._reading.begin(name, content)
        text = self._reading.text(name, content)
        if text is None:
            return
        self._open.append(name)
        first, joined = 0, ""
        for number, raw in enumerate(text.splitlines(), start=1):
            self._reading.line(name)
            first = first or number
            written = re.sub(r"^#.*$", "", raw) if joined else raw  # comments are dropped before joining
            if written.endswith("\\") and len(joined) < _LONGEST_LINE:
                joined += written[:-1] + " "
                continue
            self.line(joined + written, name, first, constraint=constraint)
            first, joined = 0, ""
        if joined:
            self.line(joined, name, first, constraint=constraint)
        self._open.pop()

    def line(self, raw: str, file: str, number: int, *, constraint: bool = False) -> None:
        """Take one line, which stands in `file`."""
        if len(raw) > _LONGEST_LINE:
            self._refuse(file, number, f"a line of {len(raw):,} characters names no package", _ONE_A_LINE)
            return
        text = raw if raw.lstrip()[:1] != "#" else ""
        if (comment := re.search(r"\s#", text)) is not None:
            text = text[: comment.start()]
        text = " ".join(text.split())
        if not text:
            return
        if self._is_itself(text, file, number):
            return
        if text.startswith("-"):
            self._option(text, file, number, constraint=constraint)
            return
        hashes = tuple(each.strip("\"'").lower() for each in _HASH.findall(text))
        if not self._are_hashes(hashes, file, number):
            return
        text = re.split(r" --(?:hash|config-settings?|global-option|install-option)\b", text, maxsplit=1)[
            0
        ].strip()
        if len(text) > LONGEST:
            self._refuse(file, number, f"“{shown(text)}” names no package", _ONE_A_LINE)
            return
        if not self._is_wanted(text, file, number):
            return
        if len(self._requirements) + len(self._constraints) >= MAX_REQUIREMENTS:
            if len(self._requirements) + len(self._constraints) == MAX_REQUIREMENTS:
                why = f"the project names more than {MAX_REQUIREMENTS:,} packages"
                self._refuse(file, number, why, "list only what is needed")
            return
        into = self._constraints if constraint else self._requirements
        into.append(Line(text=text, file=file, number=number, hashes=hashes))

    def _is_itself(self, text: str, file: str, number: int) -> bool:
        """Whether the project's own folder is meant, whose code is importable as it is."""
        folder, _, extras = text.strip("\"'").partition("[")
        if folder.strip(" \"'").rstrip("/") not in (".", "./.", ".."):
            return False
        self.itself = True
        self._extras |= dict.fromkeys(_extras(extras) - self._extras.keys(), (file, number))
        return True

    def _are_hashes(self, hashes: tuple[str, ...], file: str, number: int) -> bool:
        """Whether they are hashes that prove something; else that is said."""
        for each in hashes:
            kind, _, digits = each.partition(":")
            if len(digits) != _HASH_DIGITS.get(kind, 0) or not re.fullmatch(r"[0-9a-f]+", digits):
                weak = "proves nothing" if kind in ("md5", "sha1") else "is no hash"
                hint = "write --hash=sha256: and its 64 digits, as pip-compile --generate-hashes does"
                self._refuse(file, number, f"“--hash={shown(each)}” {weak}", hint)
                return False
        return True

    def _is_wanted(self, text: str, file: str, number: int) -> bool:
        """Whether it is a package of an index that may be of use here; else what is said of it."""
        if self._is_elsewhere(text, file, number):
            return False
        match = _REQUIREMENT.fullmatch(text)
        if match is None:
            self._refuse(file, number, f"“{shown(text)}” {_why_not(text)}", _mend(text))
            return False
        name = re.sub(r"[-_.]+", "-", match[1]).lower()
        marker = match[3] or ""
        if name in IMPORTED:
            self._refuse(
                file, number, f"“{shown(match[1])}” is what is imported; pip's name is {IMPORTED[name]}",
                f"write {IMPORTED[name]}",
            )  # fmt: skip
            return False
        if name == "python":
            self._refuse(
                file, number, f"“{shown(text)}”: Python itself is no package of pip's",
                f"remove the line; another Python than the box's comes with an image: "
                f'image = "python:{_series(match[2] or "")}" in job.toml',
            )  # fmt: skip
            return False
        why = ""
        if name in WINDOWS and not _OTHER_SYSTEM.search(marker):
            why = "it exists for Windows alone"
        elif name in GONE or re.search(r"ubuntu|build[0-9]", match[2] or ""):
            why = "it came with the system on which this list was made"
        elif name.replace("-", "_") in sys.stdlib_module_names:
            why = "it is a part of Python"
        if why:
            self._reading.warn(
                file, number, f"{shown(text)} is left out: {why}", f"remove it from {shown(file)}"
            )
        return not why

    def _is_elsewhere(self, text: str, file: str, number: int) -> bool:
        """Whether it names an address, a folder or an archive: packages come from the box's index."""
        bare = text.split(";", 1)[0].strip()
        name, at, address = (part.strip() for part in bare.partition("@"))
        named = bool(at) and "://" not in name and re.fullmatch(rf"{_NAME}{_EXTRAS}", name, re.ASCII)
        if (named and address) or "://" in bare or bare.startswith(("git@", "git+", "file:")):
            address = address if named else bare
            package = name if named else egg[1] if (egg := _EGG.search(text)) else ""
            wheel = _WHEEL.search(address)
            if address.startswith("file:") and not wheel:
                hint = f"write {shown(package) or 'its name'}, with ==VERSION where the version matters"
            elif wheel:
                hint = f"write {shown(package or wheel[1])}=={shown(wheel[2])}"
            elif re.match(r"(?:git|hg|svn|bzr)[+@]", address):
                hint = (
                    f"write {shown(package) or 'name'}==VERSION where the index has it; "
                    "else put its code into your folder, beside your own"
                )
            else:
                hint = f"write {shown(package) or 'name'}==VERSION"
            why = f"“{shown(bare)}” names an address, and packages come from the box's index"
            self._refuse(file, number, why, hint)
            return True
        if (
            bare.startswith((".", "/", "~"))
            or bare.lower().endswith(_ARCHIVES)
            or re.match(r"[A-Za-z]:\\", bare)
        ):
            wheel = _WHEEL.search(bare)
            self._refuse(
                file,
                number,
                f"“{shown(bare)}” is a file or folder, and packages come from the box's index",
                f"write {shown(wheel[1])}=={shown(wheel[2])}"
                if wheel
                else "put its code into the project; here stand packages of an index",
            )
            return True
        return False

    def _option(self, text: str, file: str, number: int, *, constraint: bool) -> None:
        match = _OPTION.match(text)
        name, value = (match[1], match[2].strip()) if match else (text, "")
        if name in ("-r", "--requirement", "-c", "--constraint"):
            self._include(value, file, number, constraint=constraint or name in ("-c", "--constraint"))
        elif name == "--pre":
            self._prereleases = True
        elif name == "--require-hashes":
            self._require_hashes = True
        elif name in _PLACES:
            if value.rstrip("/") not in self._places:
                self._refuse(
                    file,
                    number,
                    f"packages come from the box's own index, not from {_PLACES[name]} of a project",
                    "remove the line; whoever runs the box can name the index in custom/box.toml or pip.conf",
                )
        elif name in ("-e", "--editable"):
            self._editable(value, file, number)
        elif name not in _IGNORED:
            self._refuse(file, number, f"{shown(name)} is not understood here", "remove the line")

    def _editable(self, value: str, file: str, number: int) -> None:
        if self._is_itself(value, file, number):
            return
        if "://" in value or value.startswith("git"):
            self._is_elsewhere(value, file, number)
        else:
            why = (
                f"“-e {shown(value)}”: -e installs a folder, and what a run uses is not installed from there"
            )
            hint = "put its code into the project; here stand packages of an index"
            self._refuse(file, number, why, hint)

    def _include(self, value: str, file: str, number: int, *, constraint: bool) -> None:
        value = value.strip("\"'")
        if len(value) > LONGEST:
            self._refuse(file, number, f"there is no file “{shown(value)}” in the project", "remove the line")
            return
        if "://" in value:
            why = f"there is no file “{shown(value)}” in the project: it is an address"
            self._refuse(file, number, why, "download it into the project")
            return
        name = beside(file, value)
        if name is None:
            self._refuse(
                file, number, f"“{shown(value)}” is outside of the project", "put it beside this file"
            )
            return
        if name in self._open or len(self._open) > _MAX_DEPTH:
            self._refuse(file, number, "files include each other without end", "remove one of the -r lines")
            return
        content = self._reading.lookup(name)
        if content is None:
            why = f"there is no file “{shown(value)}” in the project"
            self._refuse(file, number, why, "add it or remove the line")
            return
        self.file(name, content, constraint=constraint)

    def _refuse(self, file: str, number: int, why: str, hint: str) -> None:
        self._reading.error(file, number or None, why, hint)


def _extras(text: str) -> set[str]:
    """The extras in "a, b]" and what may follow it."""
    return {normal(one.strip()) for one in text.partition("]")[0][:LONGEST].split(",") if one.strip()}


def _why_not(text: str) -> str:
    if _CONDAS.fullmatch(text):
        return "is conda's way to write a package, not pip's"
    return "names no package"


def _mend(text: str) -> str:
    if match := _CONDAS.fullmatch(text):
        return f"write {match[1]}=={match[2]}, or put conda's packages into an environment.yml"
    if match := _TURNED_SIGN.fullmatch(text):
        return f"write {match[1]}{match[2][::-1]}{match[3]}"
    for pattern in (_ONE_EQUALS, _MISSING_SIGN):
        if match := pattern.fullmatch(text):
            return f"write {match[1]}=={match[2]}"
    if match := _INSTALL.fullmatch(text):
        return f"write {shown(match[1].split()[0])}, one package in a line, without “install”"
    if re.fullmatch(rf"{_NAME}(?: {_NAME})+", text, re.ASCII) and not re.match(r"(?:import|from) ", text):
        return "write each package in a line of its own"
    return _ONE_A_LINE


def _series(versions: str) -> str:
    match = re.search(r"3\.\d{1,2}", versions)
    return match[0] if match else "3.12"
