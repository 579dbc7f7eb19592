"""Evaluation in blocks of videos: the same figures, to the last bit, whatever the blocks."""

import itertools
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import parquet
from pipeline.compose import compose_config
from pipeline.errors import InputError
from pipeline.evaluation.average_recall import ACTIVITYNET_PROPOSALS, ProposalRecall, average_recall
from pipeline.evaluation.best_f1 import best_f1, best_f1_of
from pipeline.evaluation.blocks import blocks, gathered, look_over, tables_of
from pipeline.evaluation.detection_map import POINTTAD, detection_map, detection_map_of
from pipeline.evaluation.evaluate import score, score_tables
from pipeline.evaluation.indexed import index_segments
from pipeline.evaluation.position_ranking import RankedPositions
from pipeline.evaluation.ranking import Ranking, blocks_of_videos
from pipeline.evaluation.segmentation_map import DenseScores, SegmentationProtocol, segmentation_map
from pipeline.evaluation.settings import EvaluateConfig
from pipeline.segments.read import read_tables
from pipeline.segments.schema import SEGMENTS_SCHEMA
from tests.pipeline.evaluation import loop_written
from tests.pipeline.evaluation.cases import LABELS, predicted_rows, segments_table, true_rows, truth

DURATIONS = {"v": 12.0, "w": 5.0, "x": 14.0}
predictions = st.lists(predicted_rows, max_size=40)
truths = st.lists(true_rows, min_size=1, max_size=12)


def archive(seed, num_videos=40, num_predictions=2000):
    """A table and its truth: scores of one decimal, so that ties cross all borders of blocks."""
    rng = np.random.default_rng(seed)
    ids = [f"video_{index:02d}" for index in range(num_videos)]
    true = [
        (str(rng.choice(ids)), start, start + rng.uniform(1, 30), str(rng.choice(LABELS[:2])))
        for start in rng.uniform(0, 60, 150)
    ]
    found = [
        (
            str(rng.choice([*ids, "stranger"])),
            start,
            start + rng.uniform(1, 30),
            str(rng.choice(LABELS)),
            score,
        )
        for start, score in zip(
            rng.uniform(0, 60, num_predictions), rng.uniform(size=num_predictions).round(1), strict=True
        )
    ]
    return segments_table(found), truth(true, LABELS, dict.fromkeys(ids, 100.0))


@settings(max_examples=80, deadline=None)
@given(predictions, truths, st.integers(1, 7))
def test_matching_does_not_depend_on_how_many_rows_are_looked_at(found, true, rows_at_once):
    table, annotations = segments_table(found), truth(true, LABELS, DURATIONS)
    whole = detection_map(table, annotations)
    ranking = Ranking(annotations, POINTTAD.thresholds, POINTTAD.union_epsilon, rows_at_once)
    ranking.add(index_segments(table, annotations))
    parted = detection_map_of(ranking, annotations)
    assert np.array_equal(np.stack(list(whole.per_class.values())), np.stack(list(parted.per_class.values())))
    assert np.array_equal(whole.found, parted.found)
    assert best_f1_of(ranking) == best_f1(table, annotations, union_epsilon=POINTTAD.union_epsilon)
    expected = loop_written.detection_map(found, true, LABELS, POINTTAD.thresholds, POINTTAD.union_epsilon)
    np.testing.assert_allclose(list(parted.per_class.values()), expected, rtol=0, atol=1e-9)

    recall = ProposalRecall(annotations, ACTIVITYNET_PROPOSALS, rows_at_once)
    recall.add(index_segments(table, annotations))
    assert np.array_equal(recall.result().recall, average_recall(table, annotations).recall)


@settings(max_examples=80, deadline=None)
@given(predictions, truths, st.integers(1, 30), st.integers(1, 40), st.booleans(), st.booleans())
def test_segmentation_does_not_depend_on_how_many_positions_are_looked_at_or_held(
    found, true, at_once, held, shift, strict
):
    table, annotations = segments_table(found), truth(true, LABELS, DURATIONS)
    protocol = SegmentationProtocol(1.0, 1, strict_bounds=strict, index_shift=shift)
    scores = DenseScores(annotations, protocol, positions_at_once=at_once, positions_held=held)
    scores.add(index_segments(table, annotations))
    assert scores.result() == segmentation_map(table, annotations, protocol)
    expected = loop_written.segmentation_ap(found, true, DURATIONS, LABELS, 1.0, 1, strict, int(shift))
    np.testing.assert_allclose(list(scores.result().per_class.values()), expected, rtol=0, atol=1e-9)


@settings(max_examples=80, deadline=None)
@given(st.data(), st.integers(1, 60))
def test_positions_on_the_disk_rank_as_those_in_memory(data, held):
    lengths = data.draw(st.lists(st.integers(0, 12), min_size=1, max_size=9))
    kinds = st.tuples(st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.5]), st.booleans())
    videos = [data.draw(st.lists(kinds, min_size=length, max_size=length)) for length in lengths]
    missing = data.draw(st.lists(st.integers(0, 5), min_size=len(videos), max_size=len(videos)))
    # By a loop: every position with its place, those of the videos that never come among them.
    positions, place = [], 0
    with RankedPositions(held) as ranked:
        for video, left_out in zip(videos, missing, strict=True):
            scores, true = np.array([*video, (0, False)]).T[:, :-1]
            ranked.add(scores.astype(np.float32), true.astype(bool), np.zeros(1, int), np.array([place]))
            positions += [*video, *[(0.0, False)] * left_out]
            place += len(video) + left_out
        found = ranked.average_precision()
    order = sorted(range(len(positions)), key=lambda at: (-positions[at][0], at))
    true_ranks = [rank for rank, at in enumerate(order, 1) if positions[at][1]]
    expected = [number / rank for number, rank in enumerate(true_ranks, 1)]
    assert found == pytest.approx(sum(expected) / len(expected) if expected else 0.0, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 10))
