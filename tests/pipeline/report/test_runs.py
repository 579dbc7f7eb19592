"""Predictions as a report holds them: their order, their names, and what tells them from others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.pages import _most_of_each
from pipeline.report.runs import UNSCORED, digest_of, reported_run, run_names
from tests.pipeline.evaluation.cases import LABELS, VIDEOS, predicted_rows, segments_table, truth

KNOWN = truth([], LABELS, VIDEOS)


@pytest.mark.parametrize(
    ("urls", "names"),
    [
        (["/data/run/predictions"], ["run"]),
        (["/data/found"], ["found"]),
        (["/data/found.parquet"], ["found"]),
        (["/data/a/predictions", "/data/b/predictions"], ["a", "b"]),
        (["s3://bucket/a", "/data/b.json"], ["a", "b"]),
        (["/x/a/p", "/y/a/p/"], ["x", "y"]),
        (["/x/a/p", "/y/a/p", "/x/b/p"], ["x/a", "y/a", "x/b"]),
        (["/x/p", "/x/p"], ["1: p", "2: p"]),
        (["https://me:secret@host/a.json?key=1"], ["a"]),
    ],
)
def test_runs_are_called_by_what_tells_them_apart(urls: list[str], names: list[str]) -> None:
    assert run_names(urls) == names


@given(st.lists(predicted_rows, max_size=30))
def test_a_video_s_predictions_lie_together_best_first_whatever_their_order(rows: list) -> None:
    run = reported_run("r", "/r", segments_table(rows), KNOWN)
    turned = reported_run("r", "/r", segments_table(rows[::-1]), KNOWN)
    assert digest_of([run], VIDEOS, LABELS) == digest_of([turned], VIDEOS, LABELS)
    assert len(run.found) == len(rows)
    for number, video in enumerate(VIDEOS):
        mine = run.found[np.arange(run.first[number], run.first[number + 1])]
        assert mine.scores.tolist() == sorted((row[4] for row in rows if row[0] == video), reverse=True)
    assert (run.kinds == UNSCORED).all()
    few = run.best(np.full(len(VIDEOS), 2))
    assert np.diff(few.first).tolist() == [min(2, count) for count in np.diff(run.first)]
    last = run.of(np.array([2, 0]))
    assert np.diff(last.first).tolist() == np.diff(run.first)[[2, 0]].tolist()
    assert last.found.videos.tolist() == sorted(last.found.videos.tolist())


def test_other_predictions_have_another_digest() -> None:
    rows = [("v", 0.0, 1.0, "run", 0.5)]
    one = digest_of([reported_run("r", "/r", segments_table(rows), KNOWN)], VIDEOS, LABELS)
    other = digest_of(
        [reported_run("r", "/r", segments_table([("v", 0.0, 1.0, "run", 0.6)]), KNOWN)], VIDEOS, LABELS
    )
    assert one != other
    renamed = digest_of([reported_run("r", "/r", segments_table(rows), KNOWN)], ("a", "w", "x"), LABELS)
    assert one != renamed


@given(
    st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=1, max_size=3),
    st.integers(1, 200),
)
def test_as_many_of_each_video_are_kept_as_fit(counts: list[list[int]], most: int) -> None:
    every = [np.array(column) for column in counts]
    kept = _most_of_each(every, most)
    if kept is None:
        assert sum(map(sum, counts)) <= most
    else:
        held = sum(min(one, kept) for column in counts for one in column)
        further = sum(min(one, kept + 1) for column in counts for one in column)
        assert held <= most or kept == 1
        assert further > most
