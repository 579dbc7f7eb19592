from typing import Any

import pytest

from models.tp2detr import TP2DETRConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_queries": 0}, "num_queries=0 must be at least 1"),
        ({"num_heads": 5}, "num_heads=5 must divide dim=32"),
        ({"window": 8}, "window=8 must be odd"),
        ({"window": -1}, "window=-1 must be at least 1"),
        ({"pyramid": "sgp", "sgp_kernel": 2}, "sgp_kernel=2 must be odd"),
        ({"pyramid": "sgp", "dim": 24}, "dim=24 must be a multiple of 16 with pyramid='sgp'"),
        ({"pyramid": "fpn"}, "pyramid='fpn' must be one of direct, convolution, sgp, transformer"),
        ({"stem": "none"}, "stem='none' must be one of auto, paper, released"),
        ({"downsampling": "inside"}, "downsampling='inside' must be one of before, after"),
        ({"salience_on": "pyramid"}, "salience_on='pyramid' must be one of none, encoder, both"),
        ({"salience_head": "cnn"}, "salience_head='cnn' must be one of mlp, cnn_max"),
        ({"salience_upsampling": "cubic"}, "salience_upsampling='cubic'"),
    ],
)
def test_impossible_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TP2DETRConfig.tiny(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pyramid": "direct", "downsampling": "after"}, "downsampling='after' needs pyramid='sgp' or"),
        ({"pyramid": "convolution", "downsampling": "after"}, "needs pyramid='sgp' or 'transformer', not"),
        ({"pyramid": "sgp", "alpha": 0.5}, r"alpha=0\.5 needs pyramid='transformer'"),
        ({"pyramid": "sgp", "learnable_alpha": True}, "learnable_alpha=True needs pyramid='transformer'"),
        ({"sgp_kernel": 3}, "sgp_kernel=3 needs pyramid='sgp'"),
        ({"salience_on": "none", "salience_head": "cnn_max"}, "salience_head='cnn_max' needs salience_on="),
        ({"salience_on": "encoder", "share_salience_head": False}, "needs salience_on='both'"),
    ],
)
def test_settings_that_would_change_nothing_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TP2DETRConfig.tiny(**changes)


def test_what_differs_between_datasets_may_stand_where_nothing_uses_it() -> None:
    config = TP2DETRConfig.tiny(
        pyramid="direct", salience_on="none", window=17, salience_upsampling="linear", stem="released"
    )
    assert config.window == 17
