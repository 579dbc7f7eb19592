import pytest
import torch

from models.detection import HasSalience, Target
from models.detectors import build_detector
from models.gap import GAP, GAPConfig, GAPLossConfig
from models.gap.decoder import ConditionalDecoder
from models.gap.rectifying import Rectifying
from models.levels import Level, flatten
from models.parameter_roles import parameter_roles
from models.positions import sine_embedding, sine_positions
from models.roi_features import roi_features
from models.tp2detr.loss import TP2DETRCriterion
from tests.models.deformable_detr.test_model import padded, restless

USED = (
    38_378_501 - 262_656 - 786_944
)  # the released model, less a class head and a convolution that it never uses


@pytest.mark.parametrize(
    ("changes", "published"),
    [
        ({}, USED),
        ({"rectify": False}, USED - 2_101_248),
        ({"salience_on": "none"}, USED - 787_457),
        # ActivityNet's uses the convolution.
        ({"decoder_layers": 2, "num_queries": 30, "convolve": True}, 22_609_413 - 262_656),
    ],
)
def test_parameter_counts_are_the_released_codes(changes: dict, published: int) -> None:
    model = GAP(GAPConfig(**changes), 512, 1)
    assert sum(parameter.numel() for parameter in model.parameters()) == published


@pytest.mark.parametrize("convolve", [False, True])
def test_a_sample_alone_and_padded_in_a_batch_give_the_same(convolve: bool) -> None:
    torch.manual_seed(0)
    model = restless(build_detector(GAPConfig.tiny(convolve=convolve), 16, 1))
    samples = [torch.randn(length, 16) for length in (1, 2, 12, 23)]
    rows = [padded(sample, 23, junk=float("nan")) for sample in samples]
    features, mask = torch.cat([row for row, _ in rows]), torch.cat([mask for _, mask in rows])
    together, salience = model(features, mask).final, model.salience(features, mask)["encoder"]
    for index, sample in enumerate(samples):
        alone_mask = torch.zeros(1, len(sample), dtype=torch.bool)
        alone = model(sample[None], alone_mask).final
        for name in ("segments", "logits"):
            torch.testing.assert_close(
                getattr(together, name)[index], getattr(alone, name)[0], atol=1e-5, rtol=1e-5
            )
        own = model.salience(sample[None], alone_mask)["encoder"].logits[0]
        torch.testing.assert_close(salience.logits[index, : len(sample)], own, atol=1e-5, rtol=1e-5)


def test_a_fresh_model_proposes_halves_around_its_places() -> None:
    model = build_detector(GAPConfig.tiny(), 16, 1).eval()
    final = model(torch.randn(2, 30, 16), torch.zeros(2, 30, dtype=torch.bool)).final
    torch.testing.assert_close(final.segments[..., 1] - final.segments[..., 0], torch.full((2, 8), 0.5))
    place = model.decoder.place(model.decoder.position).sigmoid()[:, 0]
    torch.testing.assert_close(final.segments.mean(-1), place.expand(2, -1))
    # Its head starts from a prior, and what it reads is normalised.
    assert final.logits.mean().item() == pytest.approx(-4.595, abs=1.0)


