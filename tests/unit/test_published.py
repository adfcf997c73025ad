"""The published models: rows that can be true together, the figures that are known of them, and what is not known."""

import re
from dataclasses import FrozenInstanceError, replace

import pytest

from mha_lab import cost
from mha_lab.published import (
    CERTAINTY,
    LAYERS,
    MODELS,
    Indexer,
    Model,
    layer_kinds,
    layers_in_words,
    numbers_per_token,
    projections,
    shelf,
    source_in_words,
    stores,
)

BY_NAME = {model.name: model for model in MODELS}
NEW = [model for model in MODELS if model.year > 2024]


def test_there_are_the_seven_known_ones_and_thirty_eight_of_2025_and_2026_each_once():
    assert len(BY_NAME) == len(MODELS) == 45 and len(NEW) == 38


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_a_row_can_be_true(model):
    assert model.certainty in CERTAINTY and len(model.source) > 12
    assert model.num_heads % model.num_kv_heads == 0
    for name in ("layers", "d_model", "num_heads", "num_kv_heads", "d_head", "d_value", "context", "state"):
        value = getattr(model, name)
        assert value is None or (type(value) is int and value > 0), name
    if model.kinds is not None:
        assert len(model.kinds) == model.layers and set(model.kinds) <= set(LAYERS)
        assert 0 <= model.shared_layers < model.layers
        assert ("S" in model.kinds) == (model.state is not None)
        assert bool(set("KH") & set(model.kinds)) == (model.compressed is not None)
    if model.latent:
        assert 0 <= model.latent_rotary < model.latent and model.num_kv_heads == model.num_heads
    if model.rotary is not None and model.latent and model.latent_rotary and model.rotary:
        assert model.rotary == pytest.approx(model.latent_rotary / model.d_head, abs=1e-3)


def test_class_defaults_are_told_from_the_models_own_files():
    letters = [model.certainty[0] for model in NEW]
    assert (letters.count("A"), letters.count("B"), letters.count("C")) == (12, 25, 1)
    assert all(("wheel" in model.source) == (model.certainty != "A") for model in NEW if model.name != "gpt-oss-120b")
    assert {shelf(model) for model in MODELS} == {
        "until 2024",
        "2025/26, A: own files",
        "2025/26, B: class defaults",
        "2025/26, C: experimental",
    }


def test_a_class_default_is_called_so_wherever_a_source_is_shown():
    assert source_in_words(BY_NAME["Llama-3-8B"]) == BY_NAME["Llama-3-8B"].source
    assert source_in_words(BY_NAME["GLM-5"]).endswith("glm_moe_dsa: class defaults, which need not be the checkpoint's")
    assert source_in_words(BY_NAME["Qwen4-Exp"]).endswith(": defaults of an experimental class")


def test_what_a_source_does_not_say_is_none():
    unknown = {model.name for model in MODELS if not stores(model)}
    assert unknown == {"GLM-4.5-Air", "DeepSeek-V4-Pro"}
    assert BY_NAME["GLM-4.5-Air"].d_head is None and BY_NAME["DeepSeek-V4-Pro"].indexer.keys is None
    assert BY_NAME["DeepSeek-V4-Pro"].kinds is None and layers_in_words(BY_NAME["DeepSeek-V4-Pro"]) == "layers: ?"


