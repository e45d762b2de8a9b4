"""The one place where text from outside becomes ours: control characters are made visible.

Everything that labbox did not write itself (file names, job output, names from LDAP, USB labels) passes
through `visible` or `visible_line` before it reaches a terminal or a message.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

# C0 and DEL, C1, the bidirectional controls of UAX #9, line and paragraph separators, interlinear
# annotation, tag characters (lone surrogates too, from undecodable bytes); and what takes no cell and joins
# nothing, with which two names look alike: soft hyphen, zero width space, word joiner, invisible operators.
HIDDEN: Final = (
    (0x00, 0x1F),
    (0x7F, 0x9F),
    (0xAD, 0xAD),
    (0x061C, 0x061C),
    (0x200B, 0x200B),
    (0x200E, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x2064),
    (0x2066, 0x2069),
    (0xFEFF, 0xFEFF),
    (0xFFF9, 0xFFFB),
    (0xE0000, 0xE007F),
)
_SURROGATES: Final = (0xD800, 0xDFFF)


def any_of(ranges: Iterable[tuple[int, int]]) -> re.Pattern[str]:
    """A pattern for one character of these ranges of code points, ends included."""
    return re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges) + "]")


_BARS: Final = "▁▂▃▄▅▆▇█"
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")
_HOSTILE: Final = any_of((*HIDDEN, _SURROGATES))
_HOSTILE_BUT_TEXT: Final = any_of(((0x00, 0x08), (0x0B, 0x1F), *HIDDEN[1:], _SURROGATES))


def _picture(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)  # the control pictures: ␀ … ␟
    if code == 0x7F:
        return "␡"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as os.fsdecode keeps it
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible_line(text: str) -> str:
    """Outside text for one line of a screen: newlines and tabs are made visible too."""
    return _HOSTILE.sub(_picture, text)


def restored(text: str, source: str) -> str:
    """What was made of `visible_line(source)` by hand, with the characters again that could not be shown."""
    for hidden in set(_HOSTILE.findall(source)):
        picture = visible_line(hidden)
        if picture not in source:
            text = text.replace(picture, hidden)
    return text


def stem_of(name: str, folder: bool = False) -> int:
    """How many characters of a name stand before its ending: what a new name replaces. A folder has none."""
    stem, dot, _ = name.rpartition(".")
    if folder or not dot or not stem:
        return len(name)
    first, dot, last = stem.rpartition(".")
    return len(first if dot and first and last.lower() == "tar" else stem)


def visible(text: str) -> str:
    """Outside text of several lines: newlines and tabs stay, all other controls are made visible."""
    return _HOSTILE_BUT_TEXT.sub(_picture, text)


def decode(data: bytes) -> str:
    r"""Bytes from outside as text; what is not UTF-8 becomes visible escapes such as ``\xff``."""
    return data.decode("utf-8", "surrogateescape")


def file_name(text: str, longest: int = 40) -> str:
    """A part of a file's name that every system and shell takes: letters, digits, ``._-``; maybe none."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return _NOT_IN_NAMES.sub("-", plain)[:longest].strip("-._")


def sparkline(values: Sequence[float], width: int = 30, top: float = 0.0) -> str:
    """The last values as bars, from nothing to `top` or the largest of them."""
    shown = list(values)[-width:]
    most = max([top, *shown], default=0.0) or 1.0
    return "".join(_BARS[min(7, int(8 * max(0.0, value) / most))] for value in shown)


def format_bytes(count: float) -> str:
    """A number of bytes for people, in powers of 1024: ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(count) < 1024 or unit == "TiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")


def counted(number: int, what: str) -> str:
    """A number of things with their name: ``1 file``, ``2,400 files``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def format_duration(seconds: float) -> str:
    """A duration for people: ``42s``, ``3m12s``, ``2h05m``, ``3d04h``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def duration_text(seconds: float) -> str:
    """A duration as a person would type it: ``1h``, ``1h30m``, ``0.5s``."""
    whole, rest = divmod(seconds, 1)
    if rest:
        return f"{seconds:f}".rstrip("0") + "s"
    left, parts = int(whole), ""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length)
        parts += f"{count}{unit}" if count else ""
    return parts or "0s"


def elements_text(count: int) -> str:
    """How many elements of an array came so far; nothing for none."""
    return "" if not count else "the first element" if count == 1 else f"{count:,} elements"
