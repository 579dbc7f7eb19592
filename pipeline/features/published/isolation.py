"""Published files are read in a process that may hang, crash or use up its memory: they come from anywhere."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from pipeline.errors import InputError
from pipeline.failures import FailureKind
from pipeline.features.published.archives import Member, list_members, walk_compressed_tar
from pipeline.features.published.arrays import choose_array, open_arrays, readable
from pipeline.features.published.errors import FeatureFileError
from pipeline.features.published.layout import ArrayRule, as_snippets, to_half
from pipeline.features.published.places import Place, PlaceReader
from pipeline.features.published.shapes import PublishedShape, probe_place, probe_stream
from pipeline.video.errors import VideoError
from pipeline.video.patience import ask_patiently
from pipeline.video.sandbox import Limits, Sandbox, sandbox

# Whoever oversteps a limit would do so again: what else is wanted of the file is given up with it.
_OVERSTEPPED = frozenset({FailureKind.TIMEOUT, FailureKind.OUT_OF_MEMORY, FailureKind.CRASH})


@dataclass(frozen=True)
class WantedFeatures:
    """Snippets `[first, stop)` of a video of `dim` channels, whose `places` lie side by side.

    Attributes:
        places: one a source; at most one of them in a compressed tar.
        dim: the store's width.
        first, stop: the snippets.
        whole: whether the video must end at `stop`.
        position: of the member in the compressed tar, where there is one.
    """

    places: tuple[Place, ...]
    dim: int
    first: int
    stop: int
    whole: bool
    position: int = 0


class FileReader:
    """What reads in the sandbox. A request is one of its methods and the arguments, or None, which closes all files.

    The reply is a method's result, or the FeatureFileError or InputError that it raised.
    """

    def __init__(self, rule: ArrayRule) -> None:
        self._rule = rule
        self._reader = PlaceReader()
        self._walk: _Walk | None = None

    def __call__(self, request: tuple[Callable[..., Any], tuple[Any, ...]] | None, out: memoryview) -> Any:
        if request is None:
            self._reader.close()
            self._walk = None
            return None
        method, arguments = request
        try:
            return method(self, out, *arguments)
        except (FeatureFileError, InputError) as error:
            return error

    def shape(self, _: memoryview, place: Place) -> PublishedShape:
        """The shape of an array that is not in a compressed tar."""
        return probe_place(self._reader, place, self._rule)

    def names(self, _: memoryview, place: Place) -> list[str]:
        """The names of all arrays of a file."""
        return self._reader.open(place).names("")

    def members(self, _: memoryview, url: str) -> list[Member]:
        """The files of a zip archive or a plain tar."""
        return list_members(url)

    def member(self, _: memoryview, url: str, position: int) -> tuple[str, int] | None:
        """Path and size of a file in a compressed tar; None after the last one."""
        member = self._member_at(url, position)
        return None if member is None else member[:2]

    def member_shape(self, _: memoryview, place: Place, position: int) -> PublishedShape:
        """The shape of the array in that file."""
        member = self._member_at(place.url, position)
        assert member is not None
        return probe_stream(member[2], member[1], place, self._rule)

    def features(self, out: memoryview, wanted: WantedFeatures) -> None:
        """Write the wanted snippets, as float16, to `out`."""
        parts = []
        for place in wanted.places:
            with readable(place.suffix):
                if place.streamed:
                    member = self._member_at(place.url, wanted.position)
                    assert member is not None
                    file = open_arrays(member[2], member[1], place.suffix, seekable=False)
                else:
                    file = self._reader.open(place)
                array = file.read(choose_array(file, place.entry, self._rule.key))
                parts.append(to_half(as_snippets(array, self._rule.layout)))
        length = min(len(part) for part in parts)
        _check_planned(sum(part.shape[1] for part in parts), length, wanted)
        target = np.frombuffer(out, np.float16).reshape(-1, wanted.dim)
        np.concatenate([part[wanted.first : wanted.stop] for part in parts], axis=1, out=target)

    def _member_at(self, url: str, position: int) -> tuple[str, int, BinaryIO] | None:
        """A member of a compressed tar; a process that took over from a dead one walks there again."""
        if self._walk is None or self._walk.url != url or self._walk.position > position:
            self._walk = _Walk(url)
        return self._walk.to(position)


class _Walk:
    """A walk through a compressed tar, at its member number `position`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.position = -1
        self._members: Iterator[tuple[str, int, BinaryIO]] = walk_compressed_tar(url)
        self._here: tuple[str, int, BinaryIO] | None = None

    def to(self, position: int) -> tuple[str, int, BinaryIO] | None:
        """The member, whose stream can be read once; None after the last one."""
        while self.position < position:
            self._here = next(self._members, None)
            self.position += 1
        return self._here


