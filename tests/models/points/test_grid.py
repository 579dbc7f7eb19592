import torch

from models.detection import DetectorOutput, PointPrediction, SetPrediction, decode
from models.points.grid import as_output, grid, level_lengths


def test_points_stand_on_every_second_token_from_level_to_level() -> None:
    lengths = level_lengths(2304, 6)
    assert lengths == (2304, 1152, 576, 288, 144, 72)
    place, stride = grid(lengths, torch.device("cpu"))
    assert len(place) == len(stride) == 4536
    assert place[2304:2307].tolist() == [0, 2, 4]
    assert stride[[0, 2304, -1]].tolist() == [1, 2, 32]
    assert level_lengths(5, 3) == (5, 3, 2)


def points(per_class: bool) -> PointPrediction:
    """Two levels of a sample of three tokens, and one of padding."""
    logits = torch.tensor([[[2.0, 0], [1, 3], [0, 0], [9, 9], [4, -1], [-3, 2]]])
    distances = torch.tensor([[[1.0, 2], [0, 0], [0.5, 1], [5, 5], [0.25, 0.5], [1, 0]]])
    if per_class:
        distances = torch.stack((distances, distances.flip(-1)), dim=2)
    return PointPrediction(
        logits, distances, torch.tensor([[False, False, False, True, False, False]]), (4, 2)
    )


def test_segments_are_parts_of_the_valid_tokens() -> None:
    output = as_output(points(per_class=False))
    # Token t of 3 lies at (t + 0.5) / 3, and a stride of level 1 is two tokens.
    expected = torch.tensor([[-0.5, 2.5], [1.5, 1.5], [2, 3.5], [-1.5, 8.5], [0, 1.5], [0.5, 2.5]]) / 3
    torch.testing.assert_close(output.final.segments[0], expected)
    assert output.final.valid.tolist() == [[True, True, True, False, True, True]]
    torch.testing.assert_close(as_output(points(per_class=True)).final.segments[0, :, 0], expected)


def test_the_best_of_each_level_are_decoded_and_none_of_padding() -> None:
    for per_class in (False, True):
        (found,) = decode(as_output(points(per_class)), top_k=1)
        # Of level 0 the second token's class 1 would be the best, but has no length.
        assert found.labels.tolist() == [0, 0]
        torch.testing.assert_close(found.scores, torch.tensor([4.0, 2.0]).sigmoid())
        torch.testing.assert_close(found.segments, torch.tensor([[0, 0.5], [0, 2.5 / 3]]))
    (found,) = decode(as_output(points(True)), top_k=100)
    assert len(found.scores) == 8
    assert (found.scores.diff() <= 0).all()
    row = found.scores.tolist().index(torch.tensor(2.0).sigmoid().item())
    segment = {0: [0, 2.5 / 3], 1: [1.5 / 3, 1]}[int(found.labels[row])]
    torch.testing.assert_close(found.segments[row], torch.tensor(segment))


def test_what_is_less_sure_than_asked_is_left_out() -> None:
    (found,) = decode(as_output(points(False)), top_k=100, min_score=0.6)
    assert (found.scores >= 0.6).all()
    assert len(found.scores) == 3
    plain = DetectorOutput(
        (SetPrediction(torch.tensor([[[0, 1.0]]]), torch.zeros(1, 1, 1), torch.ones(1, 1) > 0),)
    )
    assert [len(decode(plain, 5, least)[0].scores) for least in (0.0, 0.5, 0.51)] == [1, 1, 0]
