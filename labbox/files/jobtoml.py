"""`job.toml`: what labbox should know about a study. Every key may be left out.

name = "reaction-time"
command = ["python", "app.py", "--fast"]   # or text for a shell: command = "python app.py | tee log"
template = "python"        # where a folder could be run in more than one way
image = "lab/special:3"    # run in this image
cpus = 2                   # 0.5 is half a CPU
memory = "4G"
gpus = 0
time = "2h"                # it is ended after that
retries = 1                # new attempts after a failure
priority = 0               # higher goes first among your own jobs
network = false
array = "1-20"             # one job for each index, which it finds in LABBOX_INDEX
parallel = 4               # so many of them at once, as "1-20%4" says too
group = "sims"             # one of your groups, which may limit how many of its jobs run at once
deliver = "sftp://me@my-pc/study/output"   # the output is copied there once the job has succeeded
stdin = false              # keep standard input open for `job input`
ignore = ["*.tmp", "raw/", "figures/**/*.png"]   # stays out of what is handed in

[sweep]                    # one job for each combination, handed over as environment variables
lr = [0.1, 0.2]
seed = "1:5"

[env]
OMP_NUM_THREADS = "2"

[git]
submit = true              # a push makes a job of that commit
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec

from labbox.errors import LabboxError
from labbox.groups import parse_group
from labbox.locations import parse as parse_location
from labbox.model import Sweep, Value
from labbox.protocol import Finding
from labbox.sweeps import parse_array, parse_values
from labbox.text import visible_line
from labbox.tomlfile import Document, Duration, Mistake, Size, convert, parse

NAME: Final = "job.toml"
MAX_BYTES: Final = 256 * 1024
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_RESERVED: Final = "LABBOX_"
_MOST_IGNORED: Final = 500
_LONGEST_IGNORED: Final = 300  # characters
_LARGEST: Final = 1 << 63

Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000, description="a whole number from 0 up")]
Positive = Annotated[int, msgspec.Meta(ge=1, le=1_000_000, description="a whole number from 1 up")]
Priority = Annotated[
    int, msgspec.Meta(ge=-1000, le=1000, description="a whole number from -1000 to 1000, without quotes")
]
Cpus = Annotated[
    float, msgspec.Meta(ge=0.01, le=65536, description="a number of CPUs from 0.01 up, without quotes")
]
Words = Annotated[
    str | tuple[str, ...], msgspec.Meta(description='text, or a list of words such as ["python", "app.py"]')
]


def _indexes(text: str) -> tuple[int, ...]:
    return parse_array(text)[0]


Array = Annotated[
    tuple[Count, ...],
    msgspec.Meta(extra={"parse": _indexes}, description='indexes such as "1-20" or [1, 2, 3]'),
]
Group = Annotated[
    str, msgspec.Meta(extra={"parse": parse_group}, description='the name of a group, such as "sims"')
]
Delivery = Annotated[
    str,
    msgspec.Meta(
        extra={"parse": lambda text: str(parse_location(text))},
        description='where the output goes, such as "sftp://me@my-pc/study/output"',
    ),
]
Scalar = str | int | float | bool


class GitTable(Value, forbid_unknown_fields=True):
    """What happens at a push."""

    submit: bool = False


class JobFile(Value, forbid_unknown_fields=True):
    """All of `job.toml`; the module's text shows each key."""

    name: (
        Annotated[str, msgspec.Meta(min_length=1, max_length=200, description="text of 1 to 200 letters")]
        | None
    ) = None
    command: Words = ()
    template: str | None = None
    image: str | None = None
    cpus: Cpus | None = None
    memory: Size | None = None
    gpus: Count | None = None
    time: Duration | None = None
    retries: Count | None = None
    priority: Priority | None = None
    network: bool | None = None
    array: Array = ()
    parallel: Positive | None = None
    group: Group | None = None
    deliver: Delivery | None = None
    stdin: bool = False
    ignore: tuple[str, ...] = ()
    sweep: dict[str, Any] = msgspec.field(default_factory=dict)
    env: dict[str, Any] = msgspec.field(default_factory=dict)
    git: GitTable = GitTable()

    def words(self) -> tuple[str, ...]:
        """The command as words; text is for a shell."""
        if isinstance(self.command, str):
            return ("sh", "-c", self.command) if self.command.strip() else ()
        return self.command

    def sweeps(self) -> tuple[Sweep, ...]:
        """The sweep's parameters; `read` has checked them."""
        return tuple(Sweep(name=name, values=_values(values)) for name, values in self.sweep.items())

    def variables(self) -> dict[str, str]:
        """The environment variables as text."""
        return {name: _text(value) for name, value in self.env.items()}


