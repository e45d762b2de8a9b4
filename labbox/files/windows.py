"""Scripts as Windows saves them: with a mark in front, in UTF-16, with carriage returns."""

from __future__ import annotations

import codecs
from typing import Final

_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PLAINLY: Final = "p() {{ {reader} \"$1\" | tr -d '\\r'; }}; "
# bash reads the text that comes out, knows the script by its own name, and gives its exit code.
_BASH: Final = 'BASH_ARGV0=$1; source <(p "$1")'
_EVAL: Final = 'eval "$(p "$0")"'
_COPY: Final = 'copy="${TMPDIR:-/tmp}/$1" && p "$1" > "$copy" && shift && exec "$@" "$copy"'
# In the run's own copy of the code: what is imported and read from beside the program is found as ever.
_IN_PLACE: Final = (
    'copy=$(mktemp) && p "$1" > "$copy" && chmod u+w "$1" && cat "$copy" > "$1" && rm "$copy" && shift'
    ' && exec "$@"'
)
_EVALUATING: Final = ("sh", "dash", "ash", "ksh", "mksh", "zsh")
_READING_MARKS: Final = ("python", "octave-cli", "octave", "julia")  # and carriage returns
_COPIED: Final = ("rscript", "csh", "tcsh", "fish", "perl", "ruby", "node", "make")


def is_marked(head: bytes) -> bool:
    """Whether a script's first bytes are as Windows' editors write them."""
    return bool(_wide(head)) or head.startswith(codecs.BOM_UTF8) or b"\r\n" in head


def is_utf16(head: bytes) -> bool:
    """Whether a text begins as in UTF-16, with its mark or without: PowerShell's `>` writes it."""
    return bool(_wide(head))


def plain_text(head: bytes) -> str:
    """What a script's first bytes say, in whichever way they were saved."""
    return head.decode(_wide(head) or "utf-8-sig", "replace").replace("\r\n", "\n")


def as_saved(words: tuple[str, ...], entry: str, head: bytes) -> tuple[str, ...]:
    """The command that runs such an entry all the same; the same words where it runs as it is."""
    if not is_marked(head) or entry not in words:
        return words
    wide = _wide(head)
    program = words[0].rpartition("/")[2].rstrip("0123456789.").lower()
    at = words.index(entry)
    options, after = words[1:at], words[at + 1 :]
    if program in _READING_MARKS and not wide:
        return words
    reader = f"iconv -f {wide} -t UTF-8 <" if wide else "sed '1s/^\\xef\\xbb\\xbf//' <"
    plainly = _PLAINLY.format(reader=reader)
    if program == "bash":
        return (words[0], *options, "-c", plainly + _BASH, "bash", entry, *after)
    if program in _EVALUATING:
        return (words[0], *options, "-c", plainly + _EVAL, entry, *after)
    if wide:
        return ("sh", "-c", plainly + _IN_PLACE, "sh", entry, *words)
    if program in _COPIED:
        return ("sh", "-c", plainly + _COPY, "sh", entry, words[0], *options, *after)
    return words


def _wide(head: bytes) -> str:
    """The name of the UTF-16 that a text begins in; empty where it is in none."""
    if head.startswith(_UTF16):
        return "UTF-16"
    zeros = [half == b"\0\0" for half in (head[0:4:2], head[1:4:2])]
    return {(True, False): "UTF-16BE", (False, True): "UTF-16LE"}.get((zeros[0], zeros[1]), "")
