"""What setup.cfg and setup.py name as dependencies; setup.py is read, never run."""

from __future__ import annotations

import ast
import configparser
from typing import Any

from labbox.files.software.asked import LONGEST
from labbox.files.software.reading import Reading
from labbox.files.software.requirements import Entry, RequirementsReader

_LIST_THEM = "list what the project needs in a requirements.txt"


def read_setup_cfg(name: str, content: bytes, reading: Reading, reader: RequirementsReader) -> str:
    """``install_requires`` of [options]; returns ``python_requires``."""
    reading.begin(name, content)
    text = reading.text(name, content)
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text or "")
    except configparser.Error:
        reading.warn(name, None, f"{name} is not used: it cannot be read", "mend it, or remove it")
        return ""
    extras = (
        dict(parser.items("options.extras_require")) if parser.has_section("options.extras_require") else {}
    )
    lines = _lines(parser.get("options", "install_requires", fallback=""))
    called = parser.get("metadata", "name", fallback="")
    reader.project(name, lines, {extra: _lines(text) for extra, text in extras.items()}, called)
    return parser.get("options", "python_requires", fallback="")[:LONGEST]


def read_setup_py(name: str, content: bytes, reading: Reading, reader: RequirementsReader) -> str:
    """``install_requires`` of its call of `setup`, where that is plain; returns ``python_requires``."""
    reading.begin(name, content)
    try:
        tree = ast.parse(reading.text(name, content) or "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        reading.warn(name, None, f"{name} is not used: it is no Python", _LIST_THEM)
        return ""
    known: dict[str, ast.expr] = {}
    call: ast.Call | None = None
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            known[node.targets[0].id] = node.value
        elif isinstance(node, ast.Call) and _called(node) == "setup":
            call = node
    words = {word.arg: word.value for word in call.keywords if word.arg} if call is not None else {}
    asked = _literal(words.get("install_requires"), known)
    if asked is None and "install_requires" in words:
        text = f"the dependencies in {name} are not used: they are made when it runs"
        reading.warn(name, words["install_requires"].lineno, text, _LIST_THEM)
    extras = words.get("extras_require")
    if isinstance(extras, ast.Name):
        extras = known.get(extras.id)
    named: dict[str, list[Entry]] = {}
    if isinstance(extras, ast.Dict):
        for key, node in zip(extras.keys, extras.values, strict=True):
            found = _literal(node, known)
            if isinstance(key, ast.Constant) and isinstance(key.value, str) and found is not None:
                named[key.value] = _entries(found, node.lineno)
    lines = _entries(asked, words["install_requires"].lineno) if asked is not None else []
    called = _literal(words.get("name"), known)
    reader.project(name, lines, named, called if isinstance(called, str) else "")
    requires = _literal(words.get("python_requires"), known)
    return requires[:LONGEST] if isinstance(requires, str) else ""


def _lines(text: str) -> list[Entry]:
    return [(line, 0) for line in text.replace(";\n", "\n").splitlines()]


def _entries(value: Any, number: int) -> list[Entry]:
    lines = value.splitlines() if isinstance(value, str) else value if isinstance(value, list) else ()
    return [(line, number) for line in lines if isinstance(line, str)]


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _literal(node: ast.expr | None, known: dict[str, ast.expr]) -> Any:
    if isinstance(node, ast.Name):
        node = known.get(node.id)
    if node is None:
        return None
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    return list(value) if isinstance(value, tuple | set) else value
