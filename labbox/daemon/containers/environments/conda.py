"""Conda environments from environment.yml, solved and installed by py-rattler; no script ever runs."""

from __future__ import annotations

import re
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import Any, Final

import msgspec

from labbox.daemon.containers.environments.folders import Folders
from labbox.daemon.containers.environments.index import PackageIndex
from labbox.daemon.containers.environments.plan import Report
from labbox.daemon.containers.environments.programs import Programs, disk_error
from labbox.daemon.containers.environments.target import OUR_SERIES, PythonTarget
from labbox.daemon.containers.guard import without_login
from labbox.errors import LabboxError
from labbox.files.software.asked import CondaPlan
from labbox.model import Progress, Value
from labbox.text import visible_line

_SOLVE_SECONDS: Final = 600.0
_INSTALL_SECONDS: Final = 3600.0
_SUBDIRS: Final = {"x86_64": "linux-64", "aarch64": "linux-aarch64", "ppc64le": "linux-ppc64le"}
_DEFAULT_CHANNEL: Final = "conda-forge"
_OPEN: Final = (_DEFAULT_CHANNEL, "bioconda")  # where the lab names none


class Solved(Value):
    """The packages that a plan came to."""

    packages: tuple[dict[str, Any], ...]

    def lock(self) -> str:
        """The packages, one a line, as conda's explicit lists are: address and hash. Runs may read it."""
        lines = sorted(
            f"{without_login(package['url'])}#sha256:{package['record'].get('sha256', '')}\n"
            for package in self.packages
        )
        return "".join(lines)

    def python(self, image: PythonTarget) -> PythonTarget | None:
        """The Python among the packages, in the image's system; None where there is none."""
        for package in self.packages:
            if package["record"]["name"] == "python":
                version = str(package["record"]["version"])
                series = ".".join(version.split(".")[:2])
                # The bytecode of one series is the same for all of its releases.
                magic = MAGIC_NUMBER.hex() if series == OUR_SERIES else f"conda-{series}"
                return msgspec.structs.replace(image, version=version, magic=magic)
        return None


