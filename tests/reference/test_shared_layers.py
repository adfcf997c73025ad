"""A layer that borrows keys and values, and the one that lends them, beside Gemma 3n's own on random weights."""

import importlib

import pytest
import torch
from torch import nn

from mha_lab import MultiHeadAttention, causal_mask, window_mask
from mha_lab.rotary import Rotary
from mha_lab.variants import BorrowingAttention, lent

N, D, H, G, K, WINDOW = 9, 24, 4, 2, 8, 4


class Normed(nn.Module):
    """A projection, and the norm of each of its heads: where Gemma 3n has it. scale: what scores are multiplied by."""

    def __init__(self, projection, norm, scale=1.0):
        super().__init__()
        self.projection, self.norm, self.scale = projection, norm, scale

    def forward(self, x):
        return self.norm(self.projection(x).unflatten(-1, (-1, K))).flatten(-2) * self.scale


@pytest.fixture(params=["full_attention", "sliding_attention"])
def pair(transformers, request):
    """Gemma 3n's layer that lends to its kind, the last such layer that borrows, its rotary base, and its turns."""
    try:
        classes = importlib.import_module("transformers.models.gemma3n.configuration_gemma3n")
        module = importlib.import_module("transformers.models.gemma3n.modeling_gemma3n")
    except ModuleNotFoundError:
        pytest.skip("this transformers has no gemma3n")
    kinds = ["sliding_attention", "full_attention"] * 2
    sizes = {"hidden_size": D, "num_attention_heads": H, "num_key_value_heads": G, "head_dim": K}
    config = classes.Gemma3nTextConfig(
        **sizes, num_hidden_layers=4, num_kv_shared_layers=2, layer_types=kinds, sliding_window=WINDOW
    )
    config._attn_implementation = "eager"
    lends, borrows = (
        module.Gemma3nTextAttention(config, place).eval() for place, kind in enumerate(kinds) if kind == request.param
    )
    assert lends.store_full_length_kv and borrows.is_kv_shared_layer
    generator = torch.Generator().manual_seed(0)
    for layer in lends, borrows:
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
    base = config.rope_parameters[request.param]["rope_theta"]
    turns = module.Gemma3nRotaryEmbedding(config)(torch.zeros(1, N, D), torch.arange(N)[None], request.param)
    mask = causal_mask(N) if request.param == "full_attention" else causal_mask(N) & window_mask(N, WINDOW)
    return lends, borrows, base, turns, mask


def seeded(seed):
    return torch.randn(2, N, D, generator=torch.Generator().manual_seed(seed))


def test_a_borrowing_layer_is_that_of_gemma_3n_and_so_is_what_is_lent(pair):
    lends, borrows, base, turns, mask = pair
    x, late, kept = seeded(1), seeded(2), {}
    hidden = torch.zeros(N, N).masked_fill(~mask, torch.finfo(torch.float32).min)[None, None]
    lends(x, position_embeddings=turns, attention_mask=hidden, shared_kv_states=kept)
    theirs, _ = borrows(late, position_embeddings=turns, attention_mask=hidden, shared_kv_states=kept)

    rotary = Rotary(base=base)
    lender = MultiHeadAttention(D, H, G, d_head=K, bias=False, rotary=rotary)
    lender.k_proj, lender.v_proj = Normed(lends.k_proj, lends.k_norm), Normed(lends.v_proj, lends.v_norm)
    ours = BorrowingAttention(D, H, G, d_head=K, bias=False, rotary=rotary)
    ours.q_proj, ours.out_proj = Normed(borrows.q_proj, borrows.q_norm, K**0.5), borrows.o_proj
    made = lent(lender, x)
    for mine, stored in zip(made, kept[lends.layer_type], strict=True):
        torch.testing.assert_close(mine, stored, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours(late, *made, mask=mask), theirs, rtol=0, atol=1e-5)
