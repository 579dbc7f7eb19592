import torch

from models.actionness.config import ActionnessConfig
from models.actionness.head import ActionnessHead
from models.levels import Level, flatten


def test_actionness_reads_a_segment_and_a_quarter_of_it_on_either_side() -> None:
    head = ActionnessHead(ActionnessConfig(roi_bins=4, actionness_dim=16), dim=8)
    mask = torch.zeros(1, 80, dtype=torch.bool)

    def read(changed: int) -> torch.Tensor:
        features = torch.zeros(1, 80, 8)
        features[0, changed] = 1.0
        return head(flatten([Level(features, mask)]), torch.tensor([[[0.4, 0.6]]]))

    # [0.4, 0.6] is tokens 32 to 48, and with half as much around it 28 to 52; place x lies on token x.
    nothing = read(10)
    assert [bool((read(token) == nothing).all()) for token in (27, 29, 51, 53)] == [True, False, False, True]
