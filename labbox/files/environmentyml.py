"""Whether an `environment.yml` can be read; what its packages come to is known when they are solved."""

from __future__ import annotations

from labbox.protocol import Finding
from labbox.text import visible_line


def check(content: bytes, name: str) -> list[Finding]:
    """The mistake that keeps the file from being one, with its line."""
    import yaml  # not at the top: few projects have such a file, and every worker would pay for it

    try:
        document = yaml.safe_load(content)
    except yaml.MarkedYAMLError as error:
        line = None if error.problem_mark is None else error.problem_mark.line + 1
        text = f"it is not valid YAML: {visible_line(error.problem or error.context or 'it ends too early')}"
        return [_error(name, text, "mend the file there", line)]
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return [_error(name, "it is not valid YAML", "save it as plain text in UTF-8")]
    example = "write a list below dependencies:, as in\n  dependencies:\n    - numpy"
    if not isinstance(document, dict):
        return [_error(name, "it says nothing about packages", example)]
    if not isinstance(document.get("dependencies") or [], list):
        return [_error(name, "its dependencies are no list", example)]
    return []


def _error(name: str, text: str, hint: str, line: int | None = None) -> Finding:
    return Finding(level="error", text=f"cannot use {name}: {text}", hint=hint, file=name, line=line)
