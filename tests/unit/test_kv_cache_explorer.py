"""KVCacheExplorer without a browser: its numbers, its presets, its traits, its picture."""

import base64
import io
import time
from dataclasses import replace
from itertools import product

import pytest
from PIL import Image
from traitlets import TraitError

from mha_lab.cost import kv_cache_bytes
from mha_lab.published import MODELS, Indexer, Model, layer_kinds, numbers_per_token
from mha_lab.widgets import KVCacheExplorer
from mha_lab.widgets.kv_cache_explorer import BATCHES, CONTEXTS, DECODERS, WIDTHS, size

BY_NAME = {model.name: model for model in DECODERS}
ALIKE = [m.name for m in DECODERS if set(numbers_per_token(m)) <= {"global"} or m.name == "Mistral-7B"]
"""Those whose layers keep a key and a value of every token, or of the last few."""


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("batch, width", [(1, 2), (16, 4), (256, 1)])
def test_the_cache_of_a_model_is_what_cost_counts(name, batch, width):
    m = BY_NAME[name]
    explorer = KVCacheExplorer(name, batch=batch, bytes_per_number=width)
    tokens = min(m.context, 4096) if name == "Mistral-7B" else m.context
    heads, sizes = m.num_kv_heads, {"layers": m.layers, "bytes_per_number": width}
    assert explorer.cache_bytes == kv_cache_bytes(batch, tokens, heads, m.d_head, **sizes)
    assert explorer.token_bytes == kv_cache_bytes(1, 1, heads, m.d_head, **sizes)


def test_published_figures_come_out():
    llama = KVCacheExplorer("Llama-3-8B")
    assert (llama.token_bytes, llama.cache_bytes) == (128 * 2**10, 2**30)
    llama.num_kv_heads = 32
    assert llama.cache_bytes == 4 * 2**30
    smol = KVCacheExplorer("SmolLM2-135M", bytes_per_number=4)
    assert smol.cache_bytes == 360 * 2**20
    deepseek = KVCacheExplorer("DeepSeek-V2")
    assert deepseek.token_bytes == 60 * 576 * 2


def test_every_model_that_writes_can_be_chosen_or_is_named_with_what_is_not_known():
    explorer = KVCacheExplorer()
    missing = {model.name for model in MODELS if model not in DECODERS}
    assert missing == {"BERT-base", "GLM-4.5-Air", "DeepSeek-V4-Pro"}
    assert [preset["name"] for preset in explorer._presets] == [model.name for model in DECODERS]
    assert dict(explorer._others) == {
        "GLM-4.5-Air": "its source does not say d_head",
        "DeepSeek-V4-Pro": "its source does not say layers",
    }
    assert max(model.context for model in DECODERS) == CONTEXTS[-1] == 2**20


# By hand: layers × numbers × entries × 2 bytes, for a text of so many tokens.
BY_HAND = {
    ("gpt-oss-120b", 4096): 18 * 1024 * 128 + 18 * 1024 * 4096,
    ("gpt-oss-120b", 100): 36 * 1024 * 100,
    ("Gemma 3 270M", 4096): 15 * 512 * 512 + 3 * 512 * 4096,
    ("Gemma 4 E2B", 131072): 12 * 512 * 512 + 3 * 1024 * 131072,
    ("MiMo-V2-Flash", 131072): 9 * 4 * 320 * 131072 + 39 * 8 * 320 * 129,
    ("Qwen3-Next-80B-A3B", 32768): 36 * 32 * 128 * 128 + 12 * 1024 * 32768,
    ("Kimi-Linear-48B-A3B", 65536): 20 * 32 * 128 * 128 + 7 * 576 * 65536,
    ("DeepSeek-V3.2-Exp", 1000): 61 * 576 * 1000,
    ("DeepSeek-V4-Flash", 4096): 43 * 512 * 128 + 20 * 512 * 1024 + 23 * 512 * 32,
    ("LFM3-1.7B", 1000): 6 * 1024 * 1000 + 5 * 1024 * 256,
}


@pytest.mark.parametrize("name, tokens", BY_HAND)
def test_each_layer_keeps_what_its_kind_keeps(name, tokens):
    assert KVCacheExplorer(name, context=tokens).cache_bytes == 2 * BY_HAND[name, tokens]


