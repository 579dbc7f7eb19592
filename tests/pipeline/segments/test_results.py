"""`results/`: the same segments in every form, and nothing of earlier ones."""

import csv
import json
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.segments.read import read_segments
from pipeline.segments.results import remove_results, write_results
from pipeline.segments.tables import ordered
from pipeline.segments.threshold import ScoreThreshold
from tests.pipeline.evaluation.cases import segments_table

ROWS = [
    ("w", 0, 1, "run", 0.25),
    ("a/b", 2, 3, "jump", 0.5),
    ("w", 5, 6, "run", 0.75),
    ("../up", 1, 2, "run", 0.9),
]
THRESHOLD = ScoreThreshold(0.4, "min_score")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_each_video_has_its_subtitles_and_all_segments_are_in_the_tables(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    write_results(str(folder), segments_table(ROWS), THRESHOLD, video_ids=["w", "empty"])
    (escaped,) = (name for name in files(folder) if "up" in name)
    assert files(folder) == {"segments.csv", "activitynet.json", "w.vtt", "a/b.vtt", "empty.vtt", escaped}
    assert files(tmp_path) == {f"results/{name}" for name in files(folder)}
    assert (folder / "w.vtt").read_text().count("-->") == 1
    assert "run 0.75" in (folder / "w.vtt").read_text()
    assert "jump 0.5" in (folder / "a" / "b.vtt").read_text()
    assert "run 0.9" in (folder / escaped).read_text()
    assert "-->" not in (folder / "empty.vtt").read_text()
    with open(folder / "segments.csv", newline="") as stream:
        assert [row["video_id"] for row in csv.DictReader(stream)] == ["../up", "a/b", "w", "w"]
    assert json.loads((folder / "activitynet.json").read_text())["results"]["empty"] == []
    back = read_segments(str(folder / "activitynet.json"))
    assert ordered(back).equals(ordered(segments_table(ROWS)))


def test_written_again_they_say_what_there_is_now_and_other_files_stay(tmp_path: Path) -> None:
    folder = str(tmp_path)
    write_results(folder, segments_table(ROWS), THRESHOLD)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "own.vtt").write_text("mine, too")
    write_results(folder, segments_table(ROWS[:1]), ScoreThreshold(0.1, "min_score"))
    assert files(tmp_path) == {"segments.csv", "activitynet.json", "w.vtt", "notes.txt", "own.vtt"}
    assert "run 0.25" in (tmp_path / "w.vtt").read_text()
    remove_results(folder)
    assert files(tmp_path) == {"notes.txt", "own.vtt"}
    remove_results(str(tmp_path / "nothing"))


@pytest.mark.parametrize("writes", range(5))
def test_a_kill_leaves_nothing_that_is_not_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    write_results(str(tmp_path), segments_table(ROWS[:2]), THRESHOLD)
    left = iter(range(writes))
    write = storage.write_bytes

    def killed(url: str, content: bytes) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        write(url, content)

    monkeypatch.setattr(storage, "write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        write_results(str(tmp_path), segments_table(ROWS[2:]), THRESHOLD, video_ids=["new"])
    monkeypatch.undo()
    remove_results(str(tmp_path))
    assert files(tmp_path) == set()


def test_a_file_of_somebody_elses_is_written_over_and_says_nothing_of_ours(tmp_path: Path) -> None:
    (tmp_path / "activitynet.json").write_text('{"results": 7}')
    write_results(str(tmp_path), segments_table(ROWS[:1]), THRESHOLD)
    assert files(tmp_path) == {"segments.csv", "activitynet.json", "w.vtt"}


def test_they_are_written_to_object_storage(s3_server: str) -> None:
    folder = f"{s3_server}/results"
    write_results(folder, segments_table(ROWS), THRESHOLD)
    assert read_segments(f"{folder}/activitynet.json").num_rows == 4
    write_results(folder, segments_table(ROWS[:1]), THRESHOLD)
    assert read_segments(f"{folder}/activitynet.json").num_rows == 1
