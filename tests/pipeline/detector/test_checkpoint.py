"""Checkpoints on local files and on S3: exact round trips, and no trust in half-written ones."""

import json
import re
import shutil
from dataclasses import replace

import pytest
import torch

from models.criterion import SetCriterion
from models.deformable_detr import DeformableDETRLossConfig
from models.detection import Target
from pipeline import storage
from pipeline.detector.build import build
from pipeline.detector.checkpoint import (
    CHECKPOINTS,
    TO_PREDICT,
    TO_RESUME,
    Progress,
    checkpoint_name,
    copy_tensors,
    copy_to_predict,
    load_optimiser,
    load_weights,
    read_info,
    write_checkpoint,
)
from pipeline.detector.checkpoint_search import last_checkpoint, search_checkpoints
from pipeline.detector.normalisation import NormalisedDetector
from pipeline.errors import InputError
from pipeline.training.optimisation import build_optimiser
from pipeline.training.retention import delete_outdated
from pipeline.training.settings import OptimiserConfig
from pipeline.training.step import Share, TrainStep
from pipeline.training.workers import Workers
from tests.pipeline.synthetic import LABELS, SPEC, TINY_DETECTOR

PROGRESS = Progress(epoch=3, step=12, history=({"epoch": 3, "total": 1.5, "det_map": 0.25},))
CONFIG = {"seed": 42, "optimiser": {"epochs": 5}}


@pytest.fixture(params=["local", "s3"])
def run(request: pytest.FixtureRequest, tmp_path) -> str:
    if request.param == "local":
        return str(tmp_path / "run")
    return f"{request.getfixturevalue('s3_server')}/checkpoints-{tmp_path.name}"


