"""CostExplorer without a browser: its numbers are mha_lab.cost's, its traits hold together, its picture shows."""

import base64
import inspect
import io
import re

import pytest
from PIL import Image
from traitlets import TraitError

from mha_lab import MultiHeadAttention, cost
from mha_lab.published import MODELS
from mha_lab.widgets import CostExplorer
from mha_lab.widgets._picture import MARGIN
from mha_lab.widgets.cost_explorer import TERM_COLOURS, amount

MACHINE = cost.Machine(
    name="made up",
    device="cpu",
    threads=1,
    flops_per_second=1e11,
    bytes_per_second=1e10,
    page_seconds=2e-10,
    call_seconds={"explicit": 1e-4, "fused": 5e-5},
    step_seconds={
        "W": ((32, 128, 4e-11), (512, 128, 2e-11), (32, 512, 3e-11), (512, 512, 1.5e-11)),
        "softmax": ((32, 1, 9e-10), (512, 1, 7e-10)),
    }
    | {
        step: tuple((n, width, width * n**-0.1 * 1e-11) for n in (32, 512) for width in (4, 16, 128))
        for step in ("QKᵀ", "AV", "attention")
    },
)


def test_the_costs_are_those_of_the_package():
    explorer = CostExplorer(n=300, d_model=96, num_heads=12, num_kv_heads=4, batch=3, dtype="bfloat16", bias=False)
    now = explorer.costs
    assert now["parameters"] == sum(p.numel() for p in MultiHeadAttention(96, 12, 4, bias=False).parameters())
    assert now["flops"] == cost.flops(3, 300, 96, 12, 4)
    assert now["scores"] == 3 * 12 * 300 * 300 and now["scores_bytes"] == 2 * now["scores"]
    traffic = {
        path: cost.traffic_bytes(3, 300, 96, 12, 4, path=path, bytes_per_number=2) for path in ("explicit", "fused")
    }
    assert now["moved_bytes"] == {path: sum(steps.values()) for path, steps in traffic.items()}
    assert now["cache_bytes"] == cost.kv_cache_bytes(3, 300, 4, 8)
    assert now["peak_bytes"] == cost.explicit_peak_bytes(3, 300, 96, 12, 4, bytes_per_number=2)


@pytest.mark.parametrize("d_model, num_heads, num_kv_heads", [(512, 8, 8), (4096, 32, 8), (576, 9, 3), (64, 64, 1)])
def test_at_the_crossing_attention_costs_as_much_as_the_projections(d_model, num_heads, num_kv_heads):
    explorer = CostExplorer(d_model=d_model, num_heads=num_heads, num_kv_heads=num_kv_heads)
    explorer.n = explorer.costs["crossing"]
    flops = explorer.costs["flops"]
    assert 2 * (flops["QKᵀ"] + flops["AV"]) == sum(flops.values())


def test_a_free_d_head_is_counted_as_the_layer_has_it():
    explorer = CostExplorer(n=300, d_model=96, num_heads=5, num_kv_heads=1, d_head=32, bias="QKV", machine=MACHINE)
    layer = MultiHeadAttention(96, 5, 1, d_head=32)
    layer.out_proj.bias = None
    now = explorer.costs
    assert now["parameters"] == sum(p.numel() for p in layer.parameters())
    assert now["flops"] == cost.flops(1, 300, 96, 5, 1, d_head=32)
    assert now["peak_bytes"] == cost.explicit_peak_bytes(1, 300, 96, 5, 1, d_head=32)
    assert now["cache_bytes"] == cost.kv_cache_bytes(1, 300, 1, 32, bytes_per_number=4)
    assert now["seconds"]["fused"] == cost.predict(MACHINE, 1, 300, 96, 5, 1, d_head=32, path="fused")
    assert repr(explorer) == "CostExplorer(300 tokens, d_model 96, 5 heads on 1, d_head 32)"


def test_d_head_follows_the_heads_until_it_is_set_and_again_when_it_is_given_back():
    explorer = CostExplorer(d_model=512, num_heads=8)
    assert (explorer.d_head, explorer.head_width) == (None, 64)
    explorer.num_heads = explorer.num_kv_heads = 16
    assert explorer.head_width == 32
    explorer.d_head = 64
    explorer.num_kv_heads = explorer.num_heads = 1
    assert explorer.head_width == 64
    with pytest.raises(TraitError, match="num_heads=7: 512 / 7 leaves 1"):
        explorer.num_heads = 7
        explorer.num_kv_heads = 7
        explorer.d_head = None


