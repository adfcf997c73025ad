"""The explorers' own mathematics, compared with PyTorch's."""

import re

import numpy as np
import pytest
import torch
from matplotlib import colormaps

from mha_lab import MultiHeadAttention, attention, causal_mask, split_heads
from mha_lab.pretrained import recorded_projection
from mha_lab.widgets import AttentionStepper, HeadExplorer
from mha_lab.widgets import _base as base


@pytest.mark.parametrize("num_heads, causal", [(1, False), (12, False), (12, True), (48, True), (384, False)])
def test_maps_equal_pytorchs_to_1e_6(javascript, num_heads, causal):
    query, key, tokens = recorded_projection()
    n, width = query.shape
    q, k = (split_heads(x.double()[None], num_heads) for x in (query, key))
    expected = attention(q, k, k, mask=causal_mask(n) if causal else None)[1][0]
    maps = javascript(
        "head_explorer/maths.js",
        """const floats = (name) => Float32Array.from(data[name]);
        const allowed = m.allowedCells(data.n, null, data.causal);
        const maps = new Float32Array(data.heads * data.n * data.n);
        const rows = m.headRows(maps, floats('query'), floats('key'), data.n, data.width, data.heads, allowed);
        return [...rows].length === data.heads * data.n ? Array.from(maps) : null;""",
        query=query.flatten().tolist(),
        key=key.flatten().tolist(),
        n=n,
        width=width,
        heads=num_heads,
        causal=causal,
    )
    np.testing.assert_allclose(np.reshape(maps, expected.shape), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
def test_maps_of_few_tokens_equal_pytorchs(javascript, n):
    query, key = np.random.default_rng(n).normal(size=(2, n, 6)).astype(np.float32)
    maps = javascript(
        "head_explorer/maths.js",
        """const maps = new Float32Array(2 * data.n * data.n);
        [...m.headRows(maps, Float32Array.from(data.query), Float32Array.from(data.key), data.n, 6, 2)];
        return Array.from(maps);""",
        query=query.flatten().tolist(),
        key=key.flatten().tolist(),
        n=n,
    )
    expected = HeadExplorer.from_projection(query, key, ["a"] * n, num_heads=2).weights
    np.testing.assert_allclose(np.reshape(maps, expected.shape), expected, atol=1e-6)


def test_a_row_that_may_see_nothing_is_zero_and_large_scores_do_not_overflow(javascript):
    rows = javascript(
        "head_explorer/maths.js",
        """return [m.softmax([1, 2], [0, 0]), m.softmax([1e4, 1e4 + 1]), m.softmax([5, 6, 7], [1, 0, 1])];""",
    )
    assert rows[0] == [0, 0]
    np.testing.assert_allclose(rows[1], torch.tensor([0.0, 1.0]).double().softmax(0))
    np.testing.assert_allclose(rows[2], [1 / (1 + np.e**2), 0, np.e**2 / (1 + np.e**2)])


def test_a_byte_comes_back_as_a_weight(javascript):
    weights = javascript(
        "shared/weights.js", "return Array.from(m.weightsOf(Uint8Array.from(data.sent)))", sent=list(range(256))
    )
    np.testing.assert_allclose(weights, (np.arange(256) / 255) ** 2, atol=1e-7)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [0, 1, 3])
def test_a_mask_a_window_and_the_past_join(javascript, causal, window):
    query, key, tokens = np.ones((6, 4)), np.ones((6, 4)), list("abcdef")
    mask = np.random.default_rng(0).random((6, 6)) < 0.7
    explorer = HeadExplorer.from_projection(query, key, tokens, mask=mask, causal=causal, window=window)
    allowed = javascript(
        "head_explorer/maths.js",
        "return Array.from(m.allowedCells(6, Uint8Array.from(data.mask), data.causal, data.window))",
        mask=mask.astype(int).flatten().tolist(),
        causal=causal,
        window=window,
    )
    assert (np.reshape(allowed, (6, 6)) == explorer._allowed()).all()


