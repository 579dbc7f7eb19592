"""Zero-shot splits, published and generated, and what they leave of THUMOS14."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.annotations.read import read_subset
from pipeline.annotations.settings import DatasetConfig, ZeroShotConfig
from pipeline.annotations.zero_shot import generate_split, published_split, zero_shot_split
from pipeline.errors import InputError

THUMOS = DatasetConfig(
    annotations=str(Path(__file__).with_name("data") / "thumos14_zero_shot_excerpt.json"),
    train_subset="val",
    test_subset="test",
    exclude=("video_test_0000504", "video_test_0001292"),
    min_seconds=0.2667,
    zero_shot=ZeroShotConfig(lists="thumos14_50", split_id=0),
)


@pytest.mark.parametrize(
    ("lists", "seen", "unseen"),
    [
        ("thumos14_50", 10, 10),
        ("thumos14_75", 15, 5),
        ("activitynet_50", 100, 100),
        ("activitynet_75", 150, 50),
    ],
)
def test_published_lists_are_ten_different_halves_of_one_vocabulary(lists, seen, unseen):
    splits = [published_split(lists, split_id) for split_id in range(10)]
    vocabulary = {*splits[0].seen, *splits[0].unseen}
    for split in splits:
        assert (len(split.seen), len(split.unseen)) == (seen, unseen)
        assert {*split.seen, *split.unseen} == vocabulary
        assert len(vocabulary) == seen + unseen
    assert len({split.unseen for split in splits}) == 10


def test_the_first_thumos_split_is_as_published():
    assert published_split("thumos14_50", 0).unseen == (
        "BaseballPitch", "Billiards", "CleanAndJerk", "GolfSwing", "HammerThrow", "HighJump", "PoleVault",
        "SoccerPenalty", "TennisSwing", "ThrowDiscus",
    )  # fmt: skip


def test_training_sees_seen_classes_only_and_testing_unseen_ones():
    train = read_subset(THUMOS, "val")
    # ...932 shows tennis and golf swings only, which are unseen; ...201 keeps its dive but not what is ambiguous.
    assert train.videos["video_id"].to_pylist() == [
        "video_validation_0000167",
        "video_validation_0000483",
        "video_validation_0000201",
    ]
    assert train.instances.num_rows == 48 + 3 + 1
    assert "Diving" in train.labels
    assert len(train.labels) == 10

    test = read_subset(THUMOS, "test", raw=True)
    # ...718 shows basketball, which is seen; ...504 is excluded.
    assert test.videos["video_id"].to_pylist() == ["video_test_0000073"]
    assert test.instances["label"].unique().to_pylist() == ["ThrowDiscus"]
    assert not set(test.labels) & set(train.labels)


def test_without_a_split_all_classes_are_trained_and_tested_on():
    dataset = THUMOS.model_copy(update={"zero_shot": ZeroShotConfig()})
    assert read_subset(dataset, "val").videos.num_rows == 4
    assert read_subset(dataset, "test").videos.num_rows == 2
    everything = dataset.model_copy(update={"exclude": ()})
    assert read_subset(everything, "test").videos.num_rows == 3


def test_lists_of_another_dataset_are_refused():
    with pytest.raises(InputError, match="lists=activitynet_50: the annotations lack 'Applying sunscreen'"):
        zero_shot_split(("Applying cream", "Run"), ZeroShotConfig(lists="activitynet_50"))
    split = published_split("thumos14_50", 3)
    with pytest.raises(InputError, match="lists=thumos14_50: the lists lack 'Run'"):
        zero_shot_split((*split.seen, *split.unseen, "Run"), ZeroShotConfig(lists="thumos14_50", split_id=3))


vocabularies = st.integers(2, 40).map(lambda count: [f"class {number}" for number in range(count)])


@given(vocabularies, st.floats(0.01, 0.99), st.integers(0, 9), st.integers(0, 5), st.randoms())
def test_generated_splits_share_out_every_class_whatever_the_order(labels, fraction, split_id, seed, random):
    split = generate_split(labels, fraction, split_id, seed)
    assert sorted([*split.seen, *split.unseen]) == sorted(labels)
    assert split.seen
    assert split.unseen
    assert abs(len(split.seen) - fraction * len(labels)) <= 0.5 + 1e-9 or 1 in (
        len(split.seen),
        len(split.unseen),
    )
    shuffled = labels.copy()
    random.shuffle(shuffled)
    assert set(generate_split(shuffled, fraction, split_id, seed).seen) == set(split.seen)


def test_a_generated_split_is_the_same_on_every_machine():
    labels = [str(number) for number in range(1, 66)]
    split = generate_split(labels, 0.75, 0, 0)
    assert (len(split.seen), len(split.unseen)) == (49, 16)  # 48.75 rounded
    # By `printf 0/0/<class> | sha256sum`: the four lowest of the classes 1 to 65.
    assert {"50", "47", "8", "24"} <= set(split.seen)
    others = {generate_split(labels, 0.75, split_id, 0).unseen for split_id in range(10)}
    assert len(others) == 10
    assert generate_split(labels, 0.75, 0, 1) != split


def test_one_class_cannot_be_split():
    with pytest.raises(InputError, match="at least two classes"):
        generate_split(["run"], 0.5, 0, 0)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"lists": "thumos14_50", "seen_fraction": 0.5}, "either zero_shot.lists or zero_shot.seen_fraction"),
        ({"lists": "thumos14_50", "split_id": 10}, "split_id"),
        ({"lists": "kinetics"}, "lists"),
        ({"seen_fraction": 1.0}, "seen_fraction"),
    ],
)
def test_impossible_settings_are_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        ZeroShotConfig(**settings)


def test_a_zero_shot_setting_tests_on_other_videos():
    with pytest.raises(ValueError, match="must differ"):
        DatasetConfig(annotations="x", train_subset="a", test_subset="a", zero_shot={"seen_fraction": 0.5})
