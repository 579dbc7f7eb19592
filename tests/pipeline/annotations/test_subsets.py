"""Subsets under all their spellings, and never one for another."""

import pyarrow as pa
import pytest

from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA, Annotations
from pipeline.annotations.settings import DatasetConfig
from pipeline.annotations.subsets import find_subset


def found(there, train, test):
    rows = [{"video_id": name, "subset": name} for name in there]
    annotations = Annotations(
        pa.Table.from_pylist(rows, VIDEOS_SCHEMA), INSTANCES_SCHEMA.empty_table(), labels=()
    )
    dataset = DatasetConfig(annotations="x", train_subset=train, test_subset=test)
    return find_subset(train, annotations, dataset), find_subset(test, annotations, dataset)


@pytest.mark.parametrize(
    ("there", "names", "expected"),
    [
        (["training", "validation", "testing"], ("training", "validation"), ("training", "validation")),
        (["train", "val"], ("training", "validation"), ("train", "val")),  # GAP's ActivityNet
        (["Validation", "Test"], ("val", "test"), ("Validation", "test")),  # ActionFormer's THUMOS14
        (["Training", "Testing"], ("train", "test"), ("Training", "Testing")),
        # OpenTAD's THUMOS14 calls the test videos validation.
        (["training", "validation"], ("val", "test"), ("val", "test")),
        (["training", "validation"], ("training", "validation"), ("training", "validation")),
        (["val", "validation"], ("val", "validation"), ("val", "validation")),
    ],
)
def test_spellings(there, names, expected):
    assert found(there, *names) == expected
