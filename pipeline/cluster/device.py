"""The device on which a process computes."""

import logging

import ray
import torch

logger = logging.getLogger(__name__)


def given_device() -> torch.device:
    """The GPU that Ray gave to this actor, else its CPU; outside Ray the GPU where there is one.

    A GPU that Ray counts and torch cannot use is warned of, and costs time instead of the job.
    """
    given = not ray.is_initialized() or bool(ray.get_gpu_ids())  # Ray 2.60 hides them from nobody
    if given and torch.cuda.is_available():
        return torch.device("cuda")
    if given and ray.is_initialized():
        logger.warning(
            "this node gives a GPU that torch %s cannot use, so its CPU computes; the image needs a torch with CUDA, "
            "and the node a driver that is new enough",
            torch.__version__,
        )
    return torch.device("cpu")
