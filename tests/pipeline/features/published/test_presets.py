"""Every preset of published features composes and says all that must be said."""

import pytest

from pipeline.compose import compose_config, group_options
from pipeline.errors import InputError
from pipeline.features.published.settings import ImportFeaturesConfig


@pytest.mark.parametrize("preset", group_options("features"))
def test_presets_are_complete(preset: str) -> None:
    config = compose_config(
        "import_features", ImportFeaturesConfig, ["source=/s", "store=/t", f"features={preset}"]
    )
    assert config.name != "published"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["id_pattern=("], r"id_pattern=\(: must be a regular expression"),
        (["second_source=/s"], "second_source is the same as source"),
        (["layout=ct"], "layout=ct: must be 'time_channel' or 'channel_time'"),
        (["features=nope"], r"features=nope: no such features; choose from activitynet_i3d, .*tsu_i3d"),
    ],
)
def test_mistakes_are_one_line_each(words: list[str], message: str) -> None:
    given = ["source=/s", "store=/t", "timeline.fps=null", "timeline.stride=4", "timeline.window=16"]
    with pytest.raises(InputError, match=message) as caught:
        compose_config("import_features", ImportFeaturesConfig, [*given, *words])
    assert "\n" not in str(caught.value)
