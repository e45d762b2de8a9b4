"""The text of a file and the bytes that it came from: encoding and line ends are kept, byte for byte."""

from __future__ import annotations

import codecs
import re
from enum import StrEnum
from typing import Final, NamedTuple

from labbox.errors import LabboxError
from labbox.files.standins import hidden, revealed
from labbox.text import visible_line

SNIFFED: Final = 8192  # bytes in which a zero byte means that it is no text, as git has it
_MULTIBYTE: Final = re.compile(rb"[\xc3-\xf4][\x80-\xbf]")  # what Latin-1 text hardly ever has
_C1: Final = re.compile(rb"[\x80-\x9f]")


class Encoding(StrEnum):
    """How characters stand as bytes, as the status line says it."""

    UTF8 = "UTF-8"
    UTF8_BOM = "UTF-8 with mark"
    UTF16_LE = "UTF-16 LE"
    UTF16_BE = "UTF-16 BE"
    LATIN1 = "Latin-1"


_CODECS: Final = {
    Encoding.UTF8: ("utf-8", "surrogateescape", b""),
    Encoding.UTF8_BOM: ("utf-8", "surrogateescape", codecs.BOM_UTF8),
    Encoding.UTF16_LE: ("utf-16-le", "strict", codecs.BOM_UTF16_LE),
    Encoding.UTF16_BE: ("utf-16-be", "strict", codecs.BOM_UTF16_BE),
    Encoding.LATIN1: ("latin-1", "strict", b""),
}
_ENDS: Final = {"\n": "LF", "\r\n": "CRLF", "\r": "CR"}


class PlainText(NamedTuple):
    r"""A text with stand-ins for what a terminal would obey; lines end in ``\n``, whatever the file has."""

    text: str = ""
    encoding: Encoding = Encoding.UTF8
    newline: str = "\n"

    @property
    def ends(self) -> str:
        """The line ends, as people call them."""
        return _ENDS[self.newline]


def is_binary(data: bytes) -> bool:
    """Whether these first bytes are of something else than text."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    return b"\0" in data[:SNIFFED]


def decode(data: bytes) -> PlainText:
    """The text of a file; `encode` gives the very bytes back, whatever they are."""
    encoding = _encoding_of(data)
    codec, errors, mark = _CODECS[encoding]
    text = data[len(mark) :].decode(codec, errors)
    newline = _newline_of(text)
    if newline != "\n":
        text = text.replace(newline, "\n")
    return PlainText(hidden(text), encoding, newline)


def encode(plain: PlainText) -> bytes:
    """The bytes of a file; LabboxError "invalid" names the first character that the encoding lacks."""
    codec, errors, mark = _CODECS[plain.encoding]
    text = revealed(plain.text if plain.newline == "\n" else plain.text.replace("\n", plain.newline))
    try:
        return mark + text.encode(codec, errors)
    except UnicodeEncodeError as error:
        line = text.count("\n" if plain.newline != "\r" else "\r", 0, error.start) + 1
        raise LabboxError(
            "invalid",
            f"cannot write “{visible_line(text[error.start])}” (line {line}) in {plain.encoding}",
            "save the file as UTF-8, or take the character out",
        ) from error


def _encoding_of(data: bytes) -> Encoding:
    for encoding, (codec, _, mark) in _CODECS.items():
        if mark and data.startswith(mark) and (codec == "utf-8" or _is(data[len(mark) :], codec)):
            return encoding
    if data.isascii() or _is(data, "utf-8"):
        return Encoding.UTF8
    # Old files of one byte to a letter; where some of it is UTF-8 the rest is damage, and shown as such.
    return Encoding.UTF8 if _MULTIBYTE.search(data) or _C1.search(data) else Encoding.LATIN1


def _is(data: bytes, codec: str) -> bool:
    try:
        data.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _newline_of(text: str) -> str:
    r"""The one line end of a text; mixed ones are ``\n``, and the other characters stay where they are."""
    returns, feeds = text.count("\r"), text.count("\n")
    if not returns:
        return "\n"
    if not feeds:
        return "\r"
    return "\r\n" if text.count("\r\n") == returns == feeds else "\n"
