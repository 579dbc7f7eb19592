"""A server that can be taken away and brought back: a TCP relay before it."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest
import s3fs


class Relay:
    """Passes connections on to a server while `up`; while not, it breaks those that there are and refuses new ones."""

    def __init__(self, endpoint: str) -> None:
        """Stand before `endpoint`, an `http://host:port`; `self.endpoint` is the relay's own."""
        parts = urlsplit(endpoint)
        assert parts.hostname
        assert parts.port
        self._server = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        self._up = True
        self.refused = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def up(self) -> bool:
        return self._up

    @up.setter
    def up(self, value: bool) -> None:
        self._up = value
        if not value:
            for connection in list(self._open):
                _shut(connection)

    def away_for(self, seconds: float) -> None:
        """Be away now, and back after a while, whatever happens meanwhile."""
        self.up = False
        threading.Timer(seconds, lambda: setattr(self, "up", True)).start()

    def close(self) -> None:
        self.up = False
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            if not self._up:
                self.refused += 1
                client.close()
                continue
            server = socket.create_connection(self._server)
            self._open |= {client, server}
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while content := source.recv(1 << 16):
                target.sendall(content)
        except OSError:
            pass
        for connection in (source, target):
            _shut(connection)
            self._open.discard(connection)


@contextmanager
def relayed(endpoint: str) -> Iterator[Relay]:
    """A relay before `endpoint` while the block runs."""
    relay = Relay(endpoint)
    try:
        yield relay
    finally:
        relay.close()


@contextmanager
def relayed_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """A relay before the tests' S3 server, which this process and those that it starts use while the block runs."""
    with relayed(os.environ["AWS_ENDPOINT_URL"]) as relay, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", relay.endpoint)
        s3fs.S3FileSystem.clear_instance_cache()
        yield relay
    s3fs.S3FileSystem.clear_instance_cache()


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