class Trainee:
    """A tiny detector in training."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.model: NormalisedDetector = build(TINY_DETECTOR, SPEC.dim, len(LABELS), bf16=False)
        self.optimiser = build_optimiser(self.model, OptimiserConfig(lr=1e-2))
        criterion = SetCriterion(DeformableDETRLossConfig())
        alone = Workers(rank=0, size=1, device=torch.device("cpu"))
        self.step = TrainStep(self.model, criterion, self.optimiser, alone, clip_norm=0.1)

    def learn(self, steps: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            features = torch.randn(2, 12, SPEC.dim, generator=generator)
            target = Target(torch.tensor([[0.2, 0.6]]), torch.tensor([1]))
            self.step(Share(features, torch.zeros(2, 12, dtype=torch.bool), [target, target]))

    def save(self, run: str, epoch: int) -> str:
        url = storage.join(run, CHECKPOINTS, checkpoint_name(epoch))
        write_checkpoint(
            url,
            progress=Progress(epoch, 4 * epoch, PROGRESS.history),
            labels=LABELS,
            feature_spec=SPEC,
            config=CONFIG,
            tensors=copy_tensors(self.model, self.optimiser),
        )
        return url


def weights(trainee: Trainee) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainee.model.state_dict().items()}


def test_training_goes_on_as_if_it_had_not_stopped(run: str) -> None:
    straight = Trainee(seed=0)
    straight.model.set_statistics(torch.randn(SPEC.dim), torch.rand(SPEC.dim) + 0.5)
    straight.learn(3, seed=1)
    url = straight.save(run, epoch=3)
    straight.learn(3, seed=2)

    resumed = Trainee(seed=9)
    info = read_info(url)
    load_weights(info, resumed.model)
    load_optimiser(info, resumed.model, resumed.optimiser)
    resumed.learn(3, seed=2)
    for name, tensor in weights(straight).items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_a_checkpoint_says_what_it_is(run: str) -> None:
    trainee = Trainee(seed=0)
    url = trainee.save(run, epoch=3)
    info = read_info(url)
    assert info.progress == PROGRESS
    assert info.labels == LABELS
    assert info.feature_spec == SPEC
    assert info.config == CONFIG
    assert info.digest != read_info(Trainee(seed=1).save(run, epoch=4)).digest
    assert {file.url.rsplit("/", 1)[1] for file in storage.list_files(url)} == {
        "checkpoint.json",
        "model.safetensors",
        "optimiser.safetensors",
    }


def test_the_last_checkpoint_that_was_finished_is_found(run: str) -> None:
    assert last_checkpoint(run) is None
    trainee = Trainee(seed=0)
    urls = [trainee.save(run, epoch) for epoch in (2, 9, 10, 11)]
    storage.remove(storage.join(urls[3], "checkpoint.json"))
    weight_file = storage.join(urls[2], "model.safetensors")
    storage.write_bytes(weight_file, storage.read_bytes(weight_file)[:-10])
    search = search_checkpoints(run, TO_RESUME)
    assert search.found is not None
    assert search.found.url == urls[1]
    assert [line.split(": ")[0] for line in search.damaged] == [weight_file]  # and not what was only begun


def test_checkpoints_are_ordered_by_epoch_and_copies_beside_them_are_none(tmp_path) -> None:
    trainee = Trainee(seed=0)
    urls = [trainee.save(str(tmp_path), epoch) for epoch in (99_999, 100_000)]
    shutil.copytree(urls[1], f"{urls[1]}_before")
    shutil.copytree(urls[1], f"{tmp_path}/checkpoints/epoch_200000x")
    found = last_checkpoint(str(tmp_path))
    assert found is not None
    assert found.url == urls[1]


def damage(name: str) -> None:
    """Flip the last bit of a file."""
    content = bytearray(storage.read_bytes(name))
    content[-1] ^= 1
    storage.write_bytes(name, bytes(content))


@pytest.mark.parametrize("name", ["model.safetensors", "optimiser.safetensors", "checkpoint.json"])
def test_a_damaged_checkpoint_is_passed_over_and_named(run: str, name: str) -> None:
    trainee = Trainee(seed=0)
    urls = [trainee.save(run, epoch) for epoch in (1, 2)]
    file = storage.join(urls[1], name)
    if name == "checkpoint.json":
        storage.write_bytes(file, storage.read_bytes(file)[:-10])
    else:
        damage(file)
    damaged = "damaged, not a checkpoint's description (" if name == "checkpoint.json" else "damaged ("
    search = search_checkpoints(run, TO_RESUME)
    assert search.found is not None
    assert search.found.url == urls[0]
    assert len(search.damaged) == 1
    assert search.damaged[0].startswith(f"{file}: {damaged}")
    assert last_checkpoint(run) == search.found
    # Only what is needed must be whole.
    predicts = search_checkpoints(run, TO_PREDICT).found
    assert predicts is not None
    assert predicts.url == urls[name == "optimiser.safetensors"]

    storage.remove(urls[0])
    with pytest.raises(
        InputError, match=rf"{name}: {re.escape(damaged)}.*has no other checkpoint: put the file back"
    ) as caught:
        last_checkpoint(run)
    assert "\n" not in str(caught.value)


def test_a_lost_weight_file_is_damage(tmp_path) -> None:
    url = Trainee(seed=0).save(str(tmp_path), epoch=1)
    storage.remove(storage.join(url, "model.safetensors"))
    assert "model.safetensors: missing" in search_checkpoints(str(tmp_path), TO_PREDICT).damaged[0]


def test_a_checkpoint_that_cannot_be_read_is_not_passed_over(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainee = Trainee(seed=0)
    urls = [trainee.save(str(tmp_path), epoch) for epoch in (1, 2)]
    read = storage.read_bytes

    def away(url: str) -> bytes:
        if url.startswith(urls[1]):
            raise InputError(f"{url}: cannot be read")
        return read(url)

    monkeypatch.setattr(storage, "read_bytes", away)
    with pytest.raises(InputError, match="cannot be read"):
        last_checkpoint(str(tmp_path))


def test_a_checkpoint_of_another_version_is_not_passed_over(tmp_path) -> None:
    trainee = Trainee(seed=0)
    urls = [trainee.save(str(tmp_path), epoch) for epoch in (1, 2)]
    storage.write_bytes(storage.join(urls[1], "checkpoint.json"), json.dumps({"format": 99}).encode())
    with pytest.raises(InputError, match="has format 99"):
        last_checkpoint(str(tmp_path))


def test_a_copy_predicts_when_the_checkpoint_is_gone(run: str) -> None:
    trainee = Trainee(seed=0)
    info, copy = read_info(trainee.save(run, epoch=1)), f"{run}/copy"
    copy_to_predict(info, copy)
    damage(f"{copy}/model.safetensors")
    copy_to_predict(info, copy)  # which mends it
    other = read_info(Trainee(seed=1).save(run, epoch=2))
    storage.remove(info.url)
    held = read_info(copy)
    assert (held.digest, held.progress, held.config) == (info.digest, info.progress, info.config)
    loaded = Trainee(seed=9)
    load_weights(held, loaded.model)
    for name, tensor in weights(trainee).items():
        assert torch.equal(tensor, loaded.model.state_dict()[name]), name
    copy_to_predict(held, copy)  # onto itself
    copy_to_predict(other, copy)
    assert read_info(copy).digest == other.digest
    with pytest.raises(InputError, match="not found any more"):
        copy_to_predict(info, copy)


def test_a_checkpoint_that_training_deletes_meanwhile_is_no_damage(
    run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainee = Trainee(seed=0)
    first = read_info(trainee.save(run, epoch=1))
    look = storage.list_files

    def then_training_goes_on(url: str) -> list[storage.StoredFile]:
        files = look(url)
        monkeypatch.undo()
        trainee.save(run, epoch=2)
        delete_outdated(run, Progress(2, 8, PROGRESS.history), keep=0)
        return files

    monkeypatch.setattr(storage, "list_files", then_training_goes_on)
    search = search_checkpoints(run, TO_PREDICT)
    assert search.found is not None
    assert (search.found.progress.epoch, search.damaged) == (2, ())
    with pytest.raises(
        InputError, match="not found any more, deleted by a training that goes on; run the command"
    ):
        copy_to_predict(first, f"{run}/copy")


def test_damage_is_noticed(tmp_path) -> None:
    trainee = Trainee(seed=0)
    url = trainee.save(str(tmp_path), epoch=1)
    damage(storage.join(url, "model.safetensors"))
    with pytest.raises(InputError, match=r"model\.safetensors: damaged"):
        load_weights(read_info(url), trainee.model)


def test_weights_of_another_model_do_not_fit(tmp_path) -> None:
    info = read_info(Trainee(seed=0).save(str(tmp_path), epoch=1))
    with pytest.raises(InputError, match="does not fit the model") as caught:
        load_weights(info, build(replace(TINY_DETECTOR, dim=32), SPEC.dim, len(LABELS), bf16=False))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", json.dumps({"format": 99}).encode()])
def test_what_is_no_checkpoint_is_refused(tmp_path, content: bytes) -> None:
    with pytest.raises(InputError, match="no checkpoint there"):
        read_info(str(tmp_path))
    storage.write_bytes(str(tmp_path / "checkpoint.json"), content)
    with pytest.raises(
        InputError, match=r"checkpoint\.json: (damaged, not a checkpoint's description \(|has format 99)"
    ):
        read_info(str(tmp_path))
