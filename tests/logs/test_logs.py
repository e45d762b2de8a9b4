from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbox.daemon.jobs.logfiles import LogWriter
from labbox.daemon.jobs.logs import _find_progress, _whole_characters
from labbox.model import Stream
from labbox.protocol import LogRecord
from labbox.wire import encode


def text_of(records: list[LogRecord], stream: Stream | None = None) -> str:
    return "".join(record.text for record in records if stream in (None, record.stream))


async def until(true: Any) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


async def test_both_streams_come_with_their_names_and_no_final_newline(run: Any) -> None:
    log = run.open()
    run.write(b"one\ntwo\nthree")
    run.write("grüße\n".encode(), "stderr")
    log.say("image ready")
    await log.finish()
    records = await run.records()
    assert text_of(records, Stream.OUT) == "one\ntwo\nthree"
    assert text_of(records, Stream.ERR) == "grüße\n"
    assert text_of(records, Stream.BOX) == "image ready\n"
    assert records[-1].end
    assert records[-1].cursor == len(run.log)
    assert sorted(run.log) == sorted(b"one\ntwo\nthreeimage ready\n" + "grüße\n".encode())


async def test_a_run_that_wrote_nothing_has_an_empty_log(run: Any) -> None:
    await run.open().finish()
    assert [record.end for record in await run.records()] == [True]


async def test_lines_of_two_streams_stay_whole(run: Any) -> None:
    log = run.open()
    task = asyncio.create_task(log.follow())
    for number in range(200):
        run.write(b"out %d begins " % number)
        run.write(b"err %d begins " % number, "stderr")
        await asyncio.sleep(0.001)
        run.write(b"and ends\n")
        run.write(b"and ends\n", "stderr")
    task.cancel()
    await log.finish()
    lines = run.log.decode().splitlines()
    assert len(lines) == 400
    assert all(line.endswith("begins and ends") and line.count("begins") == 1 for line in lines)


async def test_a_prompt_without_newline_is_seen_while_the_run_waits(run: Any) -> None:
    log = run.open()
    task = asyncio.create_task(log.follow())
    run.write(b"go on? ")
    await until(lambda: (run.results / "log.txt").exists() and run.log == b"go on? ")
    task.cancel()
    await log.finish()


async def test_a_64_kilobyte_line_and_one_of_ten_megabytes_come_whole(run: Any) -> None:
    log = run.open()
    line = b"x" * ((64 << 10) - 1) + b"\n" + "ä".encode() * (5 << 20)
    run.write(line)
    await log.finish()
    assert run.log == line
    records = await run.records()
    assert text_of(records) == line.decode()  # no character was cut between two records
    assert max(len(record.text.encode()) for record in records) <= 64 << 10


async def test_bytes_that_are_no_text_are_shown_as_escapes_and_kept_as_they_are(run: Any) -> None:
    log = run.open()
    run.write(b"\xff\xfe\x00 \x1b]52;c;AAAA\x07\n")
    await log.finish()
    assert run.log == b"\xff\xfe\x00 \x1b]52;c;AAAA\x07\n"
    assert text_of(await run.records()).encode("utf-8", "surrogateescape") == run.log


async def test_reading_goes_on_from_any_cursor(run: Any) -> None:
    log = run.open()
    for number in range(50):
        run.write(b"line %d\n" % number)
        await log._pump(final=False)
    await log.finish()
    whole = text_of(await run.records())
    for cursor in (0, 1, 7, 100, len(run.log) - 1, len(run.log)):
        assert text_of(await run.records(after=cursor)) == whole[cursor:]
    assert text_of(await run.records(after=10**9)) == ""


@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_tail_gives_the_last_lines(run: Any, end: bytes) -> None:
    log = run.open()
    lines = [b"line %d %s" % (number, b"y" * 700) for number in range(500)]
    run.write(b"\n".join(lines) + end)
    await log.finish()
    for count in (1, 2, 100, 499, 500, 501, 10_000):
        assert text_of(await run.records(tail=count)).encode() == b"\n".join(lines[-count:]) + end
    assert text_of(await run.records(tail=0)) == ""


async def test_a_follower_gets_all_and_ends_with_the_attempt(run: Any, logs: Any) -> None:
    over = asyncio.Event()

    async def wait_for_more() -> bool:
        await over.wait()
        return False

    async def follow() -> list[LogRecord]:
        return [record async for record in logs.read(run.results, attempt=2, follow=wait_for_more)]

    log = run.open()
    following = asyncio.create_task(log.follow())
    readers = [asyncio.create_task(follow()) for _ in range(100)]
    for number in range(100):
        run.write(b"line %d\n" % number)
        await asyncio.sleep(0.002)
    following.cancel()
    await log.finish()
    over.set()
    async with asyncio.timeout(20):
        found = await asyncio.gather(*readers)
    wanted = "".join(f"line {number}\n" for number in range(100))
    assert all(text_of(records) == wanted for records in found)
    assert all(record.attempt == 2 for records in found for record in records)
    assert log.followers == 0


async def test_a_follower_of_a_log_that_is_not_there_yet_waits_for_it(run: Any, logs: Any) -> None:
    begun = asyncio.Event()
    asked = 0

    async def wait_for_more() -> bool:
        nonlocal asked
        asked += 1
        await begun.wait()
        return asked == 1

    reading = asyncio.create_task(_all(logs.read(run.results, attempt=1, follow=wait_for_more)))
    await until(lambda: asked == 1)
    log = run.open()
    run.write(b"late\n")
    begun.set()
    await log.finish()
    async with asyncio.timeout(20):
        assert text_of(await reading) == "late\n"


