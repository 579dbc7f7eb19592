"""Every detector on the demo's archive, by the commands of a user: trained, killed, trained on, predicted, evaluated.

Run by `make drill`; takes some minutes a detector.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.drills.processes import Job
from tests.jobs.commands import SMALL_RAY

_QUICK = ["optimiser.epochs=1", "optimiser.drop_epochs=[]", "windows.train_step=64", "validate_every=0"]
_KILLED_AFTER = 4  # epochs
_LEAST = 0.2  # det-mAP; what has not learnt has some hundredths
_CLASS_AGNOSTIC = ("tp2detr_tiny", "gap_tiny")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """The words that name the demo's features and truth."""
    folder = tmp_path_factory.mktemp("demo")
    job = Job(folder, "demo", f"out={folder}/out", f"words={json.dumps(_QUICK)}", *SMALL_RAY)
    assert job.wait(1500) == 0, job.said[-3000:]
    truth = f"dataset.annotations={folder}/out/videos/annotations.json"
    return [f"store={folder}/out/store", "dataset=demo", truth]


def epochs(run: Path) -> int:
    try:
        return len((run / "epochs.jsonl").read_text().splitlines())
    except FileNotFoundError:
        return 0


def finish(folder: Path, verb: str, *words: str) -> None:
    job = Job(folder, verb, *words)
    assert job.wait(1500) == 0, job.said[-3000:]
    assert "Traceback" not in job.said


def det_map(folder: Path, run: Path, given: Sequence[str], *words: str) -> float:
    """That of the run's predictions, which are made here, in a folder beside it."""
    store, *truth = given
    out = folder / f"{run.name}-found"
    finish(folder, "predict", f"run={run}", store, f"out={out}", *SMALL_RAY)
    finish(folder, "evaluate", f"predictions={out}", *truth, *words)
    return float(json.loads((out / "metrics.json").read_text())["det_map"]["average"])


@pytest.mark.parametrize(
    "model",
    [
        "deformable_detr_tiny", "dualdetr_tiny", "tp2detr_tiny", "tadtr_tiny", "actionformer_tiny",
        "temporalmaxer_tiny", "tridet_tiny", "gap_tiny",
    ],
)  # fmt: skip
def test_a_detector_is_killed_goes_on_and_finds_actions(
    tmp_path: Path, given: Sequence[str], model: str
) -> None:
    run = tmp_path / "run"
    agnostic = ["class_agnostic=true"] if model in _CLASS_AGNOSTIC else []
    words = [
        *given, "experiment=demo", f"model={model}", *agnostic, f"run={run}", "checkpoint_every=1", *SMALL_RAY,
    ]  # fmt: skip
    job = Job(tmp_path, "train", *words)
    deadline = time.monotonic() + 1500
    while epochs(run) < _KILLED_AFTER:
        assert job.process.poll() is None, job.said[-3000:]
        assert time.monotonic() < deadline, job.said[-3000:]
        time.sleep(0.2)
    job.kill()
    done = epochs(run)
    finish(tmp_path, "train", *words)
    assert done < epochs(run) == 12
    found = det_map(tmp_path, run, given, *agnostic)
    print(f"{model}: killed after {done} epochs, det-mAP {100 * found:.1f} %")
    assert found > _LEAST


def test_two_workers_find_what_one_finds(tmp_path: Path, given: Sequence[str]) -> None:
    found = {}
    for workers in (1, 2):
        run = tmp_path / f"workers_{workers}"
        words = [*given, "experiment=demo", f"workers={workers}", f"run={run}", *SMALL_RAY]
        finish(tmp_path, "train", *words)
        found[workers] = det_map(tmp_path, run, given)
    print(f"det-mAP of one and two workers: {found}")
    assert found[2] == pytest.approx(found[1], abs=0.1)  # each worker draws its own dropout
