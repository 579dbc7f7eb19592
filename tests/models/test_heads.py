from dataclasses import replace

import pytest
import torch

from models.detection import decode
from models.detectors import DETECTORS, build_detector
from models.heads import DetectionHead


def restless_head() -> DetectionHead:
    torch.manual_seed(0)
    head = DetectionHead(dim=16, num_classes=2, prior=0.1)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return head


def test_boxes_correct_the_logits_of_the_reference() -> None:
    head, content = restless_head(), torch.randn(1, 3, 16)
    centre = torch.tensor([[[0.2], [0.5], [0.9]]])
    both = torch.cat([centre, torch.tensor([[[0.1], [0.3], [0.6]]])], -1)
    correction = head.box(content)
    _, boxes = head(content, both)
    torch.testing.assert_close(boxes.logit(), both.logit() + correction)
    _, boxes = head(content, centre)
    torch.testing.assert_close(boxes[..., :1].logit(), centre.logit() + correction[..., :1])
    torch.testing.assert_close(boxes[..., 1:].logit(), correction[..., 1:])


def test_logits_and_boxes_keep_full_precision_under_autocast() -> None:
    head, content, reference = restless_head(), torch.randn(1, 3, 16), torch.full((1, 3, 2), 0.3)
    exact, exact_boxes = head(content, reference)
    with torch.autocast("cpu", torch.bfloat16):
        logits, boxes = head(content, reference)
        of_rounded, _ = head(content.bfloat16(), reference)
    assert logits.dtype == of_rounded.dtype == torch.float32
    torch.testing.assert_close(logits, exact, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(boxes, exact_boxes, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_rankings_under_autocast_have_no_ties(name: str) -> None:
    torch.manual_seed(0)
    config = DETECTORS[name].config.tiny()
    if hasattr(config, "num_queries"):
        config = replace(config, num_queries=24)
    detector = build_detector(config, 16, 40).eval()
    features, padding_mask = torch.randn(1, 64, 16), torch.zeros(1, 64, dtype=torch.bool)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        output = detector(features, padding_mask)
    scores = decode(output, top_k=200)[0].scores
    assert scores.dtype == torch.float32
    assert len(scores.unique()) > 0.95 * len(scores)


def test_every_class_starts_at_the_prior() -> None:
    head = DetectionHead(dim=16, num_classes=3, prior=0.1, width_bias=-1.0)
    logits, boxes = head(torch.zeros(1, 1, 16), torch.tensor([[[0.4]]]))
    torch.testing.assert_close(logits.sigmoid(), torch.full((1, 1, 3), 0.1))
    torch.testing.assert_close(boxes, torch.tensor([[[0.4, 0.26894142]]]))
