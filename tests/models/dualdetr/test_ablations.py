from pathlib import Path
from typing import Any

import pytest
import torch

from models.detectors import build_criterion
from models.dualdetr import DualDETR, DualDETRConfig
from tests.models.dualdetr.cases import LOSS, OTHERS, ROWS
from tests.models.dualdetr.test_model import EMPTY, TARGET

DISTINCT = {str(changes): changes for changes in (*ROWS.values(), *OTHERS.values())}


@pytest.mark.parametrize("changes", DISTINCT.values(), ids=DISTINCT)
def test_every_setting_learns(changes: dict[str, Any]) -> None:
    """Every parameter gets a gradient that is a number; the loss of a small batch and its distances fall."""
    torch.manual_seed(0)
    model = DualDETR(DualDETRConfig.tiny(dropout=0.0, decoder_dropout=0.0, **changes), 16, 3)
    mask = torch.arange(16) >= torch.tensor([[16], [11]])
    features, targets = torch.randn(2, 16, 16), [TARGET, EMPTY]
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    criterion, losses = build_criterion(LOSS), []
    for step in range(40):
        loss = criterion(model(features, mask), targets)
        optimizer.zero_grad()
        loss["total"].backward()
        if step == 0:
            for name, parameter in model.named_parameters():
                assert parameter.grad is not None, name
                assert parameter.grad.isfinite().all(), name
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append((loss["total"].item(), loss["l1"].item()))
    first, first_l1 = losses[0]
    last, last_l1 = (sum(recent) / 10 for recent in zip(*losses[-10:], strict=True))
    assert last < first / 2
    assert last_l1 < 0.7 * first_l1


def test_the_documentation_gives_each_row_of_the_ablations_with_its_settings() -> None:
    text = (Path(__file__).parents[3] / "docs" / "dualdetr.md").read_text()
    table = {
        cells[1].strip(): cells[2]
        for cells in (line.split("|") for line in text.splitlines())
        if len(cells) > 3
    }
    for row, changes in ROWS.items():
        words = {f"model.{key}={str(value).lower()}" for key, value in changes.items()}
        assert set(table[row].replace("`", "").split()) - {"(default)"} == words, row
