"""TileExplorer without a page: its steps are those of chunked_attention, on the page and in Python."""

import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from traitlets import TraitError

from mha_lab import attention, causal_mask
from mha_lab.variants import chunked, chunked_attention
from mha_lab.widgets import TileExplorer
from mha_lab.widgets._tile_picture import _short, layout
from mha_lab.widgets._tiles import BYTES

SIZES = [
    {},
    {"causal": False},
    {"query_rows": 4, "key_columns": 2},  # rows of a tile whose every key is in their future
    {"query_rows": 1, "key_columns": 1},
    {"query_rows": 12, "key_columns": 12, "causal": False},
    {"query_rows": 5, "key_columns": 7},  # neither divides 12
    {"query_rows": 7, "key_columns": 5, "causal": False},
]


def data(n=12, width=3, d_value=2, large=1.0):
    rng = np.random.default_rng(1)
    return [rng.normal(size=(n, w)).astype(np.float32) * large for w in (width, width, d_value)]


def explorer(sizes, **given):
    return TileExplorer(*data(**given), **sizes)


def theirs(tiles, monkeypatch):
    """What chunked_attention keeps after each tile: [(summed, total, largest)], and its output."""
    kept, plain = [], chunked._online_softmax

    def recorded(*arguments):
        kept.append(plain(*arguments))
        return kept[-1]

    widths = tiles.d_head, tiles.d_head, tiles.d_value
    sent = zip((tiles._query, tiles._key, tiles._value), widths)
    query, key, value = (torch.tensor(np.frombuffer(b, np.float32).reshape(-1, w)).double() for b, w in sent)
    options = {"causal": tiles.causal, "query_chunk": tiles.query_rows, "key_chunk": tiles.key_columns}
    with monkeypatch.context() as patch:
        patch.setattr(chunked, "_online_softmax", recorded)
        output = chunked_attention(query, key, value, **options)
    exact = attention(query, key, value, mask=causal_mask(len(query)) if tiles.causal else None)[0]
    assert torch.allclose(output, exact)
    return [[part.numpy() for part in state] for state in kept], output.numpy()


TRACE = """return data.all.map(({ query, key, value, sizes, N, K, V }) => {
    const floats = (numbers) => Float32Array.from(numbers.flat());
    const fixed = { N, K, V, query: floats(query), key: floats(key), value: floats(value) };
    return m.traced(fixed, sizes);
});"""


def page_traces(javascript, all_tiles):
    asked = []
    for tiles in all_tiles:
        n = len(tiles.tokens)
        arrays = {
            name: np.frombuffer(getattr(tiles, f"_{name}"), np.float32).reshape(n, -1).tolist()
            for name in ("query", "key", "value")
        }
        sizes = {name: getattr(tiles, name) for name in ("query_rows", "key_columns", "causal")}
        asked.append({**arrays, "sizes": sizes, "N": n, "K": tiles.d_head, "V": tiles.d_value})
    return javascript("tile_explorer/maths.js", TRACE, all=asked)


@pytest.mark.parametrize("large", [1.0, 20.0], ids=["usual scores", "scores of which exp overflows"])
def test_every_tile_leaves_what_chunked_attention_keeps_on_the_page_and_in_python(javascript, monkeypatch, large):
    all_tiles = [explorer(sizes, large=large) for sizes in SIZES]
    for tiles, page in zip(all_tiles, page_traces(javascript, all_tiles), strict=True):
        kept, output = theirs(tiles, monkeypatch)
        written = []
        for mine, shown in zip(tiles.trace, page, strict=True):
            running = shown["running"]
            found = [np.array([one[name] for one in running]) for name in ("summed", "total", "largest")]
            own = [mine["summed"], mine["total"], mine["largest"]]
            if mine["columns"]:
                summed, total, largest = kept.pop(0)
                expected = [summed, total[:, 0], largest[:, 0]]
                np.testing.assert_allclose([one["shrink"] for one in running], mine["shrink"], atol=1e-12)
                np.testing.assert_allclose(np.array(shown["scores"]), mine["scores"], atol=1e-12)
                np.testing.assert_allclose(shown["weights"], mine["weights"], atol=1e-12)
                before = expected
            else:
                expected = before
                np.testing.assert_allclose(shown["output"], mine["output"], atol=1e-12)
                written.append(mine["output"])
            for each in (found, own):
                for got, wanted in zip(each, expected):
                    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)
            assert [shown[name] for name in ("held", "read", "written")] == [
                mine[n] for n in ("held", "read", "written")
            ]
        assert not kept  # as many tiles as there
        np.testing.assert_allclose(np.concatenate(written), output, atol=1e-12)


