"""One request as the handlers see it: who calls, what they ask with, and how the answer goes out."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypedDict, TypeVar, Unpack

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from labbox.daemon.api.callers import ApiCaller
from labbox.daemon.api.lengths import check_lengths
from labbox.daemon.api.query import Parameter
from labbox.daemon.api.services import Services
from labbox.errors import LabboxError
from labbox.model import JobSpec, Scope
from labbox.protocol import InputBody

Message = TypeVar("Message", bound=msgspec.Struct)

BODY_LIMIT: Final = 8 << 20  # bytes; the largest message is a spec with 10,000 sweep values
BODY_TIME: Final = 30.0  # seconds in which a body has to arrive
SMALL_BODY: Final = 256 * 1024  # bytes; of all messages but those in LARGE
LARGE: Final = frozenset({JobSpec, InputBody})
MOST: Final = {"env": 192 * 1024, "command": 256 * 1024, "sweep": 1 << 20, "array": 2 << 20}  # bytes in a job
MOST_NAMED: Final = 250_000  # files that a transfer names: each is made a text, which takes the box's time
_SHOWN: Final = 300  # characters of what is wrong with a request


@dataclass(frozen=True, slots=True)
class Call:
    """A request with its caller and the services that can answer it."""

    request: web.Request
    caller: ApiCaller
    services: Services
    route: Route

    @property
    def id(self) -> int:
        """The number in the path."""
        text = self.request.match_info["id"]
        if not text.isdigit() or len(text) > 15:
            raise LabboxError(
                "invalid", f"cannot read {text[:40]!r} as a number", "ids are numbers such as 17"
            )
        return int(text)

    @property
    def name(self) -> str:
        """The name in the path: a person's, a group's."""
        return self.request.match_info["name"]

    async def body(self, kind: type[Message]) -> Message:
        """The request's message; what is wrong with it is said by its place."""
        if kind is not self.route.body:
            raise TypeError(f"the table says another body than {kind.__name__} for {self.route.path}")
        if self.request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise LabboxError("usage", "cannot read the request: it is compressed", "send it as it is")
        try:
            async with asyncio.timeout(BODY_TIME):
                data = await self.request.read()
        except TimeoutError as error:
            raise LabboxError("invalid", "cannot read the request: it did not arrive in time") from error
        except (HttpProcessingError, web.RequestPayloadError) as error:
            raise LabboxError(
                "usage", "cannot read the request: its body ends early or is cut into wrong pieces"
            ) from error
        if len(data) > SMALL_BODY and kind not in LARGE:
            raise LabboxError("limit", f"cannot read the request: it is larger than {SMALL_BODY >> 10} KiB")
        try:
            if len(data) > SMALL_BODY:
                _check_parts(data)
            strict = msgspec.json.decode(data or b"{}", type=_strict(kind))
        except (msgspec.DecodeError, RecursionError) as error:  # nested without end
            raise LabboxError(
                "invalid",
                f"cannot read the request: {str(error)[:_SHOWN]}",
                "/v1/openapi.json describes every message, docs/api.md in words",
            ) from error
        check_lengths(strict)
        return kind(**{field: getattr(strict, field) for field in kind.__struct_fields__})

    def text(self, key: str) -> str | None:
        """A word of the query; None where it is missing or empty."""
        self._declared(key)
        return self.request.query.get(key) or None

    def number(self, key: str) -> int | None:
        """A number of the query, in its bounds; None where it is missing."""
        text = self.text(key)
        return None if text is None else self._declared(key).number(text)

    def flag(self, key: str) -> bool:
        """A yes or no of the query; a missing one is no."""
        text = self.text(key)
        return text is not None and self._declared(key).flag(text)

    def limit(self) -> int:
        """How many rows a page shall have."""
        return self.number("limit") or 100

    def _declared(self, key: str) -> Parameter:
        for parameter in self.route.query:
            if parameter.name == key:
                return parameter
        raise TypeError(f"the table says nothing of {key}: add it to the query of {self.route.path}")


class _Parts(msgspec.Struct):
    """The parts of a large message that may be long, not looked into: that costs next to nothing."""

    env: msgspec.Raw = msgspec.Raw(b"")
    command: msgspec.Raw = msgspec.Raw(b"")
    sweep: msgspec.Raw = msgspec.Raw(b"")
    array: msgspec.Raw = msgspec.Raw(b"")
    transfer: msgspec.Raw = msgspec.Raw(b"")


def _check_parts(data: bytes) -> None:
    """LabboxError "limit" for what would take long to read; before it is read."""
    parts = msgspec.json.decode(data, type=_Parts)
    for name, most in MOST.items():
        if len(getattr(parts, name)) > most:
            raise LabboxError("limit", f"cannot read the request: {name} is larger than {most >> 10} KiB")
    if bytes(parts.transfer).count(b",") > MOST_NAMED:
        raise LabboxError("limit", f"cannot read the request: it names more than {MOST_NAMED:,} files")


Answer = msgspec.Struct | web.StreamResponse
Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the API, whole: what it takes and gives, and the least that a token must allow for it.

    It is checked (`query`, `body`, `scope`, `status`) and documented by the same words.
    """

    method: str
    path: str
    handler: Handler
    scope: Scope | None  # None: no token is enough
    status: int = 200
    query: tuple[Parameter, ...] = ()
    body: type[msgspec.Struct] | None = None
    admin: bool = False  # the handler serves administrators alone
    lines: type[msgspec.Struct] | None = None  # the answer is a stream of these
    upgrade: str = ""  # the answer is raw bytes of this protocol


class Said(TypedDict, total=False):
    """What may be said of a route beside its path and handler; as `Route` has it."""

    method: str
    status: int
    query: tuple[Parameter, ...]
    body: type[msgspec.Struct]
    admin: bool
    lines: type[msgspec.Struct]
    upgrade: str


def reads(path: str, handler: Handler, **said: Unpack[Said]) -> Route:
    """A route that changes nothing; every token may use it. A GET unless said otherwise."""
    said.setdefault("method", "GET")
    return Route(path=path, handler=handler, scope=Scope.READ, **said)


def submits(path: str, handler: Handler, **said: Unpack[Said]) -> Route:
    """A route about the caller's jobs; tokens of scope "submit" may use it. A POST unless said otherwise."""
    said.setdefault("method", "POST")
    return Route(path=path, handler=handler, scope=Scope.SUBMIT, **said)


def changes(path: str, handler: Handler, **said: Unpack[Said]) -> Route:
    """A route that needs a whole login. A POST unless said otherwise."""
    said.setdefault("method", "POST")
    return Route(path=path, handler=handler, scope=None, **said)


@functools.cache
def _strict(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The same message, refusing unknown fields: a person typed it, and a slip must not pass silently."""
    return msgspec.defstruct(
        kind.__name__, [], bases=(kind,), frozen=True, kw_only=True, forbid_unknown_fields=True
    )
