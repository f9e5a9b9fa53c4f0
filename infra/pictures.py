"""How the product's pictures look, and how they leave: as a file, or as inline SVG in the colours of a page.

Drawn with matplotlib in stand-in colours which become a page's own variables, so that one picture serves light and
dark; a file gets plain colours. Text stays text: it is found, read aloud and scaled with the page.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by what they mean."""

    ink: str
    quiet: str
    line: str
    accent: str
    bad: str
    good: str


# Stand-in colours that become the page's variables (`currentColor` would not carry the accent and the verdicts).
PAGE = Palette("#010203", "#010204", "#010205", "#010206", "#010207", "#010208")
PLAIN = Palette("#1b1f24", "#57606a", "#d0d7de", "#0b62c4", "#b42318", "#1a7f37")
VARIABLES = tuple(f"var(--{name})" for name in ("ink", "quiet", "line", "accent", "bad", "good"))
METADATA = ("Creator", "Date", "Format", "Type")
CLEANING = (
    (re.compile(r"<metadata>.*?</metadata>|<style .*?</style>", re.DOTALL), ""),
    (re.compile(r'<g id="[^"]*"'), "<g"),
    (re.compile(r"font-family:[^;\"]*;? ?"), ""),
    (re.compile(r' xmlns(:xlink)?="[^"]*"'), ""),
    (re.compile(r"xlink:href"), "href"),
    (re.compile(r'<svg width="[^"]*" height="[^"]*"'), '<svg aria-hidden="true"'),
    (re.compile(r"\s*\n\s*"), " "),
)


@contextmanager
def drawing(name: str, palette: Palette = PAGE) -> Iterator[None]:
    """The product's style; `name` keeps the ids of two pictures on one page apart."""
    style: dict[Any, Any] = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.edgecolor": palette.line,
        "axes.labelcolor": palette.quiet,
        "text.color": palette.ink,
        "xtick.color": palette.quiet,
        "ytick.color": palette.ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
    }
    with mpl.rc_context(style):
        yield


def inline(figure: Figure) -> str:
    """The svg element of a picture in PAGE's colours: the page's own, its font, nothing to fetch."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata=dict.fromkeys(METADATA))
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for stand_in, variable in zip(astuple(PAGE), VARIABLES, strict=True):
        svg = svg.replace(stand_in, variable)
    for pattern, replacement in CLEANING:
        svg = pattern.sub(replacement, svg)
    return svg.strip()


def save(figure: Figure, path: Path) -> Path:
    """A file that stands alone, on white; its ending says whether SVG or PNG. The picture is in PLAIN's colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dated = {} if path.suffix != ".svg" else dict.fromkeys(METADATA)
    figure.savefig(path, dpi=160, metadata=dated, facecolor="white")
    return path.resolve()
