"""FeatureSpec: what made the features, and the digest by which checkpoints recognise them."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.errors import InputError
from pipeline.features.timeline import Timeline


@dataclass(frozen=True)
class FeatureSpec:
    """Everything that the numbers in a store depend on, and nothing else.

    Attributes:
        backbone: name of the network, such as `clip_vit_b16`.
        weights: digest of its parameters.
        preprocessing: what happens to a frame before the network (sizes, normalisation, sampling), as plain values.
        dim: width of a snippet's vector.
        timeline: where the snippets lie in time.
    """

    backbone: str
    weights: str
    preprocessing: dict[str, Any]
    dim: int
    timeline: Timeline

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON form: equal digests mean interchangeable features."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def to_json(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, content: bytes, name: str) -> "FeatureSpec":
        """Read `to_json`'s form. Raises InputError naming the file `name` where it is something else."""
        try:
            values = json.loads(content)
            return cls(**(values | {"timeline": Timeline(**values["timeline"])}))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{name}: not a feature specification ({error})") from error

    def differences(self, other: "FeatureSpec") -> list[str]:
        """One text for each field in which `other` differs: `timeline.stride: 8 here, 4 there`."""
        mine, theirs = _flat(asdict(self)), _flat(asdict(other))
        return [
            f"{key}: {mine.get(key)} here, {theirs.get(key)} there"
            for key in sorted(mine.keys() | theirs.keys())
            if mine.get(key) != theirs.get(key)
        ]


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat
