"""The one matcher of what files hold: find in the screens and in words, on every place.

Case is put aside unless somebody wants it matched. A text with other letters than ASCII is found in UTF-8,
composed or not, and in the usual eight-bit encoding.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from labbox.errors import LabboxError
from labbox.files.masks import composed

MOST_BYTES: Final = 4096


class Needle:
    """A text that is looked for in the bytes of files, which come in pieces."""

    def __init__(self, text: str, *, case: bool = False) -> None:
        """LabboxError "invalid" for a text that is too long."""
        if len(text.encode("utf-8", "surrogateescape")) > MOST_BYTES:
            raise LabboxError(
                "invalid", f"cannot search for more than {MOST_BYTES} bytes", "give a part of it"
            )
        text = composed(text)
        self._as_written = case
        plain = max(re.findall(r"[\x00-\x7f]+", text), key=len, default="").encode()
        self._plain = plain if case else plain.lower()
        self._pattern = None if text.isascii() else re.compile(b"".join(map(self._forms, text)))
        longest = [max(map(len, self._ways(one))) for one in text]
        shortest = [min(map(len, self._ways(one))) for one in text]
        self.least = sum(shortest)
        """Bytes that a file must have at least."""
        self.over = max(0, sum(longest) - 1)
        """Bytes of a piece that must be looked at again with the next one."""

    def __bool__(self) -> bool:
        """Whether anything is looked for."""
        return self.least > 0

    def inside(self, piece: bytes) -> bool:
        """Whether this piece holds it."""
        if self._plain:  # quick, and nearly always enough to say no
            if self._plain not in (piece if self._as_written else piece.lower()):
                return False
            if self._pattern is None:
                return True
        return self._pattern is not None and self._pattern.search(piece) is not None

    def _forms(self, one: str) -> bytes:
        return b"(?:" + b"|".join(map(re.escape, sorted(self._ways(one), key=len, reverse=True))) + b")"

    def _ways(self, one: str) -> set[bytes]:
        """How a character of the text may stand in a file."""
        found: set[bytes] = set()
        for form in {one} if self._as_written else {one, one.lower(), one.upper(), one.title()}:
            for normal in (form, unicodedata.normalize("NFD", form)):
                found.add(normal.encode("utf-8", "surrogateescape"))
            if not form.isascii():
                try:
                    found.add(form.encode("cp1252"))
                except UnicodeEncodeError:
                    pass
        return found
