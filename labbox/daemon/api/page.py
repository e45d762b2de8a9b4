"""The API's documentation as a page of Markdown, made from the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

_START: Final = """\
<!-- Written by docs/write_api.py from the tables of routes and the messages; do not edit. -->
# The API

{about}

On the box, any HTTP client can ask; Python has `labbox.client`, and `labbox.client.aio` for asyncio:

    curl --unix-socket /var/lib/labbox/api.sock http://box/v1/status
    curl --unix-socket /var/lib/labbox/api.sock -d '{{"path": "study", "cpus": 2}}' http://box/v1/jobs
    printf 'GET /v1/status HTTP/1.1\\r\\nHost: box\\r\\n\\r\\n' | ssh ada@box api

The same for programs is at `/v1/openapi.json` (OpenAPI 3.1). *Token* says what a login by token needs at
least: `read`, `submit`, or `login` where no token is enough.

## Errors

The body is an [ErrorBody](#errorbody): `code` for programs, `message` and `hint` for people. Any call may
refuse with {always}; what else it may refuse with stands beside it.

| status | code | when |
|---|---|---|
"""
_NAMED: Final = re.compile(r"#/components/schemas/(\w+)")


def page(document: dict[str, Any]) -> str:
    """All calls by noun, then all messages, each with links to what it is made of."""
    always = _refused_by_all(document)
    parts = [
        _START.format(about=document["info"]["description"], always=", ".join(f"`{code}`" for code in always))
    ]
    for code, response in document["components"]["responses"].items():
        parts.append(
            f"| {_status(document, code)} | `{code}` | {response['description'].partition(': ')[2]} |\n"
        )
    nouns: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            text = "".join(_call(path, method.upper(), operation, always))
            nouns.setdefault(operation["tags"][0], []).append(text)
    for noun, calls in nouns.items():
        parts += [f"\n## {noun.capitalize()}\n", *calls]
    parts.append("\n## Messages\n\nA field without a default must be there.\n")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts += _message(name, schema)
    return "".join(parts)


def _refused_by_all(document: dict[str, Any]) -> list[str]:
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    return [
        code
        for code in document["components"]["responses"]
        if all({"$ref": f"#/components/responses/{code}"} in one["responses"].values() for one in operations)
    ]


def _status(document: dict[str, Any], code: str) -> str:
    wanted = f"#/components/responses/{code}"
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                if response.get("$ref") == wanted:
                    return str(status)
    return ""


def _call(path: str, method: str, operation: dict[str, Any], always: list[str]) -> Iterator[str]:
    yield f"\n### {method} {path}\n\n{operation['summary']}\n\n"
    who = " · administrators only" if operation["x-labbox-admin"] else ""
    yield f"Token: `{operation['x-labbox-scope']}`{who}\n\n"
    shown = [parameter for parameter in operation["parameters"] if "name" in parameter]
    if shown:
        yield "| parameter | in | type | |\n|---|---|---|---|\n"
    for parameter in shown:
        kind = _type(parameter["schema"])
        yield f"| `{parameter['name']}` | {parameter['in']} | {kind} | {_cell(parameter['description'])} |\n"
    if shown:
        yield "\n"
    if "requestBody" in operation:
        yield f"Takes {_link(operation['requestBody']['content']['application/json']['schema'])}. "
    refusals = []
    for status, response in operation["responses"].items():
        if "$ref" in response:
            code = response["$ref"].rpartition("/")[2]
            refusals += [] if code in always else [f"{status} `{code}`"]
        else:
            yield f"Gives {status}: {_answer(response)}\n"
    if refusals:
        yield f"\nRefuses with {', '.join(refusals)}.\n"


def _answer(response: dict[str, Any]) -> str:
    for media, content in response.get("content", {}).items():
        if "$ref" in content["schema"]:
            lines = "lines of " if media == "application/x-ndjson" else ""
            return f"{lines}{_link(content['schema'])}."
    return str(response["description"])


def _message(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"\n### {name}\n\n{schema.get('description', '').strip()}\n"
    if "enum" in schema:
        yield "\nOne of " + ", ".join(f"`{value}`" for value in schema["enum"]) + ".\n"
    properties = schema.get("properties", {})
    if properties:
        yield "\n| field | type | default |\n|---|---|---|\n"
    for field, kind in properties.items():
        default = "" if field in schema.get("required", ()) else f"`{_value(kind.get('default'))}`"
        yield f"| `{field}` | {_type(kind)} | {default} |\n"


def _value(value: object) -> str:
    return msgspec.json.encode(value).decode().replace("|", "\\|")


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _link(schema)
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in _null_last(schema["anyOf"]))
    kind = str(schema.get("type", "any"))
    if kind == "array":
        if "prefixItems" in schema:
            return "[" + ", ".join(_type(one) for one in schema["prefixItems"]) + "]"
        return f"list of {_type(schema.get('items') or {})}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    if "format" in schema:
        return str(schema["format"])
    if schema.get("contentEncoding"):
        return f"{kind} ({schema['contentEncoding']})"
    return kind


def _null_last(kinds: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(kinds, key=lambda kind: kind.get("type") == "null")


def _link(schema: dict[str, Any]) -> str:
    found = _NAMED.search(schema["$ref"])
    name = found.group(1) if found else schema["$ref"]
    return f"[{name}](#{name.lower()})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
