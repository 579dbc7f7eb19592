"""The hyper-parameters of DualDETR, every row of its ablations among them."""

from dataclasses import dataclass, fields
from typing import Any, Literal, Self, get_args, get_origin


@dataclass(frozen=True, kw_only=True)
class DualDETRConfig:
    """Hyper-parameters; the defaults are DualDETR's for MultiTHUMOS.

    `decoding`, Table 4. "instance" and "boundary" are the single-level rows and "combined" is row (1),
    "simple combine": an ordinary decoder over all channels, whose queries (of both levels in row (1)) attend
    to each other and share one set of weights. "two_branch" is row (2) and what follows: a decoder for each
    level, on channels of its own.

    `initialisation`, Table 4 and Figure 5. "learnt" is every row above (3): queries start from parameters,
    and nothing but its index pairs a boundary query with an instance query. "position" is row (3), "query
    align", and Figure 5's position with learnt content: the paper aligns queries by the proposal that they
    match, and a common start is the one thing that can tie them to it. "full_position" is Figure 5's: the
    content, too, is made of the proposal's position. "joint" is row (4).

    `refinement`, `refine_at` and `refine_contents`, Table 5. The sequential rows update the level that is
    named first, then the other from the updated one, which is also the prediction. "last_layer" lets each
    branch go on from its own positions; what a layer predicts (and is supervised on) is refined all the same.
    """

    num_classes: int = 65  # MultiTHUMOS; otherwise the data's
    input_dim: int = 2048  # 4.1: two-stream I3D; otherwise the features'
    dim: int = 512  # unstated; PointTAD's, and the paper's GFLOPs fit it
    num_heads: int = 8  # unstated; follows Deformable DETR
    ffn_ratio: int = 4  # unstated; follows Deformable DETR: hidden channels for each channel of a branch
    encoder_layers: int = 6  # unstated; follows Deformable DETR, and the paper's GFLOPs fit it
    decoder_layers: int = 6  # unstated; follows Deformable DETR, and the paper's GFLOPs fit it
    num_levels: int = 1  # the paper's encoder has one; several, each at half the rate, follow Deformable DETR
    num_points: int = 4  # unstated; follows Deformable DETR: sampling points of each head and level
    num_queries: int = 150  # unstated; a window of MultiTHUMOS holds up to 125 actions (Charades, TSU: 60)
    dropout: float = 0.1  # unstated; follows Deformable DETR: of the encoder
    decoder_dropout: float = 0.1  # unstated; follows Deformable DETR
    class_prior: float = 0.01  # unstated; follows Deformable DETR (bias -log 99)
    # Unstated; the median action of a MultiTHUMOS window (Charades: 0.3). Doubles with each level.
    base_duration: float = 0.05
    border_margin: float = 0.01  # unstated; follows Deformable DETR: no proposals this near the window's ends
    decoding: Literal["instance", "boundary", "combined", "two_branch"] = "two_branch"  # Table 4
    initialisation: Literal["learnt", "position", "full_position", "joint"] = "joint"  # Table 4, Figure 5
    detach_content_init: bool = True  # unstated; follows DINO: decoding does not teach the proposals' tokens
    # Unstated; follows the text's one boundary-level decoder: start and end queries see each other. "pairs":
    # only as one query of both. "separate": not at all.
    boundary_attention: Literal["joint", "pairs", "separate"] = "joint"
    refinement: Literal["parallel", "boundary_to_instance", "instance_to_boundary"] = "parallel"  # Table 5
    refine_at: Literal["every_layer", "last_layer"] = "every_layer"  # Table 5
    refine_contents: bool = False  # Table 5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is int and value < 1:
                raise ValueError(f"{field.name}={value} must be at least 1")
            if get_origin(field.type) is Literal and value not in get_args(field.type):
                raise ValueError(f"{field.name}={value!r} must be one of {', '.join(get_args(field.type))}")
        if self.dim % 8:
            raise ValueError(f"dim={self.dim} must be a multiple of 8 (a quarter of it takes sine positions)")
        narrowest = self.dim // 4 if self.decoding == "two_branch" else self.dim
        if narrowest % self.num_heads:
            raise ValueError(f"num_heads={self.num_heads} must divide {narrowest} channels (dim={self.dim})")
        for name in ("dropout", "decoder_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must lie in [0, 1)")
        for name in ("class_prior", "base_duration"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must lie strictly between 0 and 1")
        longest = self.base_duration * 2.0 ** (self.num_levels - 1)
        if longest >= 1:
            raise ValueError(
                f"base_duration={self.base_duration} doubles with each of num_levels={self.num_levels} and "
                f"reaches {longest:g} of the window, which must stay below 1: lower either"
            )
        if not 0 <= self.border_margin < 0.25:  # the tokens of a window of two stand at 0.25 and 0.75
            raise ValueError(f"border_margin={self.border_margin} must lie in [0, 0.25)")
        self._refuse_settings_without_effect()

    def _refuse_settings_without_effect(self) -> None:
        """An ablation that changes nothing would be reported as one that does not matter."""
        single_level = self.decoding in ("instance", "boundary")
        needs = {
            "refinement": (single_level, "both levels"),
            "refine_at": (single_level, "both levels"),
            "refine_contents": (single_level, "both levels"),
            "boundary_attention": (self.decoding != "two_branch", "decoding='two_branch'"),
            "detach_content_init": (self.initialisation != "joint", "initialisation='joint'"),
        }
        defaults = {field.name: field.default for field in fields(self)}
        for name, (missing, what) in needs.items():
            if missing and getattr(self, name) != defaults[name]:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} needs {what}, not decoding={self.decoding!r} with "
                    f"initialisation={self.initialisation!r}"
                )

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """A model small enough for tests; `changes` overrides single fields."""
        small = {
            "num_classes": 1,
            "input_dim": 16,
            "dim": 32,
            "num_heads": 4,
            "ffn_ratio": 2,
            "encoder_layers": 1,
            "decoder_layers": 2,
            "num_queries": 8,
        }
        return cls(**(small | changes))