def test_hiding_keys_is_masking_them(javascript):
    query, key, tokens = recorded_projection()
    n, seen = len(tokens), [1, 2, 5, 9]
    q, k = (split_heads(x.double()[None], 12) for x in (query, key))
    _, whole = attention(q, k, k)
    mask = torch.isin(torch.arange(n), torch.tensor(seen))
    _, masked = attention(q, k, k, mask=mask.expand(n, n))
    answer = javascript(
        "head_explorer/maths.js",
        """const parts = data.maps.map((map) => m.renormalised(Float32Array.from(map), data.n, data.seen));
        return [parts.map(({ map }) => Array.from(map)), parts.map(({ held }) => held)];""",
        maps=whole[0].flatten(1).tolist(),
        n=n,
        seen=seen,
    )
    maps, held = np.reshape(answer[0], (12, 4, 4)), answer[1]
    np.testing.assert_allclose(maps, masked[0][:, seen][:, :, seen], atol=1e-6)
    np.testing.assert_allclose(held, 1 - whole[0][:, seen][:, :, seen].sum(-1).mean(-1), atol=1e-6)


@pytest.mark.parametrize("pool", [1, 2, 3])
@pytest.mark.parametrize("rows", [7, 4])
def test_a_pixel_shows_the_largest_of_its_cells(javascript, rows, pool):
    numbers = np.random.default_rng(0).integers(-99, 100, (rows, 7))
    pixels = javascript(
        "head_explorer/maths.js",
        "const palette = Array.from({ length: 199 }, (_, i) => 1000 + i - 99);"
        "return Array.from(m.shades(Float32Array.from(data.numbers), 7, data.pool, palette, 99, 1));",
        numbers=numbers.flatten().tolist(),
        pool=pool,
    )
    high, wide = -(-rows // pool), -(-7 // pool)
    assert len(pixels) == high * wide
    for row, column in np.ndindex(high, wide):
        block = numbers[row * pool : (row + 1) * pool, column * pool : (column + 1) * pool]
        assert pixels[row * wide + column] - 1000 == max(block.flatten(), key=abs)


def test_colours_are_matplotlibs_cividis(javascript):
    table = javascript("shared/colour.js", "return Array.from(m.colourTable(data.anchors))", anchors=base.CIVIDIS)
    table = np.reshape(table, (256, 4))
    assert np.abs(table[:, :3] - colormaps["cividis"](np.arange(256))[:, :3] * 255).max() <= 2
    assert (table[:, 3] == 255).all()


def test_repeated_words_are_numbered_and_white_space_shows(javascript):
    tokens = ["the", "cat", "the", " a ", "", "\n", "</b>", "猫"]
    shown = javascript("shared/words.js", "return m.shownWords(data.tokens)", tokens=tokens)
    assert shown == ["the₁", "cat", "the₂", "␣a␣", "∅", "↵", "</b>", "猫"]


def test_python_and_the_page_make_the_same_letters_visible(javascript):
    letters = [chr(i) for i in (*range(0x0250), *range(0x0590, 0x0700), *range(0x2000, 0x2070), 0x3000, 0xFE0F, 0xFEFF)]
    tokens = [before + letter + after for letter in letters for before in ("", "x") for after in ("", "y")]
    tokens += [" \u200b", "\u200b ", "\u200d\u200b", "👩\u200d👧", "\u202eabc", "a\nb\tc", "\u200d \u200d"]
    shown = javascript("shared/words.js", "return data.tokens.map(m.visible)", tokens=tokens)
    assert shown == [base.visible(token) for token in tokens]


def test_the_kernel_is_told_when_a_gesture_pauses_or_lasts_and_before_it_is_asked(javascript):
    told = javascript(
        "shared/traits.js",
        """let [now, due, head] = [0, null, 0];
        const clock = { setTimeout, clearTimeout, now: performance.now };
        globalThis.setTimeout = (act, ms) => ((due = { act, at: now + ms }), 1);
        globalThis.clearTimeout = () => void (due = null);
        performance.now = () => now;
        const pass = (ms) => {
            now += ms;
            if (due && due.at <= now) due.act();
        };
        const told = [];
        const change = m.changer({
            set: (name, value) => (head = value),
            save_changes: () => told.push([now, head]),
            send: (message) => told.push([now, message]),
        });
        for (let i = 0; i < 30; i++, pass(50)) change({ head: i });
        pass(400);
        change({ head: 99 });
        change.send('measure');
        pass(400);
        performance.now = clock.now;
        Object.assign(globalThis, { setTimeout: clock.setTimeout, clearTimeout: clock.clearTimeout });
        return told;""",
    )
    assert told == [[1050, 20], [1900, 29], [1900, 99], [1900, "measure"]]


def test_divisors_are_all_that_divide(javascript):
    assert javascript("shared/numbers.js", "return m.divisors(384)") == [d for d in range(1, 385) if 384 % d == 0]


def test_pins_and_parameters(javascript):
    facts = javascript(
        "head_explorer/maths.js",
        """return {
            pins: [[], [1], [1, 2]].map((pinned) => m.togglePin(pinned, 3)).concat([m.togglePin([1, 3], 1)]),
            parameters: [m.parameterCount(384, true), m.parameterCount(384, false)],
        }""",
    )
    layer = torch.nn.MultiheadAttention(384, 12)
    assert facts["pins"] == [[3], [1, 3], [1, 3], [3]]
    assert facts["parameters"][0] == sum(p.numel() for p in layer.parameters())
    assert facts["parameters"][1] == 4 * 384**2


@pytest.mark.parametrize("width", [320, 1096])
@pytest.mark.parametrize(
    "heads, n, pinned",
    [(1, 3, []), (12, 15, []), (12, 15, [3, 8]), (64, 32, []), (384, 16, [200]), (12, 512, []), (12, 512, [0, 1])],
)
@pytest.mark.parametrize("columns", [1, 0.4, 10], ids=["square", "high", "wide"])  # for each row
def test_maps_stand_apart_inside_the_page(javascript, width, heads, n, columns, pinned):
    s = max(1, min(512, round(columns * n)))
    arranged = javascript(
        "head_explorer/layout.js",
        """const arranged = m.arrange(data);
        const { n, s } = data;
        const lastRow = (p) => m.placeAt(arranged.places, n, s, p.x + p.cell / 2, p.y + (n - 0.5) * p.cell);
        const { head, query, key } = arranged.places.map(lastRow).at(-1);
        return { ...arranged, found: [head, query, key] };""",
        width=width,
        heads=heads,
        n=n,
        s=s,
        pinned=pinned,
    )
    places = arranged["places"]
    difference = pinned[:1] if len(pinned) == 2 else []
    assert [place["head"] for place in places] == [*range(heads), *pinned, *difference]
    assert arranged["found"] == [places[-1]["head"], n - 1, 0], "a point finds its map and cell"
    boxes = np.array([(p["x"], p["y"], p["x"] + p["wide"], p["y"] + p["high"] + p["label"]) for p in places])
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= [width, arranged["height"]]).all(), "a map leaves the page"
    left, top, right, bottom = boxes.T[:, :, None]
    apart = (left >= right.T) | (right <= left.T) | (top >= bottom.T) | (bottom <= top.T)
    assert (apart | np.eye(len(boxes), dtype=bool)).all(), "two maps overlap"


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("temperature", [0.1, 1, 10])
def test_the_steppers_stages_equal_pytorchs(javascript, causal, temperature):
    query, key, value = np.random.default_rng(0).normal(size=(3, 5, 8)).astype(np.float32)
    mask = np.random.default_rng(1).random((5, 5)) < 0.7
    stepper = AttentionStepper(
        query, key, value, list("abcde"), position=3, causal=causal, temperature=temperature, mask=mask
    )
    stages = javascript(
        "attention_stepper/maths.js",
        """const [query, key, value] = data.rows.map((numbers) => Float32Array.from(numbers));
        return m.stages({ query, key, value, n: 5, width: 8, valueWidth: 8, row: 3, ...data.state });""",
        rows=[x.flatten().tolist() for x in (query, key, value)],
        state={"causal": causal, "temperature": temperature, "mask": mask.flatten().astype(int).tolist()},
    )
    for name, expected in stepper.stages.items():
        np.testing.assert_allclose(stages[name], expected, atol=1e-6, err_msg=name)
    entropy = -sum(w * np.log(w) for w in stepper.stages["weights"] if w > 0)
    assert stages["entropy"] == pytest.approx(entropy, abs=1e-6)


