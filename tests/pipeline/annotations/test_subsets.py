"""Subsets under all their spellings, and never one for another."""

import logging

import pyarrow as pa
import pytest

from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA, Annotations
from pipeline.annotations.settings import DatasetConfig
from pipeline.annotations.subsets import find_subset
from pipeline.errors import InputError


def found(there, train, test):
    rows = [{"video_id": name, "subset": name} for name in there]
    annotations = Annotations(
        pa.Table.from_pylist(rows, VIDEOS_SCHEMA), INSTANCES_SCHEMA.empty_table(), labels=()
    )
    dataset = DatasetConfig(annotations="/x", train_subset=train, test_subset=test)
    return find_subset(train, annotations, dataset), find_subset(test, annotations, dataset)


@pytest.mark.parametrize(
    ("there", "names", "expected"),
    [
        (["training", "validation", "testing"], ("training", "validation"), ("training", "validation")),
        (["train", "val"], ("training", "validation"), ("train", "val")),  # GAP's ActivityNet
        (["Validation", "Test"], ("val", "test"), ("Validation", "test")),  # ActionFormer's THUMOS14
        (["Training", "Testing"], ("train", "test"), ("Training", "Testing")),
        # Nothing is said, and two subsets can mean but one thing.
        (["training", "validation"], ("train", "test"), ("training", "validation")),
        (["Train", "VAL"], ("train", "test"), ("train", "VAL")),
        (["validation", "train"], ("train", "test"), ("train", "validation")),
        (["training", "validation"], ("training", "validation"), ("training", "validation")),
        (["val", "validation"], ("val", "validation"), ("val", "validation")),
    ],
)
def test_spellings(there, names, expected):
    assert found(there, *names) == expected


@pytest.mark.parametrize(
    ("there", "names", "key", "listed"),
    [
        # OpenTAD's THUMOS14 calls the test videos validation, which a configuration of val and test must not train on.
        (["training", "validation"], ("val", "test"), "train_subset", "training (1 videos), validation (1 videos)"),
        (["fold1", "fold2"], ("train", "test"), "train_subset", "fold1 (1 videos), fold2 (1 videos)"),
        (["train", "holdout"], ("train", "test"), "test_subset", "holdout (1 videos), train (1 videos)"),
        (["train", "val", "extra"], ("train", "test"), "test_subset", "extra (1 videos), train (1 videos), val (1"),
        (["test", "val"], ("train", "test"), "train_subset", "test (1 videos), val (1 videos)"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_told_with_the_subsets_there_are(there, names, key, listed):
    with pytest.raises(InputError) as caught:
        found(there, *names)
    name = names[0 if key == "train_subset" else 1]
    assert str(caught.value).startswith(
        f"dataset.annotations=/x: has no subset {name!r}; give dataset.{key}=, one of:"
    )
    assert listed in str(caught.value)


def test_a_subset_that_was_not_asked_for_by_name_is_told(caplog):
    with caplog.at_level(logging.INFO):
        found(["training", "validation"], "train", "test")
    assert "/x: has no subset test; of its two, training and validation, validation is taken" in caplog.text
