"""Colours: the themes of labbox, and which one fits the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any, Final, Literal

from rich.color import Color, ColorSystem
from textual.theme import Theme

Depth = Literal["16", "256", "true"]

DARK: Final = Theme(
    name="labbox-dark",
    dark=True,
    primary="#5fafff",
    secondary="#87afd7",
    accent="#ffaf5f",
    success="#87d787",
    warning="#ffd75f",
    error="#ff8787",
    foreground="#d7dce4",
    background="#161a21",
    surface="#1c212a",
    panel="#262d38",
    variables={
        "cursor": "#2b5a8c",
        "cursor-text": "#ffffff",
        "stripe": "#191e26",
        "dim": "#8a94a3",
        "head": "#9fb4cc",
        "bar-key": "#161a21",
        "bar-key-back": "#87afd7",
        "bar-text": "#d7dce4",
        "bar-back": "#262d38",
        "found-text": "#161a21",
        "mark": "#ffd75f",
        "note": "#5fd7d7",
        "violet": "#c5a3ff",
        "border": "#4a6a8f",
        "border-blurred": "#3a4350",
    },
)
LIGHT: Final = Theme(
    name="labbox-light",
    dark=False,
    primary="#005faf",
    secondary="#3a6ea5",
    accent="#af5f00",
    success="#1a7f37",
    warning="#8a5a00",
    error="#c02434",
    foreground="#1f2730",
    background="#fbfbf9",
    surface="#f3f3ef",
    panel="#e6e7e3",
    variables={
        "cursor": "#bcd8f5",
        "cursor-text": "#0b2239",
        "stripe": "#f5f5f2",
        "dim": "#667078",
        "head": "#3f5873",
        "bar-key": "#ffffff",
        "bar-key-back": "#3a6ea5",
        "bar-text": "#1f2730",
        "bar-back": "#e1e4e6",
        "found-text": "#ffffff",
        "mark": "#a35200",
        "note": "#00727a",
        "violet": "#6b3fb0",
        "border": "#7f9dbb",
        "border-blurred": "#c3c8cc",
    },
)
BLUE: Final = Theme(
    name="labbox-blue",
    dark=True,
    primary="#5fd7ff",
    secondary="#87d7ff",
    accent="#ffff5f",
    success="#87ff87",
    warning="#ffff5f",
    error="#ffafaf",
    foreground="#e4e4e4",
    background="#00005f",
    surface="#000087",
    panel="#00005f",
    variables={
        "cursor": "#00afaf",
        "cursor-text": "#000000",
        "stripe": "#00005f",
        "dim": "#a8a8d8",
        "head": "#ffff5f",
        "bar-key": "#ffffff",
        "bar-key-back": "#000000",
        "bar-text": "#000000",
        "bar-back": "#00afaf",
        "found-text": "#000000",
        "mark": "#ffff5f",
        "note": "#87ffff",
        "violet": "#ffafff",
        "border": "#87d7ff",
        "border-blurred": "#5f87af",
    },
)
# In 16 colours every colour is the terminal's own, so that its palette, light or dark, stays in force.
ANSI: Final = Theme(
    name="labbox-ansi",
    ansi=True,
    dark=True,
    primary="ansi_bright_blue",  # the dark one cannot be read on black
    secondary="ansi_cyan",
    accent="ansi_yellow",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    variables={
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "cursor": "ansi_cyan",
        "cursor-text": "ansi_black",
        "stripe": "ansi_default",
        "dim": "ansi_bright_black",
        "head": "ansi_cyan",
        "bar-key": "ansi_bright_white",
        "bar-key-back": "ansi_black",
        "bar-text": "ansi_black",
        "bar-back": "ansi_cyan",
        "found-text": "ansi_black",
        "mark": "ansi_yellow",
        "note": "ansi_cyan",
        "violet": "ansi_magenta",
        "border": "ansi_cyan",
        "border-blurred": "ansi_bright_black",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_cyan",
        "input-cursor-text-style": "reverse",
        "input-selection-background": "ansi_blue",
    },
)
THEMES: Final = (DARK, LIGHT, BLUE, ANSI)


def themes_for(depth: Depth) -> tuple[Theme, ...]:
    """The themes in colours that the terminal has, under the same names."""
    return tuple(_in_256(theme) if depth == "256" and not theme.ansi else theme for theme in THEMES)


def _in_256(theme: Theme) -> Theme:
    """Each colour as the nearest of xterm's 240 fixed ones.

    What rich makes of a dark bluish grey is navy: it looks at saturation before it looks at closeness.
    """
    own = ("primary", "secondary", "accent", "success", "warning", "error", "foreground", "background",
           "surface", "panel")  # fmt: skip
    nearest: dict[str, Any] = {
        name: _nearest(colour) for name in own if (colour := getattr(theme, name)) is not None
    }
    return replace(
        theme, **nearest, variables={key: _nearest(colour) for key, colour in theme.variables.items()}
    )


@lru_cache(maxsize=256)
def _nearest(colour: str) -> str:
    if not colour.startswith("#"):
        return colour
    if colour in _BY_EYE:
        return _BY_EYE[colour]
    wanted = tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))

    def far(fixed: tuple[int, int, int]) -> int:
        return sum((a - b) ** 2 * weight for a, b, weight in zip(fixed, wanted, (3, 4, 2), strict=True))

    return "#{:02x}{:02x}{:02x}".format(*min(_fixed(), key=far))


@lru_cache(maxsize=1)
def _fixed() -> tuple[tuple[int, int, int], ...]:
    """Those of the fixed colours that rich leaves as they are."""
    cube = tuple(product((0, 95, 135, 175, 215, 255), repeat=3))
    greys = tuple((grey, grey, grey) for grey in range(8, 248, 10))
    return tuple(
        each
        for each in (*cube, *greys)
        if Color.from_rgb(*each).downgrade(ColorSystem.EIGHT_BIT).get_truecolor() == each
    )


# Where the nearest has another hue: a red that is pink, a green and a blue that are grey.
_BY_EYE: Final = {"#c02434": "#d70000", "#1a7f37": "#008700", "#4a6a8f": "#5f87af"}


def depth_of(environ: Mapping[str, str]) -> Depth:
    """How many colours the terminal shows, from COLORTERM and TERM (ssh forwards TERM alone)."""
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return "true"
    term = environ.get("TERM", "")
    if any(
        name in term for name in ("direct", "kitty", "ghostty", "foot", "alacritty", "wezterm", "contour")
    ):
        return "true"
    return "256" if "256" in term else "16"


def theme_for(environ: Mapping[str, str], chosen: str = "") -> str:
    """The theme to begin with: LABBOX_THEME if it names one, the `chosen` one, else what the terminal shows.

    COLORFGBG, where a terminal sets it, ends in the number of the background: 7 and 15 are light.
    """
    for wanted in (environ.get("LABBOX_THEME", ""), chosen):
        for theme in THEMES:
            if wanted and theme.name in (wanted, f"labbox-{wanted}"):
                return theme.name
    if depth_of(environ) == "16":
        return ANSI.name
    light = environ.get("COLORFGBG", "").rpartition(";")[2] in ("7", "15")
    return LIGHT.name if light else DARK.name
