"""What `custom/box.toml` and `custom/templates/*.toml` may say, with the defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from labbox.errors import LabboxError
from labbox.model import GIB, Limits, Value
from labbox.tomlfile import Duration, Size

Cpus = Annotated[float, msgspec.Meta(ge=0.01, description="a number of CPUs from 0.01 up")]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 31, description="a whole number from 0 up")]
Positive = Annotated[int, msgspec.Meta(ge=1, le=1 << 31, description="a whole number from 1 up")]
Weight = Annotated[float, msgspec.Meta(gt=0, le=1e6, description="a number above 0")]
SomeSize = Annotated[
    int, msgspec.Meta(ge=1, extra=dict(Size.__metadata__[0].extra), description="a size above 0")
]

# The fields of shared structs that people may write with a unit.
MARKS: Final[dict[tuple[type, str], Any]] = {
    (Limits, "running_jobs"): Count | None,
    (Limits, "cpus"): Cpus | None,
    (Limits, "memory"): Size | None,
    (Limits, "gpus"): Count | None,
    (Limits, "storage"): Size | None,
}

_FIRST_UID: Final = (
    70_000  # above the users of adduser (to 59999), below systemd's (61184…65519 lie below too)
)
_LAST_UID: Final = 2**31 - 2**16
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}))?", re.ASCII)
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9.+:-]{0,127}", re.ASCII)
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)


def split_address(address: str) -> tuple[str, int]:
    """``0.0.0.0:2222`` or ``[::]:2222`` as host and port; an empty host is every address."""
    host, colon, port = address.rpartition(":")
    if (
        not colon
        or not port.isascii()
        or not port.isdigit()
        or int(port) > 65535
        or not _HOST.fullmatch(host)
    ):
        raise LabboxError(
            "invalid",
            f"cannot use “{address}” as an address",
            "write ADDRESS:PORT, as in 0.0.0.0:2222 or [::]:2222",
        )
    return host.strip("[]"), int(port)


class SshSettings(Value, forbid_unknown_fields=True):
    """Where and how people log in."""

    listen: str = "0.0.0.0:2222"
    banner: str = ""  # shown before the login
    idle_minutes: Count = 0  # 0: a login may be idle for ever
    max_sessions_per_user: Positive = 32  # further ones wait for one of these to end
    max_connections_per_user: Positive = 256
    max_connections_per_address: Positive = 512
    logins_at_once: Positive = 256  # connections that have not logged in yet; further ones wait
    logins_at_once_per_address: Positive = 64
    logins_per_second_per_address: Positive = 30

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        split_address(self.listen)


class PeopleSettings(Value, forbid_unknown_fields=True):
    """Who may do what."""

    first_uid: Annotated[
        int, msgspec.Meta(ge=1002, le=_LAST_UID, description=f"a number from 1002 to {_LAST_UID}")
    ] = _FIRST_UID
    limits: Limits = Limits()  # of new users
    memory: SomeSize = 4 * GIB  # of all logins and file work of one person together
    processes: Positive = 1024  # the same
    scratch: SomeSize = GIB // 2  # /tmp, /var/tmp and /dev/shm of one login together


class JobSettings(Value, forbid_unknown_fields=True):
    """What jobs may take, and what they take where nobody says."""

    cpus: Cpus | None = None  # all of the box
    memory: SomeSize | None = None  # 90 % of the box
    gpus: Count | None = None  # all of the box
    default_cpus: Cpus = 1.0
    default_memory: SomeSize = 2 * GIB
    default_time: Duration | None = None  # no limit
    max_time: Duration | None = None  # no limit
    half_life_hours: Annotated[float, msgspec.Meta(gt=0, description="a number of hours above 0")] = 24.0
    weights: dict[str, Weight] = msgspec.field(default_factory=dict)  # by user; 1 where none is given
    pids: Positive = 512
    tmp: SomeSize = GIB
    disk: SomeSize = 20 * GIB  # output of one job
    code_results: Size = GIB  # of what a run leaves in its code comes back so much
    log: SomeSize = GIB
    grace: Duration = 10.0  # between SIGTERM and SIGKILL
    free_floor: Size = GIB  # no job starts while less is free
    network: bool = True  # may jobs ask for the network
    max_array: Positive = 10_000
    max_waiting: Positive = 20_000  # jobs of one person that have not started yet, elements of arrays too
    max_transfers: Positive = 8  # copies and other work on files of one person at once, at most
    keep_inputs: Duration = 30 * 86400.0  # what was handed in outlives its job so long, where there is room

    def __post_init__(self) -> None:
        """Refuse limits that contradict each other."""
        if self.default_time is not None and self.max_time is not None and self.default_time > self.max_time:
            raise LabboxError(
                "invalid", "default_time is longer than max_time", "make it as short or shorter"
            )


class ContainerSettings(Value, forbid_unknown_fields=True):
    """What jobs run in."""

    base_image: str = "labbox/base"
    pull: bool = True  # ask the registry for images that are not here
    dockerfiles: bool = False  # may projects bring a Dockerfile: its build runs as root in the build
    bases: tuple[str, ...] = ()  # what such a Dockerfile may start from; empty: anything
    build_network: str = "bridge"


class IndexSettings(Value, forbid_unknown_fields=True):
    """Where packages come from; empty: as the box itself is set up (environment variables, pip.conf)."""

    url: str = ""  # a Python package index
    extra_urls: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()  # conda's that are open; empty: conda-forge and bioconda; "*": all public
    ca_bundle: str = ""  # a file of certificates in PEM
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""


class TuiSettings(Value, forbid_unknown_fields=True):
    """What the screens may do."""

    external_editor: bool = False  # it runs on the box with the person's rights: more than the screens allow


class Settings(Value, forbid_unknown_fields=True):
    """All of box.toml."""

    name: Annotated[
        str,
        msgspec.Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$", description="a short name"),
    ] = "labbox"
    ssh: SshSettings = SshSettings()
    people: PeopleSettings = PeopleSettings()
    jobs: JobSettings = JobSettings()
    containers: ContainerSettings = ContainerSettings()
    index: IndexSettings = IndexSettings()
    tui: TuiSettings = TuiSettings()


class TemplateFile(Value, forbid_unknown_fields=True):
    """What a file in `templates/` says; its name without `.toml` is the template's."""

    title: str
    entries: tuple[str, ...]
    command: tuple[str, ...]
    image: str | None = None
    apt: tuple[str, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    unavailable: str = ""
    fallback: str | None = None
    requires: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could not run."""
        for entry in self.entries:
            if not entry or "/" in entry or entry in (".", ".."):
                raise LabboxError(
                    "invalid", f"entries: “{entry}” is no file name", 'write names such as "app.py"'
                )
        if not self.command and not self.unavailable:
            raise LabboxError("invalid", "command is empty", 'write it as a list: ["python", "{entry}"]')
        for package in self.apt:
            if not _PACKAGE.fullmatch(package):
                raise LabboxError(
                    "invalid", f"apt: “{package}” is no package name", "write Debian package names"
                )
        for host in self.hosts:
            if split_address(host)[0] == "":
                raise LabboxError("invalid", f"hosts: “{host}” names no host", "write host:port")


class Template(Value):
    """A language that jobs can be written in.

    `entries` are the file names that select it; in `command`, ``{entry}`` stands for the one found. `image`:
    None for the base image, to which `apt` adds packages. `hosts` are the single ``host:port`` that its jobs
    may reach (a licence server). `requires` names environment variables that must be set for it to run (a
    licence); where they or the image are missing, `fallback` is taken, else `unavailable` says why not.
    """

    name: str
    title: str
    entries: tuple[str, ...]
    command: tuple[str, ...]
    image: str | None = None
    apt: tuple[str, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    unavailable: str = ""
    fallback: str | None = None
    requires: tuple[str, ...] = ()


class Configuration(Value):
    """The whole of `custom/`, checked."""

    path: Path | None = None
    settings: Settings = Settings()
    templates: tuple[Template, ...] = ()
    skeleton: Path | None = None

    def template(self, name: str) -> Template | None:
        """The template of that name."""
        return next((one for one in self.templates if one.name == name), None)


def is_template_name(name: str) -> bool:
    """Whether a file name without `.toml` can be a template's."""
    return _NAME.fullmatch(name) is not None
