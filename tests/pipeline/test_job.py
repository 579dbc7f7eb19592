"""What jobs print is what there is: brackets and colons in paths and names are no markup."""

import importlib
import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from jobs.train import JOB as TRAIN
from pipeline import storage
from pipeline.errors import InputError
from pipeline.failures import Failure, FailureKind
from pipeline.help_page import show_help
from pipeline.outputs import check_output
from pipeline.screen import terminal
from pipeline.summary import Summary
from pipeline.training.settings import TrainConfig

PATH = "/data/[backup]/[/old]/:fire:/store"


@pytest.mark.parametrize("of_jobs", [True, False])
def test_a_summary_shows_paths_and_figures_as_they_are(
    of_jobs: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    console = terminal() if of_jobs else Console(file=io.StringIO(), width=160, emoji=False)
    summary = Summary(
        "predict",
        "videos",
        total=3,
        done=1,
        failed=2,
        outputs={"[store]": PATH},
        figures={"class [/x]": "[b]"},
    )
    summary.show(console)
    shown = capsys.readouterr().out if of_jobs else console.file.getvalue()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if "│" in line]
    assert ["failed", "2"] in cells
    assert ["class [/x]", "[b]"] in cells
    assert ["[store]", PATH] in cells


def shown_of(summary: Summary) -> list[str]:
    console = Console(file=io.StringIO(), width=160, markup=False)
    summary.show(console)
    return console.file.getvalue().splitlines()


def test_what_was_lost_is_named_under_the_summary() -> None:
    failures = [
        Failure(f"video [{n}]", None, "extract", FailureKind.TRUNCATED, f"chunk {n}\nends " + "early " * 40)
        for n in range(13)
    ]
    lines = shown_of(
        Summary("x", "videos", total=14, done=1, failed=13, failures=failures, failures_in="store=/my data/s")
    )
    named = [line for line in lines if line.startswith("video [")]
    assert len(named) == 10
    assert named[0].split()[:7] == ["video", "[0]", "truncated", "chunk", "0", "ends", "early"]
    assert all(line.rstrip().endswith("...") and len(line) < 160 for line in named)
    assert lines[-1] == "and 3 more: raytad failures 'store=/my data/s'"
    few = shown_of(
        Summary("x", "videos", total=2, done=0, failed=2, failures=failures[:2], failures_in="store=/s")
    )
    assert not any(line.startswith("and ") for line in few)


def test_what_an_earlier_job_lost_is_skipped_and_counts_as_no_loss_of_this_one() -> None:
    summary = Summary("predict", "videos", total=5, done=2, already_done=1, skipped=2)
    assert summary.exit_status == 0
    assert any("skipped" in line and "2 (lost before this job)" in line for line in shown_of(summary))
    assert not any("skipped" in line for line in shown_of(replace(summary, total=3, skipped=0)))
    with pytest.raises(ValueError, match="do not reconcile with 2 done, 1 already done, 2 skipped, 1 failed"):
        replace(summary, failed=1)
    assert replace(summary, total=6, failed=1).exit_status == 3


def test_the_console_of_jobs_prints_anything(capsys: pytest.CaptureFixture[str]) -> None:
    terminal().print(PATH)
    terminal().rule(PATH)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == PATH
    assert PATH in printed[1]


def test_help_shows_keys_defaults_and_meanings(capsys: pytest.CaptureFixture[str]) -> None:
    def train(config: TrainConfig) -> Summary:
        """Train [quickly]."""

    show_help(replace(TRAIN, run=train), terminal(), [], "raytad train")
    shown = capsys.readouterr().out
    assert shown.startswith("raytad train key=value ...\nTrain [quickly].\n\n  raytad train store=")
    needed, others = shown.split("everything else")
    assert {"run", "store", "dataset.annotations", "model="} <= {
        line.split(" ")[0] for line in needed.splitlines()
    }
    assert "optimiser.drop_epochs" not in needed
    assert "ray.address" in others
    lines = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line.strip()}
    assert lines["optimiser.drop_epochs"][0] == "[30]"
    assert lines["store"][0] == "required"


def test_help_is_of_the_presets_that_are_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    def train(config: TrainConfig) -> Summary:
        """Train."""

    def told(*words: str, status: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            replace(TRAIN, run=train).main([*words, "--help"])
        said = capsys.readouterr()
        assert ended.value.code == status
        return said.out + said.err

    assert "loss.salience.weight" not in told()
    assert "[mlp, cnn_max, cnn_mean, cnn_adaptive]" in told("model=tp2detr", "optimiser.lr=1")
    assert "model=tp3: no such model" in told("model=tp3", status=2)


OUTPUTS = {
    "extract": ("store", ["videos=/v"]),
    "import_features": ("store", ["source=/v", "features=thumos14_clip"]),
    "export_features": ("out", ["store=/s"]),
    "train": ("run", ["store=/s", "dataset.annotations=/a"]),
    "splits": ("run", ["experiment=tp2detr_thumos14_50", "store=/s", "dataset.annotations=/a"]),
    "predict": ("out", ["run=/r", "store=/s"]),
    "export_segments": ("out", ["predictions=/p", "format=csv"]),
    "report": ("out", ["predictions=/p", "dataset.annotations=/a"]),
    "demo": ("out", []),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_where_nothing_can_be_written_a_job_does_not_begin(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, words = OUTPUTS[name]
    file = tmp_path / "file"
    file.write_text("somebody's")
    job = replace(importlib.import_module(f"jobs.{name}").JOB, run=lambda _config: pytest.fail("it began"))
    for url, reason in (
        (file, "is a file; give a folder, which is made where there is none"),
        (file / "inside", f"nothing can be written there (Not a directory: {file}); give another folder"),
        (
            "/proc/nowhere",
            "nothing can be written there (No such file or directory: /proc); give another folder",
        ),
    ):
        with pytest.raises(SystemExit) as ended:
            job.main([*words, f"{key}={url}"])
        assert ended.value.code == 2
        assert capsys.readouterr().err == f"{name}: {key}={url}: {reason}\n"
    assert file.read_text() == "somebody's"


def test_looking_at_an_output_makes_nothing(tmp_path: Path, s3_server: str) -> None:
    for url in (str(tmp_path / "a" / "b"), str(tmp_path), f"{s3_server}/{tmp_path.name}/a"):
        check_output("run", url)
    assert list(tmp_path.iterdir()) == []
    assert not storage.exists(f"{s3_server}/{tmp_path.name}")
    with storage.replace_atomically(f"{s3_server}/{tmp_path.name}/a") as stream:
        stream.write(b"an object")
    with pytest.raises(InputError, match="is a file; give a folder"):
        check_output("run", f"{s3_server}/{tmp_path.name}/a")
