"""CostExplorer without a browser: its numbers are mha_lab.cost's, its traits hold together, its picture shows."""

import base64
import inspect
import io
import re
from dataclasses import asdict
from itertools import product

import pytest
from PIL import Image
from traitlets import TraitError

from mha_lab import MultiHeadAttention, cost, measure
from mha_lab.published import MODELS, projections
from mha_lab.variants import LatentAttention
from mha_lab.widgets import CostExplorer
from mha_lab.widgets._cost_picture import TERM_COLOURS, amount, axis, charts_of, maps_layout
from mha_lab.widgets._cost_sizes import HEADS, LENGTHS
from mha_lab.widgets._picture import MARGIN

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
    assert shown(explorer) == [(1024, 0.06, "explicit"), (1024, 0.03, "fused")]
    explorer.n = 64
    assert len(shown(explorer)) == 2
    explorer.num_kv_heads = 4
    assert shown(explorer) == []
    explorer.num_kv_heads = 8
    explorer.d_head = 64  # which it was
    assert len(shown(explorer)) == 2
    explorer.batch = 2
    assert shown(explorer) == []


def shown(explorer, *heads):
    return [(one["n"], one["seconds"], one["path"]) for one in explorer._points(*heads)]


BY_HEADS = {1: [(1024, 0.05, "explicit")], 32: [(1024, 0.12, "explicit"), (64, 0.002, "fused")]}


def test_points_at_other_head_counts_are_kept_and_follow_the_heads():
    explorer = CostExplorer(measured=[(1024, 0.06, "explicit")], by_heads=BY_HEADS)
    assert shown(explorer) == [(1024, 0.06, "explicit")]
    explorer.num_heads = explorer.num_kv_heads = 32
    assert shown(explorer) == [(1024, 0.12, "explicit"), (64, 0.002, "fused")]
    assert shown(explorer, 1) == [(1024, 0.05, "explicit")] and shown(explorer, 2) == []
    explorer.num_kv_heads = 1  # every head had its own when it was measured
    assert shown(explorer) == shown(explorer, 8) == []
    assert shown(explorer, 1) == [(1024, 0.05, "explicit")]  # one head shares with none


def test_a_timing_is_shown_with_its_quartiles_and_a_later_point_at_the_same_place_stands():
    took = measure.Timing(median=0.03, q1=0.02, q3=0.05, fastest=0.02, repeats=5, device="cpu", threads=1)
    explorer = CostExplorer(measured=[(1024, 0.1, "fused"), (1024, took, "fused")], by_heads={8: [(64, 1, "fused")]})
    assert [(one["low"], one["seconds"], one["high"]) for one in explorer._points()] == [(0.02, 0.03, 0.05), (1, 1, 1)]
    assert explorer.picture()[0]


def test_points_at_head_counts_that_no_such_layer_has_are_refused():
    with pytest.raises(ValueError, match="d_model=512 cannot be split over num_heads=7"):
        CostExplorer(by_heads={7: [(1024, 0.05, "explicit")]})
    with pytest.raises(ValueError, match="num_heads=1 cannot share num_kv_heads=2"):
        CostExplorer(num_kv_heads=2, by_heads={1: [(1024, 0.05, "explicit")]})
    with pytest.raises(TypeError, match="by_heads is the list .*; it must be a dict, {head count: points}"):
        CostExplorer(by_heads=[(1024, 0.05, "explicit")])


def test_a_share_and_a_spread_thinner_than_a_pixel_are_drawn_too():
    for sizes in {"n": 2**20, "d_model": 64}, {"n": 1, "d_model": 8192}, {"num_heads": 512, "num_kv_heads": 1}:
        assert CostExplorer(**sizes).picture()[0]
    for spread in 1e-9, 1e-6, 1e-3:
        took = measure.Timing(0.03, 0.03 - spread, 0.03 + spread, 0.02, 3, "cpu", 1)
        assert CostExplorer(measured=[(1024, took, "fused"), (2048, took, "fused")]).picture()[0]


def test_more_points_than_a_page_can_draw_are_refused():
    points = [(n, 0.01, "fused") for n in range(1, 2002)]
    assert len(CostExplorer(measured=points[:2000])._measured) == 2000
    with pytest.raises(ValueError, match="there are 2,001 measured points: an explorer shows up to 2,000."):
        CostExplorer(measured=points)


