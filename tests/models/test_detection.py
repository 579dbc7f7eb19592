import pytest
import torch

from models.detection import DetectorOutput, SetPrediction, decode


def output(segments: list, logits: list, valid: list) -> DetectorOutput:
    prediction = SetPrediction(torch.tensor(segments), torch.tensor(logits), torch.tensor(valid))
    return DetectorOutput(layers=(prediction,))


def test_best_pairs_of_query_and_class_first() -> None:
    (found,) = decode(
        output([[[0.1, 0.2], [0.5, 0.9]]], [[[2.0, -1.0], [1.0, 3.0]]], [[True, True]]), top_k=3
    )
    assert found.labels.tolist() == [1, 0, 0]
    torch.testing.assert_close(found.segments, torch.tensor([[0.5, 0.9], [0.1, 0.2], [0.5, 0.9]]))
    torch.testing.assert_close(found.scores, torch.tensor([3.0, 2.0, 1.0]).sigmoid())


def test_segments_are_clamped_and_those_without_length_or_validity_never_appear() -> None:
    segments = [[[-0.3, 0.4], [1.1, 1.4], [0.6, 0.5], [0.2, 0.3]], [[0.0, 0.5]] * 4]
    logits = [[[0.0], [5.0], [5.0], [5.0]], [[0.0]] * 4]
    valid = [[True, True, True, False], [False] * 4]
    first, second = decode(output(segments, logits, valid), top_k=10)
    torch.testing.assert_close(first.segments, torch.tensor([[0.0, 0.4]]))
    assert first.scores.item() == pytest.approx(0.5)
    assert len(second.scores) == len(second.labels) == len(second.segments) == 0
