"""The lengths and widths of published arrays, or why there is none, without reading more than must be."""

from dataclasses import dataclass
from typing import BinaryIO

from pipeline.features.published.arrays import ArrayFile, check_floats, choose_array, open_arrays, readable
from pipeline.features.published.errors import FeatureFileError
from pipeline.features.published.layout import ArrayRule, snippets_shape
from pipeline.features.published.places import Place, PlaceReader


@dataclass(frozen=True)
class PublishedShape:
    """`length` snippets of `width` channels; both 0 where `error` says why the array cannot be used."""

    length: int = 0
    width: int = 0
    error: FeatureFileError | None = None


def probe_place(reader: PlaceReader, place: Place, rule: ArrayRule) -> PublishedShape:
    """The shape of an array that is not in a compressed tar."""
    try:
        return _shape(reader.open(place), place, rule)
    except FeatureFileError as error:
        return PublishedShape(error=error)


def probe_stream(stream: BinaryIO, size: int, place: Place, rule: ArrayRule) -> PublishedShape:
    """The shape of an array whose file is read from a stream of `size` bytes."""
    try:
        return _shape(open_arrays(stream, size, place.suffix, seekable=False), place, rule)
    except FeatureFileError as error:
        return PublishedShape(error=error)


def _shape(file: ArrayFile, place: Place, rule: ArrayRule) -> PublishedShape:
    with readable(place.suffix):
        shape, dtype = file.describe(choose_array(file, place.entry, rule.key))
    check_floats(dtype)
    return PublishedShape(*snippets_shape(shape, rule.layout))