def test_tiles_in_the_future_are_skipped_and_those_of_the_diagonal_masked():
    tiles = explorer({"query_rows": 4, "key_columns": 4})
    places = [(step["rows"].start, step["columns"].start) for step in tiles.trace if step["columns"]]
    assert places == [(0, 0), (4, 0), (4, 4), (8, 0), (8, 4), (8, 8)]
    assert tiles.last == 9
    diagonal, below = tiles.trace[0]["scores"], tiles.trace[2]["scores"]
    np.testing.assert_array_equal(np.isinf(diagonal), ~np.tri(4, dtype=bool))
    assert np.isfinite(below).all()
    tiles.causal = False
    assert tiles.last == 12


def test_bytes_are_those_of_the_blocks_that_are_read_and_written():
    tiles = explorer({"query_rows": 4, "key_columns": 3, "causal": False})  # N 12, K 3, V 2
    memory = tiles.memory
    assert memory["held"] == BYTES * (4 * 3 + 3 * 3 + 3 * 2 + 4 * 3 + 2 * 4 + 4 * 2)
    assert memory["scores"] == BYTES * 144
    # each query is read once, each key and value once for every block of queries; each output is written once
    assert memory["moved"] == BYTES * (12 * 3 + 3 * 12 * (3 + 2) + 12 * 2)
    assert memory["moved_in_full"] == BYTES * (2 * 12 * 3 + 2 * 12 * 2 + 4 * 144)
    assert max(step["held"] for step in tiles.trace) * BYTES == memory["held"]
    wider = explorer({"query_rows": 12, "key_columns": 3, "causal": False})
    assert wider.memory["moved"] < memory["moved"]  # keys are read once for all queries
    skipping = explorer({"query_rows": 4, "key_columns": 3})
    assert skipping.memory["moved"] < memory["moved"]


@pytest.mark.parametrize("n", [1, 2, 12, 16])
@pytest.mark.parametrize("width", [342, 400, 1000])
def test_page_and_picture_put_everything_in_the_same_place(javascript, n, width):
    found = javascript("tile_explorer/layout.js", "return m.layoutOf(data.n, data.width);", n=n, width=width)
    for name, place in layout(n, width).items():
        box = found[name]
        assert (tuple(box[side] for side in "xywh") if isinstance(box, dict) else box) == place, name


# the state -----------------------------------------------------------------------------------------------------------


def test_the_state_can_be_set_and_a_smaller_number_of_steps_takes_the_step_along():
    tiles = TileExplorer(step=9)
    assert repr(tiles) == "TileExplorer(12 tokens, tiles of 4 × 4, causal; step 9 of 9)"
    tiles.query_rows = 12
    assert (tiles.step, tiles.last) == (4, 4)
    tiles.set(query_rows=1, key_columns=1, step=90)
    assert (tiles.step, tiles.last) == (90, 90)
    tiles.set_state({"causal": False, "step": 156})  # what a page sends
    assert (tiles.step, tiles.last) == (156, 156)
    tiles.set(causal=True, query_rows=6, key_columns=6)
    assert (tiles.step, tiles.last) == (5, 5)


@pytest.mark.parametrize(
    "state, words",
    [
        ({"query_rows": 0}, "query_rows=0: a tile of 12 tokens has 1 to 12 of them."),
        ({"key_columns": 13}, "key_columns=13: a tile of 12 tokens has 1 to 12 of them."),
        ({"step": 10}, "step=10: with these tiles the steps are 0 to 9."),
        ({"step": -1}, "step=-1: with these tiles the steps are 0 to 9."),
        ({"cells": "sums"}, "cells='sums': it must be 'scores' or 'weights'."),
        ({"row": 12}, "row=12: it must be 0 to 11, or -1 for the present tile's."),
    ],
)
def test_a_state_that_there_is_not_is_refused_in_a_sentence(state, words):
    with pytest.raises(TraitError, match="^" + re.escape(words)):
        TileExplorer(**state)
    tiles = TileExplorer()
    with pytest.raises(TraitError, match="^" + re.escape(words)):
        tiles.set(**state)
    assert repr(tiles) == "TileExplorer(12 tokens, tiles of 4 × 4, causal; step 1 of 9)"


