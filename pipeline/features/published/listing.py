"""From what the user points at (a folder, a glob, an archive, one file of many videos) to arrays with video ids."""

import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath

from pipeline import storage
from pipeline.cluster.parallel import run_batches
from pipeline.errors import InputError
from pipeline.features.published.archives import is_archive, is_compressed_tar
from pipeline.features.published.arrays import ARRAY_SUFFIXES
from pipeline.features.published.errors import FeatureFileError
from pipeline.features.published.isolation import FileReader, IsolatedFiles, isolated_files
from pipeline.features.published.layout import ArrayRule
from pipeline.features.published.places import Place
from pipeline.features.published.shapes import PublishedShape
from pipeline.features.sources import VideoSource, pattern_root
from pipeline.video.sandbox import DEFAULT_LIMITS, Limits, Sandbox

_LIST_CPUS = 0.5
# The path of an array, its place, and its shape where that is known already.
_Found = tuple[str, Place, PublishedShape | None]


@dataclass(frozen=True)
class Naming:
    """How the path of an array becomes the id of its video.

    Attributes:
        pattern: a regular expression, searched for in the path without its suffix; its first group, or the whole
            match where it has none, is the id. An array whose path it does not match is passed over.
        strip_prefix: left out at the start of an id that has it.
    """

    pattern: str = r"[^/]+$"
    strip_prefix: str = ""

    def video_id(self, path: str) -> str | None:
        """The id of the array at `path` (without suffix), or None where it is none of a video."""
        found = re.search(self.pattern, path)
        if found is None:
            return None
        name = found[1] if found.re.groups else found[0]
        return (name or "").removeprefix(self.strip_prefix) or None


@dataclass(frozen=True)
class PublishedVideo:
    """The arrays of one video, one a source, to be put side by side along the channels.

    Attributes:
        video_id: its id.
        places: where they lie; None where a source has nothing of this video.
        size, version: of the files, where each holds nothing else.
        edition: how often the files behind the id were replaced before.
    """

    video_id: str
    places: tuple[Place | None, ...]
    size: int | None = field(default=None, compare=False)
    version: str | None = field(default=None, compare=False)
    edition: int = 0

    @property
    def source(self) -> VideoSource:
        """As a store's plan knows it."""
        return VideoSource(self.video_id, self.uri, self.size, self.version, self.edition)

    @property
    def uri(self) -> str:
        """What the store records as the origin of the features."""
        return " + ".join(str(place) for place in self.places if place is not None)


@dataclass(frozen=True)
class Listing:
    """What a source holds.

    Attributes:
        arrays: the path of each array, without suffix, and its place.
        shapes: the shapes that came to light by the way.
        files: size and version of the files of one array each.
    """

    arrays: tuple[tuple[str, Place], ...]
    shapes: dict[Place, PublishedShape]
    files: dict[Place, storage.StoredFile] = field(default_factory=dict)


def list_source(
    name: str,
    source: str,
    rule: ArrayRule,
    limits: Limits = DEFAULT_LIMITS,
    before_ray: Callable[[], None] | None = None,
) -> Listing:
    """The arrays of one source; needs a running Ray where that is an archive.

    A folder is searched for array files at any depth, each of one video; so is an archive, and so are the files and
    archives that match a glob. One `.h5`, `.npz` or `.pt` file given by itself holds an array (or a group) of each
    video. Hidden files are passed over. A compressed tar is read through, and its arrays' shapes are noted.

    Args:
        name: the setting to blame, `source` or `second_source`.
        source: its value.
        rule: how the shapes of a compressed tar's arrays are to be read.
        limits: what it may cost to read one of its files.
        before_ray: is called where Ray is needed, before that.
    Raises:
        InputError: nothing there, no array in it, or a damaged archive.
    """
    root, files = _files(name, source)
    urls = [file.url for file in files]
    archives = [url for url in urls if is_archive(url)]
    found: list[_Found] = [
        (posixpath.relpath(url, root), Place(url), None) for url in urls if not is_archive(url)
    ]
    if archives and before_ray:
        before_ray()
    for listed in run_batches(partial(_list_archives, rule=rule, limits=limits), archives, 1, _LIST_CPUS):
        found += listed
    if urls == [storage.absolute(source)] and not archives:
        found = _entries(name, source, found, rule, limits)
    arrays = [
        (path, place)
        for path, place, _ in found
        if place.suffix in ARRAY_SUFFIXES and not posixpath.basename(path).startswith(".")
    ]
    if not arrays:
        raise InputError(f"{name}={source}: holds no array file ({' '.join(sorted(ARRAY_SUFFIXES))})")
    shapes = {place: shape for _, place, shape in found if shape is not None}
    known = {Place(file.url): file for file in files}
    return Listing(
        tuple((_without_suffix(path, place), place) for path, place in arrays),
        shapes,
        {place: known[place] for _, place in arrays if place in known},
    )


