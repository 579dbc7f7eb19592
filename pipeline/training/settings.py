"""Settings of training."""

from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from models.detectors import DetectorLossConfig
from pipeline.annotations.settings import DatasetConfig
from pipeline.cluster.settings import RayConfig
from pipeline.detector.settings import DetectorSettings
from pipeline.settings import OutputFolder, Settings, StoreUrl, force

# Where and with what a run is computed may change; what is computed may not. `store` is held to its digest.
MAY_CHANGE = frozenset(
    {
        "run", "store", "dataset.annotations", "workers", "cpus_per_worker", "gpus_per_worker", "labels", "cache_mb",
        "compile",
        "optimiser.accumulate", "validate_every", "checkpoint_every", "checkpoint_minutes", "keep_checkpoints",
        "max_failures", "max_preemptions", "track", "force", "ray",
    }
)  # fmt: skip

# Hyper-parameters of point detectors and of their loss, which must agree.
_OF_BOTH = ("num_levels", "regression_per_class")


class OptimiserConfig(Settings):
    """AdamW with parameter groups and a step schedule."""

    lr: PositiveFloat = Field(1e-4, description="learning rate")
    slow_factor: PositiveFloat = Field(
        0.1, description="factor on lr for reference points and sampling offsets"
    )
    pyramid_lr: PositiveFloat | None = Field(
        None, description="learning rate of a temporal feature pyramid; null is lr"
    )
    weight_decay: float = Field(1e-4, ge=0, description="AdamW's weight decay")
    decay_on: Literal["all", "weights"] = Field(
        "all", description="what decays: all; weights of linear layers and convolutions alone"
    )
    epochs: PositiveInt = Field(35, description="passes over the training windows")
    drop_epochs: tuple[PositiveInt, ...] = Field(
        (30,), description="epochs after which lr is multiplied by drop_factor"
    )
    drop_factor: PositiveFloat = Field(0.1, description="factor on lr at each drop")
    cosine_epochs: PositiveInt | None = Field(
        None, description="let lr fall to 0 by a cosine until this epoch; null falls at drop_epochs"
    )
    warmup_steps: int = Field(0, ge=0, description="steps over which lr rises linearly from 0")
    warmup_epochs: int = Field(0, ge=0, description="or epochs over which it does, in every step")
    clip_norm: PositiveFloat | None = Field(0.1, description="clip the gradient's norm; null does not")
    batch_size: PositiveInt = Field(16, description="windows in a step, over all workers")
    accumulate: PositiveInt = Field(
        1, description="parts in which a worker learns its windows of a step, for less memory"
    )
    ema_decay: float | None = Field(
        None, gt=0, lt=1, description="predict with a moving average of the weights; 0.999 is usual"
    )
    ema_ramp: bool = Field(True, description="let ema_decay begin low, so that short runs profit, too")

    @model_validator(mode="after")
    def _one_schedule(self) -> "OptimiserConfig":
        if self.warmup_steps and self.warmup_epochs:
            raise ValueError(
                f"optimiser.warmup_steps ({self.warmup_steps}) and warmup_epochs ({self.warmup_epochs}) are two "
                "ways to say one thing; leave one out"
            )
        if self.cosine_epochs is not None:
            last = max(self.epochs, self.warmup_epochs + 1)
            if self.cosine_epochs < last:
                raise ValueError(
                    f"optimiser.cosine_epochs ({self.cosine_epochs}) must be {last} or more, or lr is 0 before the end"
                )
        return self


