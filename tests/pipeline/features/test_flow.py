"""Optical flow: scaled as published, right across chunk borders, the same for either way to compute it."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from torchvision import models

from pipeline.errors import InputError
from pipeline.features.backbones.backbone import Inputs
from pipeline.features.extraction.decode import FRAMES_SCHEMA
from pipeline.features.extraction.flow_stage import FLOW_SCHEMA, FlowStage, flow_stage
from pipeline.features.extraction.sampling import sample_frames
from pipeline.features.flow import flow_description
from pipeline.features.flow.raft import RAFTFlow
from pipeline.features.flow.scaling import scale_flow
from pipeline.features.flow.tvl1 import TVL1Flow
from pipeline.features.pictures import PictureSize
from pipeline.features.settings import FlowConfig
from pipeline.features.spec import FeatureSpec
from pipeline.features.timeline import Timeline

INPUTS = Inputs(PictureSize(short_side=12, crop=8), rgb=True, flow=True)
SPEC = FeatureSpec("b", "w", {}, 1024, Timeline(10, 2, 2))
# One snippet, which takes three frames.
ROW = {
    "chunk_id": "v#0", "video_id": "v", "uri": "u", "chunk_index": 0, "num_chunks": 1,
    "first_snippet": 0, "num_snippets": 1, "duration": 1.0, "fps": 10.0,
}  # fmt: skip


def test_values_are_those_of_published_flow_pictures() -> None:
    values = torch.tensor([0.0, 1.0, -1.0, 0.04, 19.99, 20.0, 55.0, -20.0, -300.0])
    flow = torch.zeros(1, 3, 3, 2)
    flow[0, ..., 0] = values.view(3, 3)
    # 128 + 255 / 40 * flow, rounded, at most 255
    expected = [128, 134, 122, 128, 255, 255, 255, 0, 0]
    rounded = scale_flow(flow, 3, rounding=True)
    assert rounded[0, ..., 0].flatten().tolist() == expected
    exact = scale_flow(flow, 3, rounding=False)[0, ..., 0].flatten()
    torch.testing.assert_close(exact.float(), (values / 20).clamp(-1, 1), atol=2**-11, rtol=0)
    assert (2 / 255 * rounded[0, ..., 0].flatten() - 1 - exact).abs().max() < 1.01 / 127.5


@pytest.mark.parametrize("rounding", [True, False])
def test_what_is_not_finite_is_told_apart_from_what_is_large(rounding: bool) -> None:
    flow = torch.tensor([torch.inf, -torch.inf, torch.nan, 1e30]).view(1, 2, 2, 1).expand(1, 2, 2, 2)
    scaled = scale_flow(flow, 2, rounding)[0, ..., 0].flatten()
    assert scaled.isnan().tolist() == [True, True, True, False]


def test_the_crop_is_the_centre() -> None:
    flow = torch.arange(36.0).view(1, 6, 6, 1).expand(1, 6, 6, 2) / 20
    assert torch.equal(scale_flow(flow, 2, False), (flow[:, 2:4, 2:4] / 20).half())


def shifted_texture(side: int, shift: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Two pictures `[2, side, side, 3]`: smooth texture, moved by `shift` = (right, down) in the second."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.normal(size=(1, 1, side // 4, side // 4))).float()
    large = torch.nn.functional.interpolate(coarse, size=(side + 16, side + 16), mode="bicubic")[0, 0]
    picture = (128 + 60 * large).clamp(0, 255).byte().numpy()
    right, down = shift
    pair = [
        picture[8 : 8 + side, 8 : 8 + side],
        picture[8 - down : 8 - down + side, 8 - right : 8 - right + side],
    ]
    return np.repeat(np.stack(pair)[..., None], 3, axis=-1)


def test_tvl1_finds_a_known_shift_and_a_still_picture() -> None:
    frames = shifted_texture(64, (2, -1))
    fields = TVL1Flow(crop=32, rounding=False)(frames, np.array([[0, 1], [1, 1]]))
    assert fields.shape == (2, 32, 32, 2)
    moved, still = fields.astype(np.float32) * 20
    np.testing.assert_allclose(np.median(moved, axis=(0, 1)), [2, -1], atol=0.1)
    assert (still == 0).all()


def test_raft_is_torchvisions_network_on_values_from_minus_one_to_one() -> None:
    config = FlowConfig(algorithm="raft_small", weights="random", updates=2, batch_size=2, rounding=False)
    raft = RAFTFlow(config, crop=96)
    frames = np.random.default_rng(0).integers(0, 256, (4, 128, 128, 3), dtype=np.uint8)
    pairs = np.array([[0, 1], [1, 2], [2, 3]])
    fields = raft(frames, pairs)
    assert (fields == np.concatenate([raft(frames, pair[None]) for pair in pairs])).all()
    torch.manual_seed(0)
    network = models.get_model("raft_small", weights=None).eval()
    scaled = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        flow = network(scaled[:-1], scaled[1:], num_flow_updates=2)[-1]
    expected = (flow[:, :, 16:112, 16:112].clamp(-20, 20) / 20).permute(0, 2, 3, 1)
    np.testing.assert_allclose(fields.astype(np.float32), expected.numpy(), atol=2e-3)


@pytest.mark.parametrize(
    ("stride", "offsets"), [(2, (0, 1, 2, 3)), (6, (0, 1, 2, 3)), (4, (1, 3)), (5, (0, 1, 2, 3))]
)
def test_each_field_leads_from_a_frame_to_the_next_of_the_video(
    stride: int, offsets: tuple[int, ...]
) -> None:
    """A stand-in for the algorithm writes down which frames it was given; frames carry their own number."""

    def numbers(frames: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        return np.broadcast_to(frames[pairs][:, :, 0, 0, 0][:, None, None], (len(pairs), 8, 8, 2)).astype(
            np.float16
        )

    timeline, duration = Timeline(10, stride, 4), 3.0  # 30 frames
    stage = FlowStage(numbers, True, FeatureSpec("b", "w", {}, 1024, timeline), offsets, INPUTS)
    snippets = timeline.num_snippets(30)
    for per_chunk in (3, 5, snippets):
        for first in range(0, snippets, per_chunk):
            count = min(per_chunk, snippets - first)
            sampled = sample_frames(timeline, offsets, first, count, duration, successors=True)
            frames = np.broadcast_to(sampled.indices[:, None, None, None], (len(sampled.indices), 12, 12, 3))
            row = ROW | {"first_snippet": first, "num_snippets": count, "duration": duration}
            row |= {"frames": frames.astype(np.uint8).tobytes(), "error": None}
            table = stage(pa.Table.from_pylist([row], schema=FRAMES_SCHEMA))
            assert table.schema == FLOW_SCHEMA
            flow = np.frombuffer(table["flow"][0].as_buffer(), np.uint8).reshape(-1, 8, 8, 2)[:, 0, 0]
            seen = flow[sampled.members]
            wanted = (first + np.arange(count))[:, None] * stride + np.array(offsets)
            assert (seen[..., 0] == wanted).all()
            assert (seen[..., 1] == np.minimum(wanted + 1, 29)).all()
            pictures = np.frombuffer(table["frames"][0].as_buffer(), np.uint8).reshape(-1, 8, 8, 3)
            assert (pictures[sampled.members][..., 0, 0, 0] == wanted).all()


def test_flow_that_is_not_finite_fails_its_chunk_alone() -> None:
    def diverges_on_black(frames: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        return np.full((len(pairs), 8, 8, 2), np.nan if frames.max() == 0 else 3, np.float16)

    for rounding in (True, False):
        stage = FlowStage(diverges_on_black, rounding, SPEC, (0, 1), INPUTS)
        frames = [np.full((3, 12, 12, 3), level, np.uint8).tobytes() for level in (9, 0, 9)]
        table = stage(
            pa.Table.from_pylist([ROW | {"frames": f, "error": None} for f in frames], schema=FRAMES_SCHEMA)
        )
        assert table["error"].to_pylist() == [None, "backbone_error: optical flow is not finite", None]
        assert [cell is None for cell in table["flow"].to_pylist()] == [False, True, False]
        assert [cell is None for cell in table["frames"].to_pylist()] == [False, True, False]


def test_rows_with_errors_pass_and_a_flow_network_gets_no_pictures() -> None:
    inputs = Inputs(INPUTS.size, rgb=False, flow=True)
    stage = flow_stage(FlowConfig(), SPEC, (0, 1), inputs)
    frames = np.zeros((3, 12, 12, 3), np.uint8).tobytes()
    rows = [ROW | {"frames": None, "error": "decode_error: x"}, ROW | {"frames": frames, "error": None}]
    table = stage(pa.Table.from_pylist(rows, schema=FRAMES_SCHEMA))
    assert table["error"].to_pylist() == ["decode_error: x", None]
    assert [len(cell or b"") for cell in table["flow"].to_pylist()] == [0, 3 * 8 * 8 * 2]
    assert table["frames"].null_count == 2


def test_the_spec_says_how_flow_is_made_and_what_cannot_be_is_refused() -> None:
    described = flow_description(FlowConfig(), INPUTS)
    assert (described["algorithm"], described["bound"], described["side"]) == ("tvl1", 20.0, 12)
    assert described != flow_description(FlowConfig(rounding=False), INPUTS)
    raft = FlowConfig(algorithm="raft_small", weights="random")
    with pytest.raises(
        InputError, match=r"RAFT takes pictures of at least 128 pixels in steps of 8, .* makes them 12"
    ):
        flow_description(raft, INPUTS)
    large = Inputs(PictureSize(short_side=128, crop=112), flow=True)
    digests = [
        flow_description(raft.model_copy(update={"seed": seed}), large)["weights"] for seed in (0, 0, 1)
    ]
    assert digests[0] == digests[1] != digests[2]
    with pytest.raises(InputError, match=r"flow\.weights=no\.pth: no such file"):
        flow_description(raft.model_copy(update={"weights": "no.pth"}), large)
