"""The rows of certainty B and C are what the configuration classes of transformers 5.24.0 say by default."""

import importlib
import inspect
import math
import re

import pytest
import torch

from mha_lab import cost
from mha_lab.published import MODELS, projections

transformers = pytest.importorskip("transformers")
if transformers.__version__ != "5.24.0":
    pytest.skip("the rows are those of transformers 5.24.0", allow_module_level=True)

CLASS = re.compile(r"models/(\w+)")
ROWS = [m for m in MODELS if m.certainty != "A" and "wheel" in m.source and m.layers is not None]
KINDS = {
    "full_attention": "G",
    "indexed_attention": "G",
    "hybrid": "G",
    "sliding_attention": "L",
    "chunked_attention": "L",
    "hybrid_sliding": "L",
    "linear_attention": "S",
    "conv": "V",
    "compressed_sparse_attention": "K",
    "heavily_compressed_attention": "H",
}


FULL_IN_THE_CHECKPOINT = {"Kimi-Linear-48B-A3B": (4, 8, 12, 16, 20, 24, 27)}
"""Full layers, counted from 1, that a checkpoint's configuration lists itself; the class's default has others."""


def configuration(model):
    """The text decoder's configuration with all its defaults."""
    package = CLASS.search(model.source)[1]
    module = importlib.import_module(f"transformers.models.{package}.configuration_{package}")
    own = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    names = {value.__name__: value for value in own if isinstance(value, type)}
    texts = [name for name in names if name.endswith("TextConfig")] or [n for n in names if n.endswith("Config")]
    return names[texts[0]]()


def first(config, *names):
    """The first of these settings that there is and that says something."""
    return next((value for name in names if (value := getattr(config, name, None))), None)


def test_there_is_a_row_for_every_model_of_the_library():
    assert len(ROWS) == 26 and all(CLASS.search(model.source) for model in ROWS)


