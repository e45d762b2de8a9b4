"""Stand-ins: a text in which every character that a terminal could obey is one harmless character, and back.

An editor counts characters and cells, so what it works on must have one character, one cell wide, for each
character of the file. Lone surrogates serve: no text in any encoding has them, so the way back is exact.
Bytes that are not UTF-8 are such surrogates already (`surrogateescape`).
"""

from __future__ import annotations

import re
from typing import Final

from labbox.text import HIDDEN, any_of, visible_line

_SURROGATES: Final = (0xD800, 0xDFFF)
_RANGES: Final = ((0x00, 0x08), (0x0B, 0x1F), *HIDDEN[1:])  # newlines and tabs are text
_HOSTILE: Final = [code for first, last in _RANGES for code in range(first, last + 1)]
_HIDDEN: Final = {code: 0xD800 + number for number, code in enumerate(_HOSTILE)}  # far below the bytes, DC80
_REVEALED: Final = {stand_in: code for code, stand_in in _HIDDEN.items()}
_ANY: Final = any_of(_RANGES)
_STAND_INS: Final = any_of((_SURROGATES,))


def hidden(text: str) -> str:
    """The text with stand-ins; what is one already stays."""
    return text.translate(_HIDDEN) if _ANY.search(text) else text


def revealed(text: str) -> str:
    """The text as it was; bytes that are not UTF-8 stay as `surrogateescape` has them."""
    return text.translate(_REVEALED) if _STAND_INS.search(text) else text


def pictured(text: str) -> str:
    """The text for a screen, one cell for each stand-in: a control picture, ``␦``, or ``�`` for a byte."""
    return _STAND_INS.sub(_picture, text)


def name_of(character: str) -> str:
    """What a character is, for people: ``U+202E``; of a byte that is not UTF-8 its number."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"byte {code - 0xDC00:02x}"
    code = _REVEALED.get(code, code)
    shown = visible_line(chr(code))
    return f"U+{code:04X}" + (f" {shown}" if 0x20 < code < 0x7F else "")


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code >= 0xDC80:
        return "\N{REPLACEMENT CHARACTER}"
    real = _REVEALED.get(code, code)
    if real < 0x20:
        return chr(0x2400 + real)
    return "␡" if real == 0x7F else "␦"