def test_a_place_that_there_is_not_is_refused_too():
    tiles = TileExplorer()
    for place in [3], [12, 0], [0, 12], [-1, 0], [0, 1, 2]:
        with pytest.raises(TraitError, match="must be .row, column., each 0 to 11"):
            tiles.pointed = place
    tiles.pointed = [3, -1]


@pytest.mark.parametrize(
    "given, words",
    [
        (data(17), "17 tokens: the tiles of 1 to 16 are shown"),
        (data(width=9), "keys of width 9 and values of width 2: the tiles shown are 1 to 8."),
        (data(d_value=9), "keys of width 3 and values of width 9"),
        ([np.zeros((3, 2)), np.zeros((4, 2)), np.zeros((4, 2))], "query has shape (3, 2) and key (4, 2): every token"),
        ([np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((4, 2))], "key has shape (3, 2) and value (4, 2): each key"),
        ([np.full((3, 2), np.nan)] + [np.zeros((3, 2))] * 2, "query holds nan at (0, 0): every number must be finite."),
        ([np.zeros((2, 3, 2))] * 3, "query has shape (2, 3, 2); it must be (N, K)."),
        ([np.zeros((3, 2))], "key and value not given: give query, key and value, or none of them."),
    ],
)
def test_numbers_that_do_not_fit_are_refused_in_a_sentence(given, words):
    with pytest.raises(ValueError, match="^" + re.escape(words)):
        TileExplorer(*given)


@pytest.mark.parametrize("tokens", ["a cat", [], ["a"] * 17, 5, [1, 2]])
def test_words_that_do_not_fit_are_refused_in_a_sentence(tokens):
    with pytest.raises(ValueError):
        TileExplorer(tokens=tokens)


def test_tensors_of_any_precision_and_a_seed_are_taken():
    query, key, value = (torch.tensor(x).bfloat16() for x in data(3))
    assert len(TileExplorer(query, key, value, ["a", "b", "c"]).tokens) == 3
    assert TileExplorer(query, key, value).tokens == ["0", "1", "2"]
    assert TileExplorer(seed=3)._query == TileExplorer(seed=3)._query != TileExplorer()._query
    with pytest.raises((ValueError, TypeError), match="seed"):
        TileExplorer(seed=0.5)


def test_what_is_shown_cannot_be_changed():
    tiles = TileExplorer()
    for name in tiles.fixed:
        with pytest.raises(TraitError, match="stays as it is"):
            tiles.set_state({name: type(getattr(tiles, name))()})


# the picture ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_step_has_a_picture_with_a_margin(sizes):
    tiles = explorer(sizes)
    seen = set()
    for step in {0, 1, 2, tiles.last // 2, tiles.last}:
        tiles.step = step
        png, width = tiles.picture()
        seen.add(png)
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
        assert pixels.shape[1] == 2 * width
        assert (pixels[:, :14] == 255).all() and (pixels[:, -14:] == 255).all()
    assert len(seen) == len({0, 1, 2, tiles.last // 2, tiles.last})


def test_the_picture_follows_what_the_cells_show():
    tiles = TileExplorer()
    before = tiles.picture()
    tiles.cells = "weights"
    assert tiles.picture() != before


def test_a_number_of_any_size_is_as_short_on_the_page_as_in_the_picture(javascript):
    numbers = [0.0, -0.001, 3.14159, -9999.4, 9999.6, -12345.0, 3e38, -2.861964e36, 1e76]
    said = javascript(
        "tile_explorer/speech.js", "return data.numbers.map((number) => m.rounded(number, 2))", numbers=numbers
    )
    assert said == [_short(number) for number in numbers]
    assert max(map(len, said)) <= 8
