from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from models.detectors import DETECTORS, build_criterion, build_detector
from models.tp2detr import TP2DETR, TP2DETRConfig, TP2DETRLossConfig
from models.tp2detr.loss import TP2DETRCriterion
from tests.models.tp2detr.cases import OTHERS, ROWS, TABLE_4
from tests.models.tp2detr.test_model import EMPTY, TARGET

DISTINCT = {str(changes): changes for changes in (*ROWS.values(), *OTHERS.values())}


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, 16, 16), torch.arange(16) >= torch.tensor([[16], [11]])


def without_gradient(model: nn.Module) -> set[str]:
    """The parameters without one; those with one must have numbers."""
    grads = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(grad is None or grad.isfinite().all() for grad in grads.values())
    return {name for name, grad in grads.items() if grad is None}


@pytest.mark.parametrize("changes", DISTINCT.values(), ids=DISTINCT)
def test_every_setting_learns(changes: dict[str, Any]) -> None:
    """Every parameter gets a gradient that is a number; the loss of a small batch falls."""
    torch.manual_seed(0)
    model = TP2DETR(TP2DETRConfig.tiny(dropout=0.0, num_levels=3, **changes), 16, 1)
    features, mask = batch()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    criterion, losses = TP2DETRCriterion(TP2DETRLossConfig()), []
    for step in range(20):
        loss = criterion(model(features, mask), [TARGET, EMPTY])
        optimizer.zero_grad()
        loss["total"].backward()
        if step == 0:
            assert without_gradient(model) == set()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append({name: value.item() for name, value in loss.items()})
    first, last = losses[0], losses[-1]
    for name in ("total", "l1", *(name for name in first if name.startswith("salience"))):
        assert last[name] < 0.8 * first[name], name


@pytest.mark.parametrize("row", TABLE_4)
def test_each_row_of_table_4_supervises_what_it_says(row: str) -> None:
    name, changes, deep = TABLE_4[row]
    torch.manual_seed(0)
    model = build_detector(DETECTORS[name].config.tiny(**changes), 16, 1)
    features, mask = batch()
    output = model(features, mask)
    criterion = build_criterion(DETECTORS[name].loss(deep_supervision=deep))
    losses = criterion(output, [TARGET, EMPTY])
    losses["total"].backward()
    idle = without_gradient(model)
    assert all("decoder.heads.0." in parameter for parameter in idle)
    assert bool(idle) == (not deep)
    assert ("class_layer0" in losses) == deep
    early = {place for place in losses if place.startswith("salience")}
    assert early == ({"salience_pyramid", "salience_encoder"} if "early" in row else set())


def test_the_documentation_gives_each_row_of_the_tables_with_its_settings() -> None:
    text = (Path(__file__).parents[3] / "docs" / "tp2detr.md").read_text()
    table = {
        cells[1].strip(): set(cells[2].replace("`", "").split()) - {"(default)"}
        for cells in (line.split("|") for line in text.splitlines())
        if len(cells) > 3
    }
    for row, changes in ROWS.items():
        assert table[row] == {f"model.{key}={value}" for key, value in changes.items()}, row
    for row, (name, changes, deep) in TABLE_4.items():
        words = {f"model.{key}={value}" for key, value in changes.items()}
        words |= {f"model={name}"} if name != "tp2detr" else set()
        words |= {"loss.deep_supervision=false"} if not deep else set()
        assert table[row] == words, row
