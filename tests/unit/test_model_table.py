"""ModelTable without a browser: its rows against mha_lab.published, its order and its answers, what follows it."""

import base64
import gc
import io
import time
import weakref
from dataclasses import replace

import pytest
import traitlets
from PIL import Image
from traitlets import TraitError

from mha_lab import _door
from mha_lab.published import CERTAINTY, FEATURES, MODELS, Indexer, Model, added_per_token, features
from mha_lab.widgets import CostExplorer, KVCacheExplorer, ModelTable, _model_rows, _model_table_layout
from mha_lab.widgets.model_table import COLUMNS, MOST_MODELS, NUMBERS

BY_NAME = {model.name: model for model in MODELS}
MINE = Model("mine", layers=2, d_model=48, num_heads=6, num_kv_heads=3, d_head=8, source="my own, of this test")
ROWS = {row["name"]: row for row in ModelTable()._models}


# rows ----------------------------------------------------------------------------------------------------------------


def test_every_published_model_has_a_row_with_its_own_numbers():
    assert list(ROWS) == [model.name for model in MODELS]
    for model in MODELS:
        row = ROWS[model.name]
        for name in ("year", "layers", "d_model", "num_heads", "num_kv_heads", "d_head", "source", "decoder"):
            assert row[name] == getattr(model, name), (model.name, name)
        assert row["pattern"] == model.kinds and row["shared"] == model.shared_layers
        assert row["certainty"].startswith(f"{model.certainty}, ") and CERTAINTY[model.certainty] in row["certainty"]
        if model.d_head is None:
            assert row["ratio"] is None
        else:
            assert row["ratio"] * model.d_model == pytest.approx(model.num_heads * model.d_head)


def test_what_a_token_adds_is_what_the_cache_explorer_counts():
    for row in ROWS.values():
        if row["cached"] is None:
            assert row["left"] and not row["decoder"] or "not all" in row["left"], row["name"]
        else:
            assert KVCacheExplorer(row["name"], bytes_per_number=1).token_bytes == row["cached"]


def test_once_every_window_is_full_a_token_adds_what_the_cache_then_grows_by():
    for row in ROWS.values():
        if row["cached"] is None:
            continue
        long = [KVCacheExplorer(row["name"], context=tokens, bytes_per_number=1) for tokens in (2**16, 2**17)]
        grown = long[1].cache_bytes - long[0].cache_bytes
        assert grown == pytest.approx(row["later"] * 2**16, rel=1e-3), row["name"]


def test_a_feature_is_that_of_the_data_and_of_nothing_else():
    has = {name: {model for model, row in ROWS.items() if row["has"][name]} for name in FEATURES}
    open_ = {name: {model for model, row in ROWS.items() if row["has"][name] is None} for name in FEATURES}
    for name, model in BY_NAME.items():
        assert (name in has["gate"]) == bool(model.gate) and (name in has["sinks"]) == bool(model.sinks)
        assert (name in has["latent"]) == (model.latent != 0) and (name in has["indexer"]) == bool(model.indexer)
        assert (name in has["shared"]) == (model.shared_layers > 0) and (name in has["window"]) == (model.window > 0)
        assert (name in has["linear"]) == ("S" in (model.kinds or "")) and (name in has["nope"]) == (
            "N" in (model.kinds or "")
        )
        assert (name in has["qk_norm"], name in open_["qk_norm"]) == (model.qk_norm is True, model.qk_norm is None)
    assert open_["nope"] == open_["linear"] == {"DeepSeek-V4-Pro"}
    assert {"Gemma 4 E2B", "Gemma 4 E4B", "LFM3-1.7B", "Qwen3-Next-80B-A3B"} <= has["partial"]
    assert not has["partial"] & {"GPT-2 small", "Llama-3-8B", "Inkling-2-Small"}
    assert open_["partial"] == {"MiniMax-M2", "Qwen4-Exp"}


