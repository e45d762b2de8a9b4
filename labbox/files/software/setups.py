"""What setup.cfg and setup.py name as dependencies; setup.py is read, never run."""

from __future__ import annotations

import ast
import configparser
from typing import Any

from labbox.files.software.asked import LONGEST
from labbox.files.software.reading import Reading
from labbox.files.software.requirements import RequirementsReader

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
    for line in parser.get("options", "install_requires", fallback="").replace(";\n", "\n").splitlines():
        reading.line(name)
        reader.line(line, name, 0)
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
    lines = asked.splitlines() if isinstance(asked, str) else asked if isinstance(asked, list) else ()
    for line in lines:
        reading.line(name)
        if isinstance(line, str):
            reader.line(line, name, words["install_requires"].lineno)
    requires = _literal(words.get("python_requires"), known)
    return requires[:LONGEST] if isinstance(requires, str) else ""


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