@pytest.mark.parametrize(
    "name, numbers",
    [
        ("Qwen3-8B", 36 * 2048),
        ("gpt-oss-120b", 36 * 1024),
        ("Gemma 4 E2B", 12 * 512 + 3 * 1024),
        ("DeepSeek-V3.2-Exp", 61 * 576),
        ("Qwen3-Next-80B-A3B", 12 * 1024),  # a state does not grow
        ("DeepSeek-V4-Flash", 43 * 512 + 20 * 128 + 23 * 4),  # 512 for every 4 and for every 128 tokens
    ],
)
def test_a_token_adds_what_the_layers_keep_of_it_until_a_window_is_full(name, numbers):
    assert KVCacheExplorer(name).token_bytes == 2 * numbers


def test_local_layers_with_more_heads_of_their_own_keep_their_ratio_and_never_more_than_there_are_queries():
    explorer = KVCacheExplorer("MiMo-V2-Flash", context=1000)
    explorer.num_kv_heads = 2
    assert explorer.cache_bytes == 2 * 320 * (9 * 2 * 1000 + 39 * 4 * 129)
    explorer.num_kv_heads = 64
    assert explorer.cache_bytes == 2 * 320 * (9 * 64 * 1000 + 39 * 64 * 129)


@pytest.mark.parametrize(
    "name, words",
    [
        ("Llama-3-8B", ""),
        ("DeepSeek-V3.2-Exp", "the indexer's keys (128 more numbers for a token in 61 layers)"),
        ("Hy4", "the indexer's keys (128 more numbers for a token in 21 layers)"),
        ("MiniMax-M3", "the indexer's keys (128 more numbers for a token in some layers)"),
        ("LFM3-1.7B", "the last few inputs that short convolutions remember"),
        (
            "GLM-5.3-Flash",
            "the indexer's keys (128 more numbers for every 16 tokens in 11 layers); "
            "the last few inputs that short convolutions remember",
        ),
        ("DeepSeek-V4-Flash", "the indexer's keys (128 more numbers for every 4 tokens in 20 layers)"),
    ],
)
def test_what_is_not_counted_is_said(name, words):
    explorer = KVCacheExplorer(name)
    assert next(preset["left_out"] for preset in explorer._presets if preset["name"] == name) == words


def test_a_window_keeps_no_more_than_its_width():
    explorer = KVCacheExplorer("Mistral-7B")
    full = explorer.cache_bytes
    explorer.context = 131072
    assert explorer.cache_bytes == full
    explorer.context = 2048
    assert explorer.cache_bytes == full // 2


def test_a_latent_takes_no_notice_of_heads():
    explorer = KVCacheExplorer("DeepSeek-V2")
    before = explorer.cache_bytes
    explorer.num_kv_heads = 1
    assert explorer.cache_bytes == before


def test_the_bandwidth_bound_is_bytes_over_bytes():
    explorer = KVCacheExplorer("Llama-3-8B", batch=4, bandwidth=50)
    assert explorer.tokens_per_second == pytest.approx(50e9 / (4 * 2**30))


def test_what_was_moved_after_the_model_stays_where_both_come_in_one_message():
    explorer = KVCacheExplorer("Llama-3-8B")
    explorer.set_state({"model": "GPT-2 small", "context": 256})
    assert (explorer.model, explorer.context, explorer.num_kv_heads) == ("GPT-2 small", 256, 12)
    explorer.set_state({"num_kv_heads": 2, "model": "Llama-3-8B", "context": 4096})
    assert (explorer.model, explorer.context, explorer.num_kv_heads) == ("Llama-3-8B", 4096, 2)
    explorer.model = "GPT-2 small"
    assert (explorer.context, explorer.num_kv_heads) == (1024, 12)


def test_a_new_model_brings_its_own_context_and_heads():
    explorer = KVCacheExplorer("Llama-3-8B", context=512, num_kv_heads=1)
    assert (explorer.context, explorer.num_kv_heads) == (512, 1)
    explorer.model = "GPT-2 small"
    assert (explorer.context, explorer.num_kv_heads) == (1024, 12)


