"""In which encoding the names of a zip are that do not say it, told by all of them together.

Explorer writes them as the DOS of its country did, other programs as its Windows does. Encodings of two bytes
a character are told by how usual the characters are that come out; those of one byte by whether words come
out: letters of one script, capitals at the beginning, few accents side by side.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import Final

from labbox.files.viewing import charsets

_SAMPLE: Final = 16 << 10  # bytes of names that are looked at
_USUAL_PAIR: Final = 0.5
_SURE_PAIR: Final = 0.8
_FEW: Final = 4  # characters that tell little: what stands first is then taken for likelier
_BETTER: Final = 0.03  # of a point, by which a likelier encoding must beat one that stands before it
_BETTER_OF_FEW: Final = 0.25  # the same where there are few characters
_SINGLE: Final = (
    "cp437", "cp850", "cp1252", "cp866", "cp1251", "koi8_r", "cp852", "cp1250", "cp737", "cp1253",
    "cp862", "cp1255", "cp720", "cp1256", "cp857", "cp1254",
)  # fmt: skip


def warm() -> None:
    """Load what the child needs, which can open nothing later."""
    for codec in (*charsets.PAIRS, *_SINGLE, "utf-8"):
        codecs.lookup(codec)


def guess(names: Iterable[bytes]) -> str:
    """The codec of names that are not ASCII."""
    held: list[bytes] = []
    size = 0
    for name in names:
        held.append(name)
        size += len(name)
        if size > _SAMPLE:
            break
    sample = b"\n".join(held)
    if _text(sample, "utf-8") is not None:
        return "utf-8"
    pairs = {codec: charsets.usualness(sample, codec) for codec in charsets.PAIRS}
    best = max(pairs, key=pairs.__getitem__)
    if pairs[best] >= _SURE_PAIR:
        return best
    found, most = "cp437", -2.0
    few = sum(byte >= 0x80 for byte in sample) < _FEW
    better = _BETTER_OF_FEW if few else _BETTER
    for codec in _SINGLE:
        text = _text(sample, codec)
        points = -2.0 if text is None else charsets.likelihood(text)
        if points > most + better:
            found, most = codec, points
    return best if pairs[best] >= max(most, _USUAL_PAIR) else found


def _text(sample: bytes, codec: str) -> str | None:
    try:
        return sample.decode(codec)
    except UnicodeDecodeError:
        return None
