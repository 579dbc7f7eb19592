"""Settings of naming: classes in words, and how segments are compared with them."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from pipeline.settings import OptionalStoreUrl, Settings

_PLACE = "{}"  # where a phrase stands in a template


class NamingRules(Settings):
    """How segments are compared with words, whatever these are."""

    templates: tuple[str, ...] = Field(  # GAP's one prompt
        ("a video of a person doing {}",),
        description="prompts that a phrase stands in for {}; their embeddings are averaged",
        min_length=1,
    )
    split_names: bool = Field(False, description="say BaseballPitch as baseball pitch in prompts")
    none_of_these: tuple[str, ...] = Field(
        (),
        description="whole prompts of what is none of the classes; they compete with them and name nothing",
    )
    pooling: Literal["roi_align", "mean"] = Field(
        "roi_align", description="what a segment's features are: RoI-align as in GAP, or the plain mean"
    )
    bins: PositiveInt = Field(16, description="parts of a segment in roi_align")  # GAP's
    probabilities: Literal["softmax", "sigmoid", "cosine"] = Field(
        "softmax",
        description="classes compete; each against none_of_these (SigLIP: its own bias); or likeness itself",
    )
    logit_scale: PositiveFloat | None = Field(
        None, description="what similarities are multiplied by; null takes the network's own"
    )
    score_power: float = Field(
        1.0, ge=0, description="the detector's score counts with this power; 0 leaves it out"
    )
    top_k: PositiveInt = Field(100, description="(segment, class) pairs kept of a video, the best")  # GAP's
    architecture: str | None = Field(
        None,
        description="open_clip architecture of the words, for features that do not say; null asks the store",
    )
    weights: str | None = Field(
        None, description="its pretrained tag or the URL of its weight file; null asks the store"
    )

    @field_validator("templates")
    @classmethod
    def _have_one_place(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        for template in templates:
            if template.count(_PLACE) != 1:
                raise ValueError(f"{template!r} must hold {_PLACE} once, where the phrase stands")
        return templates

    @field_validator("none_of_these")
    @classmethod
    def _say_something(cls, prompts: tuple[str, ...]) -> tuple[str, ...]:
        if not all(prompt.strip() for prompt in prompts):
            raise ValueError("a prompt is empty")
        return prompts


class NamingConfig(NamingRules):
    """How segments get their classes from words that nobody trained on."""

    classes: tuple[str, ...] = Field(
        (), description="the classes: names, or one text file (a name a line) or YAML file (name: [phrases])"
    )


class OtherFeatures(Settings):
    """The features that segments are named by."""

    store: OptionalStoreUrl = Field(
        None,
        description="URL of a store of the same videos whose network knows words; null is the run's own",
    )


class NamingOfDetections(NamingConfig, OtherFeatures):
    """Naming in the command that detects; without classes segments keep those of the detector."""


class NamingOfSplits(NamingRules, OtherFeatures):
    """Naming where a split says the classes."""
