"""The common look of every figure, and how a figure becomes bytes that repeat.

Figures are drawn with Matplotlib's object interface on a white ground, 9 inches (900 CSS pixels)
wide. No global setting is left changed, and a user's ``matplotlibrc`` has no say.
"""

from __future__ import annotations

import base64
import functools
import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, ParamSpec

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, NullLocator

from isthmus.errors import UsageError

__all__ = [
    "ACCENT",
    "DARK_VIRIDIS",
    "INK",
    "MARKERS",
    "MUTED",
    "PALETTE",
    "RULE",
    "SECOND",
    "check_lengths",
    "counted",
    "data_uri",
    "natural",
    "new_figure",
    "number",
    "plain_log_axis",
    "shorten",
    "styled",
    "to_png",
    "to_svg",
]

WIDTH = 9.0
DPI = 100
LARGE_SVG = 400_000  # characters
DARK_VIRIDIS = 0.9  # its last tenth is too light for lines and points on white

INK = "#22262b"
MUTED = "#6b7280"
RULE = "#c9ced6"
ACCENT = "#0072b2"
SECOND = "#d55e00"

# Okabe and Ito's colour-blind-safe set without its yellow, which is lost on white; one of Paul
# Tol's, and two that lie farthest from all others in deuteranopia, protanopia and tritanopia.
PALETTE = (
    ACCENT, "#e69f00", "#009e73", SECOND, "#56b4e9",
    "#cc79a7", "#000000", "#9669ff", "#882255", "#5a4b1e",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 7,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.dpi": DPI,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": "#e6e8ec",
    "grid.linewidth": 0.6,
    "image.interpolation": "antialiased",
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "svg.fonttype": "path",
    "svg.hashsalt": "isthmus",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8,
    "xtick.major.size": 3,
    "xtick.major.width": 0.6,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8,
    "ytick.major.size": 3,
    "ytick.major.width": 0.6,
}

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")

P = ParamSpec("P")


@contextmanager
def _style() -> Iterator[None]:
    with matplotlib.style.context(["default", STYLE]):
        yield


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Let a figure function draw in the common style, and restore the caller's after it."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with _style():
            return draw(*args, **kwargs)

    return wrapper


def new_figure(height: float, between: float = 0.02) -> Figure:
    """An empty figure of the report's width and ``height`` inches, laid out on drawing.

    Args:
        height: inches.
        between: space between columns of axes, as a share of their width.
    """
    layout = ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.06, wspace=between)
    figure = Figure(figsize=(WIDTH, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure, *, scale: float = 2.0) -> bytes:
    """Render a figure as PNG; the same figure gives the same bytes.

    Args:
        figure: what a function of this layer returned.
        scale: pixels of the image per CSS pixel; 2 is sharp on high-density screens.
    """
    return _render(figure, format="png", dpi=DPI * scale, metadata={"Software": None})


def to_svg(figure: Figure, title: str = "") -> str:
    """Render a figure as SVG without dates, random ids or scripts.

    Where its marks would make a large file, they are drawn as pixels, and pictures at fewer
    pixels; text and axes never are.

    Args:
        figure: what a function of this layer returned.
        title: what it shows, in words.
    """
    svg = _svg(figure, title, DPI * 2)
    if len(svg) <= LARGE_SVG:
        return svg
    for axes in figure.axes:
        for marks in (*axes.lines, *axes.collections, *axes.patches):
            marks.set_rasterized(True)
    svg = _svg(figure, title, DPI * 2)
    return svg if len(svg) <= 2 * LARGE_SVG else _svg(figure, title, DPI)


def _svg(figure: Figure, title: str, dpi: float) -> str:
    known: dict[str, str | None] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    named = known | ({"Title": shorten(title, 300)} if title else {})
    return _render(figure, format="svg", dpi=dpi, metadata=named).decode("utf-8")


def _render(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with _style(), warnings.catch_warnings():
        # A label in a script that the font lacks is drawn as boxes; the page itself spells it.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        layout = figure.get_layout_engine()
        if isinstance(layout, ConstrainedLayoutEngine):
            # It moves a little each time it runs: once, so that all renderings are equal.
            layout.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(buffer, **options)
    return buffer.getvalue()


def data_uri(content: bytes, *, media_type: str = "image/png") -> str:
    """Embed bytes in a page.

    Example:
        >>> data_uri(b"isthmus", media_type="text/plain")
        'data:text/plain;base64,aXN0aG11cw=='
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def shorten(text: object, limit: int = 24) -> str:
    r"""One printable line of at most ``limit`` characters.

    Example:
        >>> shorten("a\nrather long name", 10)
        'a rather …'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= limit else line[: max(limit - 1, 0)] + "…"


def number(value: float, digits: int = 3) -> str:
    """A number with ``digits`` significant digits and a true minus sign.

    Whole parts are never shortened, and an exponent stands only where zeros would fill the line.

    Example:
        >>> number(-0.012345), number(1234.5), number(2.0), number(float("nan"))
        ('−0.0123', '1234', '2', '–')
        >>> number(1234567.0), number(0.0000123)
        ('1.23e+06', '1.23e−05')
    """
    if not math.isfinite(value):
        return "–"
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    if not -5 < magnitude < 6:
        return f"{value:.{digits}g}".replace("-", "−")
    text = f"{value:.{max(digits - 1 - magnitude, 0)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")


def counted(n: int, one: str, many: str = "") -> str:
    """A number and its noun.

    Example:
        >>> counted(1, "epoch"), counted(2, "epoch"), counted(0, "repeat")
        ('1 epoch', '2 epochs', '0 repeats')
    """
    return f"{n} {one if n == 1 else many or one + 's'}"


def natural(name: object) -> tuple[Any, ...]:
    """A key that sorts names as people do: numbers by size, also within words.

    Example:
        >>> sorted(["s10", "s9", "10", "9", "s1", "-2"], key=natural)
        ['-2', '9', '10', 's1', 's9', 's10']
    """
    text = str(name)
    if _NUMBER.fullmatch(text):
        return 0, float(text), text
    parts = (part.lstrip("0") for part in re.split("([0-9]+)", text))
    return 1, [(len(part), part) if i % 2 else part for i, part in enumerate(parts)], text


def plain_log_axis(axes: Axes, axis: str) -> None:
    """Make ``axis`` logarithmic, with plain numbers at its decades."""
    axes.set(**{f"{axis}scale": "log"})
    one = axes.xaxis if axis == "x" else axes.yaxis
    one.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    one.set_minor_locator(NullLocator())


def check_lengths(**arrays: Sized) -> None:
    """Require equally many rows in every array.

    Raises:
        UsageError: the numbers differ; the message names each.
    """
    if len({len(array) for array in arrays.values()}) > 1:
        counts = ", ".join(f"{name} has {len(array)}" for name, array in arrays.items())
        raise UsageError(f"numbers of rows differ: {counts}", remedy="pass one row a sample")