@pytest.mark.parametrize(
    "name, feature, words",
    [
        ("Qwen3-Next-80B-A3B", "gate", "an output gate, a number for each feature"),
        ("Step-3.7-Flash", "gate", "an output gate, a number for each head"),
        ("MiMo-V2-Flash", "sinks", "sinks, learned, in local layers"),
        ("DeepSeek-V2", "latent", "a latent of 576 numbers, 64 of them with the position"),
        ("GLM-5.3-Flash", "latent", "a latent of 512 numbers"),
        ("Kimi K2", "latent", "a latent of 576 numbers, 64 of them with the position"),
        ("DeepSeek-V3.2-Exp", "indexer", "an indexer that picks 2,048 keys"),
        ("MiniMax-M3", "indexer", "an indexer that picks 2,048 keys in blocks of 128"),
        ("Qwen4-Exp", "indexer", "an indexer, its sizes unknown"),
        ("Kimi-Linear-48B-A3B", "linear", "20 of 27 layers are linear"),
        ("Gemma 4 E2B", "shared", "the last 20 layers share keys and values"),
        ("gpt-oss-120b", "window", "18 of 36 layers look at 128 tokens at most"),
        ("DeepSeek-V4-Flash", "window", "43 of 43 layers look at 128 tokens, and at the earlier ones compressed"),
        ("DeepSeek-V4-Pro", "window", "a window of 128 tokens"),
        ("SmolLM3-3B", "nope", "9 of 36 layers have no positions"),
        ("Gemma 4 E2B", "partial", "0.25 of d_head is rotated in global layers"),
        ("Llama-3-8B", "qk_norm", ""),
        ("Inkling-2-Small", "qk_norm", None),
    ],
)
def test_what_is_special_is_said_in_words(name, feature, words):
    assert features(BY_NAME[name])[feature] == words


def test_which_explorers_cannot_show_a_model_is_said_with_the_reason():
    left = {name: row["left"] for name, row in ROWS.items() if row["left"]}
    unknown = "Not in CostExplorer and KVCacheExplorer: not all of its sizes are known."
    assert left == {
        "BERT-base": "Not in KVCacheExplorer: it keeps no cache.",
        "DeepSeek-V4-Flash": "Not in CostExplorer: one key that is the value too, see KVCacheExplorer.",
        **dict.fromkeys(("GLM-4.5-Air", "DeepSeek-V4-Pro"), unknown),
    }
    wide = ModelTable([replace(MINE, num_heads=2**15, num_kv_heads=1)])._models[0]["left"]
    assert wide == (
        "Not in CostExplorer: its num_heads is larger than 16,384. "
        "Not in KVCacheExplorer: it has more than 16,384 heads."
    )


# order and answers ---------------------------------------------------------------------------------------------------


def test_rows_are_sorted_by_any_column_and_what_is_not_known_comes_last():
    table = ModelTable(sort="num_heads")
    heads = [ROWS[name]["num_heads"] for name in table.answers]
    assert heads == sorted(heads)
    table.descending = True
    assert [ROWS[name]["num_heads"] for name in table.answers] == sorted(heads, reverse=True)
    table.sort = "d_head"
    assert ROWS[table.answers[-1]]["d_head"] is None
    table.descending = False
    assert ROWS[table.answers[-1]]["d_head"] is None


def test_asking_leaves_the_models_that_answer_for_sure():
    gated = [model.name for model in MODELS if model.gate]
    assert set(ModelTable(ask="gate").answers) == set(gated) and len(gated) == 12
    both = ModelTable(ask=["gate", "sinks"]).answers
    assert set(both) == {"Hy4", "Inkling-2-Small"}
    plain = ModelTable(ask={"qk_norm": False}).answers
    assert "Inkling-2-Small" not in plain and "Inkling-2-Small" not in ModelTable(ask="qk_norm").answers
    assert len(plain) + len(ModelTable(ask="qk_norm").answers) + 1 == len(MODELS)


def test_the_page_sorts_asks_and_counts_as_python_does(javascript):
    asks = [{}, {"gate": True}, {"window": False, "latent": False}, {"partial": True, "nope": True}, {"qk_norm": False}]
    ways = [(sort, descending) for sort in (*COLUMNS, *FEATURES) for descending in (False, True)]
    cases = [(ask, *ways[0]) for ask in asks] + [(asks[i % len(asks)], *way) for i, way in enumerate(ways)]
    tables = [ModelTable(ask=ask, sort=sort, descending=descending) for ask, sort, descending in cases]
    found = javascript(
        ("model_table/state.js", "model_table/speech.js"),
        """return data.cases.map(([ask, sort, descending]) => {
            const now = m.derived({ model: "", pointed: "", across: "year", up: "year", ...data.given,
                ask, sort, descending });
            return [now.rows.map((row) => row.name), m.statusInWords(now)];
        })""",
        cases=cases,
        given={name: getattr(tables[0], name) for name in ("_models", "_columns", "_features")},
    )
    told = [_model_rows.status_in_words(table._models, table.ask) for table in tables]
    assert found == [[table.answers, words] for table, words in zip(tables, told)]