async def _all(records: Any) -> list[LogRecord]:
    return [record async for record in records]


async def test_progress_lines_drive_the_bar(run: Any) -> None:
    log = run.open()
    run.write(b"labbox:progress 40/100\n")
    await log._pump(final=False)
    run.write(b"not labbox:progress 1/2 in a line\nlabbox:progress 50/100\r\n")
    await log._pump(final=False)
    await log.finish()
    assert [(one.done, one.total) for one in run.progress] == [(40, 100), (50, 100)]
    assert run.progress[1].rate is not None
    assert run.progress[1].remaining is not None


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"labbox:progress 1/4", (1.0, 4.0)),
        (b"labbox:progress 0.5 / 2.5\n", (0.5, 2.5)),
        (b"a\nlabbox:progress 3/4\nlabbox:progress 4/4\n", (4.0, 4.0)),
        (b"labbox:progress x/4\n", None),
        (b"labbox:progress 1/4 done\n", None),
        (b"labbox:progress " + b"9" * 400 + b"/1\n", None),
    ],
)
def test_what_is_a_progress_line(line: bytes, found: tuple[float, float] | None) -> None:
    assert _find_progress(line) == found


async def test_the_limit_ends_the_log_once_and_says_so(run: Any) -> None:
    log = run.open(limit=1000)
    task = asyncio.create_task(log.follow())
    for _ in range(50):
        run.write(b"z" * 99 + b"\n")
        await asyncio.sleep(0.001)
    await until(lambda: run.full)
    task.cancel()
    await log.finish()
    assert run.full == 1
    assert run.log.startswith((b"z" * 99 + b"\n") * 10)
    assert run.log.count(b"z") == 990
    assert b"the log is full at 1000 B" in run.log


async def test_a_run_that_cuts_its_own_spool_keeps_what_was_taken(run: Any) -> None:
    log = run.open()
    run.write(b"first\n")
    await log._pump(final=False)
    os.truncate(run.spool / "stdout", 0)
    await log._pump(final=False)
    run.write(b"second\n")
    await log.finish()
    assert run.log == b"first\nsecond\n"


async def test_a_spool_that_is_a_link_is_not_followed(run: Any, tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret\n")
    (run.spool / "stdout").symlink_to(secret)
    with pytest.raises(OSError, match="symbolic"):
        await run.open().finish()


async def test_torn_records_and_bytes_without_record_are_cut_at_the_next_start(run: Any) -> None:
    run.write(b"one\ntwo\n")
    await run.open().finish()
    with (run.results / "log.txt").open("ab") as file:
        file.write(b"a piece whose record never came")
    with (run.results / "log.index").open("ab") as file:
        file.write(b"\x01\x02\x03")
    run.write(b"three\n")
    await run.open().finish()
    assert run.log == b"one\ntwo\nthree\n"
    assert text_of(await run.records()) == "one\ntwo\nthree\n"


async def test_records_whose_bytes_a_power_cut_lost_are_taken_again(run: Any) -> None:
    log = run.open()
    for line in (b"one\n", b"two\n", b"three\n"):
        run.write(line)
        await log._pump(final=False)
    await log.finish()
    os.truncate(run.results / "log.txt", 6)
    await run.open().finish()
    assert run.log == b"one\ntwo\nthree\n"


def test_only_root_and_the_group_read_the_log(run: Any) -> None:
    LogWriter(run.results).close()
    assert (run.results / "log.txt").stat().st_mode & 0o777 == 0o640
    assert (run.results / "log.index").stat().st_mode & 0o777 == 0o640


@given(st.text(max_size=40).map(str.encode), st.integers(min_value=1, max_value=40))
def test_cutting_never_splits_a_character(data: bytes, at: int) -> None:
    part = data[:at]
    cut = _whole_characters(part) if part else 0
    assert part[cut:] == b"" or len(part) - cut < 4
    if cut and cut < len(part):
        part[:cut].decode()


async def test_a_flood_comes_whole_and_leaves_most_of_a_core_to_others(run: Any) -> None:
    block = (b"0123456789abcdef " * 8 + b"\n") * (1 << 13)
    for _ in range(100):
        run.write(block)
    log = run.open()
    before = time.process_time()
    await log.finish()
    used = time.process_time() - before
    assert run.log == block * 100
    assert used / (len(block) * 100 / 50e6) < 0.6  # of a core, at 50 MB/s


async def test_nothing_is_looked_at_in_a_thread_while_nothing_is_written(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = run.open()
    turns = []
    turn = log._turn

    def counted(final: bool) -> Any:
        turns.append(final)
        return turn(final)

    monkeypatch.setattr(log, "_turn", counted)
    following = asyncio.create_task(log.follow())
    run.write(b"first\n")
    await until(lambda: run.holds(b"first\n"))
    before = len(turns)
    await asyncio.sleep(0.3)  # thirty looks of a young run
    assert len(turns) == before
    log.say("labbox speaks")
    await until(lambda: run.holds(b"first\nlabbox speaks\n"))
    following.cancel()
    await log.finish()


async def test_what_is_not_utf8_reaches_everybody_byte_for_byte(run: Any) -> None:
    """Latin-1, a cut sequence, a surrogate, NUL: over the API, in JSON and after it."""
    log = run.open()
    said = b"Gr\xf6\xdfe\n\xed\xa0\x80 \xc3\n" + b"\xe4" * 300_000 + b"\n\x00\xff"
    run.write(said)
    await log.finish()
    records = [msgspec.json.decode(encode(one), type=LogRecord) for one in await run.records()]
    assert b"".join(one.raw if one.raw is not None else one.text.encode() for one in records) == said
