"""What answers at an address, before Ray is asked: nothing, something else, a head that wants a token, a head."""

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from pipeline.cluster import reach
from pipeline.cluster.insides import CHECK_ALIVE
from pipeline.cluster.reach import check_reachable
from pipeline.errors import InputError

TOKEN = "the token of the cluster"


class Head(grpc.GenericRpcHandler):
    """Answers as a head does that wants `token`; without one, to anybody."""

    def __init__(self, method: str, token: str | None) -> None:
        self.method, self.token = method, token

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        shown = dict(details.invocation_metadata or ()).get("authorization")
        refused = self.token is not None and shown != f"Bearer {self.token}"

        def answer(_request: bytes, context: grpc.ServicerContext) -> bytes:
            if refused:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer) if details.method == self.method else None


@contextmanager
def serving(method: str = CHECK_ALIVE, token: str | None = None) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(1), handlers=[Head(method, token)])
    port = server.add_insecure_port("0.0.0.0:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)


@pytest.fixture(autouse=True)
def used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[bool]:
    """How often Ray was told to use a token; this machine has none."""
    calls: list[bool] = []
    monkeypatch.setattr(reach, "use_token", lambda: calls.append(True))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    return calls


def test_a_head_is_reachable(used: list[bool]) -> None:
    with serving() as address:
        check_reachable(address)
        check_reachable(f"ray://{address}")
    assert used == []


@pytest.mark.parametrize("keep", ["environment", "file"])
def test_a_token_that_this_machine_has_is_used(
    used: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str
) -> None:
    if keep == "file":
        (tmp_path / "token").write_text(f"{TOKEN}\n")
    else:
        monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    with serving(token=TOKEN) as address:
        check_reachable(address)
    assert used == [True]


def refused(address: str, reason: str) -> None:
    with pytest.raises(InputError) as told:
        check_reachable(address)
    line = str(told.value)
    assert line.startswith(f"ray.address={address}: {reason}")
    assert "\n" not in line


def test_a_head_that_wants_a_token_which_nobody_has(tmp_path: Path) -> None:
    with serving(token=TOKEN) as address:
        refused(address, "this Ray wants a token: export RAY_AUTH_MODE=token and RAY_AUTH_TOKEN=<its token>")
        (tmp_path / "token").write_text("another")
        refused(address, f"this Ray refuses the token of {tmp_path / 'token'}")


def test_another_service_is_no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(method="/another.Service/Method") as address:
        refused(address, "what answers there takes no jobs")
    monkeypatch.setattr(reach, "_ANSWER_SECONDS", 1.0)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    refused(f"ray://127.0.0.1:{server.server_port}", "what answers there is no Ray")
    server.shutdown()


def closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    "address", [closed, lambda: f"ray://{closed()}", lambda: "no-such-host.invalid:6379", lambda: "somewhere"]
)
def test_where_nothing_answers(address: Callable[[], str]) -> None:
    refused(address(), "no Ray can be joined there (")
