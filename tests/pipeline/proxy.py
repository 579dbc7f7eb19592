"""A TCP proxy before the S3 server that can be made to refuse everybody: an outage on demand."""

import os
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

import fsspec
import pytest


class Proxy:
    """Forwards connections from a free port of its own to `target`, except while it refuses them."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._refuses_until = 0.0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.refused = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    def to_s3(cls, monkeypatch: pytest.MonkeyPatch) -> "Proxy":
        """One before the tests' S3 server, which this process and those that it starts use from now on."""
        endpoint = urlsplit(os.environ["AWS_ENDPOINT_URL"])
        proxy = cls((str(endpoint.hostname), int(endpoint.port or 0)))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
        fsspec.filesystem("s3").clear_instance_cache()
        return proxy

    def refuse_for(self, seconds: float) -> None:
        """End all connections, and new ones at once, for so long."""
        self._refuses_until = time.monotonic() + seconds
        with self._lock:
            for end in self._open:
                _end(end)

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        with self._lock:
            for end in self._open:
                _end(end)
        fsspec.filesystem("s3").clear_instance_cache()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if time.monotonic() < self._refuses_until:
                self.refused += 1
                client.close()
                continue
            server = socket.create_connection(self._target)
            with self._lock:
                self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        with self._lock:
            for end in (source, sink):
                _end(end)
                self._open.discard(end)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
