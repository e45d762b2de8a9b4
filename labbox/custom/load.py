"""The folder custom/ as values: defaults, then what the folder says; every mistake in it at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

import labbox
from labbox import tomlfile
from labbox.custom.schema import MARKS, Configuration, Settings, Template, TemplateFile, is_template_name
from labbox.errors import LabboxError
from labbox.text import visible_line
from labbox.tomlfile import Mistake

T = TypeVar("T", bound=msgspec.Struct)

Found = tuple[str, Mistake]  # the file, relative to the folder, and what is wrong in it


def defaults_dir() -> Path:
    """The folder of defaults: in an installed labbox its own, in a checkout `custom/`."""
    package = Path(labbox.__file__).parent
    installed = package / "defaults"
    return installed if installed.is_dir() else package.parent / "custom"


def recipe() -> Path:
    """The Dockerfile of the job base image."""
    installed = defaults_dir() / "Dockerfile"
    return installed if installed.is_file() else Path(labbox.__file__).parent.parent / "Dockerfile"


def load(path: Path | None) -> Configuration:
    """Read and check the folder; None or a folder that is missing gives the defaults.

    LabboxError "invalid" names file, line and key of every mistake at once.
    """
    folder = path if path is not None and path.exists() else None
    mistakes: list[Found] = []
    settings = Settings()
    if folder is not None:
        settings = _read(folder, "box.toml", Settings, mistakes) or settings
    templates = {template.name: template for template in _templates(defaults_dir(), mistakes)}
    if folder is not None and folder.resolve() != defaults_dir().resolve():
        templates |= {template.name: template for template in _templates(folder, mistakes)}
    mistakes += _contradictions(templates)
    if mistakes:
        raise _refused(folder or defaults_dir(), mistakes)
    return Configuration(
        path=folder,
        settings=settings,
        templates=tuple(templates[name] for name in sorted(templates)),
        skeleton=_first_folder((folder, defaults_dir()), "skeleton"),
    )


def _read(folder: Path, name: str, kind: type[T], mistakes: list[Found]) -> T | None:
    """A file of the folder as a `kind`; None where it is missing or wrong."""
    try:
        with (folder / name).open("rb") as file:
            data = file.read(tomlfile.MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        mistakes.append((name, Mistake(line=None, key="", text=f"cannot be read: {error.strerror}")))
        return None
    document = tomlfile.parse(data)
    if isinstance(document, Mistake):
        mistakes.append((name, document))
        return None
    value, found = tomlfile.convert(document, kind, MARKS)
    mistakes += [(name, mistake) for mistake in found]
    return value


def _templates(folder: Path, mistakes: list[Found]) -> Iterator[Template]:
    for file in sorted((folder / "templates").glob("*.toml")):
        name = f"templates/{file.name}"
        if not is_template_name(file.stem):
            text = "a template's file is named in lower case, as in python.toml"
            mistakes.append((name, Mistake(line=None, key="", text=text)))
            continue
        read = _read(folder, name, TemplateFile, mistakes)
        if read is not None:
            yield Template(name=file.stem, **msgspec.structs.asdict(read))


def _contradictions(templates: dict[str, Template]) -> Iterator[Found]:
    """What is wrong between templates: a fallback that is none, a file name that would select two."""
    fallbacks = {template.fallback for template in templates.values()}
    owners: dict[str, str] = {}
    for name, template in sorted(templates.items()):
        file = f"templates/{name}.toml"
        if template.fallback is not None and (
            template.fallback == name or template.fallback not in templates
        ):
            text = f"there is no other template “{template.fallback}”"
            yield file, Mistake(line=None, key="fallback", text=text)
        if name in fallbacks:
            continue  # it may answer to the same names as the one it stands in for
        for entry in template.entries:
            if entry in owners:
                text = f"“{entry}” selects the template “{owners[entry]}” already"
                yield file, Mistake(line=None, key="entries", text=text)
            owners[entry] = name


def _first_folder(folders: Sequence[Path | None], name: str) -> Path | None:
    found = (folder / name for folder in folders if folder is not None)
    return next((path for path in found if path.is_dir()), None)


def _refused(folder: Path, mistakes: Sequence[Found]) -> LabboxError:
    lines = [visible_line(f"{name}: {mistake}") for name, mistake in mistakes]
    hints = list(dict.fromkeys(mistake.hint for _name, mistake in mistakes if mistake.hint))
    shown = lines[0] if len(lines) == 1 else "".join(f"\n  {line}" for line in lines)
    return LabboxError(
        "invalid",
        f"cannot use the configuration in {visible_line(str(folder))}: {shown}",
        "; ".join(visible_line(hint) for hint in hints) or "mend the file and start again",
    )
