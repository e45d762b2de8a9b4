"""Files that describe software in ways that labbox does not follow: each is named, with the way out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from typing import Final

from labbox.existing import of_r
from labbox.files.software.reading import Reading, shown

_R_HAS: Final = frozenset(
    {
        "r", "base", "stats", "utils", "methods", "graphics", "grdevices", "datasets", "tools", "parallel",
        "grid", "splines", "stats4", "tcltk", "compiler", "mass", "lattice", "matrix", "nlme", "survival",
        "boot", "class", "cluster", "codetools", "foreign", "kernsmooth", "mgcv", "nnet", "rpart", "spatial",
        "renv",
    }
)  # fmt: skip
_MOST_NAMED: Final = 12
_RELEASED: Final = ("", "repository", "cran", "bioconductor")  # what renv.lock says of released packages
_FROM: Final = " from "
_R_NAME: Final = r"[A-Za-z][A-Za-z0-9.]{1,60}"
_JULIA: Final = "use an image that has Julia and these packages: image = … in job.toml"
_SIMPLE: Final = {
    "conda-lock.yml": "put the environment.yml beside it that it was made from",
    "conda-lock.yaml": "put the environment.yml beside it that it was made from",
    "pixi.toml": "write an environment.yml with: pixi workspace export conda-environment environment.yml",
    "pixi.lock": "write an environment.yml with: pixi workspace export conda-environment environment.yml",
    "postBuild": "name what it installs in requirements.txt or apt.txt, and call the rest in run.sh",
    "Project.toml": _JULIA,
    "Manifest.toml": _JULIA,
}


def _renv(text: str) -> list[str]:
    """Names of packages; what is none of CRAN's nor Bioconductor's (GitHub, a folder) with its source."""
    try:
        document = json.loads(text, parse_int=str)
    except (ValueError, RecursionError):
        return []
    packages = document.get("Packages") if isinstance(document, dict) else None
    if not isinstance(packages, dict):
        return []
    return [
        f"{name}{_FROM}{source}" if isinstance(source, str) and source.lower() not in _RELEASED else name
        for name, entry in packages.items()
        if isinstance(name, str)
        for source in [entry.get("Source", "") if isinstance(entry, dict) else ""]
    ]


def _install_r(text: str) -> list[str]:
    found = []
    for call in re.finditer(
        r"(?:install\.packages|pacman::p_load|p_load|install_version)\(([^)]{0,5000})", text
    ):
        found += re.findall(rf"[\"']({_R_NAME})[\"']", call[1])
    return found


def _description(text: str) -> list[str]:
    """Names in the fields of a package's DESCRIPTION, whose lines go on where they are indented."""
    found: list[str] = []
    wanted = False
    for line in text.splitlines():
        if line[:1] not in (" ", "\t"):
            field, _, line = line.partition(":")
            wanted = field in ("Imports", "Depends", "LinkingTo")
        if wanted:
            found += [m[0] for part in line.split(",") if (m := re.match(_R_NAME, part.strip()))]
    return found


_OF_R: Final[dict[str, Callable[[str], list[str]]]] = {
    "renv.lock": _renv,
    "install.R": _install_r,
    "DESCRIPTION": _description,
}
NAMES: Final = (*_SIMPLE, *_OF_R)


def tell(name: str, content: bytes, packages: Collection[str], reading: Reading) -> None:
    """Warn of a file; `packages` are Debian's that the project asks for anyway."""
    bare = name.rpartition("/")[2]
    text = content.decode("utf-8", "replace")
    if bare in _OF_R:
        _tell_of_r(name, _OF_R[bare](text), packages, reading)
    elif bare == "Project.toml" and "[deps]" not in text:
        return
    elif _SIMPLE[bare]:
        reading.warn(name, None, f"{name} is not used", _SIMPLE[bare])


def _tell_of_r(name: str, named: list[str], packages: Collection[str], reading: Reading) -> None:
    wanted = [one for one in dict.fromkeys(named) if one.partition(_FROM)[0].lower() not in _R_HAS]
    known = {one: of_r(one) for one in wanted}
    there = [package for package in known.values() if package is not None and package not in packages]
    elsewhere = [
        one
        for one, package in known.items()
        if package is None and f"r-cran-{one.partition(_FROM)[0].lower()}" not in packages
    ]
    hints = []
    if there:
        hints.append(f"R packages come from Debian: write into apt.txt: {_some(dict.fromkeys(there), ' ')}")
    if elsewhere:
        hints.append(
            f"Debian has none of {_some(elsewhere, ', ')}: use an image that has it (image = … in job.toml)"
        )
    if hints:
        reading.warn(name, None, f"{name} is not used", "; ".join(hints))


def _some(names: Collection[str], between: str) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return shown(between.join(list(names)[:_MOST_NAMED])) + more
