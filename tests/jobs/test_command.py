"""The command `raytad`: verbs, help, and settings without a run."""

import importlib
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import raytad
from jobs.train import JOB as TRAIN
from pipeline.compose import compose_config, preset_groups
from pipeline.keys import described_keys
from raytad.command import VERBS, main
from tests.jobs.commands import REPOSITORY, with_packages_of_our_names

WORDS = ["run=/r", "store=/s", "dataset.annotations=/a", "model=tp2detr", "optimiser.lr=3e-4"]


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int | None = 0) -> str:
    """What a command line prints; a status of None for one that returns."""
    if status is None:
        main(words)
    else:
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


def test_every_job_is_a_verb() -> None:
    files = {path.stem for path in (REPOSITORY / "jobs").glob("*.py")}
    assert set(VERBS) == files


@pytest.mark.parametrize("words", [(), ("help",), ("--help",), ("-h",)])
def test_help_names_every_verb_with_what_it_does(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    text = said(capsys, *words, status=None)
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith("  ")}
    assert list(lines) == list(VERBS)
    assert all(len(meaning) > 1 for meaning in lines.values())


def test_help_on_a_verb_is_that_of_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "help", "train", "model=tp2detr")
    assert text == said(capsys, "train", "--help", "model=tp2detr")
    assert text.startswith("raytad train key=value ...\nTrain a detector")
    assert "loss.salience.weight" in text


@pytest.mark.parametrize("verb", VERBS)
def test_help_s_example_page_and_keys_are_there(verb: str) -> None:
    job = importlib.import_module(f"jobs.{verb}").JOB
    config = compose_config(job.name, job.config_type, job._keyed(shlex.split(job.example)))
    assert isinstance(config, job.config_type)
    assert (REPOSITORY / job.page).is_file()
    presets = preset_groups(verb)
    keys = dict(described_keys(job.config_type))
    assert [key for key in job.often if key not in presets and key not in keys] == []


def test_a_verb_may_be_written_with_a_hyphen(capsys: pytest.CaptureFixture[str]) -> None:
    assert "source" in said(capsys, "import-features", "--help")


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version", status=None) == f"raytad {raytad.__version__}\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["trian"], "raytad: trian: no such verb; did you mean train?"),
        (["frobnicate"], f"raytad: frobnicate: no such verb; there are {', '.join(VERBS)}"),
        (["store=/s"], f"raytad: store=/s: no such verb; there are {', '.join(VERBS)}"),
        (["help", "evaluation"], "raytad: evaluation: no such verb; did you mean evaluate?"),
        (["config"], f"raytad: config: of which verb? {', '.join(VERBS)}"),
        (["train", *WORDS, "modle=x"], "train: modle: unknown key; did you mean model"),
        (["config", "train", *WORDS, "optimiser.lr=x"], "train: optimiser.lr=x: must be a valid number"),
    ],
)
def test_mistakes_are_a_line(capsys: pytest.CaptureFixture[str], words: list[str], line: str) -> None:
    printed = said(capsys, *words, status=2)
    assert printed.startswith(line)
    assert len(printed.splitlines()) == 1


def test_the_settings_that_words_make_can_be_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    shown = yaml.safe_load(said(capsys, "config", "train", *WORDS))
    assert shown == compose_config(TRAIN.name, TRAIN.config_type, WORDS).model_dump(mode="json")
    assert shown["optimiser"]["lr"] == 3e-4


def test_the_module_is_the_command_in_a_folder_with_packages_of_our_names(tmp_path: Path) -> None:
    for command in ([sys.executable, "-m", "raytad"], [str(Path(sys.executable).parent / "raytad")]):
        done = subprocess.run(
            [*command, "config", "train", *WORDS], capture_output=True, text=True, check=False,
            cwd=tmp_path if (tmp_path / "models").exists() else with_packages_of_our_names(tmp_path),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert yaml.safe_load(done.stdout)["store"] == "/s"
