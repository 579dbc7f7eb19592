"""Runs compared from what lies in their folders: grouping, figures by hand, layouts, and what has no run."""

import csv
import io
import json
import logging
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.comparison.groups import Comparison, Group, compare
from pipeline.comparison.published import published_beside_runs
from pipeline.comparison.run import compare_runs
from pipeline.comparison.runs import find_runs, read_run
from pipeline.comparison.settings import CompareConfig
from pipeline.errors import InputError


def write_run(
    folder: Path,
    settings: Mapping[str, Any],
    maps: Sequence[float | None],
    metrics: Mapping[str, Any] | None = None,
) -> str:
    """A run whose epochs ended with these det-mAPs, and whose predictions were scored so."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"run": str(folder), **settings}))
    rows = [
        {"epoch": epoch, "total": 1 / epoch}
        | ({} if score is None else {"det_map": score, "det_map_0.5": score / 2})
        for epoch, score in enumerate(maps, 1)
    ]
    (folder / "epochs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    if metrics is not None:
        (folder / "predictions").mkdir()
        (folder / "predictions" / "metrics.json").write_text(json.dumps(metrics))
    return str(folder)


def settings(dim: int, seed: int, workers: int = 1) -> dict[str, Any]:
    return {"model": {"dim": dim}, "seed": seed, "workers": workers}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two widths with two seeds each, one of them on more workers, which does not matter."""
    write_run(tmp_path / "a", settings(128, 1), [0.1, 0.5, 0.4])
    write_run(tmp_path / "b", settings(128, 2, workers=4), [0.2, None, 0.6])
    write_run(tmp_path / "c", settings(256, 1), [0.1, 0.2, 0.3])
    write_run(tmp_path / "d", settings(256, 2), [0.1, 0.2, 0.3])
    return tmp_path


def compared(folder: Path, epoch: str = "last") -> Comparison:
    found = [read_run(url, epoch) for url in find_runs([str(folder)])]  # type: ignore[arg-type]
    return compare([run for run in found if run], ["run", "workers"])


def means(groups: Sequence[Group], score: str) -> list[float]:
    return [group.scores[score].mean for group in groups]


def test_rows_are_the_settings_that_differ_and_seeds_are_averaged(runs: Path) -> None:
    found = compared(runs)
    assert [group.name for group in found.groups] == ["model.dim=128", "model.dim=256"]
    assert [len(group.runs) for group in found.groups] == [2, 2]
    spread = found.groups[0].scores["det_map.average"]
    assert spread.mean == pytest.approx(0.5)
    assert spread.deviation == pytest.approx(statistics.stdev([0.4, 0.6]))
    assert means(found.groups, "det_map.0.5") == pytest.approx([0.25, 0.15])


def test_the_best_epoch_counts_when_it_is_asked_for(runs: Path) -> None:
    assert means(compared(runs, "best").groups, "det_map.average") == pytest.approx([0.55, 0.3])


def test_scores_of_predictions_count_where_all_have_them(tmp_path: Path) -> None:
    scored = {"det_map": {"0.5": 0.7, "average": 0.6}, "per_class": {"a": {"0.5": 0.1}}, "num_truths": 3}
    write_run(tmp_path / "a", settings(8, 1), [0.1], scored)
    write_run(tmp_path / "b", settings(16, 1), [0.2])
    assert compared(tmp_path).source == "validation"
    (tmp_path / "b" / "predictions").mkdir()
    (tmp_path / "b" / "predictions" / "metrics.json").write_text(json.dumps(scored))
    found = compared(tmp_path)
    assert found.source == "predictions"
    assert found.scores == ["det_map.0.5", "det_map.average"]


def test_without_any_validation_losses_are_compared(tmp_path: Path) -> None:
    write_run(tmp_path / "a", settings(8, 1), [None, None])
    found = compared(tmp_path)
    assert found.source == "losses"
    assert means(found.groups, "loss") == [0.5]