def test_qwen3_0_6b_s_layer_is_among_the_models():
    assert CostExplorer(**sizes_of("Qwen3-0.6B")).costs["parameters"] == 6_291_456


def sizes_of(name):
    """What the constructor takes of a model."""
    return {
        key: value
        for key, value in CostExplorer.models[name].items()
        if key in inspect.signature(CostExplorer).parameters
    }


def test_time_is_predicted_for_a_machine_and_in_float32_only():
    assert CostExplorer().costs["seconds"] == {}
    explorer = CostExplorer(n=2048, machine=MACHINE)
    for path in "explicit", "fused":
        assert explorer.costs["seconds"][path] == cost.predict(MACHINE, 1, 2048, 512, 8, path=path)
    explorer.dtype = "bfloat16"
    assert explorer.costs["seconds"] == {}


def test_measured_points_are_shown_at_the_sizes_they_belong_to():
    explorer = CostExplorer(measured=[(1024, 0.06, "explicit"), (1024, 0.03, "fused")])
    assert explorer._points() == [[1024, 0.06, "explicit"], [1024, 0.03, "fused"]]
    explorer.n = 64
    assert len(explorer._points()) == 2
    explorer.num_kv_heads = 4
    assert explorer._points() == []


@pytest.mark.parametrize(
    "point",
    [
        (0, 1.0, "explicit"),
        (8, 0.0, "fused"),
        (8, float("nan"), "fused"),
        (8, -1.0, "fused"),
        (8, 1.0, "fast"),
        (8, 1.0),
        8,
        (8, "soon", "fused"),
        (8.5, 1.0, "fused"),
    ],
)
def test_a_point_that_cannot_be_drawn_is_refused(point):
    with pytest.raises(ValueError, match="is no point"):
        CostExplorer(measured=[point])


def test_sizes_that_do_not_divide_are_refused_with_both_numbers():
    with pytest.raises(ValueError, match="d_model=512 cannot be split over num_heads=7: 512 / 7 leaves 1"):
        CostExplorer(num_heads=7)
    explorer = CostExplorer()
    for name, value in ("num_heads", 3), ("num_kv_heads", 5), ("d_model", 100):
        with pytest.raises(TraitError, match="leaves"):
            setattr(explorer, name, value)
    for name, value in ("n", 0), ("batch", 65), ("d_model", 2**15), ("d_head", 2**13):
        with pytest.raises(TraitError, match="between 1 and"):
            setattr(explorer, name, value)
    assert repr(explorer) == "CostExplorer(1,024 tokens, d_model 512, 8 heads)"


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("dtype", "float16", "dtype='float16': it must be 'float32' or 'bfloat16'."),
        ("dtype", 32, "dtype=32: it must be"),
        ("bias", "KV", "bias='KV': it must be True, False or 'QKV'."),
    ],
)
def test_a_choice_that_there_is_not_is_refused_with_those_that_there_are(name, value, words):
    explorer = CostExplorer()
    for attempt in (lambda: CostExplorer(**{name: value}), lambda: setattr(explorer, name, value)):
        with pytest.raises(TraitError, match=f"^{re.escape(words)}"):
            attempt()


def test_several_sizes_change_together():
    explorer = CostExplorer()
    with explorer.hold_trait_notifications():
        explorer.d_model, explorer.num_heads, explorer.num_kv_heads = 576, 9, 3
    assert repr(explorer) == "CostExplorer(1,024 tokens, d_model 576, 9 heads on 3)"


@pytest.mark.parametrize("name", CostExplorer.models)
def test_every_model_can_be_counted_and_has_a_source(name):
    model = CostExplorer.models[name]
    assert len(model["source"]) > 12 and model["context"] >= model["n"] and model["group"]
    explorer = CostExplorer(**sizes_of(name))
    assert explorer.costs["parameters"] > 0
    published = next(m for m in MODELS if m.name == name)
    assert explorer.head_width == published.d_head
    assert (explorer.d_head is None) == (published.num_heads * published.d_head == published.d_model)


