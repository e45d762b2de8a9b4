"""The first login of an invited person: they leave a public key, or set a password, and are in."""

from __future__ import annotations

import asyncio
import codecs
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from labbox.daemon.people import Actor
from labbox.errors import LabboxError
from labbox.protocol import PasswordBody
from labbox.text import visible_line

if TYPE_CHECKING:
    from labbox.daemon.people import People

TRIES: Final = 10
SECONDS: Final = 600.0  # for the whole dialogue
_LONGEST: Final = 16 * 1024  # characters of a line; an RSA key of 16,384 bits has under 3,000


class Lines:
    """A line editor for one person at a terminal: what pumps do for programs, this does for the dialogue.

    Backspace, Ctrl+U, Ctrl+C and Ctrl+D are known; a pasted text of several lines is taken line by line.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        """`send` brings bytes to the screen."""
        self._send = send
        self._typed: asyncio.Queue[str] = asyncio.Queue()
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._waiting = 0
        self.closed = False

    def write(self, data: memoryview) -> None:
        """The person typed."""
        for character in self._decode(bytes(data)):
            if self._waiting < _LONGEST * 2:
                self._waiting += 1
                self._typed.put_nowait(character)

    def end(self) -> None:
        """Nothing more comes."""
        self._typed.put_nowait("\x04")

    def close(self) -> None:
        """The person has gone."""
        if not self.closed:
            self.closed = True
            self._typed.put_nowait("\x04")

    def say(self, text: str) -> None:
        """Lines for the screen."""
        self._send("".join(f"{line}\r\n" for line in text.splitlines()).encode())

    async def ask(self, prompt: str, *, echo: bool = True) -> str:
        """A line; LabboxError where the person gives up or has gone."""
        self._send(prompt.encode())
        line: list[str] = []
        while True:
            character = await self._typed.get()
            self._waiting -= 1
            if character in "\r\n":
                self._send(b"\r\n")
                return "".join(line).strip()
            if character in "\x03\x04":
                self._send(b"\r\n")
                raise LabboxError("forbidden", "cannot let you in yet", "come back with the same code")
            if character in "\x7f\x08" and line:
                gone = line.pop()
                self._rub_out(gone if echo else "")
            elif character == "\x15":
                while line:
                    gone = line.pop()
                    self._rub_out(gone if echo else "")
            elif character.isprintable() and len(line) < _LONGEST:
                line.append(character)
                if echo:
                    self._send(visible_line(character).encode())

    def _rub_out(self, character: str) -> None:
        width = 0 if not character else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        self._send(b"\b \b" * width)


async def welcome(people: People, name: str, box: str, origin: str, lines: Lines) -> None:
    """Lead an invited person through; LabboxError where they give up."""
    lines.say(f"Welcome to {visible_line(box)}, {name}.\n")
    lines.say("This code lets you in once. Leave a public key now, or choose a password, for the next time.")
    lines.say("Paste the key as one line (it begins with “ssh-”; “cat ~/.ssh/id_ed25519.pub” shows yours),")
    lines.say("or press Enter to choose a password.\n")
    by = Actor(name=name, origin=origin)
    try:
        async with asyncio.timeout(SECONDS):
            for _ in range(TRIES):
                try:
                    key = await lines.ask("Public key: ")
                    if key:
                        added = await people.add_key(name, key, by)
                        lines.say(f"Thank you: {added.kind} {added.fingerprint}")
                        return
                    first = await lines.ask("New password: ", echo=False)
                    if first and first != await lines.ask("The same again: ", echo=False):
                        lines.say("The two differ. Once more:\n")
                        continue
                    await people.set_password(name, PasswordBody(new=first), by)
                except LabboxError as error:
                    if lines.closed or error.code in ("forbidden", "unavailable"):
                        raise
                    lines.say(
                        f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else "") + "\n"
                    )
                else:
                    lines.say("Thank you: the password is set.")
                    return
    except TimeoutError as error:
        raise LabboxError("forbidden", "cannot wait any longer", "come back with the same code") from error
    raise LabboxError("forbidden", "cannot let you in yet", "come back with the same code")
