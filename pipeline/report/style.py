"""How every chart looks: its colours, its axes, and names in it as they are: a class `$5 bill` is no formula."""

import io
import warnings
from collections.abc import Callable
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# After Okabe and Ito, told apart in every common form of colour blindness.
BLUE, ORANGE, GREEN, PINK, VERMILION, SKY, OLIVE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8C7B00",
)  # fmt: skip
PALETTE = (BLUE, ORANGE, GREEN, PINK, VERMILION, SKY, OLIVE)
INK, GREY, GRID, STRIPE, TRUE = "#222222", "#6B6B6B", "#DDDFE3", "#F3F4F6", "#9AA0A6"
DPI = 150


def plain(axes: Axes, grid: Literal["both", "x", "y"] = "both") -> None:
    """A chart without frame and ticks, on a faint grid that lies behind everything."""
    axes.tick_params(length=0, labelsize=9, labelcolor=GREY)
    axes.grid(axis=grid, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def png(make: Callable[[], Figure]) -> bytes:
    """The picture of the figure that `make` gives, which is made and drawn without reading formulas into texts."""
    return drawn(make, "png")


def drawn(make: Callable[[], Figure], form: Literal["png", "svg", "pdf"]) -> bytes:
    """`png` in any form; the texts of SVG and PDF stay texts, and the same figure makes the same file."""
    sink = io.BytesIO()
    looks: Any = {
        "text.parse_math": False,
        "svg.fonttype": "none",
        "pdf.fonttype": 42,
        "svg.hashsalt": "raytad",
    }
    with matplotlib.rc_context(looks), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # a box stands for it
        figure = make()
        if form == "png":
            FigureCanvasAgg(figure).print_png(sink)
        else:
            undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}[form]
            figure.savefig(sink, format=form, metadata=undated)
    return sink.getvalue()