def match_videos(listings: dict[str, Listing], naming: Naming) -> tuple[list[PublishedVideo], int]:
    """The videos of one or two listings (by the setting that they come from), sorted by id, and the arrays passed over.

    Raises InputError where two arrays of a source have one id, or where no path matches the pattern.
    """
    by_source: list[dict[str, Place]] = []
    passed_over = 0
    for name, listing in listings.items():
        places: dict[str, Place] = {}
        for path, place in listing.arrays:
            video_id = naming.video_id(path)
            if video_id is None:
                passed_over += 1
            elif video_id in places:
                raise InputError(
                    f"{name}: {places[video_id]} and {place} both have the id {video_id}; narrow the source or "
                    "give an id_pattern that tells them apart"
                )
            else:
                places[video_id] = place
        if not places:
            raise InputError(
                f"id_pattern={naming.pattern}: matches none of the {passed_over} paths in {name}, such as "
                f"{listing.arrays[0][0]}"
            )
        by_source.append(places)
    ids = sorted(set().union(*by_source))
    files = {place: file for listing in listings.values() for place, file in listing.files.items()}
    videos = []
    for video_id in ids:
        video_places = tuple(places.get(video_id) for places in by_source)
        size, version = _identity([files.get(place) for place in video_places if place is not None])
        videos.append(PublishedVideo(video_id, video_places, size, version))
    return videos, passed_over


def _files(name: str, source: str) -> tuple[str, list[storage.StoredFile]]:
    """The folder that paths are meant from, and the files and archives that a source names."""
    if storage.is_folder(source):
        files = storage.list_files(source)
        return storage.absolute(source), [file for file in files if not is_archive(file.url)]
    file = storage.stat(source)
    if file is not None:
        url = storage.absolute(source)
        return storage.parent(url), [replace(file, url=url)]
    if any(character in source for character in "*?["):
        return storage.absolute(pattern_root(source)), storage.glob_files(source)
    raise InputError(f"{name}={source}: not found; give a folder, a glob, an archive or a file")


def _identity(files: Sequence[storage.StoredFile | None]) -> tuple[int | None, str | None]:
    """Size and version of files together; None where one of them is not known."""
    known = [file for file in files if file is not None]
    if len(known) < len(files):
        return None, None
    versions = [file.version for file in known if file.version is not None]
    return sum(file.size for file in known), " ".join(versions) if len(versions) == len(known) else None


def _list_archives(urls: list[str], rule: ArrayRule, limits: Limits) -> list[_Found]:
    files = isolated_files(rule, limits)
    found: list[_Found] = []
    for url in urls:
        try:
            if is_compressed_tar(url):
                for position, path in files.walk(url):
                    place = Place(url, path)
                    if place.suffix in ARRAY_SUFFIXES:
                        found.append((path, place, files.member_shape(place, position)))
            else:
                found += [
                    (m.path, Place(url, m.path, start=m.start, size=m.size), None) for m in files.members(url)
                ]
        except FeatureFileError as error:
            raise InputError(f"{url}: the archive cannot be read ({error})") from error
        finally:
            files.close()
    return found


def _entries(name: str, source: str, found: list[_Found], rule: ArrayRule, limits: Limits) -> list[_Found]:
    """The videos of one file of arrays: the names at its top level, or the file itself where it names none."""
    path, place, _ = found[0]
    if place.suffix not in ARRAY_SUFFIXES:
        return []
    process = Sandbox(FileReader, (rule,), limits)
    try:
        names = IsolatedFiles(process).names(place)
    except FeatureFileError as error:
        raise InputError(f"{name}={source}: {error}") from error
    finally:
        process.close()
    if names == [""]:
        return [(path, place, None)]
    tops = dict.fromkeys(array.split("/", 1)[0] for array in names)
    return [(top, Place(place.url, entry=top), None) for top in tops]


def _without_suffix(path: str, place: Place) -> str:
    return path if place.entry is not None else str(PurePosixPath(path).with_suffix(""))
