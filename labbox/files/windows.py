"""Scripts as Windows saves them: with a mark in front, in UTF-16, with carriage returns."""

from __future__ import annotations

import codecs
from typing import Final

from labbox.files.entries import TemplateView

_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# bash reads the text that comes out, knows the script by its own name, and gives its exit code.
_BASH: Final = 'BASH_ARGV0=$1; source <({plainly} "$1")'
_COPY: Final = 'copy="${{TMPDIR:-/tmp}}/$1" && {plainly} "$1" > "$copy" && shift && exec "$@" "$copy"'


def is_marked(head: bytes) -> bool:
    """Whether a script's first bytes are as Windows' editors write them."""
    return head.startswith((*_UTF16, codecs.BOM_UTF8)) or b"\r\n" in head


def is_utf16(head: bytes) -> bool:
    """Whether a text begins as in UTF-16, with its mark or without: PowerShell's `>` writes it."""
    first, second = head[0:4:2], head[1:4:2]
    return head.startswith(_UTF16) or (first == b"\0\0") != (second == b"\0\0")


def as_saved(words: tuple[str, ...], entry: str, head: bytes, template: TemplateView) -> tuple[str, ...]:
    """The command that runs such an entry all the same; the same words where it runs as it is."""
    if not is_marked(head) or entry not in words:
        return words
    plainly = "iconv -f UTF-16 -t UTF-8 <" if head.startswith(_UTF16) else "sed '1s/^\\xef\\xbb\\xbf//' <"
    plainly = f"p() {{ {plainly} \"$1\" | tr -d '\\r'; }}; "
    if template.runs("bash"):
        return ("bash", "-c", plainly + _BASH.format(plainly="p"), "bash", entry)
    if template.runs("Rscript"):
        before = [word for word in words if word != entry]
        return ("sh", "-c", plainly + _COPY.format(plainly="p"), "sh", entry, *before)
    return words