@pytest.mark.parametrize("num_heads, causal", [(1, False), (3, False), (12, True)])
def test_the_steppers_heads_add_up_to_the_layers_output(javascript, num_heads, causal):
    generator = torch.Generator().manual_seed(num_heads)
    layer = MultiHeadAttention(24, num_heads, bias=False).double()
    for parameter in layer.parameters():
        parameter.data = torch.randn(24, 24, generator=generator).double() / 24**0.5  # as float32 carries it
    x = torch.randn(1, 5, 24, generator=generator).double()
    query, key, value = (split_heads(p(x), num_heads)[0] for p in (layer.q_proj, layer.k_proj, layer.v_proj))
    stepper = AttentionStepper(query, key, value, list("abcde"), w_o=layer.out_proj.weight.T, position=3, causal=causal)
    found = javascript(
        "attention_stepper/maths.js",
        """const [query, key, value, wO] = data.rows.map((numbers) => Float32Array.from(numbers));
        const inputs = { query, key, value, n: 5, width: 24 / data.H, valueWidth: 24 / data.H, row: 3 };
        const all = { ...inputs, causal: data.causal };
        const outputs = Array.from({ length: data.H }, (_, h) => m.stagesOfHead(all, h, data.H).output);
        return { outputs, ...m.sharesOf(outputs, wO, 24) };""",
        rows=[x.detach().flatten().tolist() for x in (query, key, value, layer.out_proj.weight.T)],
        H=num_heads,
        causal=causal,
    )
    for name, numbers in found.items():
        np.testing.assert_allclose(numbers, stepper.stages[name], atol=1e-6, err_msg=name)
    np.testing.assert_allclose(found["total"], layer(x, causal=causal)[0, 3].detach(), atol=1e-6)