def test_what_is_written_is_what_was_compared(runs: Path) -> None:
    out = runs / "comparison"
    summary = compare_runs(CompareConfig(runs=(f"{runs}/[a-d]",), out=str(out)))
    assert (summary.total, summary.done) == (4, 4)
    table = (out / "compare.md").read_text().splitlines()
    assert table[2:] == [
        "| model.dim | runs | mAP@0.5 | mAP |",
        "|---|---:|---:|---:|",
        "| 128 | 2 | **25.00 ± 7.07** | **50.00 ± 14.14** |",
        "| 256 | 2 | 15.00 ± 0.00 | 30.00 ± 0.00 |",
    ]
    rows = list(csv.DictReader(io.StringIO((out / "compare.csv").read_text())))
    assert [row["model.dim"] for row in rows] == ["128", "256"]
    assert float(rows[0]["det_map.average mean"]) == pytest.approx(0.5)
    assert rows[1]["runs"] == f"{runs}/c {runs}/d"
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_an_epoch_is_left_out_by_name(runs: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_run(runs / "e", settings(512, 1), [])
    with caplog.at_level(logging.WARNING):
        summary = compare_runs(CompareConfig(runs=(str(runs),)))
    assert (summary.done, summary.skipped) == (4, 1)
    assert f"{runs}/e: has no epoch that is done" in caplog.text


def test_what_is_no_run_is_told(runs: Path) -> None:
    (runs / "empty").mkdir()
    with pytest.raises(InputError, match=r"runs=.*/empty: no run there"):
        find_runs([str(runs / "empty")])
    with pytest.raises(InputError, match=r"runs=.*/nothing\*: no run there"):
        find_runs([str(runs / "nothing*")])
    (runs / "a" / "epochs.jsonl").write_text('{"epoch": 1')
    with pytest.raises(InputError, match=r"a/epochs\.jsonl: damaged"):
        read_run(str(runs / "a"), "last")


def test_runs_have_published_scores_of_what_they_are_scored_on_beside_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def config(dataset: str, agnostic: bool = False) -> dict[str, Any]:
        zero_shot = {"lists": "thumos14_50" if agnostic else None, "seen_fraction": None}
        return {"dataset": {"name": dataset, "zero_shot": zero_shot}, "class_agnostic": agnostic}

    write_run(tmp_path / "of_one" / "a", config("multithumos") | {"seed": 1}, [0.4])
    write_run(tmp_path / "of_one" / "b", config("multithumos") | {"seed": 2}, [0.5])
    table = published_beside_runs(compared(tmp_path / "of_one"))
    assert table is not None
    systems, averages = list(table.columns[0].cells), list(table.columns[-2].cells)
    assert [str(systems[-1]), averages[-1]] == ["all", "45.00"]
    assert "DualDETR" in {str(one) for one in systems}

    # Proposals of unseen classes, though the same dataset has supervised rows.
    write_run(tmp_path / "split" / "a", config("thumos14", agnostic=True), [0.4])
    table = published_beside_runs(compared(tmp_path / "split"))
    assert table is not None
    assert "class-agnostic" in str(table.title)
    assert {"BMN", "EffPrompt"}.isdisjoint({str(one) for one in table.columns[0].cells})
    # Named by words: of classes, so of another kind.
    metrics = {"det_map": {"0.5": 0.2, "average": 0.2}, "class_agnostic": False}
    write_run(tmp_path / "named" / "a", config("thumos14", agnostic=True), [0.4], metrics)
    table = published_beside_runs(compared(tmp_path / "named"))
    assert table is not None
    assert "EffPrompt" in {str(one) for one in table.columns[0].cells}

    write_run(tmp_path / "of_one" / "c", config("charades"), [0.5])
    with caplog.at_level(logging.WARNING):
        assert published_beside_runs(compared(tmp_path / "of_one")) is None
    assert "no scores of one dataset" in caplog.text