def test_the_pictures_dots_stand_where_the_pages_do(javascript):
    rows, pairs = list(ROWS.values()), [(NUMBERS[i], NUMBERS[(3 * i + 1) % len(NUMBERS)]) for i in range(len(NUMBERS))]
    found = javascript(
        "model_table/layout.js",
        """return data.pairs.map(([across, up]) => {
            const { dots, ticksUp } = m.plotOf({ all: data.rows, across, up }, 470, 230);
            return [Object.fromEntries(dots.map(({ name, x, y }) => [name, [x, y]])), ticksUp.map(({ at }) => at)];
        })""",
        rows=rows,
        pairs=pairs,
    )
    for (dots, ticks), (across, up) in zip(found, pairs):
        plot = _model_table_layout.plot(rows, across, up, 470, 230)
        assert dots.keys() == plot["dots"].keys()
        for name, place in dots.items():
            assert plot["dots"][name] == pytest.approx(place)
        assert [at for at, _ in _model_table_layout.spaced(plot["up"], lambda _: 16)] == pytest.approx(ticks)


def test_the_picture_writes_numbers_as_the_page_does(javascript):
    from mha_lab.widgets._model_table_picture import number_in_words

    rows = list(ROWS.values())
    found = javascript(
        "model_table/speech.js",
        "return data.rows.map((row) => data.columns.map((column) => m.numberInWords(row, column)))",
        rows=rows,
        columns=NUMBERS,
    )
    assert found == [[number_in_words(row, column) for column in NUMBERS] for row in rows]


# what follows it -----------------------------------------------------------------------------------------------------


def test_a_cost_and_a_cache_explorer_follow_the_open_row():
    table = ModelTable(model="Llama-3-8B")
    cost, cache = table.cost(), table.cache(batch=4)
    for name in ("gpt-oss-120b", "DeepSeek-V3.2-Exp", "Qwen3-Next-80B-A3B", "GPT-2 small", "Mistral-7B"):
        table.model = name
        sizes = {trait: CostExplorer.models[name][trait] for trait in ("d_model", "num_heads", "num_kv_heads", "n")}
        assert {trait: getattr(cost, trait) for trait in sizes} == sizes
        assert cost.latent == CostExplorer.models[name]["latent"]
        alone = KVCacheExplorer(name, batch=4)
        assert (cache.model, cache.context, cache.cache_bytes) == (name, alone.context, alone.cache_bytes)


def test_every_row_can_be_opened_one_after_the_other_and_what_cannot_follow_stays():
    table = ModelTable()
    cost, cache = table.cost(), table.cache()
    for name, row in ROWS.items():
        before = repr(cost), repr(cache)
        table.model = name
        if "CostExplorer" in row["left"].split(":")[0]:
            assert repr(cost) == before[0]
        else:
            assert cost.d_model == row["d_model"] and cost.num_heads == row["num_heads"]
        if "KVCacheExplorer" in row["left"].split(":")[0] or "and KVCacheExplorer" in row["left"]:
            assert repr(cache) == before[1]
        else:
            assert cache.model == name
    table.model = ""
    assert cache.model == name


def test_they_begin_at_the_open_row_or_where_they_would_without_it():
    assert ModelTable(model="Hy4").cache().model == "Hy4" and ModelTable(model="Hy4").cost().d_model == 6144
    assert ModelTable().cache().model == "Llama-3-8B" and ModelTable().cost(d_model=256).d_model == 256
    assert ModelTable(model="GLM-4.5-Air").cache().model == "Llama-3-8B"
    assert ModelTable(model="Hy4").cache(context=512).context == 512


def test_models_of_ones_own_are_shown_asked_and_followed():
    table = ModelTable([MINE, replace(MINE, name="other", gate="head", d_head=16, pattern="LG", window=4)], ask="gate")
    assert table.answers == ["other"]
    cost, cache = table.cost(), table.cache()
    table.model = "other"
    assert (cost.d_model, cost.d_head, cache.model) == (48, 16, "other")
    assert repr(table) == "ModelTable(1 of 2: with an output gate, by year, other open)"
    assert table.picture()[1] > 900


def test_whom_nobody_holds_any_more_is_not_led():
    class Follower(traitlets.HasTraits):
        heads = traitlets.Int()

    table, asked = ModelTable(), []
    led = table._leading(Follower(), lambda m: asked.append(m.name) or {"heads": m.num_heads})
    table.model = "Hy4"
    assert led.heads == 64
    gone = weakref.ref(led)
    del led
    gc.collect()
    assert gone() is None
    table.model = "Llama-3-8B"
    table.model = "GPT-2 small"
    assert asked == ["Hy4"]