KNOWN = {
    "Qwen3-8B": {"global": 2048},
    "gpt-oss-120b": {"local": 1024, "global": 1024},
    "Muse Glimmer 30B": {"local": 512, "global": 512},
    "DeepSeek-V2": {"latent": 576},
    "DeepSeek-V3.2-Exp": {"latent": 576},
    "GLM-5": {"latent": 576},
    "Hy4": {"latent": 576},
    "Mistral Small 4 119B": {"latent": 320},
    "GLM-5.3-Flash": {"state": 0, "latent": 512},
    "Gemma 4 E2B": {"local": 512, "global": 1024},
    "MiMo-V2-Flash": {"global": 4 * (192 + 128), "local": 8 * (192 + 128)},
    "Qwen3-Next-80B-A3B": {"state": 0, "global": 1024},
    "DeepSeek-V4-Flash": {"local": 512, "compressed 128:1": 512, "compressed 4:1": 512},
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_numbers_that_a_token_leaves_in_a_layer_are_those_that_are_known(name):
    assert numbers_per_token(BY_NAME[name]) == KNOWN[name]


def test_every_layer_keeps_something_but_those_that_share_and_the_convolutions():
    for model in MODELS:
        if stores(model):
            keeping = sum(store.layers for store in stores(model) if not store.kind.startswith("compressed"))
            assert keeping == model.layers - model.shared_layers - model.kinds.count("V"), model.name
    kept = {store.kind: store.layers for store in stores(BY_NAME["Gemma 4 E2B"])}
    assert kept == {"local": 12, "global": 3}  # 15 of 35


def test_a_local_layer_keeps_its_window_and_a_state_does_not_grow():
    local, far = stores(BY_NAME["gpt-oss-120b"])
    assert [local.entries(n) for n in (0, 5, 128, 10_000)] == [0, 5, 128, 128] and far.entries(10_000) == 10_000
    state, _ = stores(BY_NAME["Qwen3-Next-80B-A3B"])
    assert [state.entries(n) for n in (1, 2, 10_000)] == [1, 1, 1] and state.numbers == 32 * 128 * 128
    squeezed = stores(BY_NAME["DeepSeek-V4-Flash"])
    assert {store.kind: store.entries(1000) for store in squeezed} == {
        "local": 128,
        "compressed 128:1": 7,
        "compressed 4:1": 250,
    }


def test_layers_of_a_kind_look_at_as_many_keys_as_their_kind_says():
    def keys(name, tokens):
        return {(kind.letter, kind.shared): kind.keys(tokens) for kind in layer_kinds(BY_NAME[name])}

    assert keys("gpt-oss-120b", 4096) == {("L", False): 128, ("G", False): 4096}
    assert keys("Gemma 4 E2B", 4096) == {("L", False): 512, ("G", False): 4096, ("L", True): 512, ("G", True): 4096}
    assert keys("DeepSeek-V3.2-Exp", 1000) == {("G", False): 1000}
    assert keys("DeepSeek-V3.2-Exp", 8192) == {("G", False): 2048}  # the indexer's choice
    assert keys("MiniMax-M3", 8192) == {("G", False): 8192}  # its source does not say which layers have one
    assert keys("Qwen3-Next-80B-A3B", 4096) == {("S", False): 0, ("G", False): 4096}
    assert keys("DeepSeek-V4-Flash", 4096) == {("H", False): 128 + 32, ("K", False): 128 + 512}
    assert keys("DeepSeek-V4-Flash", 1024) == {("H", False): 128 + 8, ("K", False): 128 + 256}


def test_every_layer_is_of_one_kind_and_keeps_what_the_stores_say():
    for model in MODELS:
        kinds = layer_kinds(model)
        if not kinds:
            continue
        assert sum(kind.layers for kind in kinds) == model.layers
        kept = sum(store.layers * store.numbers * store.entries(5000) for store in stores(model))
        assert sum(kind.layers * kind.numbers(5000) for kind in kinds) == kept


def test_the_products_of_a_layer_that_looks_everywhere_are_those_that_cost_counts():
    for model in MODELS:
        for kind in layer_kinds(model):
            if kind.letter in "GN" and not kind.picked and model.values == model.d_head and not model.global_d_head:
                flops = cost.flops(1, 300, model.d_model, model.num_heads, model.num_kv_heads, d_head=model.d_head)
                assert kind.flops(300) == flops["QKᵀ"] + flops["AV"], model.name


@pytest.mark.parametrize(
    "name, words",
    [
        ("Llama-3-8B", "32 global"),
        ("gpt-oss-120b", "18 local (128 tokens), 18 global"),
        ("SmolLM3-3B", "27 global, 9 global without positions"),
        ("Qwen3-Next-80B-A3B", "36 linear, 12 global"),
        ("Gemma 4 E2B", "28 local (512 tokens), 7 global, the last 20 share keys and values"),
        ("LFM3-1.7B", "13 convolution, 6 global, 5 local (256 tokens)"),
    ],
)
def test_the_layers_in_words(name, words):
    assert layers_in_words(BY_NAME[name]) == words


def test_the_gate_is_as_wide_as_what_it_multiplies():
    assert BY_NAME["Muse Glimmer 30B"].gate_width == 32 * 128  # each feature
    assert BY_NAME["Hy4"].gate_width == 64 * 256
    assert BY_NAME["Step-3.7-Flash"].gate_width == 64  # each head
    assert BY_NAME["Llama-3-8B"].gate_width == 0


def test_the_projections_of_a_plain_layer_are_those_that_cost_counts():
    for model in MODELS:
        if projections(model) and not model.latent and model.values == model.d_head and not model.global_d_head:
            sizes = model.d_model, model.num_heads, model.num_kv_heads
            counted = cost.parameters(*sizes, d_head=model.d_head, bias=False)
            assert sum(projections(model).values()) == counted + model.d_model * model.gate_width
    open_widths = {model.name for model in MODELS if not projections(model)}
    assert open_widths == {"GLM-4.5-Air", "DeepSeek-V4-Flash", "DeepSeek-V4-Pro"}


def test_a_latent_makes_keys_and_values_by_two_matrices():
    """DeepSeek-V2 (arXiv:2405.04434, section 3.1.2): 128 heads of 128 + 64, d_c = 512, d_c' = 1536, d = 5120."""
    assert projections(BY_NAME["DeepSeek-V2"]) == {
        "W^Q": 5120 * 1536 + 1536 * 128 * 192,
        "W^K": 5120 * 576 + 512 * 128 * 128,
        "W^V": 512 * 128 * 128,
        "W^O": 128 * 128 * 5120,
    }


def test_h_times_d_head_leaves_d_model_in_most_models_of_today():
    known = [model for model in NEW if model.d_head is not None]
    free = [model for model in known if model.num_heads * model.d_head != model.d_model]
    assert (len(known), len(free)) == (37, 25)
    assert {model.d_head for model in known} == {64, 128, 192, 256, 512}


MINE = {"name": "mine", "layers": 4, "d_model": 48, "num_heads": 6, "num_kv_heads": 3, "d_head": 8, "source": "my own"}


def test_a_model_of_ones_own_is_a_line_and_cannot_be_changed_by_accident():
    mine = Model(**MINE, pattern="LLLG", window=32)
    assert mine.kinds == "LLLG" and numbers_per_token(mine) == {"local": 48, "global": 48}
    assert replace(mine, layers=6).kinds == "LLLGLL" and shelf(mine) == "your own"
    assert replace(mine, indexer=Indexer(heads=2, width=8, keys=64)).indexer.block == 1
    with pytest.raises(FrozenInstanceError):
        mine.layers = 5


@pytest.mark.parametrize(
    "of, words",
    [
        ({"pattern": "LXG", "window": 4}, "mine: pattern='LXG' must be made of G, N, L"),
        ({"pattern": "LG"}, "mine: window=0 and pattern='LG': local layers need both."),
        ({"layers": 0.5}, "mine: layers is the float 0.5; it must be a whole number."),
        ({"num_heads": -6}, "mine: num_heads=-6: it must be at least 1."),
        ({"d_model": None}, "mine: d_model is None; it must be a whole number."),
        ({"num_kv_heads": 4}, "mine: 6 heads cannot share 4 of keys and values: 6 / 4 leaves 2"),
        ({"context": 0}, "mine: context=0: it must be at least 1."),
        ({"shared_layers": -1}, "mine: shared_layers=-1: it must be at least 0."),
        ({"latent": -1}, "mine: latent=-1: it must be at least 0."),
        ({"latent": 8, "latent_rotary": 8}, "mine: latent_rotary=8 must be less than latent=8."),
        ({"query_latent": 2.5}, "mine: query_latent is the float 2.5; it must be a whole number."),
        ({"layers": 10**9}, "mine: layers=1000000000: it must be at most 10,000."),
        ({"shared_layers": 4}, "mine: shared_layers=4 of 4 layers: one must keep keys."),
        ({"pattern": "K", "window": 4, "compressed": (0, 4)}, "mine: one of compressed=0: it must be at least 1."),
        ({"window": 128}, "mine: window=128 and pattern='G': local layers need both."),
    ],
)
def test_what_no_layer_can_be_is_refused_in_a_sentence(of, words):
    with pytest.raises((TypeError, ValueError), match=re.escape(words)):
        Model(**MINE | of)
