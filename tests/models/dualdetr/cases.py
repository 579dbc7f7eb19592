"""What several tests of DualDETR share: its loss, and the rows of the paper's ablations as settings."""

from typing import Any

from models.dualdetr import DualDETRLossConfig

LOSS = DualDETRLossConfig()

ROWS: dict[str, dict[str, Any]] = {
    "Table 4, instance level": {"decoding": "instance", "initialisation": "learnt"},
    "Table 4, boundary level": {"decoding": "boundary", "initialisation": "learnt"},
    "Table 4, (1) simple combine": {"decoding": "combined", "initialisation": "learnt"},
    "Table 4, (2) + two-branch": {"initialisation": "learnt"},
    "Table 4, (3) + query align": {"initialisation": "position"},
    "Table 4, (4) + joint init": {},
    "Figure 5, fully learnt queries": {"initialisation": "learnt"},
    "Figure 5, position with learnt content": {"initialisation": "position"},
    "Figure 5, full position": {"initialisation": "full_position"},
    "Figure 5, joint": {},
    "Table 5, boundary to instance": {"refinement": "boundary_to_instance"},
    "Table 5, instance to boundary": {"refinement": "instance_to_boundary"},
    "Table 5, position": {},
    "Table 5, position at the last layer": {"refine_at": "last_layer"},
    "Table 5, position and content": {"refine_contents": True},
}

# Settings beyond the tables, and combinations that the tables leave out.
OTHERS: dict[str, dict[str, Any]] = {
    "three levels": {"num_levels": 3},
    "three levels, learnt queries": {"num_levels": 3, "initialisation": "learnt"},
    "start and end as pairs": {"boundary_attention": "pairs"},
    "start and end apart": {"boundary_attention": "separate"},
    "all heads in every branch": {"branch_heads": "all"},
    "distinct proposals": {"proposal_tiou": 0.7},
    "branches read all channels": {"branch_memory": "all", "segment_pooling": True},
    "slots in the order of time": {"time_slots": True},
    "look forward twice": {"look_forward_twice": True},
    "look forward twice, late refinement": {"look_forward_twice": True, "refine_at": "last_layer"},
    "classes of both branches": {"classes_from": "both"},
    "how well segments fit": {"actionness": True},
    "means over segments": {"segment_pooling": True},
    "means over segments, one branch": {"segment_pooling": True, "decoding": "combined"},
    "contents learn from decoding": {"detach_content_init": False},
    "instance level on proposals": {"decoding": "instance"},
    "boundary level on proposals": {"decoding": "boundary"},
    "combined on proposals, refined late": {
        "decoding": "combined",
        "refine_contents": True,
        "refine_at": "last_layer",
    },
}
