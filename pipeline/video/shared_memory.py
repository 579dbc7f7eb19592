"""Memory that a child process writes and this one reads, used again and again: fresh pages cost a good part of what it
costs to decode small pictures into them."""

import ctypes
import mmap
import os
import sys
import weakref
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from tempfile import TemporaryFile


class Lender:
    """The buffers that this process shares with one child: as many as were ever in use at once."""

    def __init__(self) -> None:
        self._free: dict[int, mmap.mmap] = {}
        self._made = 0

    def lend(self, size: int, connection: Connection, child: int) -> memoryview:
        """Let the child's `Borrower` receive `size` bytes, and see them here.

        The child may get the same memory again as soon as the memoryview, and every array made of it, is gone.
        """
        if not size:
            connection.send((0, 0, False))
            return memoryview(b"")
        slot, buffer = self._free.popitem() if self._free else (self._made, None)
        if buffer is not None and len(buffer) >= size:
            connection.send((slot, size, False))
        else:
            connection.send((slot, size, True))
            descriptor = _memory_file(size)
            try:
                send_handle(connection, descriptor, child)
                buffer = mmap.mmap(descriptor, size)
            finally:
                os.close(descriptor)
            self._made = max(self._made, slot + 1)
        lent = (ctypes.c_ubyte * size).from_buffer(buffer)
        weakref.finalize(lent, self._free.__setitem__, slot, buffer)
        return memoryview(lent)


class Borrower:
    """The child's side."""

    def __init__(self) -> None:
        self._buffers: dict[int, mmap.mmap] = {}

    def receive(self, connection: Connection) -> memoryview:
        """The memory that the parent lent; its content is whatever was in it before."""
        slot, size, descriptor_follows = connection.recv()
        if not size:
            return memoryview(bytearray())
        if descriptor_follows:
            descriptor = recv_handle(connection)
            try:
                self._buffers[slot] = mmap.mmap(descriptor, size)
            finally:
                os.close(descriptor)
        return memoryview(self._buffers[slot])[:size]


def _memory_file(size: int) -> int:
    """The descriptor of a nameless file of zeros: in memory, where the system has such."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("pictures")
    else:
        with TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
