"""KVCacheExplorer without a browser: its numbers, its presets, its traits, its picture."""

import base64
import io
import re

import pytest
from PIL import Image
from traitlets import TraitError

from mha_lab.cost import kv_cache_bytes
from mha_lab.widgets import KVCacheExplorer
from mha_lab.widgets.kv_cache_explorer import BATCHES, CONTEXTS, DECODERS, size
from mha_lab.widgets.published import MODELS, Model

BY_NAME = {model.name: model for model in DECODERS}
NO_LATENT = [model.name for model in DECODERS if not model.latent]


@pytest.mark.parametrize("name", NO_LATENT)
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


def test_the_presets_are_possible_and_say_where_they_come_from():
    assert len({model.name for model in MODELS}) == len(MODELS)
    for model in MODELS:
        assert model.num_heads % model.num_kv_heads == 0
        assert model.latent or model.num_heads * model.d_head == model.d_model
        paper, file = model.source.split("; ")
        assert re.search(r" 20\d\d", paper) and re.search(r" (in|of) ", file)


def test_every_model_that_writes_can_be_chosen_and_starts_on_a_step_of_the_slider():
    assert [model.name for model in MODELS if model not in DECODERS] == ["BERT-base"]
    assert {model.context for model in DECODERS} <= set(CONTEXTS)


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


def test_a_model_of_ones_own_can_be_looked_at():
    mine = Model("mine", layers=2, d_model=48, num_heads=6, num_kv_heads=3, d_head=8, context=256, source="mine")
    assert KVCacheExplorer("mine", models=(mine,)).cache_bytes == 2 * 256 * 3 * 8 * 2 * 2


@pytest.mark.parametrize(
    "options, words",
    [
        ({"model": "GPT-9"}, "none of the models: GPT-2 small"),
        ({"num_kv_heads": 3}, "32 query heads cannot share num_kv_heads=3; what divides it: 1, 2, 4, 8, 16, 32"),
        ({"num_kv_heads": 0}, "num_kv_heads=0"),
        ({"context": 0}, "context=0: it must lie between 1 and 131,072"),
        ({"batch": 1000}, "batch=1000: it must lie between 1 and 256"),
        ({"bandwidth": 0.0}, "between 1 and 10,000 GB/s"),
        ({"bytes_per_number": 3}, "^bytes_per_number=3: it must be 4, 2 or 1.$"),
        ({"budget": 7}, "^budget=7: it must be 8, 16, 24 or 80.$"),
    ],
)
def test_what_cannot_be_is_said_at_the_door(options, words):
    with pytest.raises(TraitError, match=words):
        KVCacheExplorer(**options)


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
