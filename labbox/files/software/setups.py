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
    before = len(reader.asked)
    lines = _lines(parser.get("options", "install_requires", fallback=""))
    called = parser.get("metadata", "name", fallback="")
    reader.project(name, lines, {extra: _lines(text) for extra, text in extras.items()}, called)
    requires = parser.get("options", "python_requires", fallback="")[:LONGEST]
    if len(reader.asked) == before and not requires:
        reading.used.discard(name)
    return requires


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
    before = len(reader.asked)
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
    if len(reader.asked) == before and not requires:
        reading.used.discard(name)
    return requires[:LONGEST] if isinstance(requires, str) else ""


def _lines(text: str) -> list[Entry]:
    """The lines of an option; "file: a.txt, b.txt" stands for those of files, as setuptools has it."""
    word, _, files = text.strip().partition(":")
    if word == "file":
        return [(f"-r {one}", 0) for one in files.replace(",", " ").split()[:20]]
    return [(line, 0) for line in text.replace(";\n", "\n").splitlines()]


def _entries(value: Any, number: int) -> list[Entry]:
    lines = value.splitlines() if isinstance(value, str) else value if isinstance(value, list) else ()
    return [(line, number) for line in lines if isinstance(line, str)]


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _literal(node: ast.expr | None, known: dict[str, ast.expr], depth: int = 8) -> Any:
    if isinstance(node, ast.Name):
        node = known.get(node.id)
    if node is None:
        return None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and depth > 0:
        left, right = (_literal(one, known, depth - 1) for one in (node.left, node.right))
        return left + right if isinstance(left, list) and isinstance(right, list) else None
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    return list(value) if isinstance(value, tuple | set) else value
