"""Write labbox/client/awaited.py anew: `python docs/write_aio.py`."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_overloads

from labbox.client import Client

TARGET = Path(__file__).parents[1] / "labbox" / "client" / "awaited.py"
_HEAD = '''\
"""The calls of `labbox.client.Client`, awaited. Written by docs/write_aio.py; do not edit."""
# fmt: off

from __future__ import annotations

{imports}


class AwaitedCalls:
    """Each call with its words and its answer."""

    async def _call(self, name: str, /, *words: Any, **named: Any) -> Any:
        raise NotImplementedError

    def _stream(self, name: str, /, *words: Any, **named: Any) -> AsyncIterator[Any]:
        raise NotImplementedError
'''


def calls() -> Iterator[tuple[str, Any]]:
    """The calls by name."""
    for name, call in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_") and name != "close":
            yield name, call


def text() -> str:
    """The module."""
    used: dict[str, set[str]] = {"typing": {"Any"}, "collections.abc": {"AsyncIterator"}}
    body = [line for name, call in calls() for line in _method(name, call, used)]
    imports = sorted(
        f"from {module} import {name}" if module else f"import {name}"
        for module, names in used.items()
        for name in names
    )
    return _HEAD.format(imports="\n".join(imports)) + "\n".join(body) + "\n"


def _method(name: str, call: Any, used: dict[str, set[str]]) -> Iterator[str]:
    for one in get_overloads(call):
        used["typing"].add("overload")
        head = f"    async def {name}({_parameters(one, used)}) -> {_answer(one)}: ..."
        yield from ("", "    @overload", head)
    parameters = list(inspect.signature(call).parameters.values())[1:]
    answer = _answer(call)
    _note(answer, call, used)
    passed = ", ".join(
        [
            f'"{name}"',
            *(f"**{p.name}" if p.kind is p.VAR_KEYWORD else f"{p.name}={p.name}" for p in parameters),
        ]
    )
    streams = answer.startswith("Iterator[")
    head = f"def {name}({_parameters(call, used)})"
    if streams:
        yield from ("", f"    {head} -> Async{answer}:", f"        return self._stream({passed})")
    elif answer == "None":
        yield from ("", f"    async {head} -> None:", f"        await self._call({passed})")
    else:
        yield from ("", f"    async {head} -> {answer}:")
        yield from (f"        answer: {answer} = await self._call({passed})", "        return answer")


def _parameters(call: Any, used: dict[str, set[str]]) -> str:
    found = ["self"]
    for one in list(inspect.signature(call).parameters.values())[1:]:
        _note(one.annotation, call, used)
        default = "" if one.default is one.empty else f" = {one.default!r}"
        found.append(f"{'**' if one.kind is one.VAR_KEYWORD else ''}{one.name}: {one.annotation}{default}")
    return ", ".join(found)


def _answer(call: Any) -> str:
    return str(inspect.signature(call).return_annotation)


def _note(annotation: str, call: Any, used: dict[str, set[str]]) -> None:
    """Remember where the names of an annotation come from."""
    for node in ast.walk(ast.parse(annotation)):
        if isinstance(node, ast.Name) and node.id in call.__globals__ and node.id != "Iterator":
            found = call.__globals__[node.id]
            if inspect.ismodule(found):
                used.setdefault("", set()).add(node.id)
            else:
                used.setdefault(found.__module__, set()).add(node.id)


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
