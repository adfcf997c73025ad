"""LayerMap without a page: counts are those of mha_lab.cost and of the module itself; page and picture agree."""

import base64
import io
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from traitlets import TraitError

from mha_lab import MultiHeadAttention, cost
from mha_lab.widgets import LayerMap
from mha_lab.widgets._layer_map_layout import arrows, layout
from mha_lab.widgets._layer_map_picture import bytes_in_words, in_words
from mha_lab.widgets._layer_parts import MODES, NAMES, PARTS, filled, parts_of
from mha_lab.widgets.layer_map import MOST

STATES = [
    {},
    {"mode": "causal", "num_kv_heads": 2, "bias": False},
    {"mode": "cross", "tokens": 15, "num_keys": 20, "d_model": 384, "num_heads": 12, "batch": 3},
    {"mode": "cache", "num_keys": 4096, "d_model": 8192, "num_heads": 64, "num_kv_heads": 8, "batch": 32},
    {"mode": "cache", "tokens": 5, "num_keys": 7, "num_kv_heads": 1, "d_head": 192, "bytes_per_number": 4},
    {"tokens": 1, "d_model": 1, "num_heads": 1},
    {"tokens": 131072, "d_model": 32768, "num_heads": 512, "d_head": 1024, "batch": 1024},
]
TERMS = {"query": "W^Q", "key": "W^K", "value": "W^V", "scores": "QKᵀ", "average": "AV", "output": "W^O"}
LESSONS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("state", STATES, ids=str)
def test_flops_and_parameters_are_those_of_the_cost_model(state):
    layer = LayerMap(**state)
    B, N, S, D, H, G, K = (layer.sizes[letter] for letter in "BNSDHGK")
    ordered = layer.mode in ("causal", "cache")
    counted = cost.flops(B, N, D, H, G, d_head=K, S=S, causal=ordered)
    if layer.mode == "cache":  # only new tokens are projected
        counted |= {term: cost.flops(B, N, D, H, G, d_head=K)[term] for term in ("W^K", "W^V")}
    assert {TERMS[name]: part["flops"] for name, part in layer.parts.items() if part["flops"]} == counted
    assert sum(part["parameters"] for part in layer.parts.values()) == cost.parameters(
        D, H, G, d_head=K, bias=layer.bias
    )
    assert layer.cache_bytes == (
        cost.kv_cache_bytes(B, S, G, K, bytes_per_number=layer.bytes_per_number) if layer.mode == "cache" else 0
    )


@pytest.mark.parametrize("state", [{}, {"num_kv_heads": 1}, {"d_head": 5, "bias": False}, {"num_heads": 1}], ids=str)
def test_shapes_and_parameters_are_those_of_the_module_itself(state):
    state = {"d_model": 16, "num_heads": 4, "tokens": 3, "batch": 2} | state
    layer, sizes = LayerMap(**state), ("d_model", "num_heads", "num_kv_heads")
    module = MultiHeadAttention(*(state.get(n) for n in sizes), d_head=state.get("d_head"), bias=layer.bias)
    shapes = {name: part["shape"] for name, part in layer.parts.items()}
    x = torch.zeros(shapes["x"])
    query, key, value = module.project(x, x)
    assert shapes["split"] == query.shape and shapes["query"] == module.q_proj(x).shape
    assert shapes["key"] == module.k_proj(x).shape and shapes["value"] == module.v_proj(x).shape
    output, weights = module(x, need_weights=True)
    assert shapes["softmax"] == shapes["scores"] == weights.shape and shapes["output"] == output.shape
    assert shapes["average"] == (weights @ torch.zeros(weights.shape[:-1] + key.shape[-1:])).shape
    assert shapes["concat"][-1] == module.out_proj.in_features
    learned = {"query": module.q_proj, "key": module.k_proj, "value": module.v_proj, "output": module.out_proj}
    for name, projection in learned.items():
        assert layer.parts[name]["parameters"] == sum(p.numel() for p in projection.parameters())


def random_states(count=200):
    """Of layers that there are, from a fixed seed."""
    rng = random.Random(0)
    for _ in range(count):
        H = rng.randint(1, 24)
        shared = rng.choice([None, *(g for g in range(1, H + 1) if H % g == 0)])
        tokens = rng.randint(1, 300)
        yield {
            "mode": rng.choice(list(MODES)),
            "batch": rng.randint(1, 9),
            "tokens": tokens,
            "num_keys": tokens + rng.randint(0, 99),
            "d_model": H * rng.randint(1, 50),
            "num_heads": H,
            "num_kv_heads": shared,
            "d_head": rng.choice([None, rng.randint(1, 70)]),
            "bias": rng.random() < 0.5,
        }


