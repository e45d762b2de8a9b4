"""Pictures as few pixels: what fits on the screen and no more. Runs in a confined child."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from labbox.errors import LabboxError
from labbox.files.viewing import apart
from labbox.files.viewing.source import Source
from labbox.model import Value
from labbox.text import format_bytes

if TYPE_CHECKING:
    from PIL import Image

Colour = tuple[int, int, int]
"""Red, green, blue from 0 to 255."""

MAX_BYTES: Final = 256 << 20
MAX_PIXELS: Final = 50_000_000  # 150 MB once unpacked; a larger picture is refused before that
MAX_ACROSS: Final = 4000  # pixels that are handed back, in each direction
_FORMATS: Final = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")


class Pixels(Value):
    """A picture shrunk to `across` × `down` pixels of three bytes; `width` and `height` are the file's."""

    width: int
    height: int
    across: int
    down: int
    data: bytes
    frames: int = 1


async def picture(
    source: Source, across: int, down: int, background: Colour = (0, 0, 0), frame: int = 0
) -> Pixels:
    """The picture, its proportions kept, in at most so many pixels; transparent parts show `background`.

    LabboxError for what is no picture, or too large.
    """
    if source.size > MAX_BYTES:
        raise LabboxError(
            "limit", f"cannot show a picture of {format_bytes(source.size)}", "F4 shows its bytes in hex"
        )
    across, down = max(1, min(across, MAX_ACROSS)), max(1, min(down, MAX_ACROSS))
    arguments = (across, down, background, frame)
    return await apart.run(source, shrunk, arguments, Pixels, imports=_imports)


def _imports() -> None:
    import copy

    from PIL import Image, ImageColor, ImageFile, ImageFilter, ImagePalette, TiffImagePlugin, WebPImagePlugin

    Image.preinit()
    del copy, ImageColor, ImageFile, ImageFilter, ImagePalette, TiffImagePlugin, WebPImagePlugin


def shrunk(
    file: BinaryIO, _tell: Callable[[object], None], across: int, down: int, background: Colour, frame: int
) -> Pixels:
    """In the child: what `picture` returns."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(file, formats=_FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise _no_picture(f"it has {width} × {height} pixels", "make a smaller one")
                scale = min(across / width, down / height, 1.0)
                wide, high = max(1, round(width * scale)), max(1, round(height * scale))
                frames = getattr(image, "n_frames", 1)
                if frame and frames > 1:
                    image.seek(frame % frames)
                image.draft("RGB", (wide * 2, high * 2))  # JPEG: unpack no more than is needed
                small = _flat(image, background).resize((wide, high), Image.Resampling.BOX)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _no_picture("it unpacks to too much", "make a smaller one") from error
        except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises for damaged files
            raise _no_picture("it is damaged or of another kind", "F4 shows its bytes in hex") from error
    return Pixels(width=width, height=height, across=wide, down=high, data=small.tobytes(), frames=frames)


def _no_picture(why: str, hint: str) -> LabboxError:
    return LabboxError("invalid", f"cannot show the picture: {why}", hint)


def _flat(image: Image.Image, background: Colour) -> Image.Image:
    """The picture without transparency."""
    from PIL import Image

    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        below = Image.new("RGBA", layer.size, (*background, 255))
        return Image.alpha_composite(below, layer).convert("RGB")
    if image.mode in ("I", "I;16", "I;16B", "F"):  # more than 8 bits a channel: stretch what is there
        deep = image.convert("F")
        low, high = cast("tuple[float, float]", deep.getextrema())
        scale = 255.0 / ((high - low) or 1.0)
        return deep.point(lambda value: value * scale - low * scale).convert("L").convert("RGB")
    return image.convert("RGB")
