"""A small server for one report: its page and the videos on it, on this machine only, any part of them at a time."""

import logging
import posixpath
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from pipeline import storage
from pipeline.errors import InputError
from pipeline.outages import OutageError
from pipeline.screen import say

logger = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_PIECE = 2**20
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".png": "image/png",
          ".svg": "image/svg+xml", ".pdf": "application/pdf"}  # fmt: skip
_VIDEO_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm",
                ".mkv": "video/x-matroska", ".ogv": "video/ogg", ".ts": "video/mp2t", ".3gp": "video/3gpp"}  # fmt: skip
_VIDEOS = "/video/"
# What a report consists of, in a folder that may hold other things.
_OWN = re.compile(
    r"index\.html|(timelines|confidence|salience)\.(png|svg|pdf)|pages/.+\.(html|js|css)", re.DOTALL
)


def serve(folder: str, files: Mapping[str, str], port: int) -> None:
    """Serve a report until Ctrl-C; a line tells where.

    Args:
        folder: URL of the report.
        files: video id -> URL of its file: of everything outside the folder only these can be had, by their number in
            this order, as the page knows them.
        port: to listen on; 0 takes a free one.
    Raises:
        InputError: another program has the port.
    """
    server = report_server(folder, list(files.values()), port)
    say(f"report: http://{_HOST}:{server.server_address[1]}/ until Ctrl-C")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


def report_server(folder: str, files: Sequence[str], port: int = 0) -> ThreadingHTTPServer:
    """The server, which listens on this machine's own address and serves when `serve_forever` is called.

    Raises InputError where another program has the port.
    """
    try:
        server = ThreadingHTTPServer((_HOST, port), _handler(folder, tuple(files)))
    except OSError as error:
        raise InputError(
            f"port={port}: cannot be listened on ({error.strerror}); port=0 takes a free one"
        ) from error
    server.daemon_threads = True
    return server


def _handler(folder: str, files: tuple[str, ...]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_GET(self) -> None:
            _answer(self, folder, files, body=True)

        def do_HEAD(self) -> None:
            _answer(self, folder, files, body=False)

        def log_message(self, format: str, *values: object) -> None:
            logger.debug(format, *values)

    return Handler


def _answer(request: BaseHTTPRequestHandler, folder: str, files: tuple[str, ...], *, body: bool) -> None:
    """One request. A page of another site that was given this machine's address gets nothing: it asks by its name."""
    if (request.headers.get("Host") or "").rsplit(":", 1)[0] not in (_HOST, "localhost"):
        request.send_error(HTTPStatus.FORBIDDEN)
        return
    path = unquote(urlsplit(request.path).path)
    if request.path == "/":  # the page plays from the server where its address says so
        request.send_response(HTTPStatus.FOUND)
        request.send_header("Location", "/?served")
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    try:
        if path.startswith(_VIDEOS):
            number = path.removeprefix(_VIDEOS)
            if not re.fullmatch(r"\d{1,9}", number) or int(number) >= len(files):
                request.send_error(HTTPStatus.NOT_FOUND)
                return
            url = files[int(number)]
            _send_file(
                request, url, _VIDEO_TYPES.get(posixpath.splitext(urlsplit(url).path)[1].lower()), body
            )
            return
        name = path.removeprefix("/") or "index.html"
        kind = _TYPES.get(posixpath.splitext(name)[1].lower())
        parts = name.split("/")
        if (
            kind is None
            or not _OWN.fullmatch(name)
            or "\0" in name
            or "\\" in name
            or any(part in ("", ".", "..") for part in parts)
        ):
            request.send_error(HTTPStatus.NOT_FOUND)
            return
        _send_file(request, storage.join(folder, name), kind, body)
    except (InputError, OutageError) as error:
        logger.warning("%s", error)
        request.close_connection = True
    except (BrokenPipeError, ConnectionResetError):
        request.close_connection = True  # the player has what it wanted


def _send_file(request: BaseHTTPRequestHandler, url: str, kind: str | None, body: bool) -> None:
    """The file, or the part of it that `Range` asks for (RFC 9110, section 14)."""
    found = storage.stat(url)
    if found is None:
        request.send_error(HTTPStatus.NOT_FOUND)
        return
    start, end, status = 0, found.size, HTTPStatus.OK
    asked = _RANGE.fullmatch(request.headers.get("Range") or "")
    if asked and (asked[1] or asked[2]):
        if asked[1]:
            start, end = int(asked[1]), min(int(asked[2]) + 1 if asked[2] else found.size, found.size)
        else:
            start = max(0, found.size - int(asked[2]))
        status = HTTPStatus.PARTIAL_CONTENT
        if start >= end:
            request.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            request.send_header("Content-Range", f"bytes */{found.size}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
    request.send_response(status)
    request.send_header("Content-Type", kind or "application/octet-stream")
    request.send_header("Content-Length", str(end - start))
    request.send_header("Accept-Ranges", "bytes")
    request.send_header("X-Content-Type-Options", "nosniff")
    request.send_header("Cross-Origin-Resource-Policy", "same-origin")
    if status is HTTPStatus.PARTIAL_CONTENT:
        request.send_header("Content-Range", f"bytes {start}-{end - 1}/{found.size}")
    request.end_headers()
    if body:
        with storage.open_read(url) as stream:
            _copy(stream, request, start, end)


def _copy(stream: BinaryIO, request: BaseHTTPRequestHandler, start: int, end: int) -> None:
    stream.seek(start)
    while start < end and (piece := stream.read(min(_PIECE, end - start))):
        request.wfile.write(piece)
        start += len(piece)