def test_charts_against_heads_show_flops_that_do_not_move_and_scores_that_do():
    explorer = CostExplorer(measured=[(1024, 0.06, "explicit")], by_heads=BY_HEADS, against="heads", machine=MACHINE)
    flops, memory, time = charts_of(explorer, explorer._head_counts())
    assert [heads for heads, _ in memory["curves"]["scores"]] == [2**i for i in range(10)]
    assert len({value for _, value in flops["curves"]["QKᵀ and AV"]}) == 1
    assert [value / 2**22 for _, value in memory["curves"]["scores"]] == [2**i for i in range(10)]
    assert [(heads, one["seconds"]) for heads, one in time["points"]] == [(1, 0.05), (8, 0.06), (32, 0.12)]
    assert time["curves"]["fused"][3] == (8, explorer.costs["seconds"]["fused"])
    with pytest.raises(TraitError, match="against='layers': it must be 'tokens' or 'heads'"):
        explorer.against = "layers"


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
        (8, 10**400, "fused"),
        (8, 1e-300, "fused"),
        (8, 1e30, "fused"),
        (8, True, "fused"),
        (10**400, 1.0, "fused"),
        (2**21, 1.0, "fused"),
        (8, 1.0, ["fused"]),
        ("8" * 1000, 1.0, "fused"),
    ],
    ids=lambda point: repr(point)[:40],
)
def test_a_point_that_cannot_be_drawn_is_refused(point):
    for points in {"measured": [point]}, {"by_heads": {4: [point]}}:
        with pytest.raises(
            ValueError, match="is no point: tokens .up to 1,048,576., seconds .* 'explicit' or 'fused'.$"
        ) as told:
            CostExplorer(**points)
        assert len(str(told.value)) < 220


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
    follows = published.num_heads * published.d_head == published.d_model
    assert (explorer.d_head is None) == (follows and not published.latent)
    assert explorer.costs["cache_bytes"] == 4 * explorer.n * (
        published.latent or 2 * published.num_kv_heads * published.d_head
    )
    if published.latent:
        matrices = projections(published)
        assert explorer.costs["parameters"] == sum(matrices.values()) - matrices.get("W^G", 0)


def test_every_model_is_counted_or_named_with_the_reason():
    others = dict(CostExplorer()._others)
    assert set(CostExplorer.models) | set(others) == {model.name for model in MODELS}
    assert not set(CostExplorer.models) & set(others)
    assert len(CostExplorer.models) == 42
    assert others["DeepSeek-V4-Flash"] == "one key that is the value too, see KVCacheExplorer"
    for name in "GLM-4.5-Air", "DeepSeek-V4-Pro":
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


LATENT = {"numbers": 40, "rotary": 8, "query": 0, "value": 12}


def test_a_latent_is_counted_as_its_matrices_and_keeps_its_numbers():
    explorer = CostExplorer(n=50, d_model=96, num_heads=6, d_head=24, latent=LATENT, batch=2, bias=False)
    layer = LatentAttention(96, 6, 32, d_head=16, d_value=12, d_rotary=8)
    now = explorer.costs
    assert now["parameters"] == sum(p.numel() for p in layer.parameters())
    assert sum(now["flops"].values()) == 2 * 2 * 50 * now["parameters"] + 2 * 2 * 6 * 50 * 50 * (24 + 12)
    assert now["cache_bytes"] == 2 * 50 * 40 * 4
    assert (now["peak_bytes"], now["moved_bytes"], now["seconds"]) == (None, {}, {})
    assert repr(explorer) == "CostExplorer(50 tokens, d_model 96, 6 heads on a latent of 40, d_head 24)"
    assert explorer.picture()[0]
    products = {name: explorer._costs_at(now["crossing"], 6)["flops"][name] for name in ("QKᵀ", "AV", "W^O")}
    rest = sum(explorer._costs_at(now["crossing"], 6)["flops"].values()) - products["QKᵀ"] - products["AV"]
    assert 0.98 < (products["QKᵀ"] + products["AV"]) / rest <= 1


