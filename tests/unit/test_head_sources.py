"""Where HeadExplorer's maps come from: shuffled columns and shared keys, models trained at each head count, the three
views; and that its picture stands where the page draws."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from test_widgets import WORDS, from_projection, png_of, projection, recording
from traitlets import TraitError

from mha_lab import MultiHeadAttention, _data, tasks
from mha_lab.pretrained import recorded, recorded_projection
from mha_lab.tasks import head_counts
from mha_lab.widgets import HeadExplorer, _head_layout, _head_picture, _timings
from mha_lab.widgets._projection import permutation

HEADS = 1, 2, 4
HEAD_COUNTS = 1, 2, 4, 8, 16, 32, 64  # of lesson 06's sweep


def read_with(heads, sentence="the cat saw the dog", **more):
    return SimpleNamespace(**vars(recording(sentence, layers=1, heads=heads, seed=heads)), **more)


def trained(**options):
    models = {h: read_with(h, quality=[0.1 * h, 0.2 * h], measure="right answers") for h in HEADS}
    return HeadExplorer.from_trained(models, **{"d_model": 12, **options})


def told(explorer, message):
    """What the explorer answers to a message of its page."""
    answers = []
    explorer.send = lambda content, buffers=None: answers.append((content, buffers))
    explorer._handle_custom_msg(message, [])
    return answers


# ------------------------------------------------------------------------------------------------- the columns shuffled


@pytest.mark.parametrize("seed", [1, 2, 12345, 2**32 - 1])
def test_a_shuffle_moves_the_columns_of_queries_and_keys_together(seed):
    order = permutation(12, seed)
    assert sorted(order) == list(range(12)) != order
    query, key = projection()
    expected = HeadExplorer.from_projection(query[:, order], key[:, order], WORDS, num_heads=4).weights
    np.testing.assert_allclose(from_projection(num_heads=4, shuffle=seed).weights, expected, atol=1e-12)


def test_one_heads_map_stands_still_under_a_shuffle_and_twelve_heads_lose_their_habits():
    """What was learned is which columns stand together in a head; one head has them all, in whatever order."""
    data = recorded_projection()
    still, moved = (
        [HeadExplorer.from_projection(*data, num_heads=heads, shuffle=seed).weights for seed in (0, 7)]
        for heads in (1, 12)
    )
    np.testing.assert_allclose(*still, atol=1e-12)
    before, after = (maps.diagonal(1, axis1=1, axis2=2).mean(axis=1).max() for maps in moved)
    assert before > 0.5 and after < 0.2, "no head of mixed columns looks at the next word"


def test_undone_a_shuffle_leaves_the_maps_as_they_were():
    explorer = from_projection(num_heads=4)
    before = explorer.weights
    explorer.shuffle = 3
    assert not np.allclose(explorer.weights, before)
    explorer.shuffle = 0
    assert np.array_equal(explorer.weights, before)


@pytest.mark.parametrize("width, seed", [(1, 5), (2, 1), (12, 0), (12, 1), (384, 99), (384, 2**32 - 1)])
def test_the_page_shuffles_in_the_same_order(javascript, width, seed):
    order = javascript("head_explorer/maths.js", "return m.permutation(data.width, data.seed)", width=width, seed=seed)
    assert order == permutation(width, seed)


# --------------------------------------------------------------------------------------------------------- keys shared


@pytest.mark.parametrize("heads, groups", [(4, 1), (4, 2), (4, 4), (6, 3), (12, 2)])
def test_shared_keys_are_the_means_of_their_groups_as_in_a_layer_with_fewer_key_heads(heads, groups):
    query, key = projection()
    size = 12 // heads
    means = key.view(3, groups, heads // groups, size).mean(dim=2).reshape(3, -1)
    layer = MultiHeadAttention(12, heads, groups, bias=False).double()  # its queries and keys come out as they go in
    with torch.no_grad():
        layer.q_proj.weight.copy_(torch.eye(12))
        layer.k_proj.weight.copy_(torch.eye(12)[: groups * size])
    keys = torch.nn.functional.pad(means, (0, 12 - groups * size)).double()
    _, expected = layer(query.double()[None], keys[None], need_weights=True)
    mine = from_projection(num_heads=heads, num_kv_heads=groups).weights
    np.testing.assert_allclose(mine, expected[0].detach(), atol=1e-7)


def test_as_many_key_heads_as_heads_is_each_its_own():
    explorer = from_projection(num_heads=6)
    own = explorer.weights
    explorer.num_kv_heads = 6
    np.testing.assert_allclose(explorer.weights, own, atol=1e-12)


def test_a_new_head_count_that_the_groups_do_not_divide_gives_each_head_its_own_keys():
    explorer = from_projection(num_heads=6, num_kv_heads=3)
    explorer.num_heads = 12
    assert explorer.num_kv_heads == 3
    explorer.num_heads = 4
    assert explorer.num_kv_heads == 0


@pytest.mark.parametrize("heads, groups, shuffle", [(4, 2, 0), (12, 4, 0), (12, 3, 11), (6, 0, 2)])
def test_the_page_shares_and_shuffles_in_the_same_way(javascript, heads, groups, shuffle):
    query, key = projection()
    maps = javascript(
        "head_explorer/maths.js",
        """const order = m.permutation(data.width, data.shuffle);
        const [query, key] = [data.query, data.key].map((rows) => m.reordered(Float32Array.from(rows), order));
        const shared = m.sharedKeys(key, data.width, data.heads, data.groups);
        const maps = new Float32Array(data.heads * data.n * data.n);
        [...m.headRows(maps, query, shared, data.n, data.width, data.heads, null, data.groups)];
        return Array.from(maps);""",
        query=query.flatten().tolist(),
        key=key.flatten().tolist(),
        n=3,
        width=12,
        heads=heads,
        groups=groups or heads,
        shuffle=shuffle,
    )
    expected = from_projection(num_heads=heads, num_kv_heads=groups, shuffle=shuffle).weights
    np.testing.assert_allclose(np.reshape(maps, expected.shape), expected, atol=1e-6)


# ----------------------------------------------------------------------------------------- models of every head count


def test_the_slider_goes_over_trained_models_and_shows_the_maps_of_each():
    explorer = trained()
    assert (explorer.source, explorer.num_heads, explorer.d_model) == ("trained", 4, 12)
    for heads in HEADS:
        explorer.num_heads = heads
        np.testing.assert_allclose(explorer.weights, read_with(heads).weights[0], atol=1e-6)
    assert [r["num_heads"] for r in explorer._recordings] == list(HEADS)
    assert [len(r["weights"]) for r in explorer._recordings] == [25 * heads for heads in HEADS]


def test_quality_is_told_with_its_seeds_and_stays_out_where_nothing_says_it():
    rows = trained()._trained
    assert [(row["num_heads"], row["seeds"]) for row in rows] == [(h, pytest.approx([0.1 * h, 0.2 * h])) for h in HEADS]
    assert all(row["quality"] == pytest.approx(np.mean(row["seeds"])) for row in rows)
    assert {(row["sentence"], row["measure"]) for row in rows} == {("the cat saw the dog", "right answers")}
    assert json.loads(json.dumps(rows)) == rows
    silent = HeadExplorer.from_trained({h: read_with(h) for h in HEADS}, d_model=12)
    assert silent._trained == []


def test_fewer_trained_heads_drop_the_pins_that_are_gone():
    explorer = trained(pinned=[1, 3])
    explorer.num_heads = 2
    assert explorer.pinned == [1]


def test_several_sentences_are_chosen_from_a_menu_whatever_the_head_count():
    explorer = HeadExplorer.from_trained(
        {h: [read_with(h), read_with(h, "it was too big")] for h in HEADS}, d_model=4, num_heads=1
    )
    explorer.sentence = "it was too big"
    explorer.num_heads = 2
    np.testing.assert_allclose(explorer.weights, read_with(2, "it was too big").weights[0], atol=1e-6)
    with pytest.raises(TraitError, match="'typo' is not among the 2 sentences"):
        explorer.sentence = "typo"


def test_the_exact_weights_of_a_trained_model_are_told_with_its_head_count():
    explorer = trained()
    rows = ["the cat saw the dog", 0, 1, 3, 2]
    [(content, [weights])] = told(explorer, {"kind": "exact", "id": rows})
    assert content == {"kind": "exact", "id": rows}
    np.testing.assert_allclose(np.frombuffer(weights, np.float32).reshape(2, 2, 5), read_with(2).weights[0, :, 1:3])
    for nonsense in (["the cat saw the dog", 0, 0, 1, 3], ["typo", 0, 0, 1, 2], ["the cat saw the dog", 0, 0, 1, []]):
        assert told(explorer, {"kind": "exact", "id": nonsense}) == []
    assert told(explorer, {"kind": "read", "sentence": "new"}) == [], "there are several models, and none to ask"


def test_trained_models_are_timed_like_a_projection(monkeypatch):
    monkeypatch.setattr(_timings, "_MEASURED", {})
    explorer = trained()
    assert explorer.timings == []
    result = explorer.measure(16)
    assert [row["heads"] for row in result["rows"][::2]] == [1, 2, 3, 4, 6, 12]
    assert explorer.timings == [result]


@pytest.mark.parametrize(
    "models, d_model, words",
    [
        ({}, 12, r"models is .*; it must be recordings by head count: \{1: recording, 2: …\}"),
        ([recording()], 12, "models is .* it must be recordings by head count"),
        ({5: read_with(5)}, 12, "d_model=12 cannot be split over num_heads=5"),
        ({2: read_with(1)}, 12, r"has \(layers, heads\) \(1, 1\) and there should be \(1, 2\)"),
        (
            {1: read_with(1), 2: read_with(2, "other words")},
            12,
            "was not read, in the same tokens, with 1 head and with 2",
        ),
        ({1: read_with(1), 2: [read_with(2), read_with(2, "more words")]}, 12, "'more words' was not read"),
        ({1: read_with(1, quality=["good"])}, 12, "quality is not a block of numbers"),
        ({1: read_with(1, quality=[float("nan")])}, 12, "quality holds nan"),
        ({1: read_with(1, quality=[0.5], measure="m" * 300)}, 12, "measure has 300 letters: say in 1 to 60 what"),
        ({1: []}, 12, "the model of 1 head has no recording"),
    ],
)
def test_models_that_do_not_fit_each_other_are_refused_in_words(models, d_model, words):
    with pytest.raises((ValueError, TypeError), match=words):
        HeadExplorer.from_trained(models, d_model=d_model)


def test_the_recorded_head_counts_are_shown_with_what_they_reached():
    found = tasks.recorded_head_counts()
    explorer = HeadExplorer.from_trained(found.readings, d_model=64, bias=False)
    assert [row["num_heads"] for row in explorer._trained[::3]] == found.heads
    for h in found.heads:
        explorer.num_heads, explorer.sentence = h, "look-ups, after 800 steps"
        np.testing.assert_allclose(explorer.weights, found.maps[h, 800], atol=1e-6)
        explorer.sentence = "text, after 3,000 steps"
        assert explorer.weights.shape == (h, 32, 32)
        np.testing.assert_allclose(explorer.weights.sum(axis=-1), 1, atol=1e-5)
        assert not np.triu(explorer.weights[0], 1).any(), "a text is read from the left"
    seeds = {(row["sentence"], row["num_heads"]): row["seeds"] for row in explorer._trained}
    np.testing.assert_allclose(seeds["text, after 1,000 steps", 8], found.characters[found.heads.index(8)], rtol=1e-4)
    assert len(seeds["text, after 3,000 steps", 8]) == 2
    sent = sum(len(r["weights"]) for r in explorer._recordings)
    assert sent < 300_000, "a notebook's page receives it once"


# ------------------------------------------------------------------------------------- state that is refused, in words


@pytest.mark.parametrize(
    "make, trait, value, words",
    [
        (lambda: HeadExplorer([recording()]), "shuffle", 3, "cannot be shuffled afterwards: the scores .* are gone"),
        (lambda: HeadExplorer([recording()]), "num_kv_heads", 1, "cannot be shared afterwards"),
        (trained, "shuffle", 3, "cannot be shuffled afterwards"),
        (trained, "causal", True, "cannot be masked afterwards"),
        (trained, "num_heads", 3, "num_heads=3: models were trained with 1, 2, 4 heads"),
        (trained, "view", "overview", "the heads of all layers, and there is one"),
        (trained, "view", "pie", "view='pie': it must be 'maps', 'overview' or 'lines'"),
        (from_projection, "shuffle", -1, "shuffle=-1: 0 leaves the columns in order; a seed is at most"),
        (from_projection, "shuffle", 2**32, "a seed is at most"),
        (lambda: from_projection(num_heads=6), "num_kv_heads", 4, "num_kv_heads=4: 6 heads can share 1, 2, 3, 6 heads"),
        (lambda: from_projection(num_heads=6), "num_kv_heads", -2, "0 leaves each its own"),
    ],
)
def test_what_a_source_cannot_do_is_refused_in_words(make, trait, value, words):
    explorer = make()
    before = getattr(explorer, trait)
    with pytest.raises(TraitError, match=words):
        setattr(explorer, trait, value)
    assert getattr(explorer, trait) == before


@pytest.mark.parametrize("name", ["num_heads", "causal", "layr"])
def test_an_argument_that_recorded_heads_do_not_have_is_named(name):
    with pytest.raises(TypeError, match=f"takes no {name} where heads are recorded"):
        HeadExplorer([recording()], **{name: 1})


# --------------------------------------------------------------------------------------------------------- the picture


def cases():
    """A grid of what a layout is made for."""
    for heads in (1, 2, 3, 8, 12, 48, 384):
        for n, s in ((1, 1), (3, 3), (13, 13), (15, 40), (64, 64), (200, 7), (512, 512)):
            for width, limit in ((390, 300), (860, 420), (1200, 560)):
                for pinned in ([], [0], [0, heads - 1] if heads > 1 else []):
                    yield {"heads": heads, "n": n, "s": s, "width": width, "limit": limit, "pinned": pinned}


@pytest.mark.parametrize("word_room, unit", [(60, 1), (31.25, 0.5), (84, 0.75)])
def test_the_picture_and_the_page_place_maps_alike(javascript, word_room, unit):
    given = [{**case, "wordRoom": word_room, "unit": unit} for case in cases()]
    drawn = javascript("head_explorer/layout.js", "return data.cases.map((given) => m.arrange(given))", cases=given)
    for case, theirs in zip(cases(), drawn, strict=True):
        ours = _head_layout.arrange(**case, word_room=word_room, unit=unit)
        the_same(ours, theirs)
        assert bool(ours.empty) == bool(theirs.get("empty")), case


def the_same(ours, theirs):
    """Whether two layouts place all maps, and the lines, alike."""
    names = [name for name in _head_layout.Place._fields if name != "less"]
    mine = [[getattr(place, name) for name in names] for place in ours.places]
    pages = [[place[name] for name in names] for place in theirs["places"]]
    np.testing.assert_allclose(np.array(mine, float), np.array(pages, float))
    assert [place.less for place in ours.places] == [place.get("less") for place in theirs["places"]]
    assert (ours.columns, ours.height) == pytest.approx((theirs["columns"], theirs["height"]))
    for name, value in ours.lines._asdict().items() if ours.lines else ():
        assert value == pytest.approx(theirs["lines"][name]), name


SIZES = (1, 1), (13, 13), (15, 40), (64, 64), (300, 20)


def test_the_picture_and_the_page_place_the_overview_and_the_lines_alike(javascript):
    shapes = [(layers, heads, n, s) for layers in (2, 6, 30) for heads in (1, 12, 16) for n, s in SIZES]
    rooms = [
        {"layers": layers, "heads": layers * heads, "n": n, "s": s, "width": 860, "limit": 480, "unit": 0.5}
        for layers, heads, n, s in shapes
    ]
    given = [
        {"heads": heads, "n": n, "s": s, "width": width, "pinned": [heads - 1], "wordRoom": 47.5, "unit": 0.5}
        for heads in (1, 12, 48)
        for n, s in SIZES
        for width in (390, 920)
    ]
    body = "return [data.rooms.map(m.overview), data.given.map(m.withLines)]"
    overviews, lines = javascript("head_explorer/other_layouts.js", body, rooms=rooms, given=given)
    for (layers, heads, n, s), theirs in zip(shapes, overviews, strict=True):
        the_same(_head_layout.overview(layers, heads, n, s, 860, limit=480, unit=0.5), theirs)
    for case, theirs in zip(given, lines, strict=True):
        sizes = case["heads"], case["n"], case["s"], case["width"]
        the_same(_head_layout.with_lines(*sizes, head=case["heads"] - 1, word_room=47.5, unit=0.5), theirs)


def test_a_long_headline_of_the_picture_ends_before_the_key_to_its_colours(monkeypatch):
    ends, write = [], _head_picture.Page.text

    def noting(page, x, y, text, size=12, *, bold=False, **options):
        if bold:
            ends.append(x + page.width_of(text, size, bold) + page.width_of("weight 0", 11) - (page.width - 172))
        write(page, x, y, text, size, bold=bold, **options)

    monkeypatch.setattr(_head_picture.Page, "text", noting)
    texts = {heads: readings[2:] for heads, readings in tasks.recorded_head_counts().readings.items()}
    png_of(HeadExplorer.from_trained(texts, d_model=64, bias=False, num_heads=16))
    assert ends and max(ends) < 0


def test_a_pixel_of_the_picture_shows_the_largest_of_its_cells():
    weights = np.array([[0.1, 0.2, 0.0], [0.0, -0.9, 0.3], [0.5, 0.0, -0.1]])
    assert _head_picture.pooled(weights, 2).tolist() == [[-0.9, 0.3], [0.5, -0.1]]
    assert _head_picture.pooled(weights, 1) is weights


VIEWS = {
    "shuffled": lambda: from_projection(num_heads=4, shuffle=5),
    "shared": lambda: from_projection(num_heads=4, num_kv_heads=2),
    "lines": lambda: from_projection(num_heads=4, view="lines"),
    "trained": trained,
    "trained lines": lambda: trained(view="lines"),
    "overview": lambda: HeadExplorer([recording()], view="overview"),
    "overview, hidden": lambda: HeadExplorer([recording()], view="overview", hidden=["cat"]),
    "recorded lines": lambda: HeadExplorer([recording()], view="lines", stretch=True),
}


@pytest.mark.parametrize("make", VIEWS.values(), ids=VIEWS)
def test_every_view_has_a_picture_of_its_own(make):
    explorer = make()
    image, width, _ = png_of(explorer)
    assert image.width == 2 * width <= 2000 and image.height < 2000
    assert len(image.convert("RGB").getcolors(1 << 24)) > 10
    other = "maps" if explorer.view != "maps" else "lines"
    before, explorer.view = explorer.picture()[0], other
    assert explorer.picture()[0] != before


def test_an_overview_of_a_large_model_fits_on_a_page():
    maps = torch.eye(64).expand(30, 16, 64, 64)
    large = SimpleNamespace(sentence="a", tokens=["w"] * 64, weights=maps)
    image, width, data = png_of(HeadExplorer([large], view="overview"))
    assert width <= 1000 and image.height <= 2000
    assert isinstance(image, Image.Image) and len(data["image/png"]) < 500_000


def test_text_names_the_source_and_what_is_shown():
    assert repr(trained()) == "HeadExplorer(trained with 1, 2, 4 heads; 4 heads shown)"
    shown = from_projection(num_heads=4, num_kv_heads=2, shuffle=3)
    assert repr(shown) == "HeadExplorer(Q and K (3, 12) cut into 4 heads on 2 of keys, columns shuffled)"
    assert (
        repr(HeadExplorer(recorded(), view="overview"))
        == "HeadExplorer(12 sentences, 6 layers × 12 heads; layer 0 shown)"
    )


def test_a_recording_may_bring_a_mask_of_its_own():
    past = torch.ones(5, 5, dtype=torch.bool).tril()
    weights = recording().weights.masked_fill(~past, 0.0)
    own = SimpleNamespace(**vars(recording()) | {"weights": weights / weights.sum(-1, keepdim=True), "mask": past})
    explorer = HeadExplorer([own, recording("no mask here")])
    assert explorer._allowed().tolist() == past.tolist()
    explorer.sentence = "no mask here"
    assert explorer._allowed() is None


def test_the_maps_of_one_layer_without_its_axis_are_answered_with_the_remedy():
    one = SimpleNamespace(**vars(recording()) | {"weights": recording().weights[0]})
    with pytest.raises(ValueError, match=r"\(3, 5, 5\), \(H, N, S\): .* shown as weights\[None\]"):
        HeadExplorer([one])


def test_our_own_layers_with_dropout_on_are_answered_with_the_remedy_wherever_they_come_from():
    torch.manual_seed(0)
    layer, x = MultiHeadAttention(12, 3, dropout=0.2), torch.randn(1, 5, 12)
    dropped = SimpleNamespace(sentence="a b c d e", tokens=list("abcde"), weights=layer(x, need_weights=True)[1])
    with pytest.raises(ValueError, match=r"Dropout leaves such rows: call \.eval\(\) on the model"):
        HeadExplorer.from_trained({3: dropped}, d_model=12)
    dropped.weights = layer.eval().bfloat16()(x.bfloat16(), need_weights=True)[1]
    assert HeadExplorer.from_trained({3: dropped}, d_model=12).weights.shape == (3, 5, 5)


def test_a_row_that_dropout_emptied_is_put_down_to_dropout_too():
    weights = torch.full((1, 2, 4, 4), 0.25)
    weights[0, 0, 0], weights[0, 1, 2, 0] = 0, 0
    with pytest.raises(ValueError, match=r"head 1, row 2 .* sum 0\.75.* Dropout leaves such rows"):
        HeadExplorer([SimpleNamespace(sentence="a b c d", tokens=list("abcd"), weights=weights)])


def test_the_recorded_maps_are_what_their_generator_writes(monkeypatch):
    """Its line, its seed, its budgets, and rows of bytes that sum to 1 but for their rounding."""
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[2] / "data"), *sys.path])
    import record_head_maps

    file = np.load(io.BytesIO(_data.read(head_counts.HEAD_MAPS, head_counts.HEAD_MAPS_SHA256)), allow_pickle=False)
    assert (str(file["line"]), int(file["seed"])) == (record_head_maps.LINE, record_head_maps.SEED)
    names = {f"maps_{h}_{steps}" for h in HEAD_COUNTS for steps in record_head_maps.BUDGETS}
    assert set(file.files) == names | {"line", "seed"}
    for name in names:
        sums = ((file[name] / 255.0) ** 2).sum(axis=-1)
        assert np.abs(sums - 1).max() < 0.03
    seen = tasks.characters().vocabularies[0]
    assert record_head_maps.spelt(record_head_maps.LINE).max() < seen


@pytest.mark.parametrize("loaded, said", [(None, "None"), ("abc", "the str 'abc'")])
def test_a_loader_that_gives_no_model_is_told_as_often_as_it_is_asked(loaded, said):
    explorer = HeadExplorer([recording()], model=lambda: loaded)
    for _ in range(2):
        assert told(explorer, {"kind": "read", "sentence": "new words"}) == [({"kind": "answered"}, None)]
        assert explorer.message == f"model() gave {said}; it must give what has .read(sentence)."


@pytest.mark.parametrize("nonsense", [None, [], "measure", 1])
def test_a_message_of_another_shape_is_no_question(nonsense):
    explorer = trained()
    for listener in explorer._msg_callbacks.callbacks:  # told one by one: all together, what they raise is only logged
        listener(explorer, nonsense, [])
    assert len(explorer._msg_callbacks.callbacks) == 2 and not explorer.measuring
