"""Whether there is a Ray at an address, asked before it is joined: Ray itself tries for minutes."""

import os
from pathlib import Path

import grpc

from pipeline.cluster.insides import AUTH_MODE, CHECK_ALIVE, head_of, use_token
from pipeline.cluster.knock import CLIENT, PORTS, knock, no_ray
from pipeline.errors import InputError

_ANSWER_SECONDS = 8.0
_TOKEN, _TOKEN_FILE = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


def check_reachable(address: str) -> None:
    """Ask for the Ray at an address (`host:port`, `ray://host:port` or `auto`) within seconds.

    Where it wants a token that this machine has, Ray is told to use it.

    Raises:
        InputError: there is none, something else is there, or it wants another token.
    """
    client = address.startswith(CLIENT)
    try:
        place = address.removeprefix(CLIENT) if client else head_of(address)
    except (ConnectionError, ValueError) as error:
        raise no_ray(address, error) from error
    knock(address, found=place)
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return  # whose certificates Ray will look at
    with grpc.insecure_channel(place) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=_ANSWER_SECONDS)
        except grpc.FutureTimeoutError as error:
            raise InputError(f"ray.address={address}: what answers there is no Ray; {PORTS}") from error
        if not client:
            _check_answer(address, channel)


def _check_answer(address: str, channel: grpc.Channel) -> None:
    status = _ask(channel, None)
    if status is grpc.StatusCode.UNAUTHENTICATED:
        token, source = _stored_token()
        if not token:
            raise InputError(
                f"ray.address={address}: this Ray wants a token: export {AUTH_MODE}=token and {_TOKEN}=<its token>, or "
                f"keep it in {source}"
            )
        status = _ask(channel, token)
        if status is grpc.StatusCode.UNAUTHENTICATED:
            raise InputError(f"ray.address={address}: this Ray refuses the token of {source}")
        use_token()
    if status is grpc.StatusCode.UNIMPLEMENTED:
        raise InputError(f"ray.address={address}: what answers there takes no jobs; {PORTS}")


def _ask(channel: grpc.Channel, token: str | None) -> grpc.StatusCode:
    """How the head answers; what else may be wrong with it is Ray's to find out."""
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    try:
        channel.unary_unary(CHECK_ALIVE)(b"", timeout=_ANSWER_SECONDS, metadata=metadata)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def _stored_token() -> tuple[str, str]:
    """The token that Ray would use, or "", and where it is kept."""
    if token := os.environ.get(_TOKEN, "").strip():
        return token, _TOKEN
    file = Path(os.environ.get(_TOKEN_FILE) or Path.home() / ".ray" / "auth_token")
    try:
        return file.read_text().strip(), str(file)
    except OSError:
        return "", str(file)
