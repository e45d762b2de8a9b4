"""What a transfer did, in sentences: for its log, its reason, its notice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from labbox.model import TransferVerb
from labbox.protocol import TransferSummary
from labbox.text import format_bytes, visible_line

V = TransferVerb

_DONE: Final = {
    V.COPY: "copied",
    V.MOVE: "moved",
    V.TRASH: "put into the trash",
    V.ERASE: "deleted",
    V.RESTORE: "restored",
    V.SYNC: "synchronised",
    V.COMPARE: "compared",
    V.PACK: "packed",
    V.UNPACK: "unpacked",
    V.CHECKSUM: "summed",
    V.FIND: "searched",
    V.UNDO: "taken back",
}


def did(verb: TransferVerb, summary: TransferSummary) -> str:
    """As in: 812 files in 3 folders copied, 1.2 GiB."""
    counts = [_count(summary.files, "file")]
    if summary.links:
        counts.append(_count(summary.links, "link"))
    text = " and ".join(counts)
    if summary.folders:
        text += f" in {_count(summary.folders, 'folder')}"
    text += f" {_DONE[verb]}"
    if summary.size:
        text += f", {format_bytes(summary.size)}"
    if summary.skipped:
        text += f"; {summary.skipped:,} skipped"
    if verb in (V.COMPARE, V.FIND):
        text += f"; {_count(summary.line_count, 'difference' if verb is V.COMPARE else 'match')}"
    return text


def could_not(verb: TransferVerb, summary: TransferSummary) -> str:
    """As in: 3 of 812 files could not be copied; of a single one, with the reason."""
    total = summary.files + summary.links + summary.skipped + summary.failed
    what = f"{summary.failed:,} of {_count(total, 'file')}" if total > 1 else "1 file"
    text = f"{what} could not be {_DONE[verb]}"
    if summary.failed == 1 and summary.failures:
        text += f": {visible_line(summary.failures[0].text)}"
    return text


def sentences(summary: TransferSummary) -> Iterator[str]:
    """Everything that is worth a line of the log, as far as the summary holds it."""
    for line in summary.lines:
        yield visible_line(line)
    if summary.line_count > len(summary.lines):
        yield f"… and {summary.line_count - len(summary.lines):,} more in output/report.jsonl"
    for failure in summary.failures:
        yield f"{visible_line(failure.path)}: {visible_line(failure.text)}"
    if summary.failed > len(summary.failures):
        yield f"… and {summary.failed - len(summary.failures):,} more in output/report.jsonl"
    yield from map(visible_line, summary.not_kept)


def _count(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith('ch') else 's'}"