MINE = Model("mine", layers=2, d_model=48, num_heads=6, num_kv_heads=3, d_head=8, context=256, source="mine")


def test_a_model_of_ones_own_can_be_looked_at():
    assert KVCacheExplorer("mine", models=(MINE,)).cache_bytes == 2 * 256 * 3 * 8 * 2 * 2
    assert KVCacheExplorer("mine", models=[replace(MINE, context=None)]).context == 8192
    near = replace(MINE, pattern="LG", window=16, indexer=Indexer(heads=1, width=4, keys=8))
    assert KVCacheExplorer("mine", models=(near,)).cache_bytes == (16 + 256) * 3 * 8 * 2 * 2


def test_models_that_cannot_be_shown_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="^models is empty: there must be at least one to show.$"):
        KVCacheExplorer(models=())
    with pytest.raises(ValueError, match="^mine cannot be shown: its source does not say d_head.$"):
        KVCacheExplorer("mine", models=(MINE, replace(MINE, name="mine", d_head=None)))
    with pytest.raises(ValueError, match="^mine cannot be shown: its layers keep nothing that is counted.$"):
        KVCacheExplorer("mine", models=(replace(MINE, pattern="V"),))
    with pytest.raises(TraitError, match="^'Llama-3-8B' is none of the models: mine.$"):
        KVCacheExplorer(models=(MINE,))


def test_what_there_is_to_choose_from_stays_and_only_the_choice_moves():
    explorer = KVCacheExplorer()
    for name in "_presets", "_others", "_contexts", "_batches":
        with pytest.raises(TraitError, match="stays as it is"):
            setattr(explorer, name, [])


def test_the_page_counts_what_python_counts_for_every_model(javascript):
    """At every model and many steps of the sliders; each kind of layer's keys and products too."""
    cases, expected, kinds, counted = [], [], [], []
    for model in DECODERS:
        explorer = KVCacheExplorer(model.name)
        preset = next(one for one in explorer._presets if one["name"] == model.name)
        heads = [g for g in range(1, model.num_heads + 1) if model.num_heads % g == 0]
        for width in WIDTHS:
            explorer.bytes_per_number = width
            for g, context, batch in product(heads, CONTEXTS[::3] + (100, 131), BATCHES[::4]):
                explorer.context, explorer.batch = context, batch
                now = {"context": context, "batch": batch, "width": width}
                cases.append([model.name, now | {"heads": g}])
                expected.append([explorer._bytes(g), explorer._added(g)])
                if model.latent:
                    cases.append([model.name, now | {"heads": None}])
                    expected.append([explorer.cache_bytes, explorer.token_bytes])
        for kind, sent in zip(layer_kinds(model), preset["kinds"], strict=True):
            kinds.append(sent)
            counted += [[kind.keys(n), kind.flops(n), kind.numbers(n)] for n in (1, 100, 5000)]
    found = javascript(
        "kv_cache_explorer/state.js",
        """const of = Object.fromEntries(data.presets.map((preset) => [preset.name, preset]));
        return data.cases.map(([name, now]) => [m.cacheBytes(of[name], now), m.tokenBytes(of[name], now)]);""",
        cases=cases,
        presets=explorer._presets,
    )
    assert found == expected
    found = javascript(
        "shared/layer_kinds.js",
        """return data.kinds.flatMap((kind) => [1, 100, 5000].map((n) =>
            [m.keysSeen(kind, n), m.productFlops(kind, n), m.numbersKept(kind, n)]))""",
        kinds=kinds,
    )
    assert found == counted


def test_the_page_says_sizes_as_python_does(javascript):
    counts = [64, 1536, 131072, 36 * 2**20, 480 * 2**30, 240 * 2**40, 1.5 * 2**50, 10.5 * 2**20]
    found = javascript("kv_cache_explorer/state.js", "return data.counts.map(m.size)", counts=counts)
    assert found == [size(count) for count in counts]