@pytest.mark.parametrize("model", ROWS, ids=lambda m: m.name)
def test_sizes_are_the_class_defaults(model):
    config = configuration(model)
    assert model.layers == config.num_hidden_layers
    assert model.d_model == config.hidden_size
    assert model.num_heads == config.num_attention_heads
    assert model.num_kv_heads == config.num_key_value_heads
    assert model.context == first(config, "max_position_embeddings", "model_max_length")
    if model.latent:
        assert model.latent == config.kv_lora_rank + config.qk_rope_head_dim
        assert model.latent_rotary == config.qk_rope_head_dim
        assert model.d_head == config.qk_nope_head_dim + config.qk_rope_head_dim
        assert model.values == config.v_head_dim
    elif model.d_head is None:
        assert getattr(config, "head_dim", None) is None
    else:
        assert model.d_head == (first(config, "head_dim") or config.hidden_size // config.num_attention_heads)
        assert model.values == (first(config, "v_head_dim") or model.d_head)


@pytest.mark.parametrize("model", ROWS, ids=lambda m: m.name)
def test_layers_are_those_of_the_class(model):
    config = configuration(model)
    kinds = [KINDS[kind] for kind in getattr(config, "layer_types", None) or ["full_attention"] * model.layers]
    if full := FULL_IN_THE_CHECKPOINT.get(model.name):
        kinds = ["G" if layer in full else "S" for layer in range(1, model.layers + 1)]
    assert model.kinds.replace("N", "G") == "".join(kinds)
    positions = getattr(config, "no_rope_layers", None) or getattr(config, "layer_rope_theta", None)
    if positions and not all(positions):
        assert [letter == "N" for letter in model.kinds] == [not there for there in positions]
    if model.window:
        window = first(config, "sliding_window", "sliding_window_size", "attention_chunk_size")
        assert model.window == window
    if model.compressed:
        rates = config.compress_rates
        ours = {"compressed_sparse_attention": model.compressed[0], "heavily_compressed_attention": model.compressed[1]}
        assert ours == rates


@pytest.mark.parametrize("model", [m for m in ROWS if m.state], ids=lambda m: m.name)
def test_a_state_is_a_matrix_for_every_head_of_a_linear_layer(model):
    config = configuration(model)
    heads = first(config, "linear_num_value_heads", "linear_num_heads")
    key = first(config, "linear_key_head_dim", "linear_head_dim")
    assert model.state == heads * key * first(config, "linear_value_head_dim", "linear_head_dim")


@pytest.mark.parametrize("model", [m for m in ROWS if m.indexer and m.indexer.keys], ids=lambda m: m.name)
def test_an_indexer_is_that_of_the_class(model):
    config, indexer = configuration(model), model.indexer
    assert (indexer.heads, indexer.width) == (config.index_n_heads, config.index_head_dim)
    blocks = getattr(config, "index_topk_blocks", None)
    assert indexer.keys == (blocks * config.index_block_size if blocks else config.index_topk)
    assert indexer.block == getattr(config, "index_block_size", 1)
    types = getattr(config, "indexer_types", None) or []
    if blocks:
        assert indexer.layers == 0 == sum("sparse" in kind for kind in config.layer_types)
    if "shared" in types:
        assert indexer.layers == types.count("full")


def test_an_indexer_without_sizes_has_none_in_the_class():
    unknown = [m for m in ROWS if m.indexer and m.indexer.keys is None]
    assert [m.name for m in unknown] == ["Qwen4-Exp"]
    config = configuration(unknown[0])
    assert config.indexer_n_heads is config.indexer_head_dim is config.indexer_budget is None


def attention_source(model):
    """What the attention of the library's class is made of, as Python text."""
    package = CLASS.search(model.source)[1]
    module = importlib.import_module(f"transformers.models.{package}.modeling_{package}")
    names = [name for name in vars(module) if re.fullmatch(r"(?!.*(Vision|TextLinear|Delta|Sliding)).*Attention", name)]
    own = [vars(module)[name] for name in names if vars(module)[name].__module__ == module.__name__]
    return inspect.getsource(own[0])


@pytest.mark.parametrize("model", ROWS, ids=lambda m: m.name)
def test_queries_and_keys_are_normalised_where_the_class_has_a_norm_for_them(model):
    if model.qk_norm is None or model.name == "GLM-4.5-Air":  # of clipped queries, and an option that is off
        return
    norms = re.findall(r"self\.((?:q|k|qk|q_b|kv)_norm) = ", attention_source(model))
    assert model.qk_norm == bool(norms), norms


@pytest.mark.parametrize("model", ROWS, ids=lambda m: m.name)
def test_a_share_of_a_head_is_rotated_as_the_class_says(model):
    config = configuration(model)
    parameters = getattr(config, "rope_parameters", None) or {}
    layered = [each for each in parameters.values() if isinstance(each, dict)]
    shares = {each.get("partial_rotary_factor") for each in layered or [parameters]} - {None}
    if model.global_rotary is not None:
        assert shares == {model.global_rotary} and len(layered) == 2
    elif shares and not model.latent and model.rotary is not None:
        assert list(shares) == [pytest.approx(model.rotary, abs=1e-3)]


def layer(model):
    """The numbers learned by one of the model's global layers as the library builds it, by name; norms left out."""
    package = CLASS.search(model.source)[1]
    module = importlib.import_module(f"transformers.models.{package}.modeling_{package}")
    config = configuration(model)
    config._attn_implementation = "eager"
    place = next(i for i, letter in enumerate(model.kinds) if letter in "GNKH")
    names = [name for name in vars(module) if re.fullmatch(r"(?!.*(Vision|TextLinear|Delta|Sliding)).*Attention", name)]
    own = next(name for name in names if vars(module)[name].__module__ == module.__name__)
    with torch.device("meta"):
        built = vars(module)[own](config, place)
    return {name: tuple(p.shape) for name, p in built.named_parameters() if "norm" not in name}


def matrices(model):
    """How many numbers the projections of a layer have, those of a latent and of a gate included."""
    own = {name: shape for name, shape in layer(model).items() if re.match(r"(kv_|q_)?[a-z]+_proj", name)}
    left_out = "sconv", "sink_proj"  # convolutions after K and V; a sink made of the token
    return sum(math.prod(shape) for name, shape in own.items() if not any(word in name for word in left_out))


BUILT = [m for m in ROWS if m.d_head is not None and m.name != "Qwen4-Exp"]  # its indexer has no sizes in the class
PLAIN = [m for m in BUILT if not m.latent and not m.key_is_value]


@pytest.mark.parametrize("model", PLAIN, ids=lambda m: m.name)
def test_a_layer_has_the_parameters_that_cost_counts_and_the_gates(model):
    found = matrices(model)
    gate = model.d_model * model.gate_width
    narrower = model.d_model * (model.num_heads + model.num_kv_heads) * (model.d_head - model.values)
    sizes = model.d_model, model.num_heads, model.num_kv_heads
    assert found == cost.parameters(*sizes, d_head=model.d_head, bias=bool(model.bias)) + gate - narrower


@pytest.mark.parametrize("model", [m for m in BUILT if not m.key_is_value], ids=lambda m: m.name)
def test_the_projections_are_all_matrices_of_the_layer(model):
    assert sum(projections(model).values()) == matrices(model)


@pytest.mark.parametrize("model", [m for m in BUILT if m.latent], ids=lambda m: m.name)
def test_a_latent_is_as_wide_as_its_matrix_and_heads_are_made_of_it(model):
    shapes = layer(model)
    assert shapes["kv_a_proj_with_mqa.weight"] == (model.latent, model.d_model)
    assert (model.query_latent or None) == getattr(configuration(model), "q_lora_rank", None)
    each = model.d_head - model.latent_rotary + model.values
    assert shapes["kv_b_proj.weight"] == (model.num_heads * each, model.latent - model.latent_rotary)
    assert shapes["o_proj.weight"] == (model.d_model, model.num_heads * model.values)
    gates = [shape for name, shape in shapes.items() if re.match(r"g(ate)?_proj", name)]
    assert gates == ([(model.gate_width, model.d_model)] if model.gate else [])


@pytest.mark.parametrize("model", BUILT, ids=lambda m: m.name)
def test_sinks_and_an_indexer_are_parameters_of_the_layer(model):
    names = layer(model)
    here = "sinks" in names
    if "local" in model.sinks:
        assert not here  # this is a global layer
    else:
        assert here == (model.sinks == "learned")
    assert ("sink_proj.weight" in names) == (model.sinks == "from the token")


def test_one_key_that_is_the_value_too_is_one_matrix():
    flash = next(m for m in ROWS if m.key_is_value)
    assert layer(flash)["kv_proj.weight"] == (flash.d_head, flash.d_model)
