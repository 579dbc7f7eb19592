"""Names in pictures as they are: a class `$5 bill` or `cost_$` is no formula."""

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib


@contextmanager
def literal_text() -> Iterator[None]:
    """Texts that are made while the block runs have their dollar signs drawn.

    Both the making of a figure and its drawing belong into the block, since ticks are made as late as that.
    """
    with matplotlib.rc_context({"text.parse_math": False}):
        yield