def written_out(decoder: ConditionalDecoder, memory: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """Conditional DETR's decoding of one sample without padding, head by head."""

    def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return (query @ key.T / query.shape[-1] ** 0.5).softmax(-1) @ value

    dim, heads = decoder.position.shape[1], decoder.layers[0].num_heads
    content = torch.zeros_like(decoder.position)
    place = decoder.place(decoder.position).sigmoid()[:, 0]
    for index, layer in enumerate(decoder.layers):
        sine = sine_embedding(place, dim) * (decoder.query_scale(content) if index else 1)
        query = layer.self_query(content) + layer.self_query_position(decoder.position)
        key = layer.self_key(content) + layer.self_key_position(decoder.position)
        value = layer.self_value(content)
        parts = [slice(h * dim // heads, (h + 1) * dim // heads) for h in range(heads)]
        found = torch.cat([attend(query[:, p], key[:, p], value[:, p]) for p in parts], dim=1)
        content = layer.self_norm(content + layer.self_output(found))
        query, key = layer.query(content), layer.key(memory)
        key_position, value = layer.key_position(position), layer.value(memory)
        if index == 0:
            query, key = query + layer.query_position(decoder.position), key + key_position
        sine = layer.query_sine(sine)
        found = torch.cat(
            [
                attend(
                    torch.cat((query[:, p], sine[:, p]), 1),
                    torch.cat((key[:, p], key_position[:, p]), 1),
                    value[:, p],
                )
                for p in parts
            ],
            dim=1,
        )
        content = layer.feed_forward(layer.norm(content + layer.output(found)))
    return decoder.norm(content)


def test_decoding_keeps_content_and_place_apart() -> None:
    torch.manual_seed(0)
    decoder = restless(ConditionalDecoder(GAPConfig.tiny(decoder_layers=3)))
    memory, mask = torch.randn(1, 20, 32), torch.zeros(1, 20, dtype=torch.bool)
    position = sine_positions(mask, 32)
    content, place = decoder(memory, position, mask)
    torch.testing.assert_close(content[0], written_out(decoder, memory[0], position[0]), atol=1e-5, rtol=1e-5)
    assert place.shape == (1, 8, 1)
    assert [layer.query_position is None for layer in decoder.layers] == [False, True, True]


@pytest.mark.parametrize("residual", [True, False])
def test_rectifying_reads_a_proposals_own_features(residual: bool) -> None:
    torch.manual_seed(0)
    config = GAPConfig.tiny(roi_bins=4, rectify_residual=residual)
    rectifying = restless(Rectifying(config, 16))
    features, mask = torch.randn(1, 30, 16), torch.zeros(1, 30, dtype=torch.bool)
    content, segments = torch.randn(1, 8, 32), torch.rand(1, 8, 2).sort(dim=-1).values
    parts = roi_features(flatten([Level(features, mask)]), segments, 4)
    read = torch.cat(
        [
            content[:, q] + rectifying.read(content[:, q : q + 1], parts[:, q], parts[:, q])[0][:, 0]
            for q in range(8)
        ]
    )[None]
    compared = rectifying.compare(read, read, read)[0]
    expected = read + compared if residual else compared
    torch.testing.assert_close(rectifying(content, segments, features, mask), expected, atol=1e-5, rtol=1e-5)


def test_salience_is_of_training_alone_and_supervised() -> None:
    torch.manual_seed(0)
    model = restless(build_detector(GAPConfig.tiny(), 16, 1))
    features, mask = torch.randn(2, 20, 16), torch.arange(20) >= torch.tensor([[20], [13]])
    assert isinstance(model, HasSalience)
    assert model(features, mask).salience == {}
    output = model.train()(features, mask)
    assert set(output.salience) == {"encoder"}
    criterion = TP2DETRCriterion(GAPLossConfig())
    targets = [Target(torch.tensor([[0.2, 0.5]]), torch.tensor([0]))] * 2
    losses = criterion(output, targets)
    expected = 3 * losses["class"] + 5 * losses["l1"] + 2 * losses["tiou"] + 3 * losses["salience_encoder"]
    torch.testing.assert_close(losses["total"].detach(), expected)
    losses["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    plain = build_detector(GAPConfig.tiny(salience_on="none"), 16, 1)
    assert plain.salience(features, mask) == {}


def test_a_sample_of_padding_only_has_no_valid_proposal_and_harms_no_other() -> None:
    model = restless(build_detector(GAPConfig.tiny(), 16, 1))
    output = model(torch.randn(2, 9, 16), torch.tensor([[False] * 9, [True] * 9]))
    assert output.final.valid.tolist() == [[True] * 8, [False] * 8]
    assert output.final.segments.isfinite().all()


def test_the_convolution_learns_at_a_rate_of_its_own() -> None:
    model = build_detector(GAPConfig.tiny(convolve=True), 16, 1)
    assert [p.shape for p in parameter_roles(model)["pyramid"]] == [(16, 16, 3), (16,)]
    assert parameter_roles(build_detector(GAPConfig.tiny(), 16, 1))["pyramid"] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_queries": 0}, "num_queries=0"),
        ({"num_heads": 3}, "num_heads=3 must divide dim=32"),
        ({"rectify": False, "roi_bins": 4}, "roi_bins=4 needs rectify=true"),
        ({"dropout": 1.0}, r"dropout=1\.0"),
    ],
)
def test_impossible_settings_are_named(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GAPConfig.tiny(**changes)
