"""From files to metrics.json."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.compose import compose_config
from pipeline.errors import InputError
from pipeline.evaluation.evaluate import evaluate, score
from pipeline.evaluation.settings import EvaluateConfig
from pipeline.failures import Failure, FailureKind, replace_failures
from pipeline.segments.completeness import Completeness, mark_complete
from pipeline.segments.read import read_segments
from pipeline.settings import output_folders
from tests.pipeline.evaluation.cases import segments_table, truth

ROWS = [("v", 0.0, 10.0, "run", 0.9), ("w", 3.0, 8.0, "jump", 0.8), ("w", 40.0, 50.0, "run", 0.1)]


@pytest.fixture
def annotations(tmp_path):
    """A file of two videos, one action in each."""
    database = {
        name: {
            "subset": "test",
            "duration": 60.0,
            "fps": 24.0,
            "annotations": [{"segment": [start, end], "label": label}],
        }
        for name, start, end, label in (("v", 0, 10, "run"), ("w", 4, 8, "jump"))
    }
    url = tmp_path / "truth.json"
    url.write_text(json.dumps({"database": database, "classes": ["run", "jump"]}))
    return str(url)


def run(annotations, predictions, name="custom", **settings):
    dataset = {"name": name, "annotations": annotations}
    return evaluate(EvaluateConfig(predictions=str(predictions), dataset=dataset, **settings))


def parquet(tmp_path, rows):
    url = tmp_path / "found.parquet"
    pq.write_table(segments_table(rows), url)
    return url


def test_metrics_json_is_beside_the_predictions_and_says_how_they_were_scored(tmp_path, annotations, capsys):
    summary = run(annotations, parquet(tmp_path, ROWS), "multithumos")
    assert summary.outputs == {"metrics": str(tmp_path / "metrics.json")}
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics) == [
        *("dataset", "subset", "protocol", "protocol_changed", "class_agnostic"),
        *("num_videos", "num_truths", "num_without_predictions", "predictions_complete"),
        *("num_predictions", "ignored_video", "ignored_label"),
        *("union_epsilon", "det_map", "per_class", "best_f1"),
        *("seg_map", "seg_fps", "seg_stride", "seg_index_shift", "seg_per_class"),
        *("ar_at_an", "auc", "recall_by_length", "truths_by_length"),
    ]
    assert (metrics["dataset"], metrics["subset"], metrics["protocol"]) == (
        "multithumos",
        "test",
        "multithumos",
    )
    assert (metrics["protocol_changed"], metrics["class_agnostic"]) == ([], False)
    assert (metrics["num_videos"], metrics["num_truths"], metrics["num_predictions"]) == (2, 2, 3)
    # run is found exactly; jump at a tIoU of 4 / 5, less a hair
    assert metrics["per_class"]["run"]["average"] == 1.0
    assert metrics["per_class"]["jump"]["average"] == pytest.approx(7 / 9)
    assert metrics["det_map"]["average"] == pytest.approx(8 / 9)
    # with the third, which hits nothing, precision would be 2 / 3
    assert metrics["best_f1"] == {"tiou": 0.5, "threshold": 0.8, "precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert metrics["seg_fps"] == 10.0
    assert metrics["recall_by_length"]["0-3 s"] is None
    assert metrics["recall_by_length"]["3-6 s"]["0.7"] == 1.0
    assert metrics["truths_by_length"]["6-12 s"] == 1
    assert summary.figures["average detection mAP"] == "88.89 %"
    assert "protocol multithumos" in capsys.readouterr().out


def test_videos_without_predictions_are_counted_and_told(tmp_path, annotations, caplog):
    summary = run(annotations, parquet(tmp_path, [row for row in ROWS if row[0] == "v"]))
    assert json.loads((tmp_path / "metrics.json").read_text())["num_without_predictions"] == 1
    assert summary.figures["videos without predictions"] == "1 of 2"
    assert "1 of the 2 scored videos have no prediction" in caplog.text
    caplog.clear()
    summary = run(annotations, parquet(tmp_path, ROWS))
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["num_without_predictions"], metrics["predictions_complete"]) == (0, None)
    assert "videos without predictions" not in summary.figures
    assert caplog.text == ""


def test_videos_that_earlier_jobs_lost_are_skipped_by_name(tmp_path, annotations):
    out = tmp_path / "out"
    (out / "segments").mkdir(parents=True)
    pq.write_table(segments_table(ROWS[:1]), out / "segments" / "a.parquet")
    lost = Failure("w", None, "predict", FailureKind.MISSING_FEATURES, "truncated: it ends early")
    replace_failures(f"{out}/failures/predict.parquet", [lost, replace(lost, video_id="of another subset")])
    summary = run(annotations, out)
    assert (summary.total, summary.done, summary.skipped, summary.exit_status) == (2, 1, 1, 0)
    assert summary.failures == [lost]
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["num_videos"], metrics["per_class"]["jump"]["average"]) == (
        2,
        0.0,
    )  # not found, all the same


def test_a_folder_that_predict_has_not_finished_is_told(tmp_path, annotations, caplog):
    for name in ("predictions", "segments"):
        (tmp_path / name).mkdir()
        pq.write_table(segments_table(ROWS), tmp_path / name / "part.parquet")
    summary = run(annotations, tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["predictions_complete"] is False
    assert summary.figures["predictions"] == "not complete: predict has not come to its end"
    assert f"predictions={tmp_path}: predict has not come to its end there" in caplog.text
    mark_complete(str(tmp_path), Completeness(2, 2, 0))
    caplog.clear()
    summary = run(annotations, tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["predictions_complete"] is True
    assert "predictions" not in summary.figures
    assert caplog.text == ""
    (tmp_path / "complete.json").write_text("{")
    with pytest.raises(InputError, match=r"complete\.json: damaged, not predict's record; run predict again"):
        run(annotations, tmp_path)


def test_only_the_metrics_asked_for_are_reported_and_changes_are_named(tmp_path, annotations):
    out = str(tmp_path / "other")
    run(annotations, parquet(tmp_path, ROWS), metrics=("ar_at_an",), thresholds=(0.5,), out=out)
    metrics = json.loads((tmp_path / "other" / "metrics.json").read_text())
    assert metrics["protocol_changed"] == ["thresholds"]
    assert not {"det_map", "best_f1", "seg_map", "recall_by_length"} & metrics.keys()
    assert metrics["ar_at_an"]["100"] == pytest.approx((10 + 7) / 20)  # of ten thresholds: all, and .5 to .8


def test_out_is_a_folder_and_the_file_that_it_once_was_is_told():
    words = ["predictions=/p", "dataset.annotations=/a", "out=/p/metrics.json"]
    with pytest.raises(InputError) as error:
        compose_config("evaluate", EvaluateConfig, words)
    assert str(error.value) == (
        "out=/p/metrics.json: is the name of a file; give the folder, in which it is called metrics.json"
    )
    assert output_folders(compose_config("evaluate", EvaluateConfig, [*words[:2], "out=/p/scores"])) == {
        "out": "/p/scores"
    }


def test_class_names_are_printed_as_they_are(tmp_path, annotations, capsys):
    content = Path(annotations).read_text().replace('"run"', '"[/old] run"')
    (tmp_path / "odd.json").write_text(content)
    found = parquet(tmp_path, [("v", 0.0, 10.0, "[/old] run", 0.9)])
    run(str(tmp_path / "odd.json"), found)
    assert "│ [/old] run │" in capsys.readouterr().out
    assert (tmp_path / "metrics.json").exists()


def test_results_json_goes_out_and_comes_back_to_the_same_numbers(tmp_path, annotations):
    exported = tmp_path / "results.json"
    summary = run(annotations, parquet(tmp_path, ROWS), results_json=str(exported))
    assert summary.outputs["results"] == str(exported)
    before = json.loads((tmp_path / "metrics.json").read_text())
    marked = json.loads(exported.read_text())
    marked["results"] = {f"v_{name}": found for name, found in marked["results"].items()}
    exported.write_text(json.dumps(marked))
    run(annotations, exported)
    assert json.loads((tmp_path / "metrics.json").read_text()) == before


def test_class_agnostic_predictions_are_scored_without_classes(tmp_path, annotations):
    found = parquet(tmp_path, [(*row[:3], "action", row[4]) for row in ROWS])
    run(annotations, found, "thumos14")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["class_agnostic"] is True
    assert metrics["det_map"]["average"] == 1.0
    with pytest.raises(InputError, match=r"label values \('action'\) none is a class .* class_agnostic=true"):
        run(annotations, found, "thumos14", class_agnostic=False)


def test_classes_are_left_out_on_request(tmp_path, annotations):
    swapped = {"run": "jump", "jump": "run"}
    found = parquet(tmp_path, [(*row[:3], swapped[row[3]], row[4]) for row in ROWS])
    for class_agnostic, expected in ((None, 0.0), (True, 1.0)):
        run(annotations, found, "thumos14", class_agnostic=class_agnostic)
        metrics = json.loads((tmp_path / "metrics.json").read_text())
        assert metrics["det_map"]["average"] == expected


def test_predictions_of_another_dataset_are_an_error_and_none_are_not(tmp_path, annotations):
    with pytest.raises(InputError, match=r"video_id values \('far'\) none is a video of subset 'test'"):
        run(annotations, parquet(tmp_path, [("far", 0, 1, "run", 0.5)]))
    with pytest.raises(InputError, match=r"label values \('fly'\) none is a class"):
        run(annotations, parquet(tmp_path, [("v", 0, 1, "fly", 0.5)]))
    run(annotations, parquet(tmp_path, []))
    assert json.loads((tmp_path / "metrics.json").read_text())["det_map"]["average"] == 0.0


def test_seg_map_without_a_rate_is_told_with_its_remedy():
    config = EvaluateConfig(
        predictions="/p", dataset={"name": "custom", "annotations": "/t"}, metrics=("seg_map",)
    )
    with pytest.raises(InputError, match=r"give segmentation.fps="):
        score(segments_table(ROWS), truth([("v", 0, 1, "run")], ["run", "jump"]), config)


@pytest.mark.parametrize("name", ["missing", "empty_folder", "text.parquet"])
def test_what_holds_no_segments_is_one_line(tmp_path, name):
    (tmp_path / "empty_folder").mkdir()
    (tmp_path / "text.parquet").write_text("not a table")
    with pytest.raises(InputError, match=name) as error:
        read_segments(str(tmp_path / name))
    assert "\n" not in str(error.value)
