"""The detector by torch.compile, with few shapes to compile for."""

from typing import cast

import torch
from torch import nn

# Windows are padded to a multiple of so many snippets, so that those of any length have few shapes between them.
COMPILED_MULTIPLE = 64


def compiled(model: nn.Module) -> nn.Module:
    """The model, compiled for the shapes that it meets; after eight kinds of them torch runs it as it is."""
    return cast(nn.Module, torch.compile(model, dynamic=True))