def test_the_page_shows_the_same_numbers_and_words(javascript):
    layers = [LayerMap(**state) for state in (*STATES, *random_states())]
    all_found = javascript("layer_map/state.js", COUNTED, all=[traits_of(layer) for layer in layers])
    for layer, found in zip(layers, all_found, strict=True):
        parts = [
            [part.name, list(counts["shape"]), str(counts["parameters"]), str(counts["flops"]), said(part, layer)]
            for part, counts in zip(parts_of(layer.mode), layer.parts.values())
        ]
        totals = [sum(part[what] for part in layer.parts.values()) for what in ("parameters", "flops")]
        words = [in_words(total) for total in totals] + [bytes_in_words(layer.cache_bytes)]
        assert found == {"sizes": layer.sizes, "flow": parts, "whole": words}


def said(part, layer):
    return filled(part.sentence + (part.shared if layer.sizes["R"] > 1 else ""), layer.sizes)


COUNTED = """return data.all.map((traits) => {
    const { flow, whole, sizes } = m.stateOf(traits);
    return {
        sizes,
        flow: flow.map((part) => [part.name, part.shape, String(part.parameters), String(part.flops), part.sentence]),
        whole: [m.inWords(whole.parameters), m.inWords(whole.flops), m.bytesInWords(whole.bytes)],
    };
});"""


def traits_of(layer):
    names = "mode", *MOST, "bias", "bytes_per_number", "lit", "pointed", "pinned", "_modes", "_parts"
    return {name: getattr(layer, name) for name in names}


# the same places -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES, ids=str)
@pytest.mark.parametrize("width", [830, 980, 1200])
def test_page_and_picture_put_everything_in_the_same_place(javascript, state, width):
    layer = LayerMap(**state)
    given = {"state": {"mode": layer.mode, "sizes": layer.sizes}, "width": width}
    found = javascript("layer_map/layout.js", "return m.layoutOf(data.state, data.width);", **given)
    ways = javascript(
        "layer_map/arrows.js", "return m.arrowsOf(data.layout, data.mode);", layout=found, mode=layer.mode
    )
    places = layout(layer.mode, layer.sizes, width)
    assert set(found["parts"]) == set(places) == {part.name for part in parts_of(layer.mode)}
    for name, mine in places.items():
        theirs = found["parts"][name]
        assert box(theirs["hit"]) == pytest.approx(mine.hit), name
        assert len(theirs["blocks"]) == len(mine.blocks)
        for block, (own, stripes, sheets) in zip(theirs["blocks"], mine.blocks):
            assert box(block["box"]) == pytest.approx(own) and (block["stripes"], block["sheets"]) == (stripes, sheets)
        assert (box(theirs["weights"]) if theirs["weights"] else None) == (mine.weights and pytest.approx(mine.weights))
        for words in ("title", "letters", "numbers"):
            spot, own = theirs[words], getattr(mine, words)
            assert (spot is None) == (own is None)
            if spot:
                assert (spot["x"], spot["y"]) == pytest.approx(own[:2]) and spot["anchor"] == own[2]
    assert sorted(map(rounded, ways)) == sorted(map(rounded, arrows(places, layer.mode)))


def box(place):
    return place["x"], place["y"], place["w"], place["h"]


def rounded(way):
    return [tuple(round(number, 3) for number in corner) for corner in way]


# what cannot be ------------------------------------------------------------------------------------------------------

WRONG = [
    ({"num_heads": 7}, "d_model=512 cannot be split over num_heads=7: 512 / 7 leaves 1; divisors of 512: 1, 2, 4, 8,"),
    ({"num_kv_heads": 3}, "num_heads=8 cannot share num_kv_heads=3: 8 / 3 leaves 2; divisors of 8: 1, 2, 4, 8."),
    ({"num_kv_heads": 0}, "num_kv_heads=0: it must lie between 1 and 512."),
    ({"tokens": 131073}, "tokens=131073: it must lie between 1 and 131,072."),
    ({"d_model": -1}, "d_model=-1: it must lie between 1 and 32,768."),
    ({"mode": "cache", "tokens": 9, "num_keys": 5}, "tokens=9 are the last of num_keys=5, which the cache holds: they"),
]


@pytest.mark.parametrize("state, words", WRONG, ids=str)
def test_a_layer_that_cannot_be_is_refused_in_one_sentence(javascript, state, words):
    with pytest.raises(TraitError, match="^" + re.escape(words)) as problem:
        LayerMap(**state)
    asked = {**traits_of(LayerMap()), **state}
    assert javascript("layer_map/state.js", "return m.problem(data.asked);", asked=asked) == str(problem.value)