def test_the_sum_over_heads_is_written_out(javascript):
    said = javascript(
        "attention_stepper/speech.js",
        """const shares = [[-9, 0], [5, 1]], total = [-4, 1];
        const facts = { name: "room", word: "it", head: 1, output: [5, 1], column: [1, 0], feature: 0, shares, total };
        const many = { shares: Array(12).fill([0.5, 0]), total: [6, 0], output: Array(16).fill(0) };
        return [facts, { ...facts, shares: [[5]], head: 0 }, { ...facts, ...many, name: "3" }].map(m.explainSum);""",
    )
    assert said == [
        "room at it: head 1 adds 5·1 + 1·0 = 5; all heads: −9 + 5 = −4",
        "room at it: head 0 adds 5·1 + 1·0 = 5, and that is the output",
        "feature 3 at it: head 1 adds a sum of 16 products = 0.50; all 12 heads: 6",
    ]


def test_the_temperature_tells_at_which_d_head_unscaled_scores_spread_as_far(javascript):
    said = javascript("attention_stepper/speech.js", "return [1/32, 1/8, 0.5, 2 ** -0.5, 1, 8].map(m.temperatureWords)")
    assert said == [
        "T = 0.0313 · spread of an unscaled d_head 1024",
        "T = 0.125 · spread of an unscaled d_head 64",
        "T = 0.5 · spread of an unscaled d_head 4",
        "T = 0.707 · spread of an unscaled d_head 2",
        "T = 1 · as published",
        "T = 8 · flatter",
    ]
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 20_000, 64, generator=generator)
    assert (query * key).sum(-1).std() == pytest.approx(1 / 0.125, rel=0.02)  # unscaled at d_head 64


def test_a_sentence_carries_long_words_cut_and_words_from_the_right_apart(javascript):
    said = javascript("shared/words.js", "return data.words.map(m.quoted)", words=["it", "😀" * 30, "שלום"])
    assert said == ["it", "😀" * 23 + "…", "\u2068שלום\u2069"]


def test_numbers_are_short_and_scales_end_at_round_ones(javascript):
    short = javascript(
        "attention_stepper/figures.js",
        "return data.x.map(m.short)",
        x=[0, 4, -1.5, 8.99998, 0.6652, 16.98, -123.4, 54321, 1e-9, -0.003],
    )
    assert short == ["0", "4", "−1.50", "9", "0.67", "17.0", "−123", "5.4e+4", "0", "0.00"]
    ends = javascript("attention_stepper/figures.js", "return data.x.map(m.roundUp)", x=[4, 16.98, 0.21, 1, 90])
    assert ends == pytest.approx([4, 20, 0.3, 1, 100])


