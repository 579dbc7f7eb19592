"""What of a remote video is fetched, and when: each block once, and little that nobody asked for."""

from collections import OrderedDict
from collections.abc import Callable

from fsspec.caching import BaseCache

_BLOCK = 64 * 2**10
_KEPT_BLOCKS = 512  # 32 MiB: headers and indices stay while pictures pass by
_LONGEST_FETCH = 16  # blocks: 1 MiB
# Of what was read in one go, this part more is fetched ahead: so little is wasted where reading ends, and yet
# long reads need few requests.
_AHEAD = 8
_GAP = 2  # blocks that may be skipped in a go, as those of the sound are
_GOES = 4  # places that are read by turns: index, pictures, sound


class ReadAhead(BaseCache):
    """Fetches a file in blocks for a reader that jumps between header, index and pictures.

    A cache of fsspec, for its buffered files. A block is fetched with those after it when they were read in
    one go so far, a part of as much as was read, up to 1 MiB. The last 32 MiB that were used stay, so that nothing is
    fetched twice for looking at it again.
    """

    name = "growing"

    def __init__(self, fetcher: Callable[[int, int], bytes], size: int) -> None:
        """`fetcher(start, stop)` gives these bytes of a file of `size` bytes."""
        super().__init__(_BLOCK, fetcher, size)
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._goes: OrderedDict[int, int] = OrderedDict()  # the next block of each go -> blocks it has read

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        """Bytes `[start, stop)`. Raises OSError where they cannot be had, whatever the storage's own error is."""
        start = start or 0
        stop = self.size if stop is None else min(stop, self.size)
        if start >= stop:
            return b""
        first, last = start // _BLOCK, (stop - 1) // _BLOCK
        parts = [self._block(number, last) for number in range(first, last + 1)]
        parts[-1] = parts[-1][: stop - last * _BLOCK]
        parts[0] = parts[0][start - first * _BLOCK :]
        return b"".join(parts)

    def _block(self, number: int, last: int) -> bytes:
        """One block, of which those up to `last` are asked for as well."""
        if number in self._blocks:
            self.hit_count += 1
            self._blocks.move_to_end(number)
            return self._blocks[number]
        self.miss_count += 1
        go = next((n for n in self._goes if n <= number <= n + _GAP), None)
        read = 0 if go is None else self._goes.pop(go)
        count = min(max(1, read // _AHEAD, last - number + 1), _LONGEST_FETCH)
        end = number + 1
        while end < number + count and end * _BLOCK < self.size and end not in self._blocks:
            end += 1
        content = self._request(number * _BLOCK, min(end * _BLOCK, self.size))
        for index in range(number, end):
            offset = (index - number) * _BLOCK
            self._blocks[index] = content[offset : offset + _BLOCK]
        self._goes[end] = read + end - number
        while len(self._goes) > _GOES:
            self._goes.popitem(last=False)
        block = self._blocks[number]
        while len(self._blocks) > _KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        return block

    def _request(self, start: int, stop: int) -> bytes:
        try:
            content = self.fetcher(start, stop)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # clients of object stores have errors of their own
            raise OSError(f"{type(error).__name__}: {error}") from error
        self.total_requested_bytes += stop - start
        if len(content) != stop - start:
            raise ConnectionError(
                f"the storage gave {len(content)} bytes for the {stop - start} from {start} on"
            )
        return content
