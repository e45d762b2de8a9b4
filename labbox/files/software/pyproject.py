"""The dependencies in a pyproject.toml; the project itself is not installed: its code runs from ``/code``."""

from __future__ import annotations

import tomllib
from typing import Any

from labbox.files.software.asked import LONGEST, Requirements
from labbox.files.software.reading import Reading, shown
from labbox.files.software.requirements import RequirementsReader


def read_pyproject(name: str, content: bytes, reading: Reading) -> Requirements | None:
    """None where the file names no dependencies: it only configures tools."""
    document = read_toml(name, content, reading)
    if document is None:
        return None
    project = document.get("project")
    tool = document.get("tool")
    if not isinstance(project, dict):
        if isinstance(tool, dict) and "poetry" in tool:
            reading.error(
                name,
                None,
                "its dependencies are in a table of Poetry's",
                "move them to [project] dependencies, or write a requirements.txt with `poetry export`",
            )
        return None
    dependencies = project.get("dependencies", [])
    dynamic = project.get("dynamic", [])
    if isinstance(dynamic, list) and "dependencies" in dynamic:
        reading.error(
            name,
            None,
            "its build makes the dependencies (dynamic)",
            "list them in [project] dependencies or in a requirements.txt",
        )
        return None
    if not isinstance(dependencies, list) or not all(isinstance(item, str) for item in dependencies):
        hint = 'write dependencies = ["numpy", "scipy>=1.10"]'
        reading.error(name, None, "[project] dependencies is not a list of texts", hint)
        return None
    requires = project.get("requires-python", "")
    reader = RequirementsReader(reading)
    for each in dependencies:
        reading.line(name)
        reader.line(each, name, 0)
    asked = reader.result(requires[:LONGEST] if isinstance(requires, str) else "")
    return asked if asked.requirements or asked.requires_python else None


def read_toml(name: str, content: bytes, reading: Reading) -> dict[str, Any] | None:
    """A TOML file; None, and an error with its line, where it is none."""
    reading.begin(name, content)
    text = reading.text(name, content)
    if text is None:
        return None
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        words, _, place = str(error).rpartition(" (at ")
        number = place.removeprefix("line ").partition(",")[0]
        line = int(number) if number.isdigit() else None
        reading.error(name, line, f"it is not valid TOML: {shown(words or str(error))}", "correct that line")
    except (RecursionError, ValueError):
        reading.error(name, None, "it is nested too deeply, or holds a number without end", "make it plainer")
    return None