def test_a_head_count_that_no_list_of_divisors_could_hold_is_refused_at_once():
    begun = time.perf_counter()
    with pytest.raises(ValueError, match="mine cannot be shown: 1,000,000,007 heads are more than 16,384"):
        KVCacheExplorer("mine", models=(replace(MINE, num_heads=10**9 + 7, num_kv_heads=1),))
    widest = replace(MINE, num_heads=15_120, num_kv_heads=1)  # of all numbers up to 16,384 the one with most divisors
    bars = KVCacheExplorer("mine", models=(widest,))._bars()
    assert [bar[0].split()[0] for bar in bars] == [str(g) for g in range(1, 15_121) if 15_120 % g == 0]
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize(
    "options, words",
    [
        ({"model": "GPT-9"}, "none of the models: GPT-2 small"),
        ({"num_kv_heads": 3}, "32 query heads cannot share num_kv_heads=3; what divides it: 1, 2, 4, 8, 16, 32"),
        ({"num_kv_heads": 0}, "num_kv_heads=0"),
        ({"context": 0}, "context=0: it must lie between 1 and 1,048,576"),
        ({"context": True}, "^context is the bool True; it must be a whole number.$"),
        ({"num_kv_heads": True}, "^num_kv_heads is the bool True; it must be a whole number.$"),
        ({"batch": 1000}, "batch=1000: it must lie between 1 and 256"),
        ({"bandwidth": 0.0}, "^bandwidth=0.0: it must be a number between 1 and 10,000 GB/s.$"),
        ({"bandwidth": 10**400}, "^bandwidth=10{29}…: it must be a number between 1 and 10,000 GB/s.$"),
        ({"bandwidth": 10**5000}, "it must be a number between 1 and 10,000 GB/s.$"),
        ({"bandwidth": float("nan")}, "^bandwidth=nan: it must be a number between"),
        ({"bandwidth": float("inf")}, "^bandwidth=inf: it must be a number between"),
        ({"bandwidth": "fast"}, "^bandwidth='fast': it must be a number between"),
        ({"bandwidth": True}, "^bandwidth=True: it must be a number between"),
        ({"bandwidth": None}, "^bandwidth=None: it must be a number between"),
        ({"context": 10**400}, "^context=10{29}…: it must lie between"),
        ({"batch": 10**5000}, "^batch=.*: it must lie between"),
        ({"num_kv_heads": 10**5000}, "cannot share num_kv_heads=.*; what divides it"),
        ({"model": "x" * 1000}, "^'xxxxx{25}.* is none of the models"),
        ({"bytes_per_number": 3}, "^bytes_per_number=3: it must be 4, 2 or 1.$"),
        ({"budget": 7}, "^budget=7: it must be 8, 16, 24 or 80.$"),
    ],
)
def test_what_cannot_be_is_said_at_the_door_and_later(options, words):
    with pytest.raises(TraitError, match=words):
        KVCacheExplorer(**options)
    explorer = KVCacheExplorer()
    for name, value in options.items():
        with pytest.raises(TraitError, match=words):
            setattr(explorer, name, value)
    assert repr(explorer) == "KVCacheExplorer(Llama-3-8B, 8,192 tokens: 1 GiB)" and explorer.bandwidth == 100


def test_every_state_of_every_preset_can_be_shown_and_drawn():
    for model in DECODERS:
        for context, batch in (CONTEXTS[0], BATCHES[-1]), (CONTEXTS[-1], 1):
            explorer = KVCacheExplorer(model.name, context=context, batch=batch, bytes_per_number=1, budget=8)
            data, metadata = explorer._repr_mimebundle_()
            image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
            assert image.width == 2 * metadata["image/png"]["width"] and image.getcolors(2**24) is not None
            assert model.name in repr(explorer) and "0x" not in repr(explorer)


def test_the_picture_follows_the_state():
    explorer = KVCacheExplorer("Llama-3-8B")
    pictures = {explorer.picture()[0]}
    for name, value in ("num_kv_heads", 1), ("batch", 8), ("budget", 80), ("bandwidth", 3350.0):
        explorer.set_trait(name, value)
        pictures.add(explorer.picture()[0])
    assert len(pictures) == 5


@pytest.mark.parametrize(
    "count, words",
    [
        (64, "64 bytes"),
        (1536, "1.50 KiB"),
        (131072, "128 KiB"),
        (36 * 2**20, "36 MiB"),
        (480 * 2**30, "480 GiB"),
        (240 * 2**40, "240 TiB"),
    ],
)
def test_sizes_in_words(count, words):
    assert size(count) == words
