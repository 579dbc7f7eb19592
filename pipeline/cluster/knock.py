"""Whether anything listens at an address, asked without importing Ray, which takes seconds."""

import re
import socket

from pipeline.errors import InputError

PORTS = "a head listens on 6379 for jobs, on 10001 for ray://; 8265 is the dashboard, for ray job submit"
CLIENT = "ray://"
_CONNECT_SECONDS = 5.0
_PLACE = re.compile(r"(?P<host>[\w.-]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d+)")


def knock(address: str, found: str | None = None) -> None:
    """Raise InputError where nothing listens at `address`, or it is none.

    Args:
        address: as the command gives it; `auto` and `local` are for Ray to find, and pass.
        found: what Ray has found `auto` to be.
    """
    if found is None and address in ("auto", "local"):
        return
    place = _PLACE.fullmatch(found or address.removeprefix(CLIENT))
    if place is None:
        raise no_ray(address, ValueError("Invalid address format; it is host:port, ray://host:port or auto"))
    try:
        socket.create_connection((place["host"].strip("[]"), int(place["port"])), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise no_ray(address, error) from error


def no_ray(address: str, error: Exception) -> InputError:
    """What to say where no Ray can be reached."""
    reason = " ".join(str(error).split())
    return InputError(f"ray.address={address}: no Ray can be joined there ({reason}); {PORTS}")
