"""The API's description, made from the tables of routes and the messages: nothing in it is written twice."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from aiohttp import web

from labbox import __version__
from labbox.daemon.api.call import Route
from labbox.daemon.api.query import Parameter
from labbox.errors import HTTP_STATUS, Code
from labbox.model import Scope
from labbox.protocol import ErrorBody

_ABOUT: Final = """\
HTTP/1.1 and JSON on the Unix socket `STATE/api.sock` of a box, or through `ssh USER@BOX api`, which carries
the same bytes. The kernel says who asks: there is no login here, and no port.

An error has the status of its code and says what cannot be done, and what to do next. Unknown fields of a
message and unknown keys of a query are refused; clients ignore fields that they do not know. Lists are paged:
`limit` rows, and a `next` to pass as `before` for the page after. Streams are lines of JSON, each a whole
message, with a sign of life every 15 seconds; after a lost connection, ask again from the last `cursor`."""

_PATH_WORDS: Final = {
    "id": "The number of the job (or of the token).",
    "name": "The name: of the person, the project, the group, the host (`[user@]host[:port]`) or the shell.",
    "member": "The person's name.",
    "fingerprint": "The key's fingerprint, `SHA256:…`.",
}
_MEANING: Final[dict[Code, str]] = {
    "usage": "The request is not of a form that this route has.",
    "invalid": "A value, a field or a query key is wrong.",
    "not_found": "There is no such thing.",
    "forbidden": "The caller, or the token of the login, may not.",
    "unauthenticated": "The caller is not a user of this box.",
    "conflict": "The thing is not in a state that allows this.",
    "limit": "A limit of the person or of the box stands in the way, or the message is too large.",
    "unavailable": "A part that is needed does not answer now.",
    "internal": "A fault in labbox; the daemon's log has the details.",
}
_ALWAYS: Final[frozenset[Code]] = frozenset(
    {"usage", "invalid", "forbidden", "unauthenticated", "unavailable", "internal"}
)
_SCOPES: Final = {Scope.READ: "read", Scope.SUBMIT: "submit", None: "login"}
_IN_PATH: Final = re.compile(r"\{(\w+)\}")


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these routes, as plain values.

    `x-labbox-scope` of an operation is the least that a token must allow: "read", "submit", or "login" where
    no token is enough; `x-labbox-admin` that only administrators may. Of a stream, one line is described.
    """
    routes = tuple(routes)
    bodies = {route.body for route in routes if route.body is not None}
    answers = {answer for route in routes if (answer := answer_of(route)) is not None}
    kinds = sorted(bodies | answers | {ErrorBody}, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for schema in schemas.values():
        if "description" in schema:  # Python takes the indentation out by itself from 3.13 on
            schema["description"] = inspect.cleandoc(schema["description"])
    for kind in bodies:
        schemas[kind.__name__]["additionalProperties"] = False
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "labbox", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {code: _refusal(code) for code in HTTP_STATUS},
            "parameters": {"as": _ACTING},
        },
    }


def answer_of(route: Route) -> type[msgspec.Struct] | None:
    """What a route answers: one message, or a line of its stream; None for bytes that are none of ours."""
    if route.lines is not None:
        return route.lines
    answer = typing.get_type_hints(route.handler)["return"]
    if inspect.isclass(answer) and issubclass(answer, msgspec.Struct):
        return answer
    if inspect.isclass(answer) and issubclass(answer, web.StreamResponse):
        return None
    raise TypeError(f"the handler of {route.method} {route.path} does not say what it answers")


def errors_of(route: Route) -> list[Code]:
    """With which codes a route may refuse."""
    possible = set(_ALWAYS)
    if "{" in route.path or route.body is not None:
        possible.add("not_found")
    if route.scope is not Scope.READ:
        possible |= {"conflict", "limit"}
    if route.body is not None:
        possible.add("limit")
    return [code for code in HTTP_STATUS if code in possible]


_ACTING: Final = {
    "name": "Labbox-As",
    "in": "header",
    "required": False,
    "description": "For whom root on the box acts (percent-encoded); nobody else may.",
    "schema": {"type": "string", "minLength": 1},
}


def _operation(route: Route) -> dict[str, Any]:
    noun = route.handler.__module__.rpartition(".")[2]
    name = route.handler.__name__
    found: dict[str, Any] = {
        "operationId": f"{noun}_{name}",
        "tags": [noun],
        "summary": (inspect.getdoc(route.handler) or "").splitlines()[0],
        "x-labbox-scope": _SCOPES[route.scope],
        "x-labbox-admin": route.admin,
        "parameters": [
            *(_path_word(word) for word in _IN_PATH.findall(route.path)),
            *(_query_key(parameter) for parameter in route.query),
            {"$ref": "#/components/parameters/as"},
        ],
        "responses": {
            **_success(route),
            **{
                str(HTTP_STATUS[code]): {"$ref": f"#/components/responses/{code}"}
                for code in errors_of(route)
            },
        },
    }
    if route.body is not None:
        found["requestBody"] = {"required": True, "content": _content(route.body)}
    return found


def _success(route: Route) -> dict[str, Any]:
    if route.upgrade:
        return {"101": {"description": f"`Upgrade: {route.upgrade}`; then raw bytes, both ways."}}
    answer = answer_of(route)
    if answer is None:
        content: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
        return {str(route.status): {"description": "This document.", "content": content}}
    if route.lines is not None:
        content = _content(answer, "application/x-ndjson")
        return {str(route.status): {"description": f"Lines of {answer.__name__}.", "content": content}}
    return {str(route.status): {"description": f"{answer.__name__}.", "content": _content(answer)}}


def _content(kind: type[msgspec.Struct], media: str = "application/json") -> dict[str, Any]:
    return {media: {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}


def _path_word(name: str) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": 0} if name == "id" else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "description": _PATH_WORDS[name], "schema": schema}


def _query_key(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": {"text": "string", "number": "integer", "flag": "boolean"}[parameter.kind]
    }
    if parameter.kind == "number":
        schema |= {"minimum": parameter.low, "maximum": parameter.high}
    return {
        "name": parameter.name,
        "in": "query",
        "required": False,
        "description": parameter.about,
        "schema": schema,
    }


def _refusal(code: Code) -> dict[str, Any]:
    return {"description": f"`{code}`: {_MEANING[code]}", "content": _content(ErrorBody)}