def test_blocks_hold_whole_videos_whose_rows_stay_in_their_order(videos, rows_at_once):
    videos = np.array(videos, dtype=np.int64)
    parts = list(blocks_of_videos(videos, rows_at_once))
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(videos)))
    seen = [set(videos[part].tolist()) for part in parts]
    assert sum(map(len, seen)) == len(set(videos.tolist()))
    for part in parts:
        for video in set(videos[part].tolist()):
            assert np.all(np.diff(part[videos[part] == video]) > 0)
        assert len(part) < rows_at_once + max(np.bincount(videos[part]), default=0) + 1


@pytest.mark.parametrize("rows_at_once", [1, 50, 700])
def test_predictions_may_come_video_by_video(rows_at_once):
    table, annotations = archive(seed=3)
    ids = table["video_id"].to_numpy(zero_copy_only=False)
    parts = [np.flatnonzero(np.isin(ids, group)) for group in np.array_split(np.unique(ids), 6)]
    # In the order of these parts, in which equal scores then rank, too.
    ordered = table.take(pa.array(np.concatenate(parts)))
    whole = detection_map(ordered, annotations)
    ranking = Ranking(annotations, POINTTAD.thresholds, POINTTAD.union_epsilon, rows_at_once)
    recall = ProposalRecall(annotations, rows_at_once=rows_at_once)
    protocol = SegmentationProtocol(1.0, 1)
    dense = DenseScores(annotations, protocol, positions_at_once=rows_at_once)
    for rows in parts:
        for metric in (ranking, recall, dense):
            metric.add(index_segments(table.take(pa.array(rows)), annotations))
    parted = detection_map_of(ranking, annotations)
    assert np.array_equal(np.stack(list(whole.per_class.values())), np.stack(list(parted.per_class.values())))
    assert (parted.num_predictions, parted.ignored_video) == (whole.num_predictions, whole.ignored_video)
    assert np.array_equal(recall.result().recall, average_recall(ordered, annotations).recall)
    assert dense.result() == segmentation_map(ordered, annotations, protocol)


@pytest.fixture
def config():
    words = ["predictions=p", "dataset.annotations=a", "protocol=multithumos"]
    return compose_config("evaluate", EvaluateConfig, words)


@pytest.mark.parametrize("apart", [True, False])
def test_files_are_scored_as_the_table_that_they_make(tmp_path, config, apart):
    table, annotations = archive(seed=4)
    if apart:
        table = table.sort_by("video_id")
    ids = table["video_id"].to_pylist()
    cuts = [0, ids.index("video_11"), ids.index("video_30"), len(ids)] if apart else [0, 700, 1500, len(ids)]
    for number, (start, stop) in enumerate(itertools.pairwise(cuts)):
        parquet.write_table(f"{tmp_path}/segments/{number}.parquet", table.slice(start, stop - start))

    def tables(columns):
        return read_tables(str(tmp_path), columns=columns)

    assert look_over(tables, annotations).whole == apart
    found = score_tables(tables, annotations, config).to_json()
    assert found == score(table, annotations, config).to_json()
    assert found["num_predictions"]
    assert found["ignored_video"]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.integers(1, 90))
def test_small_tables_are_put_together_in_their_order(rows_of_a_table, rows):
    table, _ = archive(seed=8, num_predictions=100)
    parts = [table.slice(first, rows_of_a_table) for first in range(0, table.num_rows, rows_of_a_table)]
    found = list(
        gathered(lambda columns: (part.select(columns) for part in parts), rows)(("video_id", "score"))
    )
    assert pa.concat_tables(found).combine_chunks() == table.select(("video_id", "score")).combine_chunks()
    assert all(rows <= each.num_rows < rows + rows_of_a_table for each in found[:-1])


@pytest.mark.parametrize("rows_of_a_table", [1, 7, 60])
def test_a_file_for_each_few_predictions_is_scored_as_the_table_that_they_make(config, rows_of_a_table):
    table, annotations = archive(seed=9, num_predictions=300)
    table = table.sort_by("video_id")

    def tables(columns):
        firsts = range(0, table.num_rows, rows_of_a_table)
        return (table.slice(first, rows_of_a_table).select(columns) for first in firsts)

    assert score_tables(tables, annotations, config).to_json() == score(table, annotations, config).to_json()


def test_classes_are_left_out_of_every_block(config):
    table, annotations = archive(seed=5)
    table = table.set_column(3, SEGMENTS_SCHEMA.field("label"), pa.array(["action"] * table.num_rows))
    result = score(table, annotations, config)
    assert result.class_agnostic
    assert list(result.detection.per_class) == ["action"]
    [block] = blocks(tables_of(table), truth([], ["action"]), agnostic=True, whole=True)
    assert not block.labels.any()


def test_a_file_that_is_no_segment_table_is_named(tmp_path, config):
    table, annotations = archive(seed=6)
    parquet.write_table(f"{tmp_path}/segments/0.parquet", table)
    parquet.write_table(f"{tmp_path}/segments/1.parquet", table.drop_columns("label"))
    with pytest.raises(InputError, match=r"segments/1.parquet: no column 'label'"):
        score_tables(lambda columns: read_tables(str(tmp_path), columns=columns), annotations, config)


def test_a_threshold_of_best_f1_need_not_be_one_of_detection(config):
    table, annotations = archive(seed=7)
    result = score(table, annotations, config.model_copy(update={"thresholds": (0.3, 0.7)}))
    assert asdict(result.operating_point) == asdict(best_f1(table, annotations, union_epsilon=1e-4))
    assert list(result.to_json()["det_map"]) == ["0.3", "0.7", "average"]
