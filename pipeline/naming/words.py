"""The words of the classes as vectors: the text tower that belongs to the features, and its embeddings."""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import safetensors.numpy
import torch
import torch.nn.functional as F
from safetensors import SafetensorError

from pipeline import storage
from pipeline.errors import InputError
from pipeline.features.recipe import Recipe, read_recipe
from pipeline.features.settings import BackboneConfig
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.features.weights import parameter_digest
from pipeline.naming.settings import NamingConfig
from pipeline.naming.vocabulary import read_vocabulary

if TYPE_CHECKING:
    from pipeline.features.backbones.clip import TwoTowers

logger = logging.getLogger(__name__)

_BATCH = 256  # prompts in a forward pass


@dataclass(frozen=True)
class Words:
    """What names segments.

    Attributes:
        names: the classes.
        classes: `[K, dim]` float32, each of length 1.
        nothing: `[M, dim]` likewise, of what is none of the classes; M may be 0.
        logit_scale: what the network multiplies cosines by.
        logit_bias: what it adds to them where each class is judged by itself (SigLIP); else None.
    """

    names: tuple[str, ...]
    classes: np.ndarray
    nothing: np.ndarray
    logit_scale: float
    logit_bias: float | None


@dataclass(frozen=True)
class TextSource:
    """The words to be embedded, and by what: checked, and nothing loaded yet.

    Attributes:
        backbone: the network whose text tower belongs to the features.
        image_digest: of its image tower's parameters; None where the features do not say.
        dim: width of the features.
        names: the classes.
        prompts: of each class.
        nothing: prompts of what is none of them.
        key: of the settings that say so, for messages.
    """

    backbone: BackboneConfig
    image_digest: str | None
    dim: int
    names: tuple[str, ...]
    prompts: tuple[tuple[str, ...], ...]
    nothing: tuple[str, ...]
    key: str = "naming"

    @property
    def digest(self) -> str:
        """SHA-256 of all that the embeddings depend on."""
        told = [
            self.backbone.model_dump(mode="json", include={"architecture", "weights", "seed", "image_size"}),
            self.image_digest, self.dim, self.names, self.prompts, self.nothing,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def text_source(store: FeatureStore, config: NamingConfig, key: str = "naming") -> TextSource:
    """What `config` names segments of a store's features by; no network is loaded. `key` is that of the settings.

    Raises InputError where the classes are none, or nothing says which words belong to the features.
    """
    tree = read_recipe(store.url)
    recipe = None if tree is None else Recipe.of_tree(tree, store.url)
    return text_source_of(recipe, store.spec, f"store={store.url}", config, key)


def text_source_of(
    recipe: Recipe | None, spec: FeatureSpec, whose: str, config: NamingConfig, key: str = "naming"
) -> TextSource:
    """`text_source` of features that need not be there yet.

    Args:
        recipe: what makes them; None where they were imported.
        spec: of them.
        whose: what holds them, for messages.
        config: how segments are named.
        key: of these settings, for messages.
    Raises:
        InputError: as `text_source` does.
    """
    vocabulary = read_vocabulary(config.classes, f"{key}.classes")
    backbone, digest = _backbone(recipe, spec, whose, config, key)
    return TextSource(
        backbone,
        digest,
        spec.dim,
        vocabulary.names,
        vocabulary.prompts(config.templates, config.split_names),
        config.none_of_these,
        key,
    )


def _backbone(
    recipe: Recipe | None, spec: FeatureSpec, whose: str, config: NamingConfig, key: str
) -> tuple[BackboneConfig, str | None]:
    told = {
        name: value for name in ("architecture", "weights") if (value := getattr(config, name)) is not None
    }
    if recipe is not None:
        backbone = recipe.backbone
        if backbone.kind != "clip":
            raise InputError(
                f"{whose}: its features are of {backbone.name} ({backbone.kind}), which knows no words; only features "
                "of open_clip's networks can be named (backbone.kind=clip): extract a store of such features of the "
                "same videos"
            )
        if told.get("architecture", backbone.architecture) != backbone.architecture:
            raise InputError(
                f"{key}.architecture={told['architecture']}: the features of {whose} are of "
                f"{backbone.architecture}"
            )
        return backbone.model_copy(update=told), spec.weights
    if len(told) < 2:
        raise InputError(
            f"{whose}: was imported, and does not say which network's words belong to its features; give "
            f"{key}.architecture=<of open_clip> and {key}.weights=<its tag or file> (CLIP ViT-B/16 of OpenAI: "
            f"{key}.architecture=ViT-B-16-quickgelu {key}.weights=openai)"
        )
    return BackboneConfig(**told), None


def embed(source: TextSource, judged_alone: bool, cache: str | None = None) -> Words:
    """The embeddings of the words, by the text tower that is loaded here, or from `cache` where they are these words'.

    Args:
        source: what to embed.
        judged_alone: whether each class is to be judged by itself.
        cache: URL of a file that keeps the embeddings.
    Raises:
        InputError: the network cannot be loaded, is another than the features', has no words or none of their width, or
            cannot judge classes by themselves.
    """
    words = None if cache is None else _kept(cache, source)
    if words is None:
        words = _embed(source)
        if cache is not None:
            storage.write_bytes(cache, _as_bytes(words, source.digest))
    if judged_alone and words.logit_bias is None and not len(words.nothing):
        raise InputError(
            f"{source.key}.probabilities=sigmoid: {source.backbone.architecture} judges classes only against each "
            f"other; say what is none of them ({source.key}.none_of_these=[a photo of nothing in particular,...]) or "
            "take softmax"
        )
    return words


def _embed(source: TextSource) -> Words:
    import open_clip  # takes seconds

    from pipeline.features.backbones.clip import load_model

    backbone = source.backbone
    model = load_model(backbone)
    if source.image_digest is not None and parameter_digest(model.visual) != source.image_digest:
        raise InputError(
            f"{source.key}.weights={backbone.weights}: its image tower is not the one that made the features; give the "
            "tag or file that they were extracted with"
        )
    tokenizer = open_clip.get_tokenizer(backbone.architecture)
    logger.info(
        "embedding %d prompts of %d classes by %s",
        sum(map(len, source.prompts)), len(source.names), backbone.architecture,
    )  # fmt: skip
    flat = [prompt for prompts in source.prompts for prompt in prompts]
    vectors = _encode(model, tokenizer, [*flat, *source.nothing])
    if vectors.shape[1] != source.dim:
        raise InputError(
            f"{source.key}.architecture={backbone.architecture}: its words have {vectors.shape[1]} numbers, the "
            f"features {source.dim}; give the network that the features are of"
        )
    parts = vectors[: len(flat)].split([len(prompts) for prompts in source.prompts])
    classes = torch.stack([F.normalize(part.mean(dim=0), dim=0) for part in parts])
    bias = getattr(model, "logit_bias", None)
    return Words(
        source.names,
        classes.numpy(),
        vectors[len(flat) :].numpy(),
        float(model.logit_scale.detach().exp()),
        None if bias is None else float(bias.detach()),
    )


def _encode(
    model: "TwoTowers", tokenizer: Callable[[list[str]], torch.Tensor], prompts: Sequence[str]
) -> torch.Tensor:
    """`[N, dim]` float32 of length 1, in the order of the prompts."""
    with torch.inference_mode():
        parts = [
            model.encode_text(tokenizer(list(prompts[first : first + _BATCH])), normalize=True).float()
            for first in range(0, len(prompts), _BATCH)
        ]
    return torch.cat(parts).clone()


def _as_bytes(words: Words, digest: str) -> bytes:
    about = {
        "digest": digest,
        "names": json.dumps(words.names),
        "logit_scale": repr(words.logit_scale),
        "logit_bias": json.dumps(words.logit_bias),
    }
    return safetensors.numpy.save({"classes": words.classes, "nothing": words.nothing}, about)


def _kept(cache: str, source: TextSource) -> Words | None:
    """The embeddings in a file, where they are these words'."""
    if not storage.exists(cache):
        return None
    content = storage.read_bytes(cache)
    try:
        size = int.from_bytes(content[:8], "little")
        about = json.loads(content[8 : 8 + size])["__metadata__"]
        if about["digest"] != source.digest:
            return None
        arrays = safetensors.numpy.load(content)
        return Words(
            tuple(json.loads(about["names"])), arrays["classes"], arrays["nothing"],
            float(about["logit_scale"]), json.loads(about["logit_bias"]),
        )  # fmt: skip
    except (SafetensorError, ValueError, KeyError, TypeError):
        return None  # a damaged file is made anew
