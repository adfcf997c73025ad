"""The small models on which lesson 12 tries what today's attention layers add."""

from functools import partial

from mha_lab.attention import MultiHeadAttention
from mha_lab.models.decoder import Decoder
from mha_lab.models.parts import Sinusoidal
from mha_lab.rotary import Rotary
from mha_lab.tasks.back_copy import back_copy
from mha_lab.tasks.modern_results import recorded_modern
from mha_lab.variants import GatedAttention, HeadGatedAttention, QKNormAttention, SinkAttention

LAYERS = {
    "plain": MultiHeadAttention,
    "QK-norm": QKNormAttention,
    "gate for each number": GatedAttention,
    "gate for each head": HeadGatedAttention,
    "sink": SinkAttention,
}
"""A layer's class by its name in the lesson."""


def _rotated(share):
    return partial(MultiHeadAttention, rotary=Rotary(share=share))


PLACES = {
    "sinusoidal": (MultiHeadAttention, Sinusoidal),
    "rotary": (_rotated(1.0), None),
    "a quarter rotary": (_rotated(0.25), None),
    "none": (MultiHeadAttention, None),
    "rotary, then none": ([_rotated(1.0), MultiHeadAttention], None),
}
"""How a model of two layers is told where tokens stand: what makes its layers, and what is added to its tokens."""


def back_copy_model(kind: str) -> Decoder:
    """One attention layer of two heads and no MLP, untrained, for `tasks.back_copy`. kind: a key of `LAYERS`."""
    return Decoder(back_copy(), attention=partial(LAYERS[kind], rotary=Rotary()), num_heads=2, num_layers=1)


def trained_back_copy(kind: str) -> Decoder:
    """The same as it was trained with seed 0, from the record. kind: "plain", "sink", or one of the two gates.

    Raises what `tasks.recorded_modern` raises."""
    model = back_copy_model(kind)
    model.load_state_dict(recorded_modern().weights[kind])
    return model.eval().requires_grad_(False)