def read(data: bytes) -> tuple[JobFile, tuple[Finding, ...]]:
    """A file's bytes; where anything is wrong, the defaults and an error for each mistake, by line."""
    if len(data) > MAX_BYTES:
        return JobFile(), (
            _finding(Mistake(line=None, key="", text=f"it is larger than {MAX_BYTES >> 10} KiB")),
        )
    document = parse(data.removeprefix(b"\xef\xbb\xbf"))  # Windows' editors put a mark in front
    if isinstance(document, Mistake):
        return JobFile(), (_finding(document),)
    job, mistakes = convert(document, JobFile)
    found = list(mistakes)
    for table in ("sweep", "env"):
        found += _check_table(document, table)
    if job is not None:
        found += _check_ignore(document, job)
    found.sort(key=lambda one: one.line or 0)
    array = document.values.get("array")
    if job is not None and job.parallel is None and isinstance(array, str):
        job = msgspec.structs.replace(job, parallel=parse_array(array)[1])
    return (JobFile() if job is None or found else job), tuple(_finding(one) for one in found)


def _check_table(document: Document, table: str) -> list[Mistake]:
    values = document.values.get(table)
    if not isinstance(values, dict):
        return []
    found = []
    for name, value in values.items():
        wrong = wrong_variable(name) or (_wrong_values(value) if table == "sweep" else _wrong_text(value))
        if wrong:
            text, hint = wrong
            line = document.line((table, name))
            found.append(Mistake(line=line, key=visible_line(f"{table}.{name}"), text=text, hint=hint))
    return found


def _check_ignore(document: Document, job: JobFile) -> list[Mistake]:
    if len(job.ignore) <= _MOST_IGNORED and all(len(one) <= _LONGEST_IGNORED for one in job.ignore):
        return []
    text = f"at most {_MOST_IGNORED} patterns of {_LONGEST_IGNORED} characters are wanted"
    line = document.line(("ignore",))
    return [Mistake(line=line, key="ignore", text=text, hint="name folders instead of files")]


def wrong_variable(name: str) -> tuple[str, str] | None:
    """Why no variable of a run may have this name, and what to do; None where one may."""
    if not _VARIABLE.fullmatch(name):
        return "it cannot be the name of an environment variable", "use letters, digits and _"
    if name.startswith(_RESERVED):
        return f"names that start with {_RESERVED} are labbox's own", "choose another name"
    return None


def _wrong_text(value: object) -> tuple[str, str] | None:
    if not isinstance(value, str | int | float):
        return "text or a number is wanted", 'write it in quotes: "2"'
    if _is_huge(value):
        return "it is too large a number", "write it in quotes"
    if "\0" in str(value):
        return "it holds a NUL character", "remove it"
    return None


def _wrong_values(value: object) -> tuple[str, str] | None:
    if isinstance(value, list):
        if not value or not all(isinstance(one, str | int | float) for one in value):
            return "a list of texts or numbers is wanted", 'write [0.1, 0.2] or "1:5"'
        return ("it holds too large a number", "write it in quotes") if any(map(_is_huge, value)) else None
    if not isinstance(value, str):
        return "a list or a range is wanted", 'write [0.1, 0.2] or "1:5"'
    try:
        parse_values(value)
    except LabboxError as error:
        return error.message, error.hint
    return None


def _is_huge(value: object) -> bool:
    return isinstance(value, int) and abs(value) >= _LARGEST


def _values(value: Any) -> tuple[str, ...]:
    return parse_values(value) if isinstance(value, str) else tuple(_text(one) for one in value)


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _finding(mistake: Mistake) -> Finding:
    key = f"{mistake.key}: " if mistake.key else ""
    text = f"cannot use {NAME}: {key}{mistake.text}"
    return Finding(level="error", text=text, hint=mistake.hint, file=NAME, line=mistake.line)