@pytest.mark.parametrize(
    "latent, words",
    [
        ({"numbers": 40}, "latent is the dict {'numbers': 40}; it must be a dict of numbers, rotary, query, value."),
        (LATENT | {"rotary": 24}, "latent's rotary=24: it must be less than its numbers, 40, and d_head, 24."),
        (LATENT | {"numbers": 8}, "latent's rotary=8: it must be less than its numbers, 8, and d_head, 24."),
        (LATENT | {"numbers": 10**9}, "latent's numbers=1000000000: it must be at most 16,384."),
        (LATENT | {"value": 0}, "latent's value=0: it must be at least 1."),
        (LATENT | {"query": 2.5}, "latent's query is the float 2.5; it must be a whole number."),
    ],
)
def test_a_latent_that_no_layer_has_is_refused(latent, words):
    explorer = CostExplorer(d_model=96, num_heads=6, d_head=24)
    for attempt in (
        lambda: CostExplorer(d_model=96, num_heads=6, d_head=24, latent=latent),
        lambda: setattr(explorer, "latent", latent),
    ):
        with pytest.raises(TraitError, match=re.escape(words)):
            attempt()
    assert explorer.latent is None
    with pytest.raises(TraitError, match="num_kv_heads=3: a latent serves all 6 heads, each with its own keys."):
        CostExplorer(d_model=96, num_heads=6, num_kv_heads=3, d_head=24, latent=LATENT)


def test_what_was_given_stays_and_only_the_sizes_move():
    explorer = CostExplorer(measured=[(1024, 0.06, "explicit")])
    for name in "_models", "_others", "_measured", "_measured_at":
        with pytest.raises(TraitError, match="stays as it is"):
            setattr(explorer, name, type(getattr(explorer, name))())


def test_a_size_of_many_digits_is_refused_in_a_short_sentence():
    explorer = CostExplorer()
    for name in "n", "batch", "d_model", "num_heads", "num_kv_heads", "d_head":
        for value in 10**400, True, 0, -5:
            with pytest.raises(TraitError) as told:
                setattr(explorer, name, value)
            assert len(str(told.value)) < 200
    assert explorer.costs == CostExplorer().costs


@pytest.mark.parametrize("seconds", [1, 1.0, 10.0, 100.0, 1000.0, 1e-5, 0.001, 1e-9, 1e9])
def test_a_single_measurement_of_a_round_number_has_an_axis_too(seconds):
    explorer = CostExplorer(measured=[(1024, seconds, "explicit")])
    assert explorer._repr_mimebundle_()[0]["image/png"]


@pytest.mark.parametrize(
    "unit, value", [("s", 1.0), ("s", 10.0), ("s", 1000.0), ("s", 1e-5), ("B", 32.0), ("B", 2**20)]
)
def test_the_axis_of_one_value_begins_there_and_has_a_length(unit, value):
    base, low, high = axis(unit, [value])
    assert base**low == pytest.approx(value) and high == low + 1


def test_the_page_draws_axes_and_maps_where_the_picture_does(javascript):
    axes = [("s", [1.0]), ("s", [1e-5, 37.0]), ("B", [2**20]), ("B", [1000, 3e13]), ("FLOP", [1000.0, 5e12])]
    maps = [(8, 1024), (1, 16), (512, 1024), (513, 24), (2**20, 2**20), (128, 131072), (3, 17)]
    found = javascript(
        "cost_explorer/layout.js",
        """return [data.axes.map(([unit, values]) => m.axis(unit, values)),
            data.maps.map(([count, n]) => m.mapsLayout(count, n, 460, 78))];""",
        axes=axes,
        maps=maps,
    )
    for (unit, values), drawn in zip(axes, found[0], strict=True):
        base, low, high = axis(unit, values)
        assert [drawn["low"], drawn["high"]] == pytest.approx([base**low, base**high])
    for (count, n), drawn in zip(maps, found[1], strict=True):
        assert {name: drawn[name] for name in drawn if name != "gap"} == maps_layout(count, n, 460, 78)


