"""Norms, gates, sinks, windows and partly turned heads as the layers of transformers have them, on random weights."""

import importlib

import pytest
import torch

from mha_lab import MultiHeadAttention, causal_mask, window_mask
from mha_lab.rotary import Rotary
from mha_lab.variants import GatedAttention, HeadGatedAttention, QKNormAttention, SinkAttention

N, D, H, G, K = 7, 24, 4, 2, 8
SETTINGS = {
    "hidden_size": D,
    "num_attention_heads": H,
    "num_key_value_heads": G,
    "head_dim": K,
    "num_hidden_layers": 2,
    "max_position_embeddings": 64,
    "attention_bias": False,
}


class GatedAndNormed(GatedAttention, QKNormAttention):
    """A full attention layer of Qwen3-Next."""


class HeadGatedAndNormed(HeadGatedAttention, QKNormAttention):
    """A layer of Step-3.7."""


def built(transformers, package, prefix, place=0, config="Config", **settings):
    """A layer of the library with random weights, and the cosines and sines that its model would hand it."""
    classes = importlib.import_module(f"transformers.models.{package}.configuration_{package}")
    module = importlib.import_module(f"transformers.models.{package}.modeling_{package}")
    config = getattr(classes, prefix + config)(**SETTINGS | settings)
    config._attn_implementation = "eager"
    layer = getattr(module, f"{prefix}Attention")(config, place).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
    turns = getattr(module, f"{prefix}RotaryEmbedding")(config) if hasattr(module, f"{prefix}RotaryEmbedding") else None
    return layer, turns


def said(layer, turns, mask, **options):
    """What the library's layer makes of x, where `mask` is True for what may be seen."""
    x = torch.randn(2, N, D, generator=torch.Generator().manual_seed(1))
    hidden = torch.zeros(N, N).masked_fill(~mask, torch.finfo(torch.float32).min)[None, None]
    position = turns(x, torch.arange(N)[None], **options)
    return x, *layer(x, position_embeddings=position, attention_mask=hidden)


def with_the_weights(ours, theirs, **names):
    """Our layer, with their parameters under our names."""
    found = {f"{name}.weight": getattr(theirs, name).weight for name in ("q_proj", "k_proj", "v_proj")}
    found["out_proj.weight"] = theirs.o_proj.weight
    ours.load_state_dict(found | names, strict=True)
    return ours


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)


def test_qk_norm_is_that_of_qwen3(transformers):
    theirs, turns = built(transformers, "qwen3", "Qwen3", rms_norm_eps=1e-6)
    x, output, weights = said(theirs, turns, causal_mask(N))
    ours = QKNormAttention(D, H, G, d_head=K, bias=False, rotary=Rotary())
    norms = {"q_norm.weight": theirs.q_norm.weight, "k_norm.weight": theirs.k_norm.weight}
    ours = with_the_weights(ours, theirs, **norms)
    found, looked = ours(x, causal=True, need_weights=True)
    close(found, output)
    close(looked, weights)


def test_a_gate_for_each_number_and_a_quarter_turned_are_those_of_qwen3_next(transformers):
    parameters = {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.25}
    theirs, turns = built(transformers, "qwen3_next", "Qwen3Next", rope_parameters=parameters, rms_norm_eps=1e-6)
    x, output, _ = said(theirs, turns, causal_mask(N))
    query, gate = theirs.q_proj.weight.view(H, 2, K, D).unbind(dim=1)  # one matrix holds both, head by head
    ours = GatedAndNormed(D, H, G, d_head=K, bias=False, rotary=Rotary(share=0.25))
    ours.load_state_dict(
        {
            "q_proj.weight": query.flatten(0, 1),
            "gate_proj.weight": gate.flatten(0, 1),
            "k_proj.weight": theirs.k_proj.weight,
            "v_proj.weight": theirs.v_proj.weight,
            "out_proj.weight": theirs.o_proj.weight,
            "q_norm.weight": 1 + theirs.q_norm.weight,  # theirs is what is added to a gain of 1
            "k_norm.weight": 1 + theirs.k_norm.weight,
        }
    )
    close(ours(x, causal=True), output)


def test_a_gate_for_each_head_is_that_of_step_3_7(transformers):
    settings = {"layer_types": ["full_attention"] * 2, "rms_norm_eps": 1e-6, "query_pre_attn_scalar": K}
    theirs, turns = built(transformers, "step3p7", "Step3p7", config="TextConfig", **settings)
    x, output, _ = said(theirs, turns, causal_mask(N), layer_type="full_attention")
    ours = HeadGatedAndNormed(D, H, G, d_head=K, bias=False, rotary=Rotary())
    own = {
        "gate_proj.weight": theirs.g_proj.weight,
        "q_norm.weight": 1 + theirs.q_norm.weight,  # what is added to a gain of 1, as in Qwen3-Next
        "k_norm.weight": 1 + theirs.k_norm.weight,
    }
    close(with_the_weights(ours, theirs, **own)(x, causal=True), output)


@pytest.mark.parametrize("place, kind", list(enumerate(["sliding_attention", "full_attention"])))
def test_learned_sinks_and_windows_are_those_of_gpt_oss(transformers, place, kind):
    settings = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 3}
    parameters = {"rope_type": "default", "rope_theta": 10_000.0}
    theirs, turns = built(transformers, "gpt_oss", "GptOss", place, rope_parameters=parameters, **settings)
    near = causal_mask(N) & window_mask(N, 3) if kind == "sliding_attention" else causal_mask(N)
    x, output, weights = said(theirs, turns, near)
    ours = with_the_weights(SinkAttention(D, H, G, d_head=K, bias=False, rotary=Rotary()), theirs, sink=theirs.sinks)
    found, looked = ours(x, mask=near, need_weights=True)
    close(found, output)
    close(looked, weights)
    close(ours(x, mask=near), output)


@pytest.mark.parametrize("turned", [True, False])
def test_a_layer_without_positions_is_that_of_smollm3(transformers, turned):
    theirs, turns = built(transformers, "smollm3", "SmolLM3", no_rope_layers=[int(turned)] * 2)
    x, output, weights = said(theirs, turns, causal_mask(N))
    base = theirs.config.rope_parameters["rope_theta"]
    ours = MultiHeadAttention(D, H, G, d_head=K, bias=False, rotary=Rotary(base=base) if turned else None)
    found, looked = with_the_weights(ours, theirs)(x, causal=True, need_weights=True)
    close(found, output)
    close(looked, weights)


def test_half_of_a_head_is_turned_as_in_glm_4_5(transformers):
    parameters = {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5}
    theirs, turns = built(transformers, "glm4_moe", "Glm4Moe", rope_parameters=parameters, use_qk_norm=False)
    x, output, weights = said(theirs, turns, causal_mask(N))
    ours = MultiHeadAttention(D, H, G, d_head=K, bias=False, rotary=Rotary(share=0.5))
    found, looked = with_the_weights(ours, theirs)(x, causal=True, need_weights=True)
    close(found, output)
    close(looked, weights)
