"""Files that describe software in ways that labbox does not follow: each is named, with the way out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
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
_CONDA_LOCK: Final = "put the environment.yml beside it that it was made from"
_PIXI: Final = "write an environment.yml with: pixi workspace export conda-environment environment.yml"
_NIX: Final = "name what it installs in apt.txt or environment.yml, or an image in job.toml: image = …"
_NAMES: Final = (
    "requirements.txt", "environment.yml", "environment.yaml", "pyproject.toml", "Dockerfile",
    "apt.txt", "runtime.txt", "Pipfile", "Pipfile.lock", "uv.lock", "poetry.lock", "pdm.lock",
    "pylock.toml", "setup.py", "setup.cfg",
)  # fmt: skip
_MISSPELT: Final = tuple(name.lower() for name in _NAMES[:5])  # long ones: nothing else is called nearly so
_CLOSE: Final = 0.9  # of difflib's ratio: one or two letters in fifteen
_LONGEST: Final = 60  # characters
_WORTH: Final = re.compile(
    r"req|env|conda|explicit|spec|pixi|postbuild|project|manifest|nix|guix|spack|singularity|apptainer|meta\.ya?ml"
    r"|tool-versions|mise\.toml|apt|debian|system|packages|dockerfile|pipfile|lock|runtime|setup|install"
    r"|dependencies|description",
    re.IGNORECASE,
)
_COPY: Final = re.compile(r"(?: ?\(\d+\)|[ _-]+(?:copy|kopie|copie|copia)(?: ?\d+)?)(?=\.|$)")
_TWICE: Final = re.compile(
    r"(?<=\.txt|\.yml)\.(?:txt|yml|yaml)$|(?<=\.yaml|\.toml|\.lock)\.(?:txt|yml|yaml)$"
)
_OF_DEVELOPMENT: Final = re.compile(r"dev|test|doc|lint|build|ci\b|release|optional", re.IGNORECASE)
# What names of small letters look like, and what to do instead; the first that fits.
_RULES: Final = tuple(
    (re.compile(pattern), hint)
    for pattern, hint in (
        (r"conda-lock\.ya?ml|conda-.*\.lock|.*[-_.]conda[-_.]lock.*", _CONDA_LOCK),
        (r"(?:spec|conda)[-_]?(?:file|list|spec).*\.txt|explicit\.txt", _CONDA_LOCK),
        (r"pixi\.toml|pixi\.lock", _PIXI),
        (r"postbuild", "name what it installs in requirements.txt or apt.txt, and call the rest in run.sh"),
        (r"(?:julia)?(?:project|manifest)\.toml", _JULIA),
        (r"shell\.nix|flake\.nix|default\.nix|guix\.scm|spack\.ya?ml|environment\.modules", _NIX),
        (r"(?:singularity|apptainer)(?:\..*)?", "name the image that it starts from in job.toml: image = …"),
        (r"meta\.ya?ml", "list what it needs to run below dependencies: in an environment.yml"),
        (r"\.tool-versions|\.?mise\.toml", "write python-3.11, or what it should be, into runtime.txt"),
        (r"(?:apt|debian|system)[-_.]?(?:file|packages|requirements|get|deps|dependencies)?(?:\.txt|\.list)?"
         r"|packages\.txt", "rename it to apt.txt"),
        (r"requirements?\.lock(?:\.txt)?", "rename it to requirements.txt"),
        (r"(?:.*[-_.])?(?:requirements?|reqs?)(?:[-_.].*)?\.(?:txt|in|pip|lock)", "-r"),
        (r"(?:anaconda-project|(?:.*[-_.])?(?:conda|environments?|env)(?:[-_.].*)?)\.ya?ml",
         "rename it to environment.yml"),
    )
)  # fmt: skip


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
    text = re.sub(r"(?m)#.*$", "", text)
    found = []
    for call in re.finditer(
        r"(?:install\.packages|p_load|install_version|install|pkg_install)\(([^)]{0,5000})", text
    ):
        found += re.findall(rf"[\"']({_R_NAME})[\"']", call[1])
    for call in re.finditer(r"p_load\(([^()]{0,5000})\)", text):
        found += [word for each in call[1].split(",") if re.fullmatch(_R_NAME, word := each.strip())]
    if not found:  # the names stand in a vector before
        for vector in re.finditer(r"\bc\(([^()]{0,5000})\)", text):
            found += re.findall(rf"[\"']({_R_NAME})[\"']", vector[1])
    return found


def _packrat(text: str) -> list[str]:
    return re.findall(rf"(?m)^Package: ({_R_NAME})$", text)


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


_OF_R: Final[tuple[tuple[re.Pattern[str], Callable[[str], list[str]]], ...]] = (
    (re.compile(r"renv\.lock"), _renv),
    (re.compile(r"packrat\.lock"), _packrat),
    (re.compile(r"(?:install|requirements?|packages|dependencies|setup)(?:[-_.].*)?\.r"), _install_r),
    (re.compile(r"description"), _description),
)


def seems(name: str) -> bool:
    """Whether a file of that name, or path below a folder, looks as if it said what software is needed."""
    path, name = name, name.rpartition("/")[2]
    if len(path) > _LONGEST or not _WORTH.search(path):  # most names of a large folder end here
        return False
    lower = name.lower()
    if _hint(path.lower()):
        return True
    return bool(_meant(name)) or any(pattern.fullmatch(lower) for pattern, _ in _OF_R)


def tell(
    name: str, content: bytes, packages: Collection[str], taken: Mapping[str, str], reading: Reading
) -> None:
    """Warn of a file that is not used, and not of one that says nothing of software.

    `packages` are Debian's that the project asks for anyway; `taken` has the file that is used for each name
    that labbox looks for, and for "pip" that of pip's packages.
    """
    bare = name.rpartition("/")[2]
    lower = bare.lower()
    text = content.decode("utf-8", "replace")
    for pattern, names in _OF_R:
        if pattern.fullmatch(lower):
            _tell_of_r(name, names(text), packages, reading)
            return
    if meant := _meant(bare):
        said = f"{name} is not used: labbox looks for {meant}"
        instead = taken.get(meant)
        hint = f"put what is missing into {instead}, and remove it" if instead else f"rename it to {meant}"
        reading.warn(name, None, said, hint)
        return
    hint = _hint(name.lower())
    if lower.endswith("project.toml") and "[deps]" not in text:
        return
    if lower in (".tool-versions", ".mise.toml", "mise.toml") and "python" not in text:
        return
    if hint == _CONDA_LOCK and lower.endswith(".txt") and "@EXPLICIT" not in text:
        return
    if hint == "-r":
        if _OF_DEVELOPMENT.search(bare) and "pip" in taken:
            return
        into = taken.get("pip", "requirements.txt")
        hint = f"write into {into}: -r {name}" if into.endswith(".txt") else f"put its lines into {into}"
    elif hint.startswith("rename it to ") and (instead := taken.get(hint.removeprefix("rename it to "))):
        hint = f"put what is missing into {instead}"
    reading.warn(name, None, f"{name} is not used", hint)


def _meant(name: str) -> str:
    """The name that this one is a slip of; "" where it is none."""
    lower = name.lower()
    bare = _TWICE.sub("", _COPY.sub("", lower)).removesuffix(".txt" if lower.startswith("dockerfile") else "")
    for known in _NAMES:
        if bare == known.lower():
            return "" if name == known else known
    close = get_close_matches(bare, _MISSPELT, 1, _CLOSE)
    return _NAMES[_MISSPELT.index(close[0])] if close and not _hint(lower).startswith("use an image") else ""


def _hint(path: str) -> str:
    lower = path.rpartition("/")[2]
    if re.search(r"(?:^|/)requirements/[^/]+\.(?:txt|in)$", path):
        return "-r"
    return next((hint for pattern, hint in _RULES if pattern.fullmatch(lower)), "")


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
