"""Published scores as data: complete, flagged where they do not add up, and never beside those of another kind."""

import csv
import logging
from collections import Counter
from pathlib import Path

import pytest

from pipeline.annotations.settings import DatasetConfig
from pipeline.evaluation.evaluate import score
from pipeline.evaluation.protocols import PROTOCOLS
from pipeline.evaluation.published import (
    kind_of,
    published_beside,
    published_scores,
    published_table,
    split_of,
    tables_beside,
    thresholds_of,
)
from pipeline.evaluation.result import Evaluation
from pipeline.evaluation.settings import EvaluateConfig
from pipeline.screen import terminal
from tests.pipeline.evaluation.cases import segments_table, truth

ROOT = Path(__file__).parents[3]


def test_every_row_of_both_papers_tables_is_there() -> None:
    counts = Counter((row.source, row.table) for row in published_scores())
    # Table 1 of DualDETR: 5 of MultiTHUMOS' det-mAP, 8 of its seg-mAP, 5 of Charades' det-mAP, 10 of its seg-mAP.
    assert {key: counts[key] for key in counts if key[1]} == {
        ("DualDETR", "1"): 5 + 8 + 5 + 10, ("DualDETR", "2"): 2 + 6, ("DualDETR", "3"): 7, ("DualDETR", "4"): 6,
        ("DualDETR", "5"): 5, ("TP2-DETR", "1"): 2 * (12 + 11), ("TP2-DETR", "3"): 5, ("TP2-DETR", "4"): 4,
    }  # fmt: skip


def test_what_does_not_add_up_is_flagged_and_nothing_else() -> None:
    for row in published_scores():
        assert row.adds_up == ("average" not in row.flag), row
    flagged = {(row.system, row.split) for row in published_scores() if row.flag}
    assert flagged == {
        ("GAP (reported)", "75"), ("GAP (reproduced)", "75"), ("GAP (reproduced)", "50"), ("GAP‡", "50"),
        ("TP2-DETR: CNN per scale, adaptive", "50"),
    }  # fmt: skip


def test_scores_are_percentages_that_fall_with_the_threshold() -> None:
    for row in published_scores():
        values = [row.at[threshold] for threshold in sorted(row.at)]
        assert values == sorted(values, reverse=True), row
        assert all(0 < value < 100 for value in [*values, row.average])
        assert list(row.at) == sorted(row.at)
        assert (row.over == "") == (row.kind == "segmentation")


def test_no_row_stands_there_twice_and_the_file_is_plain() -> None:
    rows = list(csv.reader((ROOT / "benchmarks" / "published.csv").read_text().splitlines()))
    assert {len(row) for row in rows} == {13}
    assert len({tuple(row) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("kind", "systems"),
    [
        ("class-agnostic", {"TadTR‡", "GAP‡", "ActionFormer", "TP2-DETR: Transformer"}),
        ("zero-shot", {"EffPrompt", "STALE", "GAP (reported)"}),
    ],
)
def test_proposals_and_named_segments_are_never_in_one_table(kind: str, systems: set[str]) -> None:
    rows = published_beside("thumos14", "75", kind, PROTOCOLS["thumos14"].detection.thresholds)  # type: ignore[arg-type]
    found = {row.system for row in rows}
    assert systems <= found
    assert {row.kind for row in rows} == {kind}
    assert [row.average for row in rows] == sorted(row.average for row in rows)


def test_rows_are_of_the_thresholds_that_they_are_over() -> None:
    assert thresholds_of("0.3:0.1:0.7") == PROTOCOLS["thumos14"].detection.thresholds
    assert thresholds_of("0.5:0.05:0.95") == PROTOCOLS["activitynet"].detection.thresholds
    assert published_beside("thumos14", "", "detection", (0.5,)) == []
    best = published_beside("multithumos", "", "detection", PROTOCOLS["multithumos"].detection.thresholds)
    assert {"DualDETR", "ActionFormer", "TemporalMaxer"} <= {row.system for row in best}


def test_the_kind_follows_from_the_dataset_and_from_how_it_is_scored() -> None:
    plain = DatasetConfig(name="thumos14", annotations="a")
    split = DatasetConfig(name="thumos14", annotations="a", zero_shot={"lists": "thumos14_50"})
    assert kind_of(plain, False) == "detection"
    assert kind_of(split, False) == "zero-shot"
    assert kind_of(split, True) == kind_of(plain, True) == "class-agnostic"
    assert (split_of("thumos14_50"), split_of(None)) == ("50", "")


def evaluation_of(dataset: str, **changes: object) -> Evaluation:
    """The scores of one action that is found."""
    config = EvaluateConfig.model_validate(
        {"predictions": "p", "dataset": {"name": dataset, "annotations": "a"}} | changes
    )
    return score(
        segments_table([("v", 1.0, 5.0, "run", 0.9)]),
        truth([("v", 1.0, 5.0, "run")], ["run"], fps=25.0),
        config,
    )


def shown(tables: list) -> str:
    with terminal().capture() as capture:
        for table in tables:
            terminal().print(table)
    return capture.get()


def test_an_evaluation_has_published_scores_beside_its_own() -> None:
    result = evaluation_of("multithumos")
    dataset = DatasetConfig(name="multithumos", annotations="a")
    text = shown(tables_beside(result, dataset))
    assert "Published detection mAP (%) on multithumos" in text
    assert "Published segmentation mAP (%) on multithumos" in text
    assert "this evaluation" in text
    assert f"{100 * result.detection.average:.2f}" in text


def test_an_evaluation_of_another_protocol_has_none(caplog: pytest.LogCaptureFixture) -> None:
    dataset = DatasetConfig(name="multithumos", annotations="a")
    with caplog.at_level(logging.WARNING):
        assert tables_beside(evaluation_of("multithumos", thresholds=(0.5,)), dataset) == []
        assert (
            tables_beside(
                evaluation_of("tsu", protocol="charades"), DatasetConfig(name="tsu", annotations="a")
            )
            == []
        )
    assert caplog.text.count("only beside the protocol") == 2
    with caplog.at_level(logging.WARNING):
        agnostic = evaluation_of("multithumos", class_agnostic=True, metrics=("det_map",))
        assert tables_beside(agnostic, dataset) == []
    assert "no published class-agnostic score of multithumos" in caplog.text


def test_suspicious_rows_are_marked() -> None:
    rows = published_beside("thumos14", "50", "class-agnostic", PROTOCOLS["thumos14"].detection.thresholds)
    text = shown([published_table(rows, [("ours", {0.5: 0.4}, 0.36)], "t")])
    assert "29.11*" in text
    assert "36.00" in text
