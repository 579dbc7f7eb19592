"""How a detector looks at videos, and what becomes of its detections."""

from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from models.detectors import DetectorConfig
from pipeline.detector.voting import VotingWeight
from pipeline.settings import Settings

Rivals = Literal["windows", "overlaps", "all"]

# Parts of a window's length: 32 and 96 of 128 snippets, the steps of GAP's windows.
_USUAL_STEPS = {"train_step": 0.25, "test_step": 0.75}


class WindowConfig(Settings):
    """How videos are cut into a detector's windows, in snippets."""

    mode: Literal["sliding", "whole", "rescale"] = Field(
        "sliding", description="sliding windows; or a video at a time: as it is, or rescaled to length"
    )
    length: PositiveInt = Field(128, description="snippets in a window; without meaning for mode=whole")
    train_step: PositiveInt = Field(  # type: ignore[assignment]
        None, description="snippets between training windows; 0.5 or 1.0 is a part of length, null is 0.25"
    )
    test_step: PositiveInt = Field(  # type: ignore[assignment]
        None, description="snippets between test windows; 0.5 or 1.0 is a part of length, null is 0.75"
    )
    train_last: Literal["shift", "pad"] = Field(
        "shift", description="last training window of a video: shifted left until full, or short and padded"
    )
    test_last: Literal["shift", "pad"] = Field("shift", description="last test window of a video, likewise")
    interpolation: Literal["nearest", "linear"] = Field(
        "nearest", description="how mode=rescale fills its rows"
    )
    min_visible: float = Field(
        0.75, gt=0, le=1, description="part of an action that a training window must show"
    )
    min_window_cover: float | None = Field(
        None,
        gt=0,
        le=1,
        description="or part of the window that the action must fill; null knows no such rule",
    )
    ends_early: bool = Field(
        False, description="let a window's [0, 1] end where its last snippet begins (released code of GAP)"
    )
    keep_empty: bool = Field(False, description="train on windows without any action, too")
    longest: PositiveInt | None = Field(
        None, description="mode=whole: most snippets predicted at once; longer videos in windows of these"
    )
    crop: PositiveInt | None = Field(
        None, description="mode=whole: most snippets that training sees of a video, cut at random"
    )
    crop_part: tuple[float, float] = Field(
        (0.9, 1.0), description="part of a video of no more than crop snippets that training sees"
    )
    crop_margin: float = Field(
        0.0, ge=0, description="snippets on either side of a crop in which actions count as seen"
    )

    @model_validator(mode="before")
    @classmethod
    def _steps_in_snippets(cls, values: Any) -> Any:
        """Steps given as part of the window's length, or not at all, become snippets: 1.0 is all of it."""
        if not isinstance(values, dict):
            return values
        length = values.get("length", cls.model_fields["length"].default)
        if not (isinstance(length, int | float) and length >= 1):
            length = 1  # which is refused by itself
        steps = {
            name: part if values.get(name) is None else values[name] for name, part in _USUAL_STEPS.items()
        }
        return values | {
            name: max(1, round(step * length)) if isinstance(step, float) and 0 < step <= 1 else step
            for name, step in steps.items()
        }

    @model_validator(mode="after")
    def _windows_leave_no_gap(self) -> "WindowConfig":
        for name in ("train_step", "test_step"):
            if self.mode == "sliding" and getattr(self, name) > self.length:
                raise ValueError(
                    f"windows.{name} ({getattr(self, name)}) must not exceed windows.length ({self.length})"
                )
        return self

    @model_validator(mode="after")
    def _parts_are_of_whole_videos(self) -> "WindowConfig":
        for name in ("longest", "crop"):
            if getattr(self, name) is not None and self.mode != "whole":
                raise ValueError(
                    f"windows.{name} ({getattr(self, name)}) needs windows.mode=whole, not {self.mode}"
                )
        shortest, longest = self.crop_part
        if not 0 < shortest <= longest <= 1:
            raise ValueError(f"windows.crop_part ([{shortest:g},{longest:g}]) must be two rising parts of 1")
        return self


