"""What the wire does when sending goes wrong, and when many requests are asked for at once."""

from __future__ import annotations

import asyncio

import pytest

from labbox.errors import LabboxError
from labbox.files.places.sftperrors import Explainer
from labbox.files.places.sftpfile import SftpFile
from labbox.files.places.sftpwire import CLOSE, LSTAT, OPEN, REALPATH, Wire, text


class Channel:
    """Takes what is written; fails where it is told to."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.fails: Exception | None = None
        self.closed = False

    def write_lasting(self, pieces: list[bytes]) -> None:
        if self.fails is not None:
            raise self.fails
        self.written.append(b"".join(pieces))

    def close(self) -> None:
        self.closed = True


def opened() -> tuple[Wire, Channel]:
    wire, channel = Wire(lambda: LabboxError("unavailable", "cannot reach it")), Channel()
    wire.connection_made(channel)
    return wire, channel


def handle(number: int, name: bytes) -> bytes:
    body = bytes((102,)) + number.to_bytes(4, "big") + text(name)
    return len(body).to_bytes(4, "big") + body


def request(kind: int, number: int, words: bytes) -> bytes:
    body = bytes((kind,)) + number.to_bytes(4, "big") + text(words)
    return len(body).to_bytes(4, "big") + body


def refused(number: int) -> bytes:
    body = bytes((101,)) + number.to_bytes(4, "big") + (3).to_bytes(4, "big") + text(b"no") + text(b"")
    return len(body).to_bytes(4, "big") + body


async def test_what_cannot_be_sent_ends_the_connection_with_its_cause() -> None:
    wire, channel = opened()
    channel.fails = ValueError("the packet cannot be sealed")
    one = wire.ask(LSTAT, text(b"/"))
    many = asyncio.ensure_future(wire.ask_all([(LSTAT, text(b"/a")), (LSTAT, text(b"/b"))]))
    for asked in (one, many):
        with pytest.raises(LabboxError, match="the packet cannot be sealed") as caught:
            await asyncio.wait_for(asked, 30)
        assert caught.value.code == "unavailable"
    assert wire.ended
    assert channel.closed
    with pytest.raises(LabboxError, match="the packet cannot be sealed"):
        wire.ask(LSTAT, text(b"/"))


async def test_many_requests_go_out_in_one_piece_and_answers_find_their_place() -> None:
    wire, channel = opened()
    asked = asyncio.ensure_future(wire.ask_all([(OPEN, text(b"/%d" % number)) for number in range(3)]))
    while not channel.written:
        await asyncio.sleep(0)
    assert len(channel.written) == 1
    wire.data_received(handle(3, b"c") + refused(1))
    assert not asked.done()
    wire.data_received(handle(2, b"b"))
    answers = await asyncio.wait_for(asked, 30)
    assert [kind for kind, _payload in answers] == [101, 102, 102]
    assert [payload[4:] for _kind, payload in answers[1:]] == [b"b", b"c"]


async def test_what_a_cancelled_bundle_has_opened_is_closed() -> None:
    wire, channel = opened()
    asked = asyncio.ensure_future(wire.ask_all([(OPEN, text(b"/%d" % number)) for number in range(2)]))
    while not channel.written:
        await asyncio.sleep(0)
    wire.data_received(handle(1, b"early"))
    asked.cancel()
    await asyncio.wait({asked})
    wire.data_received(handle(2, b"late"))
    async with asyncio.timeout(30):
        while wire.asked < 2 or text(b"late") not in channel.written[-1]:
            await asyncio.sleep(0.001)
    assert b"".join(channel.written[1:]) == request(CLOSE, 3, b"early") + request(CLOSE, 4, b"late")


def answer(kind: int, number: int, body: bytes) -> bytes:
    whole = bytes((kind,)) + number.to_bytes(4, "big") + body
    return len(whole).to_bytes(4, "big") + whole


@pytest.mark.parametrize(
    "sent",
    [
        answer(103, 1, text(b"data")),  # no names
        answer(104, 1, (0xFFFF_FFFF).to_bytes(4, "big") + text(b"f")),  # fewer than it says
        answer(104, 1, (1).to_bytes(4, "big") + text(b"f") + text(b"f") + b"\0\0\0\x0f\0"),
        answer(104, 1, b""),
    ],
)
async def test_an_answer_that_is_none_is_told_in_words(sent: bytes) -> None:
    wire, channel = opened()
    asked = asyncio.ensure_future(wire.path(REALPATH, b"/"))
    while not channel.written:
        await asyncio.sleep(0)
    wire.data_received(sent)
    with pytest.raises(LabboxError, match="cannot go on: an SFTP answer"):
        await asyncio.wait_for(asked, 30)


@pytest.mark.parametrize(
    ("data", "said"), [(b"", "0 bytes"), (b"more than that", "14 bytes")], ids=["none", "too many"]
)
async def test_a_read_that_brings_nothing_or_too_much_ends(data: bytes, said: str) -> None:
    wire, channel = opened()
    file = SftpFile(wire, Explainer(wire, "sftp://it/"), b"h", "/f", b"/f", (1 << 15, 1 << 15))
    asked = asyncio.ensure_future(file.read(0, 10))
    while not channel.written:
        await asyncio.sleep(0)
    wire.data_received(answer(103, 1, text(data)))
    with pytest.raises(LabboxError, match=f"{said} of a file came, of 10"):
        await asyncio.wait_for(asked, 30)
