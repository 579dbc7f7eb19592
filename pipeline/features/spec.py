"""FeatureSpec: what made the features, and the digest by which checkpoints recognise them."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.differences import differences
from pipeline.features.timeline import Timeline
from pipeline.records import DamagedRecordError, parse_record


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
        """Read `to_json`'s form. Raises DamagedRecordError naming the file `name` where it is something else."""
        values = parse_record(content, name, dict[str, Any], "a feature specification")
        try:
            return cls(
                **(values | {"timeline": Timeline(**values["timeline"])})
            )  # as written: digests are of texts
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedRecordError(f"{name}: damaged, not a feature specification ({error})") from error

    def differences(self, other: "FeatureSpec") -> list[str]:
        """One text for each field in which `other` differs: `timeline.stride: 8 here, 4 there`."""
        return [
            f"{key}: {mine} here, {theirs} there"
            for key, (mine, theirs) in differences(asdict(self), asdict(other)).items()
        ]