@pytest.mark.parametrize(
    "state, words",
    [
        ({"d_model": 10**400}, "d_model=1000000000.*…: it must lie between"),
        ({"mode": "decoder"}, "mode='decoder': it must be 'self', 'causal', 'cross' or 'cache'."),
        ({"bytes_per_number": 3}, "bytes_per_number=3: it must be 4, 2 or 1."),
        ({"lit": "score"}, "lit='score' is no part of the layer; there are tokens, x, context, query, "),
        ({"pinned": "head"}, "pinned='head' is no part of the layer"),
    ],
)
def test_other_wrong_states_are_refused_in_words_too(state, words):
    with pytest.raises(TraitError, match=words):
        LayerMap(**state)
    layer = LayerMap()
    before = layer.picture()[0]
    with pytest.raises(TraitError, match=words):
        layer.set(**state)
    assert layer.picture()[0] == before


def test_sizes_that_go_together_are_set_together_and_refused_together():
    layer = LayerMap(num_heads=8, num_kv_heads=8)
    with pytest.raises(TraitError, match="num_heads=4 cannot share num_kv_heads=8"):
        layer.num_heads = 4
    layer.set(num_heads=4, num_kv_heads=2)
    assert (layer.sizes["G"], layer.sizes["R"]) == (2, 2)
    with pytest.raises(TraitError, match="cannot share num_kv_heads=3"):
        layer.set(num_heads=16, num_kv_heads=3)
    assert (layer.num_heads, layer.num_kv_heads) == (4, 2)
    layer.set_state({"num_heads": 2, "num_kv_heads": 1})  # what a page sends
    assert (layer.num_heads, layer.num_kv_heads) == (2, 1)


def test_a_single_part_can_be_lit_without_a_list():
    layer = LayerMap(lit="scores")
    assert layer.lit == ["scores"]
    layer.lit = "concat"
    assert layer.lit == ["concat"]


def test_what_the_parts_are_cannot_be_changed():
    layer = LayerMap()
    for name, other in {"_parts": [], "_modes": {}}.items():
        with pytest.raises(TraitError, match="stays as it is"):
            setattr(layer, name, other)
        with pytest.raises(TraitError, match="stays as it is"):
            layer.set_state({name: other})


def test_the_limits_of_page_and_python_are_the_same(javascript):
    assert javascript("layer_map/state.js", "return m.MOST;") == MOST


# words and pictures --------------------------------------------------------------------------------------------------


def test_each_part_names_the_lesson_that_builds_it_by_its_title():
    titles = {json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"][0].strip("# \n") for path in LESSONS}
    for part in PARTS:
        assert part.lesson in titles or part.name in ("tokens", "x")


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.name}-{part.modes[0]}")
def test_each_part_has_one_plain_sentence(part):
    assert part.sentence.endswith(".") and part.sentence.count(".") == 1
    assert len(part.sentence) <= 128 and set(re.findall(r"\{(.+?)\}", part.sentence)) <= {"D", "S", "K", "H·K", "G·K"}


def test_every_mode_has_each_part_once_in_the_same_order():
    for mode in MODES:
        names = [part.name for part in parts_of(mode)]
        assert names == [name for name in NAMES if name in names]
        assert {"tokens", "x", "query", "key", "value", "scores", "softmax", "average", "concat", "output"} <= {*names}


def png_of(layer):
    data, metadata = layer._repr_mimebundle_()
    return Image.open(io.BytesIO(base64.b64decode(data["image/png"]))), metadata["image/png"]["width"]


@pytest.mark.parametrize("state", STATES, ids=str)
def test_every_state_has_a_picture_with_a_margin(state):
    image, width = png_of(LayerMap(**state, lit=["scores", "context", "cache", "mask"]))
    assert image.width == 2 * width and image.height < 2 * 800
    pixels = np.asarray(image.convert("RGB"))
    assert (pixels[:, :16] == 255).all() and (pixels[:, -16:] == 255).all()


def test_the_picture_follows_the_state():
    layer = LayerMap()
    pictures = {layer.picture()[0]}
    for state in (*STATES[1:5], {"lit": "scores"}, {"lit": "output"}):
        layer.set(**state)
        pictures.add(layer.picture()[0])
    assert len(pictures) == 7


def test_text_is_short_and_says_what_is_shown():
    assert repr(LayerMap()) == "LayerMap(self: 8 heads of 64, d_model 512, 1,050,624 parameters)"
    assert repr(LayerMap(mode="cache", num_kv_heads=1, bias=False)) == (
        "LayerMap(with a cache: 8 heads of 64, 1 for keys and values, d_model 512, 589,824 parameters)"
    )
