"""A layer counted by others and timed; no time is asserted here."""

import math

import pytest
import torch
from torch import nn

from mha_lab import MultiHeadAttention, cost, layer_costs, measure, published
from mha_lab.measure import Timing

D, H, N = 32, 4, 48


def layer_and_text(heads=H, groups=None):
    layer = MultiHeadAttention(D, heads, groups)
    return layer, torch.randn(1, N, D, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("heads, groups", [(1, 1), (4, 4), (8, 2)])
def test_torch_counts_all_six_products_and_hooks_the_projections_alone(heads, groups):
    layer, x = layer_and_text(heads, groups)
    terms = cost.flops(1, N, D, heads, groups)

    def run():
        return layer(x, need_weights=True)

    assert layer_costs.counted_by_torch(run) == sum(terms.values())
    assert layer_costs.counted_by_hooks(layer, run) == sum(terms.values()) - terms["QKᵀ"] - terms["AV"]


def test_no_hook_stays_behind_even_where_the_run_fails():
    layer, x = layer_and_text()
    layer_costs.counted_by_hooks(layer, lambda: layer(x))
    with pytest.raises(ZeroDivisionError):
        layer_costs.counted_by_hooks(layer, lambda: 1 / 0)
    assert not any(part._forward_hooks for part in layer.modules())


def test_nothing_is_seen_of_pytorchs_own_layer_in_inference():
    theirs, x = nn.MultiheadAttention(D, H, batch_first=True).eval(), torch.randn(1, N, D)

    def run():
        return theirs(x, x, x, need_weights=False)

    assert layer_costs.counted_by_torch(run) == layer_costs.counted_by_hooks(theirs, run) == 0


@pytest.fixture(scope="module")
def machine():
    with measure.single_thread():
        return measure.calibrate(0.05)


def test_a_race_has_both_paths_at_each_size_and_the_predictions_of_cost(machine):
    race = layer_costs.race(machine, D, tokens=[8, 16], heads=[1, 4])
    sizes = {(path, N, heads) for path in ("explicit", "fused") for N in (8, 16) for heads in (1, 4)}
    assert set(race.measured) == set(race.predicted) == sizes
    for path, N, heads in sizes:
        assert race.predicted[path, N, heads] == cost.predict(machine, 1, N, D, heads, path=path)
        assert race.measured[path, N, heads].threads == 1
    assert len(repr(race).splitlines()) == 1 + len(sizes) + 1


def imagined(tokens, heads):
    sizes = [(path, n, h) for path in ("explicit", "fused") for n in tokens for h in heads]
    seconds = {size: 0.001 * size[1] * size[2] * (1 if size[0] == "fused" else 2) for size in sizes}
    timings = {size: Timing(t, t, t, t, 3, "cpu", 1) for size, t in seconds.items()}
    return layer_costs.Race(timings, {size: t / 2 for size, t in seconds.items()})


def test_a_race_tells_ratios_and_how_far_its_predictions_are_off():
    race = imagined([8, 16], [4])
    assert race.ratio("explicit", (16, 4), (8, 4)) == pytest.approx(2)
    *_, row, last = repr(race).splitlines()
    assert row.split() == ["fused", "16", "4", "64.0", "ms", "32.0", "ms", "2.00"]
    assert last == "half of the predictions are within 100%, the worst is off by 100%"


@pytest.mark.parametrize("tokens, heads, label", [([8, 16, 32], [4], "tokens"), ([16], [1, 2, 4], "heads")])
def test_a_race_is_drawn_over_what_changes_with_a_colour_and_a_mark_for_each_path(tokens, heads, label):
    ax = imagined(tokens, heads).draw("A title.")
    measured, predicted = ax.lines[:2], ax.lines[2:]
    assert ax.get_xlabel() == label and ax.get_title(loc="left") == "A title."
    for one, other in zip(measured, predicted, strict=True):
        assert one.get_color() == other.get_color() and other.get_linestyle() == "--"
        assert one.get_ydata() == pytest.approx(2 * other.get_ydata())
    assert len({line.get_color() for line in measured}) == len({line.get_marker() for line in measured}) == 2
    assert [text.get_text() for text in ax.texts] == ["explicit", "fused"]


def test_a_race_of_nothing_or_of_too_much_is_refused_before_anything_is_allocated(machine):
    with pytest.raises(ValueError, match="at least one number of tokens"):
        layer_costs.race(machine, D, tokens=[], heads=[1])
    with pytest.raises(MemoryError, match="choose smaller sizes"):
        layer_costs.race(machine, 4096, tokens=[2**20], heads=[32])


def test_the_explicit_path_is_taken_apart_for_each_number_of_heads():
    steps = layer_costs.steps_of_the_explicit_path(D, N, [1, 4])
    assert list(steps) == ["QKᵀ and AV", "softmax", "new memory"]
    assert all(len(seconds) == 2 and all(map(math.isfinite, seconds)) for seconds in steps.values())
    with pytest.raises(ValueError, match="cannot be cut into 5 heads"):
        layer_costs.steps_of_the_explicit_path(D, N, [5])


def test_its_steps_are_drawn_on_what_else_the_layer_with_the_fewest_heads_takes():
    steps = {"softmax": [0.001, 0.003], "new memory": [0.0, 0.004]}
    ax = layer_costs.draw_steps([1, 4], [0.005, 0.012], steps, "A title.")
    assert ax.get_title(loc="left") == "A title." and ax.lines[0].get_ydata().tolist() == [5, 12]
    assert [area.get_label() for area in ax.collections] == ["the rest, with 1 head", "softmax", "new memory"]
    tops = [max(y for x, y in area.get_paths()[0].vertices if x == 4) for area in ax.collections]
    assert tops == pytest.approx([4, 7, 11])  # the rest is 5 ms less the 1 of softmax


def test_a_copy_of_shared_heads_is_written_and_read_again():
    query, key, value = torch.randn(1, 8, 1, 16), torch.randn(1, 2, 256, 16), torch.randn(1, 2, 256, 16)
    cache = key.nbytes + value.nbytes

    def repeated(query, key, value):
        keys, values = key.repeat_interleave(4, dim=1), value.repeat_interleave(4, dim=1)
        return (query @ keys.mT).softmax(dim=-1) @ values

    new, moved = layer_costs.traffic(repeated, query, key, value)
    assert 4 * cache <= new < 4.5 * cache and moved == cache + 2 * new
    assert layer_costs.traffic(lambda query, key, value: key, query, key, value) == (0, cache)


def test_at_the_length_where_the_terms_meet_attention_is_half_of_the_flops():
    rows = layer_costs.at_full_length()
    assert [row.model.name for row in rows][:2] == ["GPT-2 small", "BERT-base"]
    assert {row.model.name for row in rows} < {m.name for m in published.MODELS}
    for m, meets, tokens, share, unmasked in rows:
        terms = cost.flops(1, meets, m.d_model, m.num_heads, m.num_kv_heads, d_head=m.d_head, causal=m.decoder)
        assert (terms["QKᵀ"] + terms["AV"]) / sum(terms.values()) == pytest.approx(0.5, abs=1e-3)
        assert (share > 0.5) == (tokens > meets) and share <= unmasked
