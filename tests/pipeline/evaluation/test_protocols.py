"""Which dataset is scored how, and what the settings change."""

from typing import get_args

import pytest

from pipeline.compose import compose_config
from pipeline.errors import InputError
from pipeline.evaluation.protocols import PROTOCOLS, changed_settings, chosen_protocol, protocol_name
from pipeline.evaluation.settings import EvaluateConfig, ProtocolName


def settings_of(*words):
    return compose_config("evaluate", EvaluateConfig, ["predictions=/p", "dataset.annotations=/t", *words])


def test_every_name_of_the_setting_is_in_the_table():
    assert set(PROTOCOLS) == set(get_args(ProtocolName))


@pytest.mark.parametrize(
    ("dataset", "lowest", "highest", "union_epsilon", "classes", "last_of_recall"),
    [
        ("thumos14", 0.3, 0.7, 0.0, "with_truth", 1.0),
        ("multithumos", 0.1, 0.9, 1e-4, "all", 1.0),
        ("charades", 0.1, 0.9, 1e-4, "all", 0.95),
        ("tsu", 0.1, 0.9, 1e-4, "all", 0.95),
        ("activitynet", 0.5, 0.95, 0.0, "with_truth", 0.95),
        ("mine", 0.1, 0.9, 1e-4, "all", 0.95),
    ],
)
def test_a_dataset_is_scored_by_its_published_protocol(
    dataset, lowest, highest, union_epsilon, classes, last_of_recall
):
    name, protocol = chosen_protocol(settings_of(f"dataset.name={dataset}"))
    assert name == ("custom" if dataset == "mine" else dataset) == protocol_name(dataset)
    detection = protocol.detection
    assert (detection.thresholds[0], detection.thresholds[-1]) == (lowest, highest)
    assert (detection.union_epsilon, detection.classes) == (union_epsilon, classes)
    assert protocol.proposals.thresholds[-1] == last_of_recall


def test_the_settings_choose_another_protocol_and_change_it():
    config = settings_of(
        "dataset.name=multithumos",
        "protocol=activitynet",
        "metrics=[det_map]",
        "thresholds=[0.25,0.5]",
        "union_epsilon=0.5",
        "length_edges=[2,4]",
        "distinct_truths=true",
        "segmentation.fps=25",
        "segmentation.index_shift=false",
    )
    name, protocol = chosen_protocol(config)
    assert (name, protocol.metrics) == ("activitynet", ("det_map",))
    assert (protocol.detection.thresholds, protocol.detection.union_epsilon) == ((0.25, 0.5), 0.5)
    assert protocol.detection.classes == "with_truth"
    assert protocol.length_edges == (2.0, 4.0)
    assert (protocol.segmentation.fps, protocol.segmentation.stride) == (25.0, 16)
    assert protocol.segmentation.index_shift is False
    assert changed_settings(config) == (
        "thresholds",
        "union_epsilon",
        "length_edges",
        "distinct_truths",
        "segmentation.fps",
        "segmentation.index_shift",
    )
    assert changed_settings(settings_of()) == ()


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("protocol=coco", "protocol=coco: must be 'thumos14', .* or 'custom'"),
        (
            "metrics=[map]",
            "metrics.*: must be 'det_map', 'best_f1', 'seg_map', 'ar_at_an' or 'recall_by_length'",
        ),
        ("metrics=[]", "metrics.*at least one"),
        ("thresholds=[]", "thresholds.*1 to 62"),
        ("thresholds=[0.5,0.5]", "thresholds.*rising"),
        ("thresholds=[0.0,0.5]", "thresholds.*greater than 0"),
        ("thresholds=[0.5,1.5]", "thresholds.*less than or equal to 1"),
        ("length_edges=[6,3]", "length_edges.*rising"),
        ("segmentation.stride=0", "segmentation.stride=0: must be greater than 0"),
    ],
)
def test_an_impossible_setting_is_one_line(word, told):
    with pytest.raises(InputError, match=told) as error:
        settings_of(word)
    assert "\n" not in str(error.value)
