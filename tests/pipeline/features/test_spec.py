"""The digest changes with everything that the features depend on, and with nothing else."""

from dataclasses import replace

import pytest

from pipeline.errors import InputError
from pipeline.features.spec import FeatureSpec
from pipeline.features.timeline import Timeline

SPEC = FeatureSpec("clip", "abc", {"crop": 224, "mean": [0.5, 0.5]}, 512, Timeline(None, 8, 8))


def test_the_written_form_reads_back_with_the_same_digest() -> None:
    again = FeatureSpec.from_json(SPEC.to_json(), "spec")
    assert again == SPEC
    assert again.digest == SPEC.digest
    assert again.differences(SPEC) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"backbone": "i3d"}, "backbone"),
        ({"weights": "abd"}, "weights"),
        ({"preprocessing": {"crop": 112, "mean": [0.5, 0.5]}}, "preprocessing.crop"),
        ({"dim": 256}, "dim"),
        ({"timeline": Timeline(None, 4, 8)}, "timeline.stride"),
        ({"timeline": Timeline(30.0, 8, 8)}, "timeline.fps"),
    ],
)
def test_every_change_shows(change: dict[str, object], field: str) -> None:
    other = replace(SPEC, **change)  # type: ignore[arg-type]
    assert other.digest != SPEC.digest
    (difference,) = SPEC.differences(other)
    assert difference.startswith(f"{field}: ")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"backbone": "x"}', b'{"timeline": {"fps": 0}}'])
def test_another_file_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(InputError, match=r"store/feature_spec\.json"):
        FeatureSpec.from_json(content, "store/feature_spec.json")