# traits and doors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, words",
    [
        ({"sort": "size"}, "^sort='size': it must be 'name', 'year'"),
        ({"across": "pattern"}, "^across='pattern': it must be 'year', .* or 'cached'.$"),
        ({"ask": "gates"}, "^ask='gates': what can be asked is qk_norm, gate,"),
        ({"ask": {"gate": 1}}, "^ask has gate=1; it must be True or False.$"),
        ({"ask": {"gate": None}}, "^ask has gate=None; it must be True or False.$"),
        ({"model": "GPT-9"}, "^model='GPT-9' is none of the 45 models: GPT-2 small, BERT-base"),
        ({"model": "x" * 1000}, "^model='xxxxx{25}.* is none of the 45 models"),
        ({"descending": "yes"}, "descending"),
    ],
)
def test_what_cannot_be_sorted_by_asked_or_opened_is_said_at_the_door_and_later(options, words):
    with pytest.raises(TraitError, match=words):
        ModelTable(**options)
    table = ModelTable()
    for name, value in options.items():
        with pytest.raises(TraitError, match=words):
            setattr(table, name, value)
    assert repr(table) == "ModelTable(45 models, by year)"


def test_what_is_no_ask_is_named():
    for value in (3, [3], 2.5, None):
        with pytest.raises((TraitError, TypeError), match="^ask is |^one of ask|^ask="):
            ModelTable(ask=value)
        with pytest.raises(TraitError, match="^ask is "):
            ModelTable().ask = value


@pytest.mark.parametrize(
    "models, words",
    [
        (3, "^models is the int 3; it must be a list of published.Model.$"),
        (MINE, "^models is a Model; it must be a list|^models is the Model"),
        ([MINE, "Llama-3-8B"], "^one of models is the str 'Llama-3-8B'; it must be a published.Model.$"),
        ([], "^there are 0 models: the table shows 1 to 200.$"),
        ([MINE, MINE], "^there are 2 models and 1 names: each needs a name of its own.$"),
        ([replace(MINE, name=str(i)) for i in range(MOST_MODELS + 1)], "^there are 201 models: the table shows 1 to"),
    ],
)
def test_what_are_no_models_is_refused_in_a_sentence(models, words):
    with pytest.raises((TypeError, ValueError), match=words):
        ModelTable(models)


def test_what_there_is_to_choose_from_stays_and_only_the_choice_moves():
    table = ModelTable()
    for name in "_models", "_columns", "_features":
        with pytest.raises(TraitError, match="stays as it is"):
            setattr(table, name, [])
        with pytest.raises(TraitError, match="stays as it is"):
            table.set_state({name: []})
    table.set_state({"model": "Hy4", "ask": {"gate": True}, "sort": "cached"})
    assert (table.model, table.ask, table.sort) == ("Hy4", {"gate": True}, "cached")


def test_a_name_a_list_and_a_dict_ask_the_same():
    table = ModelTable(ask="gate")
    for ask in (["gate"], ("gate",), {"gate": True}):
        table.ask = ask
        assert table.ask == {"gate": True}


# pictures ------------------------------------------------------------------------------------------------------------


def test_every_state_can_be_drawn_and_the_picture_follows():
    pictures = set()
    changes = [{"ask": "gate"}, {"ask": ["gate", "shared"]}, {"model": "Hy4"}, {"model": "DeepSeek-V4-Pro"}]
    changes += [{"across": "year", "up": "ratio"}, {"sort": "cached", "descending": True}, {"model": "Kimi K2"}]
    for options in [{}, *changes]:
        png, width = ModelTable(**options).picture()
        assert Image.open(io.BytesIO(png)).width == 2 * width
        pictures.add(png)
    assert len(pictures) == 1 + len(changes)


def test_a_picture_is_small_and_a_saved_notebook_holds_it():
    data, metadata = ModelTable()._repr_mimebundle_()
    assert len(data["image/png"]) < 200_000
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert image.width == 2 * metadata["image/png"]["width"]
    assert "0x" not in data["text/plain"]


def test_models_with_many_layers_and_large_numbers_are_drawn_at_once():
    deep = replace(MINE, layers=10_000, pattern="LG", window=4)
    large = replace(MINE, name="large", d_model=10**25, num_heads=10**12, num_kv_heads=1, d_head=10**9, year=None)
    many = [replace(deep, name=str(i)) for i in range(10)]
    begun = time.perf_counter()
    assert ModelTable([large, *many], sort="layers").picture()
    assert time.perf_counter() - begun < 5
    assert _door.LARGEST > large.d_model


def test_an_indexer_whose_sizes_are_not_known_is_left_out_in_words_and_counted_by_nobody():
    m = replace(MINE, indexer=Indexer(), context=64)
    assert KVCacheExplorer("mine", models=[m]).cache_bytes == 2 * 2 * 64 * 48
    assert KVCacheExplorer("mine", models=[m])._presets[0]["left_out"] == (
        "the indexer's keys (? more numbers for a token in 2 layers)"
    )
    left = CostExplorer.models["Qwen4-Exp"]["left_out"]
    assert "the indexer, which picks keys for each query" in left
    assert added_per_token(m) == 2 * 48
