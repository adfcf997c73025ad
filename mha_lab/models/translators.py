"""The recorded encoder–decoders of lesson 08, which write dates and French, and how well three seeds of each did."""

from dataclasses import dataclass

import torch
from safetensors.torch import load
from torch import Tensor

from mha_lab import _data, _door
from mha_lab.models.encoder_decoder import EncoderDecoder
from mha_lab.models.parts import Learned

TRANSLATORS = _data.FOLDER / "translators.safetensors"
TRANSLATORS_SHA256 = "5848f9d6e2dabc58440a0deb1cfc32e561aa1b5783bceb4340e85e887b90fba0"
SHAPES = {"dates": {"num_layers": 1}, "translation": {"num_layers": 2}}


@dataclass(frozen=True, eq=False)
class Translators:
    """Models of seed 0, and what the seeds 0, 1 and 2 reached on their test parts.

    dates, translation    the trained models, ready to write
    dates_exact           (3,) share of strings written without a fault
    dates_span            (3, H, 3) weight of each cross-attention head on the right span: year, month, day
    translation_exact     (3, 2) share of sentences without a fault: test, new pairs
    translation_gold      (3, L, H) weight of each cross-attention head on the gold alignment, test
    translation_nouns     (3, L, H) its weight on nouns while an article (le, la …) is about to be written
    translation_articles  (3, L, H) share of these articles that are still right without the head
    translation_do        (3, L, H) its weight on do or does while ne is about to be written
    translation_without   (3, L, H) share of 200 test sentences without a fault while the head is off
    one_…                 the same with one head in each layer: equal parameters, first weights and batches, pairwise
    """

    dates: EncoderDecoder
    translation: EncoderDecoder
    dates_exact: Tensor
    dates_span: Tensor
    translation_exact: Tensor
    translation_gold: Tensor
    translation_nouns: Tensor
    translation_articles: Tensor
    translation_do: Tensor
    translation_without: Tensor
    one_dates_exact: Tensor
    one_dates_span: Tensor
    one_translation_exact: Tensor
    one_translation_gold: Tensor


def translator(name: str, source_size: int, target_size: int, *, num_heads: int = 4, seed: int = 0) -> EncoderDecoder:
    """An untrained model of the shape that lesson 08 trains for this task, "dates" or "translation"."""
    if name not in SHAPES:
        raise ValueError(f"name={name!r}; it must be one of {', '.join(SHAPES)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_door.seed("seed", seed))
        return EncoderDecoder(source_size, target_size, num_heads=num_heads, positions=_learned, **SHAPES[name])


def recorded_translators() -> Translators:
    """What mha_lab/data/translators.safetensors holds, verified. data/train_translators.py trains it again.

    Raises FileNotFoundError or ValueError where the file is missing or is not the one this code was written for."""
    tensors = load(_data.read(TRANSLATORS, TRANSLATORS_SHA256))
    models = {}
    for name in SHAPES:
        start = f"{name}.model."
        weights = {key.removeprefix(start): tensors.pop(key) for key in list(tensors) if key.startswith(start)}
        sizes = (len(weights[f"embed_{side}.weight"]) for side in ("source", "target"))
        with torch.device("cpu"):  # where the weights are, whatever the default device is
            models[name] = translator(name, *sizes).eval()
        models[name].load_state_dict(weights)
    return Translators(**models, **tensors)


def _learned(d_model):
    return Learned(64, d_model)
