"""What jobs print is what there is: brackets and colons in paths and names are no markup."""

import io

import pytest
from rich.console import Console

from pipeline.job import Job, show_help, terminal
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


def test_the_console_of_jobs_prints_anything(capsys: pytest.CaptureFixture[str]) -> None:
    terminal().print(PATH)
    terminal().rule(PATH)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == PATH
    assert PATH in printed[1]


def test_help_shows_keys_defaults_and_meanings(capsys: pytest.CaptureFixture[str]) -> None:
    def train(config: TrainConfig) -> Summary:
        """Train [quickly]."""

    show_help(Job("train", TrainConfig, train), terminal(), [], "raytad train")
    shown = capsys.readouterr().out
    assert shown.startswith("raytad train key=value ...\n\nTrain [quickly].\n")
    lines = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line.strip()}
    assert lines["optimiser.drop_epochs"][0] == "[30]"
    assert lines["store"][0] == "required"


def test_help_is_of_the_presets_that_are_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    def train(config: TrainConfig) -> Summary:
        """Train."""

    def told(*words: str, status: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            Job("train", TrainConfig, train).main([*words, "--help"])
        said = capsys.readouterr()
        assert ended.value.code == status
        return said.out + said.err

    assert "loss.salience.weight" not in told()
    assert "[mlp, cnn_max, cnn_mean, cnn_adaptive]" in told("model=tp2detr", "optimiser.lr=1")
    assert "model=tp3: no such model" in told("model=tp3", status=2)