def test_every_model_is_counted_or_named_with_the_reason():
    others = dict(CostExplorer()._others)
    assert set(CostExplorer.models) | set(others) == {model.name for model in MODELS}
    assert not set(CostExplorer.models) & set(others)
    assert others["DeepSeek-V3.2-Exp"] == "a latent, 187,105,280 parameters a layer; see KVCacheExplorer"
    assert others["DeepSeek-V4-Flash"] == "one key that is the value too, see KVCacheExplorer"
    for name in "GLM-4.5-Air", "Kimi K2", "DeepSeek-V4-Pro":
        assert others[name] == "not all of its sizes are known"


@pytest.mark.parametrize(
    "name, layers, left_out",
    [
        ("Llama-3-8B", "", ""),
        ("Mistral-7B", "", ""),
        ("gpt-oss-120b", "18 local (128 tokens), 18 global; shown is a global one", "the sinks, learned"),
        (
            "Muse Glimmer 30B",
            "39 local (2,048 tokens), 13 global without positions; shown is a global one",
            "the output gate's W^G (27,262,976 parameters)",
        ),
        ("Step-3.7-Flash", "", "the output gate's W^G (262,144 parameters)"),
        ("MiniMax-M3", "", "the indexer, which picks 2,048 keys for each query"),
        (
            "MiMo-V2-Flash",
            "9 global, 39 local (129 tokens); shown is a global one",
            "the sinks, learned, in local layers; that values are 128 wide: they are counted as 192",
        ),
    ],
)
def test_what_is_left_out_of_a_model_is_said(name, layers, left_out):
    model = CostExplorer.models[name]
    assert (model["layers"], model["left_out"]) == (layers, left_out)


def test_a_model_of_local_layers_is_shown_at_its_window():
    for name, window in ("Mistral-7B", 4096), ("Gemma 4 E2B", 512):
        assert CostExplorer.models[name]["n"] == CostExplorer.models[name]["window"] == window


@pytest.mark.parametrize("seconds", [1, 1.0, 10.0, 100.0, 1e-5, 0.001])
def test_a_single_measurement_of_a_round_number_has_an_axis_too(seconds):
    explorer = CostExplorer(measured=[(1024, seconds, "explicit")])
    assert explorer._repr_mimebundle_()[0]["image/png"]


def test_points_beyond_the_charts_leave_it_as_it_is():
    inside = [(1024, 0.06, "explicit")]
    beyond = [(8, 1e6, "explicit"), (2**20, 1e-7, "explicit")]
    assert CostExplorer(measured=inside + beyond).picture() == CostExplorer(measured=inside).picture()


@pytest.mark.parametrize("seconds", [1.0, 1e-5])
def test_several_equal_measurements_and_a_machine_have_an_axis_too(seconds):
    points = [(n, seconds, path) for n in (16, 131072) for path in ("explicit", "fused")]
    for machine in None, MACHINE:
        assert CostExplorer(measured=points, machine=machine).picture()[0]


def test_biases_on_all_but_the_output_projection_are_counted():
    layer = MultiHeadAttention(96, 12, 4)
    layer.out_proj.bias = None
    explorer = CostExplorer(d_model=96, num_heads=12, num_kv_heads=4, bias="QKV")
    assert explorer.costs["parameters"] == sum(p.numel() for p in layer.parameters())


def test_the_picture_shows_the_flops_by_term_and_needs_no_machine():
    for explorer in CostExplorer(), CostExplorer(machine=MACHINE, measured=[(512, 0.01, "fused")]):
        data, metadata = explorer._repr_mimebundle_()
        picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
        assert picture.width == 2 * metadata["image/png"]["width"]
        bar = {"#" + bytes(picture.getpixel((x, 2 * (MARGIN + 86)))).hex() for x in range(picture.width)}
        assert {colour.lower() for colour in TERM_COLOURS.values()} <= bar
    assert data["text/plain"] == "CostExplorer(1,024 tokens, d_model 512, 8 heads)"


def test_amounts_are_short_and_have_units():
    assert [amount(x, "FLOP") for x in (1, 999, 4.294e9, 2e19)] == ["1 FLOP", "999 FLOP", "4.29 GFLOP", "20 EFLOP"]
    assert [amount(x, "B") for x in (512, 2**20, 3.5 * 2**30)] == ["512 B", "1 MiB", "3.5 GiB"]
    assert [amount(x, "s") for x in (2e-5, 0.037, 12, 1234.5)] == ["20 µs", "37 ms", "12 s", "1,234 s"]
