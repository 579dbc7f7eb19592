"""The hyper-parameters of DualDETR, every row of its ablations among them, and of its loss."""

from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from models.actionness.config import ActionnessConfig, ActionnessLossConfig
from models.hyperparameters import check_fields, hyperparameter
from models.loss_config import SegmentForm, TermWeights


@dataclass(frozen=True, kw_only=True)
class DualDETRConfig(ActionnessConfig):
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

    name: Literal["dualdetr"] = hyperparameter("dualdetr", meaning="the detector")
    # Unstated; PointTAD's, and the paper's GFLOPs fit it.
    dim: int = hyperparameter(512, meaning="channels of a token")
    num_heads: int = hyperparameter(8, meaning="attention heads")  # unstated; follows Deformable DETR
    # Unstated; heads of the encoder's width: with all of them, a start query of 32 channels would have heads of four.
    branch_heads: Literal["share", "all"] = hyperparameter(
        "share",
        meaning="heads of a branch: the share of num_heads that it has of the channels, or all of them",
    )
    # Unstated; follows Deformable DETR.
    ffn_ratio: int = hyperparameter(
        4, meaning="hidden channels of feed-forward blocks for each channel of a branch"
    )
    # Unstated; follows Deformable DETR, and the paper's GFLOPs fit it.
    encoder_layers: int = hyperparameter(6, meaning="layers of the encoder")
    # Unstated; follows Deformable DETR, and the paper's GFLOPs fit it.
    decoder_layers: int = hyperparameter(6, meaning="layers of the decoder")
    # The paper's encoder has one; several follow Deformable DETR.
    num_levels: int = hyperparameter(
        1, meaning="levels of the features, each at half the rate of the one before"
    )
    # Unstated; follows Deformable DETR.
    num_points: int = hyperparameter(4, meaning="sampling points of each head and level")
    # Unstated; a window of MultiTHUMOS holds up to 125 actions (Charades, TSU: 60).
    num_queries: int = hyperparameter(150, meaning="proposals of a window")
    dropout: float = hyperparameter(
        0.1, meaning="dropout of the encoder"
    )  # unstated; follows Deformable DETR
    # Unstated; follows Deformable DETR.
    decoder_dropout: float = hyperparameter(0.1, meaning="dropout of the decoder")
    # Unstated; follows Deformable DETR (bias -log 99).
    class_prior: float = hyperparameter(0.01, meaning="probability of every class at the start")
    # Unstated; the median action of a MultiTHUMOS window (Charades: 0.3).
    base_duration: float = hyperparameter(
        0.05, meaning="duration that proposals correct, part of the window; doubles with each level"
    )
    # Unstated; follows Deformable DETR.
    border_margin: float = hyperparameter(
        0.01, meaning="no proposals this near the window's ends, part of it"
    )
    decoding: Literal["instance", "boundary", "combined", "two_branch"] = hyperparameter(
        "two_branch", meaning="which levels are decoded, and how (Table 4)"
    )
    initialisation: Literal["learnt", "position", "full_position", "joint"] = hyperparameter(
        "joint", meaning="what queries start from (Table 4, Figure 5)"
    )
    # Unstated; follows DINO.
    detach_content_init: bool = hyperparameter(True, meaning="let decoding not teach the proposals' tokens")
    # Unstated; follows the text's one boundary-level decoder: start and end queries see each other.
    boundary_attention: Literal["joint", "pairs", "separate"] = hyperparameter(
        "joint", meaning="start and end queries see each other, only as pairs, or not at all"
    )
    refinement: Literal["parallel", "boundary_to_instance", "instance_to_boundary"] = hyperparameter(
        "parallel", meaning="which level corrects which first (Table 5)"
    )
    refine_at: Literal["every_layer", "last_layer"] = hyperparameter(
        "every_layer", meaning="from which layer on branches go on from what they agree on (Table 5)"
    )
    refine_contents: bool = hyperparameter(False, meaning="let contents correct each other, too (Table 5)")
    # Beyond the paper, as DDQ-DETR's distinct queries.
    proposal_tiou: float = hyperparameter(
        1.0, meaning="no two proposals of a window overlap by more than this tIoU; 1 lets them"
    )
    # Beyond the paper, whose classes are the instance query's.
    classes_from: Literal["instance", "both"] = hyperparameter(
        "instance", meaning="the branches whose contents tell the class"
    )

    # Beyond the paper, which partitions the encoder's channels (3.5).
    branch_memory: Literal["share", "all"] = hyperparameter(
        "share", meaning="channels of the encoded features that a branch reads: its own share, or all"
    )
    # Beyond the paper, as the places that learnt queries come to stand for.
    time_slots: bool = hyperparameter(
        False, meaning="let a learned vector tell each query its proposal's place in the order of time"
    )
    # Beyond the paper, as in DINO.
    look_forward_twice: bool = hyperparameter(
        False, meaning="let each layer's segments also teach the corrections of the layer before"
    )
    # Beyond the paper, as RoI pooling in proposal-based detectors.
    segment_pooling: bool = hyperparameter(
        False,
        meaning="let queries also read the mean of the features over their segment, or beside their end",
    )
    # Beyond the paper, as in TadTR.
    actionness: bool = hyperparameter(
        False, meaning="weigh scores by how well a segment seems to fit an action"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.dim % 8:
            raise ValueError(f"dim={self.dim} must be a multiple of 8 (a quarter of it takes sine positions)")
        narrowest = self.dim // 4 if self.decoding == "two_branch" else self.dim
        if self.decoding == "two_branch" and self.branch_heads == "share":
            if self.num_heads % 4:
                raise ValueError(
                    f"num_heads={self.num_heads} must be a multiple of 4, or branch_heads='all': a start query "
                    "has a quarter of the channels"
                )
            if self.dim % self.num_heads:
                raise ValueError(
                    f"num_heads={self.num_heads} must divide {self.dim} channels (dim={self.dim})"
                )
        elif narrowest % self.num_heads:
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
        if not 0 < self.proposal_tiou <= 1:
            raise ValueError(f"proposal_tiou={self.proposal_tiou} must lie in (0, 1]")
        if not 0 <= self.border_margin < 0.25:  # the tokens of a window of two stand at 0.25 and 0.75
            raise ValueError(f"border_margin={self.border_margin} must lie in [0, 0.25)")
        self.check_actionness()
        self._refuse_settings_without_effect()

    def _refuse_settings_without_effect(self) -> None:
        """An ablation that changes nothing would be reported as one that does not matter."""
        single_level = self.decoding in ("instance", "boundary")
        needs = {
            "refinement": (single_level, "both levels"),
            "refine_at": (single_level, "both levels"),
            "refine_contents": (single_level, "both levels"),
            "boundary_attention": (self.decoding != "two_branch", "decoding='two_branch'"),
            "branch_memory": (self.decoding != "two_branch", "decoding='two_branch'"),
            "time_slots": (self.initialisation != "joint", "initialisation='joint'"),
            "branch_heads": (self.decoding != "two_branch", "decoding='two_branch'"),
            "classes_from": (single_level, "both levels"),
            "detach_content_init": (self.initialisation != "joint", "initialisation='joint'"),
            "proposal_tiou": (self.initialisation == "learnt", "proposals"),
        }
        defaults = {field.name: field.default for field in fields(self)}
        for name, (missing, what) in needs.items():
            if missing and getattr(self, name) != defaults[name]:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} needs {what}, not decoding={self.decoding!r} with "
                    f"initialisation={self.initialisation!r}"
                )

    def heads(self, width: int) -> int:
        """The attention heads of a stream of `width` channels."""
        return self.num_heads if self.branch_heads == "all" else self.num_heads * width // self.dim

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """A model small enough for tests; `changes` overrides single fields."""
        small = {
            "dim": 32,
            "num_heads": 8,
            "ffn_ratio": 2,
            "encoder_layers": 1,
            "decoder_layers": 2,
            "num_queries": 8,
        }
        return cls(**(small | changes))


@dataclass(frozen=True, kw_only=True)
class DualDETRLossConfig(ActionnessLossConfig):
    """DualDETR's loss (3.6)."""

    name: Literal["dualdetr"] = hyperparameter("dualdetr", meaning="the detector whose loss it is")
    match: TermWeights = hyperparameter(
        TermWeights(classification=6.0, l1=5.0, tiou=2.0), meaning="weights of the matching cost"
    )
    loss: TermWeights = hyperparameter(
        TermWeights(classification=2.0, l1=5.0, tiou=2.0), meaning="weights of the loss"
    )
    l1_form: SegmentForm = hyperparameter("start_end", meaning="what the L1 distance compares")