@pytest.mark.parametrize("count, n", [(1, 16), (8, 1024), (16, 1024), (16384, 16), (2**20, 2**20)])
def test_stored_maps_keep_inside_their_box(count, n):
    place = maps_layout(count, n, 460, 78)
    assert place["columns"] * (place["side"] + 3) - 3 <= 460
    assert -(-place["drawn"] // place["columns"]) * (place["side"] + 3) - 3 <= 78
    assert place["drawn"] * place["each"] >= count


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


def test_the_page_counts_and_predicts_what_the_package_does(javascript):
    latent = {"numbers": 320, "rotary": 64, "query": 1024, "value": 100}
    layers = [
        {"d_model": d, "num_heads": h, "num_kv_heads": g, "d_head": w, "latent": latent}
        for d, h, g, w, latent in [
            (512, 8, 8, None, None),
            (512, 512, 512, None, None),
            (96, 12, 4, None, None),
            (4096, 32, 8, None, None),
            (64, 1, 1, None, None),
            (576, 9, 1, None, None),
            (1024, 16, 8, 128, None),  # Qwen3-0.6B
            (6656, 32, 2, 128, None),  # Muse Glimmer 30B
            (100, 7, 7, 300, None),
            (100, 1, 1, 5, None),
            (4096, 32, 32, 128, latent),
            (512, 4, 4, None, latent | {"query": 0}),
        ]
    ]
    numbers = [
        {"dtype": "float32", "bias": True},
        {"dtype": "float32", "bias": "QKV"},
        {"dtype": "bfloat16", "bias": False},
    ]
    sizes = [
        {"n": n, **layer, "batch": batch, **number}
        for layer, n, batch, number in product(layers, (1, 48, 1024, 8192), (1, 3), numbers)
    ]
    found = javascript(
        "cost_explorer/maths.js",
        "return data.sizes.map((sizes) => m.costs(sizes, data.machine))",
        sizes=sizes,
        machine=asdict(MACHINE),
    )
    for size, costs in zip(sizes, found, strict=True):
        expected = CostExplorer(**size, machine=MACHINE).costs
        assert costs.pop("seconds") == pytest.approx(expected.pop("seconds"), rel=1e-12)
        assert costs == expected, size


def test_the_page_goes_over_the_same_lengths_head_counts_and_points(javascript):
    explorer = CostExplorer(measured=[(1024, 0.06, "explicit")], by_heads=BY_HEADS)
    names = [name for name in explorer.trait_names(sync=True) if name in STATE.split()]
    states, expected = [], []
    for heads, kv_heads, d_head, against in product((1, 8, 32), (1, 0), (None, 64), ("tokens", "heads")):
        with explorer.hold_trait_notifications():
            explorer.num_heads, explorer.num_kv_heads, explorer.d_head = heads, kv_heads or heads, d_head
            explorer.against = against
        states.append({name: getattr(explorer, name) for name in names})
        over = LENGTHS if against == "tokens" else explorer._head_counts()
        time = [chart for chart in charts_of(explorer, over) if chart["unit"] == "s"]
        points = [[place, one["seconds"]] for place, one in time[0]["points"]] if time else []
        expected.append([over, points, [explorer._kv_heads_at(count) for count in HEADS]])
    found = javascript(
        "cost_explorer/state.js",
        """return data.states.map((traits) => {
            const now = m.derived(traits, "");
            const places = now.over.map(({ place }) => place);
            return [places, now.points.map(({ place, seconds }) => [place, seconds]),
                data.heads.map((count) => m.keyHeadsAt(now.sizes, count))];
        })""",
        states=states,
        heads=HEADS,
    )
    assert found == expected


STATE = (
    "n d_model num_heads num_kv_heads d_head latent batch dtype bias against _models _machine _measured _measured_at"
)


def test_amounts_are_the_pages_too(javascript):
    amounts = [(x, unit) for x in (3, 999.6, 123456, 7.5e9, 2e21) for unit in ("FLOP", "B", "")]
    amounts += [(x, "s") for x in (3e-6, 0.0123, 5, 4321)]
    found = javascript("shared/numbers.js", "return data.all.map(([x, unit]) => m.amount(x, unit))", all=amounts)
    assert found == [amount(x, unit) for x, unit in amounts]


def test_amounts_are_short_and_have_units():
    assert [amount(x, "FLOP") for x in (1, 999, 4.294e9, 2e19)] == ["1 FLOP", "999 FLOP", "4.29 GFLOP", "20 EFLOP"]
    assert [amount(x, "B") for x in (512, 2**20, 3.5 * 2**30)] == ["512 B", "1 MiB", "3.5 GiB"]
    assert [amount(x, "s") for x in (2e-5, 0.037, 12, 1234.5)] == ["20 µs", "37 ms", "12 s", "1,234 s"]
