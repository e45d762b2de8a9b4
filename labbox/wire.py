"""Messages as bytes, whatever text from outside they hold."""

from __future__ import annotations

from typing import Any

import msgspec

from labbox.protocol import LogRecord
from labbox.text import visible


def encode(message: object) -> bytes:
    """JSON. What is not UTF-8 cannot stand in it: it becomes visible, and a log has the bytes in `raw`."""
    try:
        return msgspec.json.encode(message)
    except UnicodeEncodeError:
        if isinstance(message, LogRecord):
            raw = message.text.encode("utf-8", "surrogateescape")
            return msgspec.json.encode(
                msgspec.structs.replace(message, text=_readable(message.text), raw=raw)
            )
        return msgspec.json.encode(_without_surrogates(msgspec.to_builtins(message)))


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return _readable(value)
        case dict():
            return {_readable(str(key)): _without_surrogates(item) for key, item in value.items()}
        case list():
            return [_without_surrogates(item) for item in value]
        case _:
            return value


def _readable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return visible(text)
    return text
