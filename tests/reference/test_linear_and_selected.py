"""The gated delta rule and the indexer on random weights, beside those of transformers."""

import importlib

import pytest
import torch
from torch.nn import functional as F

from mha_lab.masks import causal_mask
from mha_lab.variants import Indexer, gated_delta, gated_delta_recurrence, top_keys


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def part(transformers):
    """A function that gives a module of transformers, or skips where this version has none."""

    def load(name):
        try:
            return importlib.import_module(f"transformers.models.{name}.modeling_{name}")
        except ModuleNotFoundError:
            pytest.skip(f"this transformers has no {name}")

    return load


def original(function):
    """The library's own PyTorch function, where it stands behind a door to a kernel from elsewhere."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


@pytest.mark.parametrize("name", ["torch_recurrent_gated_delta_rule", "torch_chunk_gated_delta_rule"])
@pytest.mark.parametrize("model", ["qwen3_next", "olmo_hybrid"])
def test_the_gated_delta_rule_is_that_of_the_library(part, model, name):
    rule = original(getattr(part(model), name))
    B, N, H, K, width = 2, 70, 3, 8, 5
    query, key, value = seeded(B, N, H, K), seeded(B, N, H, K, seed=1), seeded(B, N, H, width, seed=2)
    write, log_decay = seeded(B, N, H, seed=3).sigmoid(), F.logsigmoid(seeded(B, N, H, seed=4))
    state = seeded(B, H, K, width, seed=5)
    options = {"initial_state": state, "output_final_state": True, "use_qk_l2norm_in_kernel": True}
    theirs = rule(query, key, value, g=log_decay, beta=write, **options)
    q, k, v = (x.transpose(1, 2) for x in (F.normalize(query, dim=-1) / K**0.5, F.normalize(key, dim=-1), value))
    given = {"log_decay": log_decay.transpose(1, 2), "state": state}
    for ours in gated_delta_recurrence, gated_delta:
        output, left = ours(q, k, v, write.transpose(1, 2), **given)
        torch.testing.assert_close(output.transpose(1, 2), theirs[0], rtol=0, atol=1e-4)
        torch.testing.assert_close(left, theirs[1], rtol=0, atol=1e-4)


def test_the_indexer_chooses_what_that_of_deepseek_v32_chooses(part):
    module = part("deepseek_v32")
    sizes = {"hidden_size": 24, "q_lora_rank": 24, "qk_rope_head_dim": 2, "num_attention_heads": 4}
    config = module.DeepseekV32Config(index_n_heads=3, index_head_dim=8, index_topk=4, **sizes)
    torch.manual_seed(0)
    theirs, x = module.DeepseekV32Indexer(config, 0), seeded(2, 9, 24)
    ours = Indexer(24, num_heads=3, width=8)
    for name, source in {"q_proj": "wq_b", "k_proj": "wk", "k_norm": "k_norm", "weight_proj": "weights_proj"}.items():
        getattr(ours, name).load_state_dict(getattr(theirs, source).state_dict())
    unturned = torch.ones(2, 9, 2), torch.zeros(2, 9, 2)  # cosines and sines of no turn
    past = causal_mask(9)
    best = theirs(x, x, unturned, past[None], None).long()
    chosen = torch.zeros(2, 9, 9, dtype=torch.bool).scatter(-1, best, True) & past
    assert torch.equal(top_keys(ours(x), 4, mask=past), chosen)
