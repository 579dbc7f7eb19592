"""How two trees of settings differ, key by key."""

from collections.abc import Collection, Mapping
from typing import Any


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a tree under dotted keys; tuples as lists, as JSON has them."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= flat(value, f"{prefix}{key}.")
        else:
            leaves[prefix + key] = list(value) if isinstance(value, tuple) else value
    return leaves


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], ignored: Collection[str] = ()
) -> dict[str, tuple[Any, Any]]:
    """Key -> (before, now) where two trees differ, sorted by key; what is absent is None.

    Keys in `ignored`, and all below them, may differ.
    """
    mine, theirs = flat(before), flat(now)
    return {
        key: (mine.get(key), theirs.get(key))
        for key in sorted(mine.keys() | theirs.keys())
        if mine.get(key) != theirs.get(key) and not is_among(key, ignored)
    }


def is_among(key: str, groups: Collection[str]) -> bool:
    """Whether a dotted key, or one above it, is among `groups`."""
    parts = key.split(".")
    return any(".".join(parts[:depth]) in groups for depth in range(1, len(parts) + 1))
