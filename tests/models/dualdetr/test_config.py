from typing import Any

import pytest

from models.dualdetr import DualDETRConfig, DualDETRLossConfig
from models.loss_config import TermWeights


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_queries": 0}, "num_queries=0 must be at least 1"),
        ({"dim": 20, "num_heads": 5}, "dim=20 must be a multiple of 8"),
        ({"num_heads": 6}, r"num_heads=6 must be a multiple of 4, or branch_heads='all'"),
        ({"num_heads": 12}, r"num_heads=12 must divide 32 channels"),
        ({"num_heads": 16, "branch_heads": "all"}, r"num_heads=16 must divide 8 channels \(dim=32\)"),
        ({"branch_heads": "some"}, "branch_heads='some' must be one of share, all"),
        ({"dropout": 1.0}, r"dropout=1\.0"),
        ({"decoder_dropout": -0.1}, r"decoder_dropout=-0\.1"),
        ({"class_prior": 1.0}, r"class_prior=1\.0"),
        ({"base_duration": 0.0}, r"base_duration=0\.0"),
        (
            {"base_duration": 0.3, "num_levels": 3},
            r"base_duration=0\.3 .* num_levels=3 .* reaches 1\.2 of the window",
        ),
        ({"proposal_tiou": 0.0}, r"proposal_tiou=0\.0 must lie in \(0, 1\]"),
        ({"num_levels": 0}, "num_levels=0 must be at least 1"),
        ({"border_margin": 0.25}, r"border_margin=0\.25"),
        ({"decoding": "two"}, "decoding='two' must be one of instance, boundary, combined, two_branch"),
        ({"initialisation": "random"}, "initialisation='random' must be one of learnt,"),
        ({"boundary_attention": "none"}, "boundary_attention='none'"),
        ({"refinement": "serial"}, "refinement='serial'"),
        ({"refine_at": "never"}, "refine_at='never'"),
        ({"roi_bins": 4}, "roi_bins=4 needs actionness=true"),
    ],
)
def test_impossible_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DualDETRConfig.tiny(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decoding": "instance", "refinement": "boundary_to_instance"}, "refinement='boundary_to_instance'"),
        ({"decoding": "boundary", "refine_at": "last_layer"}, "refine_at='last_layer' needs both levels"),
        ({"decoding": "instance", "refine_contents": True}, "refine_contents=True needs both levels"),
        ({"decoding": "combined", "boundary_attention": "pairs"}, "needs decoding='two_branch'"),
        ({"decoding": "instance", "branch_heads": "all"}, "branch_heads='all' needs decoding='two_branch'"),
        ({"decoding": "instance", "classes_from": "both"}, "classes_from='both' needs both levels"),
        ({"decoding": "combined", "branch_memory": "all"}, "branch_memory='all' needs decoding='two_branch'"),
        ({"initialisation": "position", "time_slots": True}, "time_slots=True needs initialisation='joint'"),
        ({"initialisation": "learnt", "proposal_tiou": 0.7}, "proposal_tiou=0.7 needs proposals"),
        ({"initialisation": "learnt", "detach_content_init": False}, "needs initialisation='joint'"),
    ],
)
def test_settings_that_would_change_nothing_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DualDETRConfig.tiny(**changes)


def test_one_branch_may_have_more_heads_than_a_quarter_of_the_channels_allows() -> None:
    assert DualDETRConfig.tiny(num_heads=16, decoding="combined").num_heads == 16


def test_the_loss_has_the_numbers_of_the_paper() -> None:
    loss = DualDETRLossConfig()  # 3.6
    assert loss.match == TermWeights(classification=6.0, l1=5.0, tiou=2.0)
    assert loss.loss == TermWeights(classification=2.0, l1=5.0, tiou=2.0)
    assert loss.l1_form == "start_end"
