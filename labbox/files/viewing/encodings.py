"""In which encoding a text is, and how bytes and characters of it correspond."""

from __future__ import annotations

from typing import Final, NamedTuple


class Encoding(NamedTuple):
    """An encoding that the viewer knows; every byte comes out as something and goes back as itself."""

    name: str  # as people call it
    codec: str
    errors: str
    unit: int  # bytes of the smallest character
    newline: bytes
    mark: bytes = b""  # the byte order mark that such a file begins with

    def decode(self, data: bytes) -> str:
        """The characters; undecodable bytes as lone surrogates, which `labbox.text` makes visible."""
        if over := len(data) % self.unit:
            return data[:-over].decode(self.codec, self.errors) + "\ufffd"
        return data.decode(self.codec, self.errors)

    def encode(self, text: str) -> bytes:
        """The bytes of characters; raises UnicodeEncodeError where the encoding has none for one."""
        return text.encode(self.codec, self.errors)

    def ending_as(self, head: bytes) -> Encoding:
        """The same, with the newline of a text that begins so: on old Macs, a carriage return alone."""
        text = self.decode(head)
        if "\r" in text and "\n" not in text:
            return self._replace(newline="\r".encode(self.codec))
        return self

    def cut(self, data: bytes, at: int) -> int:
        """The first place from `at` on where a character begins."""
        if self.unit == 4:
            return at + -at % 4
        if self.unit == 2:
            at += at % 2
            low = data[at : at + 2]
            high_byte = low[1:2] if self.codec.endswith("le") else low[:1]
            return at + 2 if high_byte and 0xDC <= high_byte[0] <= 0xDF else at
        if self.codec == "utf-8":
            for step in range(4):
                if at + step >= len(data) or data[at + step] & 0xC0 != 0x80:
                    return min(at + step, len(data))
        return at


UTF8: Final = Encoding("UTF-8", "utf-8", "surrogateescape", 1, b"\n", b"\xef\xbb\xbf")
UTF16_LE: Final = Encoding("UTF-16 LE", "utf-16-le", "surrogatepass", 2, b"\n\0", b"\xff\xfe")
UTF16_BE: Final = Encoding("UTF-16 BE", "utf-16-be", "surrogatepass", 2, b"\0\n", b"\xfe\xff")
# Not each four bytes are a character: what is none is shown as a question.
UTF32_LE: Final = Encoding("UTF-32 LE", "utf-32-le", "replace", 4, b"\n\0\0\0", b"\xff\xfe\0\0")
UTF32_BE: Final = Encoding("UTF-32 BE", "utf-32-be", "replace", 4, b"\0\0\0\n", b"\0\0\xfe\xff")
LATIN1: Final = Encoding("Latin-1", "cp1252", "surrogateescape", 1, b"\n")  # as Windows fills it
OLDER: Final = tuple(
    Encoding(name, codec, "surrogateescape", 1, b"\n")
    for name, codec in (
        ("Shift-JIS", "cp932"),
        ("EUC-JP", "euc_jp"),
        ("GB 18030", "gb18030"),
        ("Big5", "big5"),
        ("Korean", "cp949"),
        ("Cyrillic (Windows)", "cp1251"),
        ("Cyrillic (KOI8-R)", "koi8_r"),
        ("Cyrillic (DOS)", "cp866"),
        ("Central European", "cp1250"),
        ("Greek", "cp1253"),
        ("Hebrew", "cp1255"),
        ("Arabic", "cp1256"),
        ("Turkish", "cp1254"),
        ("Mac Roman", "mac_roman"),
        ("Thai", "cp874"),
    )
)  # found by `charsets`, or chosen; a newline is one byte in all of them, and never part of a character
WIDE: Final = (UTF32_LE, UTF32_BE, UTF16_LE, UTF16_BE)  # in the order of their marks: one begins with another
ALL: Final = (LATIN1, UTF16_LE, UTF16_BE, UTF8, *OLDER, UTF32_LE, UTF32_BE)
BY_CODEC: Final = {encoding.codec: encoding for encoding in ALL}


def guess(head: bytes, whole: bool = False) -> Encoding:
    """The encoding of a text that begins so; `whole`: nothing follows `head`."""
    for encoding in WIDE:
        if head.startswith(encoding.mark):
            return encoding
    zeros_odd, zeros_even = head[1::2].count(0), head[::2].count(0)
    half = len(head) // 2
    if half >= 2 and max(zeros_odd, zeros_even) > half * 0.7 and min(zeros_odd, zeros_even) < half * 0.05:
        return UTF16_LE if zeros_odd > zeros_even else UTF16_BE
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        cut_off = error.reason == "unexpected end of data" and error.start >= len(head) - 3
        return UTF8 if cut_off and not whole else LATIN1
    return UTF8