class IsolatedFiles:
    """Asks a FileReader in a sandbox.

    Its methods raise FeatureFileError where a file cannot be read, is damaged, or is too much for the limits: kinds
    `unreadable`, `bad_features`, `truncated`, `timeout`, `out_of_memory`, `crash`, `storage`. OutageError where storage
    stays away.
    """

    def __init__(self, process: Sandbox) -> None:
        """`process` is a sandbox made with FileReader."""
        self._process = process
        self._lost: dict[tuple[str, str | None], FeatureFileError] = {}

    def shape(self, place: Place) -> PublishedShape:
        """The shape of an array that is not in a compressed tar, or why there is none; raises nothing."""
        try:
            shape: PublishedShape = self._ask([place], FileReader.shape, place)
        except FeatureFileError as error:
            return PublishedShape(error=error)
        return shape

    def names(self, place: Place) -> list[str]:
        """The names of a file's arrays."""
        names: list[str] = self._ask([place], FileReader.names, place)
        return names

    def members(self, url: str) -> list[Member]:
        """The files in a zip archive or a plain tar. Raises InputError, too, where it is damaged."""
        members: list[Member] = self._ask([Place(url)], FileReader.members, url)
        return members

    def walk(self, url: str) -> Iterator[tuple[int, str]]:
        """Position and path of each file in a compressed tar. Raises InputError, too, where it is damaged."""
        position = 0
        while (member := self._ask([Place(url)], FileReader.member, url, position)) is not None:
            yield position, member[0]
            position += 1

    def member_shape(self, place: Place, position: int) -> PublishedShape:
        """The shape of the array at which the walk is; raises nothing."""
        try:
            shape: PublishedShape = self._ask([place], FileReader.member_shape, place, position)
        except FeatureFileError as error:
            return PublishedShape(error=error)
        return shape

    def features(self, wanted: WantedFeatures) -> np.ndarray:
        """`[stop - first, dim]` float16, in shared memory."""
        length = wanted.stop - wanted.first
        shared = self._ask(wanted.places, FileReader.features, wanted, size=length * wanted.dim * 2)
        return np.frombuffer(shared, np.float16).reshape(length, wanted.dim)

    def close(self) -> None:
        """Close the files; the process stays."""
        if self._process.running:
            try:
                self._process.call(None)
            except (VideoError, OSError):
                self._process.close()

    def _ask(
        self, places: Iterable[Place], method: Callable[..., Any], *arguments: Any, size: int = 0
    ) -> Any:
        files = [(place.url, place.member) for place in places]
        for file in files:
            if file in self._lost:
                raise self._lost[file]
        try:
            reply, shared = ask_patiently(self._process, files[0][0], (method, arguments), size)
        except VideoError as error:
            known = error.kind in _OVERSTEPPED or error.kind is FailureKind.STORAGE
            kind = error.kind if known else FailureKind.UNREADABLE
            failure = FeatureFileError(kind, str(error))
            if error.kind in _OVERSTEPPED:
                self._lost |= dict.fromkeys(files, failure)
            raise failure from error
        if isinstance(reply, FeatureFileError | InputError):
            raise reply
        return shared if size else reply


def isolated_files(rule: ArrayRule, limits: Limits) -> IsolatedFiles:
    """Files as the one sandbox of this process reads them."""
    return IsolatedFiles(sandbox(FileReader, (rule,), limits))


def _check_planned(width: int, length: int, wanted: WantedFeatures) -> None:
    """Raises FeatureFileError where the file is not as it was when it was planned."""
    if width != wanted.dim:
        raise FeatureFileError(FailureKind.BAD_FEATURES, f"has {width} channels and the store {wanted.dim}")
    if wanted.stop > length or (wanted.whole and wanted.stop < length):
        raise FeatureFileError(
            FailureKind.BAD_FEATURES,
            f"holds {length} snippets, not those that were planned: the file changed; use another store=",
        )
