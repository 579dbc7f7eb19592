"""The rows of TP2-DETR's tables as settings, as docs/tp2detr.md gives them."""

from typing import Any

# Of Table 1, a row is its pyramid; of Table 3, its salience heads.
ROWS: dict[str, dict[str, Any]] = {
    "Table 1, direct downsampling": {"pyramid": "direct"},
    "Table 1, CNN-based (basic)": {"pyramid": "convolution"},
    "Table 1, CNN-based (enhanced)": {"pyramid": "sgp"},
    "Table 1, Transformer-based": {},
    "Table 3, 2nd head on TFPN, CNN per scale, max fusion": {"salience_head": "cnn_max"},
    "Table 3, 2nd head on TFPN, CNN per scale, mean fusion": {"salience_head": "cnn_mean"},
    "Table 3, 2nd head on TFPN, CNN per scale, adaptive fusion": {"salience_head": "cnn_adaptive"},
    "Table 3, single head on encoder, unified MLP": {"salience_on": "encoder"},
    "Table 3, 2nd head on TFPN, both unified MLP": {},
}

# Table 4: detector, settings of the model, deep supervision.
TABLE_4: dict[str, tuple[str, dict[str, Any], bool]] = {
    "Table 4, baseline (Deformable DETR)": ("deformable_detr", {}, False),
    "Table 4, + Transformer-based TFPN": ("tp2detr", {"salience_on": "none"}, False),
    "Table 4, + deep supervision": ("tp2detr", {"salience_on": "none"}, True),
    "Table 4, + early supervision": ("tp2detr", {}, True),
}

# The other readings of docs/tp2detr.md, and combinations of settings.
OTHERS: dict[str, dict[str, Any]] = {
    "the paper's transformer": {"stem": "paper", "downsampling": "after"},
    "the paper's SGP": {"pyramid": "sgp", "stem": "paper", "downsampling": "after", "sgp_kernel": 3},
    "the released convolutions": {"pyramid": "convolution", "stem": "released"},
    "learned alpha": {"alpha": 1e-4, "learnable_alpha": True},
    "two heads": {"share_salience_head": False, "salience_upsampling": "linear"},
    "two sets of CNNs": {"share_salience_head": False, "salience_head": "cnn_adaptive"},
    "CNNs on the encoder": {"salience_on": "encoder", "salience_head": "cnn_max"},
    "direct, without salience heads": {"pyramid": "direct", "salience_on": "none"},
}
