"""The one matcher of names: filter, select by mask, find in the screens and in words, quick search, excludes.

A mask has ``*``, ``?``, ranges ``[a-z0-9]`` and ``[!…]``, and braces: ``run{1..3}.{csv,tsv}``. A backslash
before one of these signs makes it a plain one; ``;`` stands between several masks. Case is put aside unless
somebody wants it matched. Names are compared composed, as Unicode's NFC has them: macOS writes ``é`` as two
characters, and people type one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final

MOST_ALTERNATIVES: Final = 1000  # of braces; what would be more stands for itself
MOST_BRACES: Final = 60
_SIGNS: Final = "*?[]{},;\\!"
_SERIES: Final = re.compile(r"(?P<first>-?\d{1,9})\.\.(?P<last>-?\d{1,9})|(?P<a>[A-Za-z])\.\.(?P<b>[A-Za-z])")


def composed(text: str) -> str:
    """The text in NFC, in which names are compared."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def has_wildcards(text: str) -> bool:
    """Whether a text is a mask, and not a part of a name."""
    at = 0
    while at < len(text):
        sign = text[at]
        if sign in "*?" or (sign == "[" and _end_of_set(text, at) is not None):
            return True
        if sign == "{" and (end := _closing(text, at)) is not None and _words(text[at + 1 : end]) is not None:
            return True
        at += 2 if sign == "\\" else 1
    return False


def matcher(mask: str, *, case: bool = False) -> Callable[[str], bool]:
    """Whether a name fits masks such as ``*.csv;*.txt``, or holds a text without wildcards."""
    patterns = []
    for one in filter(None, map(str.strip, split(mask))):
        wanted = expression(one) if has_wildcards(one) else f"(?s:.*{re.escape(composed(plain(one)))}.*)"
        patterns.append(wanted)
    found = re.compile("|".join(patterns) or "(?!)", 0 if case else re.IGNORECASE).fullmatch
    return lambda name: found(name if name.isascii() else unicodedata.normalize("NFC", name)) is not None


def seeker(text: str) -> re.Pattern[str]:
    """What a quick search looks for in composed names, case aside; ``*`` and ``?`` may stand in it."""
    return re.compile(re.escape(composed(text)).replace(r"\*", ".*").replace(r"\?", "."), re.I | re.S)


def split(mask: str) -> list[str]:
    """The masks of ``a;b``; a ``;`` behind a backslash or inside a range or braces separates nothing."""
    found, start, depth, at = [], 0, 0, 0
    while at < len(mask):
        sign = mask[at]
        if sign == "\\":
            at += 1
        elif sign == "[" and (end := _end_of_set(mask, at)) is not None:
            at = end
        elif sign == "{" and _closing(mask, at) is not None:
            depth += 1
        elif sign == "}" and depth:
            depth -= 1
        elif sign == ";" and not depth:
            found.append(mask[start:at])
            start = at + 1
        at += 1
    return [*found, mask[start:]]


def plain(text: str) -> str:
    """A text without the backslashes before signs."""
    return re.sub(r"\\([*?\[\]{},;\\!])", r"\1", text)


def expression(pattern: str, *, path: bool = False) -> str:
    """A regular expression for one mask, for `fullmatch`.

    `path`: of a whole path, in which ``*`` and ``?`` do not cross a slash, and ``**`` does.
    """
    pattern = composed(pattern)
    found = [_translated(one, path) for one in _expanded(pattern)]
    return found[0] if len(found) == 1 else f"(?:{'|'.join(found)})"


# Braces.


def _expanded(pattern: str) -> list[str]:
    """Each alternative that braces stand for; the pattern as it is where that would be too many."""
    found: list[str] = []
    for one in _alternatives(pattern) if pattern.count("{") <= MOST_BRACES else ():
        found.append(one)
        if len(found) > MOST_ALTERNATIVES:
            break
    if not 0 < len(found) <= MOST_ALTERNATIVES:
        return [re.sub(r"(?<!\\)([{}])", r"\\\1", pattern)]
    return list(dict.fromkeys(found))


def _alternatives(pattern: str) -> Iterator[str]:
    waiting = [("", pattern)]  # what is done, what is to be looked at
    while waiting:
        done, rest = waiting.pop()
        opening = _next_brace(rest)
        if opening is None:
            yield done + rest
            continue
        end = _closing(rest, opening)
        words = None if end is None else _words(rest[opening + 1 : end])
        if end is None or words is None:  # these braces are two plain characters
            waiting.append((f"{done}{rest[:opening]}\\{{", rest[opening + 1 :]))
            continue
        before, after = rest[:opening], rest[end + 1 :]
        waiting += [(done + before, word + after) for word in reversed(words)]


def _next_brace(text: str) -> int | None:
    at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == "[" and (end := _end_of_set(text, at)) is not None:
            at = end
        elif text[at] == "{":
            return at
        at += 1
    return None