def test_the_arithmetic_is_written_out(javascript):
    said = javascript(
        ["attention_stepper/speech.js", "attention_stepper/maths.js"],
        """const query = Float32Array.from([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, -1]);
        const key = Float32Array.from([2, 0, 2, 0, 2, 2, 0, 0, 1, 0, 0, 1]);
        const value = Float32Array.from([10, 0, 0, 10, 0, 0]);
        const now = m.stages({ query, key, value, n: 3, width: 4, valueWidth: 2, row: 2 });
        const words = ['trophy', 'suitcase', 'it'];
        const [q, k, v] = [[1, 0, 1, -1], [2, 0, 2, 0], [10, 0]];
        const facts = { q, k, v, j: 0, width: 4, temperature: 1, words, row: 2, now };
        return [1, 2, 3, 4, 5].map((stage) => m.explain(stage, facts));""",
    )
    assert said == [
        "it → trophy: q·k = 1·2 + 0·0 + 1·2 + (−1)·0 = 4",
        "it → trophy: 4 / √4 = 2",
        "it → trophy: may look: the score stays 2",
        "it → trophy: e^2 / (e^2 + e^1 + e^0) ≈ 7.389 / 11.11 ≈ 0.665",
        "it → trophy: 0.665 · [10, 0] = [6.65, 0]; these add up to the output",
    ]


@pytest.mark.parametrize("temperature", [1, 0.03125, 1.414])
def test_who_checks_the_figures_of_a_written_sum_finds_its_result(javascript, temperature):
    said = javascript(
        ["attention_stepper/speech.js", "attention_stepper/maths.js"],
        """const [query, key, value] = data.rows.map((numbers) => Float32Array.from(numbers));
        const sizes = { n: 4, width: 2, valueWidth: 2, temperature: data.temperature }, words = ['a', 'b', 'c', 'd'];
        const of = (rows, j) => [...rows.subarray(2 * j, 2 * j + 2)];
        return words.flatMap((_, row) => {
            const now = m.stages({ query, key, value, ...sizes, row });
            const facts = { ...sizes, words, row, now, q: of(query, row) };
            const shares = now.scores.map((score) => [score]), total = [shares.flat().reduce((sum, x) => sum + x)];
            const last = { feature: 0, name: 'f', word: 'w', head: 1, output: facts.q, column: of(key, 1) };
            return words.flatMap((_, j) =>
                [1, 2, 4].map((stage) => m.explain(stage, { ...facts, j, k: of(key, j), v: of(value, j) })),
            ).concat(m.explainSum({ ...last, shares, total }));
        });""",
        rows=(np.random.default_rng(0).normal(size=(3, 8)) * 0.3).tolist(),
        temperature=temperature,
    )
    for sentence in said:
        *_, figures, result = re.split(" [=≈] ", sentence)
        sum_ = figures.rpartition(": ")[2].replace("−", "-").replace("·", "*").replace("√2", "2 ** 0.5")
        decimals = len(result.partition(".")[2])
        assert f"{eval(sum_) + 0:.{decimals}f}".replace("-0.00", "0.00") == result.replace("−", "-"), sentence


def test_a_written_sum_is_exact_or_says_that_it_is_not(javascript):
    sums = javascript(
        "attention_stepper/figures.js",
        """const quotient = ([a, b]) => [a / b];
        const figures = (a, b) => (more) => [a, b].map((x) => x.toFixed(2 + more));
        return [[6, 4], [0.0204, 0.0446], [1, 3]].map(([a, b]) => m.written(figures(a, b), quotient, [a / b]));""",
    )
    assert [(s["shown"], s["sign"], s["goal"]) for s in sums] == [
        (["6.00", "4.00"], "=", ["1.50"]),
        (["0.0204", "0.0446"], "≈", ["0.46"]),
        (["1.00", "3.00"], "≈", ["0.33"]),
    ]


def test_timings_are_told_in_three_digits_with_quartiles_and_prediction(javascript):
    row = {"heads": 12, "path": "explicit", "median": 0.01423, "q1": 0.01391, "q3": 0.0148, "predicted": 0.0131}
    rows = [row, {**row, "path": "fused", "median": None}]
    whole, brief, missing, times = javascript(
        "head_explorer/timing_words.js",
        """const result = { tokens: 512, rows: data.rows };
        return [m.sentence(result, 12), m.sentence(result, 12, true), m.sentence(result, 1),
            [3.2e-7, 0.00099949, 0.1, 1.2345].map(m.inMs)];""",
        rows=rows,
    )
    told = "explicit 14.2 ms (13.9–14.8; predicted 13.1), fused not measured (predicted 13.1 ms)"
    assert whole == f"12 heads, 512 tokens: {told}"
    assert brief == "12 heads, 512 tokens: explicit 14.2 ms, fused not measured"
    assert missing == "1 head, 512 tokens: explicit left out, fused left out"
    assert times == ["0.000320", "0.999", "100", "1,235"]