class MergeConfig(Settings):
    """How the detections of overlapping windows become those of their video."""

    window_top_k: PositiveInt = Field(
        100, description="best detections of each window, or of each level of points"
    )
    min_score: float = Field(0.0, ge=0, lt=1, description="detections less sure are left out")
    min_snippets: float = Field(0.0, ge=0, description="detections of no more snippets are left out")
    video_top_k: int = Field(0, ge=0, description="best detections kept of each video; 0 keeps all")
    nms_tiou: float = Field(
        0.4, gt=0, le=1, description="of rival detections with more tIoU the best stays; 1 keeps all"
    )
    rivals: Rivals = Field(
        "windows", description="who suppress each other: of other windows; where windows overlap, too; or all"
    )
    soft_nms: PositiveFloat | None = Field(
        None, description="sigma of Gaussian soft-NMS, which lowers scores of rivals; null removes rivals"
    )
    across_classes: bool = Field(False, description="let detections of different classes suppress each other")
    voting_tiou: float | None = Field(
        None, gt=0, le=1, description="move what stays to the mean of what overlapped it by this; null: no"
    )
    voting_weight: VotingWeight = Field(
        "score_tiou", description="weight of a detection in that mean: score; or times its tIoU"
    )


class DetectorSettings(Settings):
    """What prediction needs of a run; all else in a run's settings is training's own."""

    model: DetectorConfig = Field(discriminator="name", description="a detector and its hyper-parameters")
    windows: WindowConfig = Field(default_factory=WindowConfig)  # whose steps follow its length
    merge: MergeConfig = MergeConfig()
    precision: Literal["fp32", "bf16"] = Field("fp32", description="arithmetic of the forward pass")


class MergeOverride(Settings):
    """Changes to the run's own `merge` settings; null keeps each as it was trained."""

    window_top_k: PositiveInt | None = Field(
        None, description="best detections of each window, or of each level of points"
    )
    min_score: float | None = Field(None, ge=0, lt=1, description="detections less sure are left out")
    min_snippets: float | None = Field(None, ge=0, description="detections of no more snippets are left out")
    video_top_k: int | None = Field(None, ge=0, description="best detections kept of each video; 0 keeps all")
    nms_tiou: float | None = Field(
        None,
        gt=0,
        le=1,
        description="of rival detections with more tIoU the best stays; 1 keeps all",
    )
    rivals: Rivals | None = Field(
        None, description="who suppress each other: of other windows; where windows overlap, too; or all"
    )
    soft_nms: PositiveFloat | None = Field(
        None, description="sigma of Gaussian soft-NMS, which lowers scores of rivals instead of removing them"
    )
    across_classes: bool | None = Field(
        None, description="let detections of different classes suppress each other"
    )
    voting_tiou: float | None = Field(
        None, gt=0, le=1, description="move what stays to the mean of what overlapped it by this"
    )
    voting_weight: VotingWeight | None = Field(
        None, description="weight of a detection in that mean: score; or times its tIoU"
    )

    def apply(self, merge: MergeConfig) -> MergeConfig:
        return MergeConfig.model_validate(merge.model_dump() | self.model_dump(exclude_none=True))


class WindowOverride(Settings):
    """Changes to how the run's own `windows` lie on test videos; null keeps each as it was trained.

    On the other window settings the weights depend.
    """

    test_step: PositiveInt | PositiveFloat | None = Field(
        None, description="snippets between test windows; 0.25 or 1.0 is a part of the run's windows.length"
    )
    test_last: Literal["shift", "pad"] | None = Field(
        None, description="last test window of a video: shifted left until full, or short and padded"
    )

    def apply(self, windows: WindowConfig) -> WindowConfig:
        """Raises ValidationError where the windows would leave gaps."""
        return WindowConfig.model_validate(windows.model_dump() | self.model_dump(exclude_none=True))