class Condas:
    """Solves and installs conda packages as the trusted installer."""

    def __init__(
        self, programs: Programs, folders: Folders, index: PackageIndex, channels: tuple[str, ...]
    ) -> None:
        """`channels` are those that the lab opens, "*" all that are public; empty: the usual two."""
        self._programs = programs
        self._folders = folders
        self._index = index
        self._channels = channels or _OPEN

    async def solve(self, plan: CondaPlan, image: PythonTarget, report: Report) -> Solved:
        """Find the packages that fit together. LabboxError in words where there are none."""
        channels = self._wanted(plan, report)
        subdir = _SUBDIRS.get(image.machine)
        if subdir is None:
            raise LabboxError(
                "invalid",
                f"cannot use {plan.file}: conda has no packages for {image.machine}",
                "use requirements.txt",
            )
        report(Progress(phase="conda: solve"))
        glibc = image.libc_version if image.libc == "glibc" else "2.17"
        virtual = [("__linux", "5.10", "0"), ("__unix", "0", "0"), ("__glibc", glibc or "2.17", "0")]
        virtual.append(("__archspec", "1", image.machine))
        request = {
            "action": "solve",
            "channels": channels,
            "specs": plan.specs,
            "platform": subdir,
            "virtual": virtual,
            **self._surroundings(),
        }
        answer = await self._programs.conda(request, seconds=_SOLVE_SECONDS)
        if "error" in answer:
            raise self._error(answer, plan)
        return Solved(packages=tuple(answer["packages"]))

    async def install(self, solved: Solved, work: Path, final: Path, scratch: Path, report: Report) -> None:
        """Install into `work`, as if it were `final` already."""

        def on_message(message: dict[str, Any]) -> None:
            report(Progress(phase="conda", done=message["linked"], total=message["total"], unit="packages"))

        report(Progress(phase="conda", done=0, total=len(solved.packages), unit="packages"))
        request = {
            "packages": solved.packages,
            "work": str(work),
            "final": str(final),
            "scratch": str(scratch),
            **self._surroundings(),
        }
        for action in ("fetch", "install"):  # who installs reaches neither the network nor others' files
            answer = await self._programs.conda(
                {"action": action, **request}, seconds=_INSTALL_SECONDS, on_message=on_message
            )
            if "error" in answer:
                raise self._install_error(answer)

    def _wanted(self, plan: CondaPlan, report: Report) -> tuple[str, ...]:
        """The channels to ask, whether they are open or not: the client knows what is the same."""
        wanted = plan.channels
        if "defaults" in wanted and "defaults" not in self._channels:  # conda writes it into exports
            wanted = tuple(each for each in wanted if each != "defaults")
            report("the channel “defaults” is left out: this box has not opened it")
        if wanted:
            return wanted
        named = tuple(each for each in self._channels if each != "*")
        return (_DEFAULT_CHANNEL,) if _DEFAULT_CHANNEL in named or not named else named

    def _surroundings(self) -> dict[str, Any]:
        return {
            "open": self._channels,
            "proxies": self._index.proxies,
            "cache": str(self._folders.cache / "conda"),
        }

    def _error(self, answer: dict[str, Any], plan: CondaPlan) -> LabboxError:
        said = visible_line(self._index.redact(" ".join(str(answer["error"]).split())))
        if answer.get("kind") == "refused":
            return LabboxError(
                "forbidden",
                f"cannot use {visible_line(plan.file)}: {said}"[:600],
                f"open here: {', '.join(self._index.redact(each) for each in self._channels)}; whoever runs"
                " the box can open others under [index] channels in custom/box.toml",
            )
        if answer.get("kind") == "channel":
            missing = re.search(r"\b(404|Not Found|No such file)", said)
            place = re.search(r" for url \((\S+?)/(?:linux-\w+|noarch)/", said)
            if place is not None and not missing:
                status = re.search(r"HTTP status server error \(([^)]*)\)", said)
                why = status[1] if status else re.split(r"\s*Caused by:\s*", said)[-1]
                return LabboxError(
                    "unavailable",
                    f"cannot reach the conda channel {place[1]} ({visible_line(plan.file)}): {why}"[:600],
                    "can the box reach that address, by its proxy where it has one? whoever runs it knows",
                )
            return LabboxError(
                "invalid" if missing else "unavailable",
                f"cannot read the conda channel of {visible_line(plan.file)}: {said}"[:600],
                "check the channel's name" if missing else "check the network, proxy and channels of the box",
            )
        said = said.removeprefix("Cannot solve the request because of: ")
        if found := re.search(r"No candidates were found for (\S+) ?(\S*?)\.?(?:\s|$)", said):
            wanted = f"{found[1]} {found[2].rstrip('.').replace('*', '')}".strip()
            return LabboxError(
                "invalid",
                f"cannot find the conda package {wanted} ({visible_line(plan.file)})",
                "check name and version; some packages are in other channels, or only pip's",
            )
        return LabboxError(
            "invalid",
            f"cannot put together what {visible_line(plan.file)} asks for: {said}"[:900],
            "loosen the versions that exclude each other",
        )

    def _install_error(self, answer: dict[str, Any]) -> LabboxError:
        flat = visible_line(self._index.redact(" ".join(str(answer["error"]).split())))
        if answer.get("kind") == "refused":
            return LabboxError(
                "forbidden",
                f"cannot install the conda packages: {flat}"[:600],
                "ask whoever runs the channel",
            )
        if "No space left" in flat or "os error 28" in flat:
            return disk_error(OSError(28, "no space left on device"))
        return LabboxError(
            "unavailable",
            f"cannot install the conda packages: {flat}"[:600],
            "it is tried again; else check the network, proxy and channels of the box",
        )