def _closing(text: str, opening: int) -> int | None:
    if text.count("{") > MOST_BRACES:
        return None
    depth, at = 0, opening
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == "[" and (end := _end_of_set(text, at)) is not None:
            at = end
        elif text[at] == "{":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return at
        at += 1
    return None


def _words(inside: str) -> list[str] | None:
    """What stands between the commas, or in the series ``1..3``; None for what is no choice."""
    series = _SERIES.fullmatch(inside)
    if series is not None:
        return _series(series)
    found, start, depth, at = [], 0, 0, 0
    while at < len(inside):
        if inside[at] == "\\":
            at += 1
        elif inside[at] == "[" and (end := _end_of_set(inside, at)) is not None:
            at = end
        elif inside[at] in "{}":
            depth += 1 if inside[at] == "{" else -1
        elif inside[at] == "," and not depth:
            found.append(inside[start:at])
            start = at + 1
        at += 1
    return [*found, inside[start:]] if found else None


def _series(series: re.Match[str]) -> list[str] | None:
    if series["a"]:
        first, last = ord(series["a"]), ord(series["b"])
    else:
        first, last = int(series["first"]), int(series["last"])
    if abs(last - first) >= MOST_ALTERNATIVES:
        return None
    numbers = range(first, last + 1) if first <= last else range(first, last - 1, -1)
    if series["a"]:
        return [f"\\{chr(one)}" if chr(one) in _SIGNS else chr(one) for one in numbers]
    ends = series["first"], series["last"]
    padded = any(len(one.lstrip("-")) > 1 and one.lstrip("-")[0] == "0" for one in ends)
    width = max(map(len, ends)) if padded else 0
    return [f"{one:0{width}d}" for one in numbers]


# Wildcards.

_FOLDERS: Final = "(?:.*/)?"
_FEWEST: Final = {".*": ".*?", _FOLDERS: "(?:.*?/)??"}


def _translated(pattern: str, path: bool) -> str:
    """One mask without braces. Stars take as little as they can and give nothing back: no mask is slow."""
    pieces: list[tuple[str, str]] = [("", "")]  # a star of one kind, and what must stand behind it
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "*":
            double = path and pattern.startswith("**", at)
            while at < len(pattern) and pattern[at] == "*":
                at += 1
            begins = pieces[-1][1].endswith("/") or (not pieces[-1][1] and pieces[-1][0] in ("", _FOLDERS))
            if double and begins and pattern.startswith("/", at):  # any folders, or none
                at += 1
                if pieces[-1] != (_FOLDERS, ""):
                    pieces.append((_FOLDERS, ""))
            else:
                pieces.append((".*" if double or not path else "[^/]*", ""))
            continue
        word = re.escape(sign)
        if sign == "?":
            word = "[^/]" if path else "."
        elif sign == "\\" and pattern[at + 1 : at + 2] and pattern[at + 1] in _SIGNS:
            at += 1
            word = re.escape(pattern[at])
        elif sign == "[" and (end := _end_of_set(pattern, at)) is not None:
            word = _set(pattern[at + 1 : end], path) or re.escape(pattern[at : end + 1])
            at = end
        star, behind = pieces[-1]
        pieces[-1] = star, behind + word
        at += 1
    return f"(?s:{_joined(pieces)})"


def _joined(pieces: list[tuple[str, str]]) -> str:
    """Stars and what stands behind each, the first piece without a star.

    What stands between two stars is looked for once and then kept (an atomic group): its first place leaves
    most room to what follows, so a later one need never be tried. A star that crosses slashes gives all that
    follows it, up to the next such star, a new start.
    """
    groups: list[tuple[str, str]] = []
    crossing, inside = "", pieces[0][1]
    for number, (star, behind) in enumerate(pieces[1:], 2):
        last = number == len(pieces)
        if star != "[^/]*":
            groups.append((crossing, inside))
            crossing, inside = star, behind
        elif last or not behind:
            inside += star + behind
        else:
            inside += f"(?>{star}?{behind})"
    groups.append((crossing, inside))
    words = groups[0][1]
    for number, (star, group) in enumerate(groups[1:], 2):
        words += star + group if number == len(groups) else f"(?>{_FEWEST[star]}{group})"
    return words


def _end_of_set(pattern: str, start: int) -> int | None:
    """Where the range that begins there ends; None where it does not."""
    at = start + 1
    if pattern[at : at + 1] in ("!", "^"):
        at += 1
    if pattern[at : at + 1] == "]":  # the first one is one of the set
        at += 1
    end = pattern.find("]", at)
    return None if end < 0 else end


def _set(inside: str, path: bool) -> str | None:
    negated = inside[:1] in ("!", "^")
    inside = re.sub(r"([\\\[\]&~|^])", r"\\\1", inside[1:] if negated else inside)
    made = f"{'(?!/)' if path else ''}[{'^' if negated else ''}{inside}]"
    try:
        re.compile(made)
    except re.error:
        return None  # "[z-a]" is no set: it stands for itself
    return made