class TrainConfig(DetectorSettings):
    """Settings of jobs/train.py."""

    run: OutputFolder = Field(
        description="URL of the folder for checkpoints, metrics and the resolved config"
    )
    store: StoreUrl = Field(description="URL of the feature store to train on")
    dataset: DatasetConfig
    loss: DetectorLossConfig = Field(discriminator="name", description="weights of matching and loss")
    class_agnostic: bool = Field(
        False, description="train one foreground class instead of the dataset's labels"
    )
    deduplicate: bool = Field(
        True, description="with class_agnostic, let several labels of one segment count as one action"
    )
    normalise: Literal["none", "standardise"] = Field(
        "none",
        description="standardise: each feature dimension to mean 0, deviation 1 over the training videos",
    )
    optimiser: OptimiserConfig = OptimiserConfig()
    seed: int = Field(42, ge=0, description="seed of initialisation, dropout and the order of windows")
    workers: PositiveInt | tuple[PositiveInt, PositiveInt] = Field(
        1, description="training processes; [1,4]: as many as there is room for, while it changes"
    )
    cpus_per_worker: PositiveFloat = Field(1.0, description="CPUs, and threads, of a worker")
    gpus_per_worker: float = Field(0.0, ge=0, description="GPUs of a worker; 0 trains on CPUs with gloo")
    labels: dict[str, str] | None = Field(
        None, description="Ray labels that a worker's node must have, {name: value}"
    )
    cache_mb: PositiveFloat = Field(
        4096.0, description="MiB of features that a worker keeps in memory; it reads the rest each epoch"
    )
    compile: bool = Field(
        False, description="compile the detector by torch.compile: minutes, then faster steps"
    )
    validate_every: int = Field(5, ge=0, description="epochs between validations; 0 never validates")
    validate_on: float | str = Field(
        "test",
        description="test: dataset.test_subset; 0.1: that part of the training videos; or a subset's name",
    )
    checkpoint_every: PositiveInt = Field(1, description="epochs between checkpoints")
    checkpoint_minutes: PositiveFloat | None = Field(
        15.0, description="minutes after which there is a checkpoint within an epoch, too; null makes none"
    )
    keep_checkpoints: PositiveInt = Field(1, description="best checkpoints to keep beside the last one")
    max_failures: int = Field(
        3, ge=0, description="times to start again from the last checkpoint when workers die"
    )
    max_preemptions: int | None = Field(
        None, ge=0, description="times to start again when nodes are taken away; null is without end"
    )
    track: tuple[Literal["mlflow", "wandb"], ...] = Field(
        (), description="trackers of experiments that get the curves, too; each needs its extra"
    )
    force: bool = force("run")
    ray: RayConfig = RayConfig()

    @property
    def validation_in_words(self) -> str:
        """What it is validated on, for people."""
        if isinstance(self.validate_on, float):
            return f"{100 * self.validate_on:g} % of the training videos"
        return f"subset {self.dataset.test_subset if self.validate_on == 'test' else self.validate_on}"

    @property
    def workers_between(self) -> tuple[int, int]:
        """The fewest and the most training processes."""
        return self.workers if isinstance(self.workers, tuple) else (self.workers, self.workers)

    @model_validator(mode="before")
    @classmethod
    def _loss_is_the_detectors(cls, values: Any) -> Any:
        """A loss that does not say whose it is, as in runs of earlier versions, is that of the detector."""
        if not (isinstance(values, dict) and isinstance(values.get("loss"), dict)):
            return values
        model = values.get("model")
        name = model.get("name") if isinstance(model, dict) else getattr(model, "name", None)
        return values | {"loss": {"name": name} | values["loss"]}

    @model_validator(mode="after")
    def _loss_fits_the_detector(self) -> "TrainConfig":
        if self.loss.name != self.model.name:
            raise ValueError(f"loss.name ({self.loss.name}) must be model.name ({self.model.name})")
        for name in _OF_BOTH:
            told, needed = getattr(self.loss, name, None), getattr(self.model, name, None)
            if told is not None and told != needed:
                raise ValueError(f"loss.{name} ({told}) must be model.{name} ({needed})")
        return self

    @model_validator(mode="after")
    def _each_worker_has_a_window(self) -> "TrainConfig":
        fewest, most = self.workers_between
        if fewest > most:
            raise ValueError(f"workers ([{fewest},{most}]) must be the fewest and the most")
        if self.optimiser.batch_size < most:
            raise ValueError(
                f"workers ({most}) must not exceed optimiser.batch_size ({self.optimiser.batch_size})"
            )
        return self

    @model_validator(mode="after")
    def _validates_on_a_part(self) -> "TrainConfig":
        if isinstance(self.validate_on, float) and not 0 < self.validate_on < 1:
            raise ValueError(
                f"validate_on ({self.validate_on:g}) must be a part of the training videos, such as 0.1"
            )
        return self

    @model_validator(mode="after")
    def _names_no_class_that_it_has_not_seen(self) -> "TrainConfig":
        if self.dataset.zero_shot.active and not self.class_agnostic:
            raise ValueError(
                "dataset.zero_shot needs class_agnostic=true: no output stands for an unseen class"
            )
        return self
