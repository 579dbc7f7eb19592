"""What a pyramid lets one choose, for configs, which import no torch."""

from typing import Literal

# Where in a block of a pyramid the resolution is halved: "before" the tokens are mixed or "after" everything else.
Downsampling = Literal["before", "after"]
# Groups of channels that SGP normalises.
NORM_GROUPS = 16
