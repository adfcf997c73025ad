"""Pairs that are written and asked for, the small models that remember them, and what keeping less costs on paper."""

import sys
from pathlib import Path

import pytest
import torch

from mha_lab import cost, layer_costs, tasks
from mha_lab.models.memories import LAYERS, WritingAttention, memory_model
from mha_lab.tasks.memories_results import recorded_memories
from mha_lab.tasks.recall import recall
from mha_lab.variants import LinearAttention, gated_delta, linear_attention


def drawn(*args, seed=0, B=50, **options):
    task = recall(*args, **options)
    return task, task.draw(B, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("writes", [1, 3])
def test_what_was_written_last_is_what_is_asked_for(writes):
    task, batch = drawn(5, writes=writes, num_questions=7)
    assert batch.inputs.shape == (50, 5 * writes + 7, 3) == (50, task.num_tokens, 3)
    for inputs, targets in zip(batch.inputs.tolist(), batch.targets[..., 0].tolist()):
        held = {}
        for (key, value, asked), target in zip(inputs, targets):
            if asked:
                assert (key, value) == (0, 0) and target == held[asked]
            else:
                assert key and value and target == tasks.IGNORE
                held[key] = value - 1
        assert len(held) == 5


def test_what_is_right_is_marked():
    _, batch = drawn(5, writes=3)
    rows = batch.right[:, 0].any(dim=-1)
    assert torch.equal(rows, batch.inputs[..., 2] > 0) and batch.right.sum(dim=-1).max() == 1
    values = (batch.right[:, 0] * batch.inputs[:, None, :, 1]).sum(dim=-1) - 1
    assert torch.equal(values[rows], batch.targets[..., 0][rows])


def test_each_batch_draws_one_number_of_pairs():
    task, generator = recall([2, 4]), torch.Generator().manual_seed(0)
    assert {task.draw(2, generator).inputs.shape[1] for _ in range(20)} == {18, 20} and task.num_tokens == 20


def test_more_pairs_than_keys_are_refused():
    with pytest.raises(ValueError, match="9 pairs need as many different keys, and there are num_keys=8"):
        recall(9, num_keys=8)


# the models ----------------------------------------------------------------------------------------------------------


def test_a_word_of_letters_is_a_stack_of_layers():
    task = recall(4)
    model = memory_model(task, "GLWDS", d_head=8)
    assert [type(block.attention) for block in model.blocks] == [LAYERS[letter] for letter in "GLWDS"]
    model.losses(task.draw(2, torch.Generator().manual_seed(0))).mean().backward()
    for wrong in ("", "X", None):
        with pytest.raises(ValueError, match="a word of the letters"):
            memory_model(task, wrong, d_head=8)


def test_for_one_seed_models_of_other_layers_begin_alike_outside_of_the_attention():
    def first(letter):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = memory_model(recall(4), letter, d_head=8)
        return {name: p for name, p in model.named_parameters() if ".attention." not in name}

    softmax, delta = first("G"), first("D")
    assert softmax.keys() == delta.keys() and all(torch.equal(softmax[name], delta[name]) for name in softmax)


def test_writing_attention_leaves_one_thing_out():
    layer = WritingAttention(12, 2).double()
    q, k, v = torch.randn(3, 1, 2, 1, 6, 4, dtype=torch.float64)
    write = torch.rand(1, 2, 1, 6, dtype=torch.float64)
    found, _ = layer.rule(q, k, v, write, None, None)
    torch.testing.assert_close(found, linear_attention(q, k, write[..., None] * v)[0])
    assert not torch.allclose(found, gated_delta(q, k, v, write)[0])


# on paper ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("N, S, keys", [(7, 7, 3), (2, 7, 3), (3, 7, 6), (7, 7, 50), (1, 7, 2), (5, 7, 7)])
def test_flops_of_selected_keys_count_what_each_query_sees(N, S, keys, causal):
    sizes = {"keys": keys, "indexer_heads": 2, "indexer_width": 5, "S": S, "causal": causal}
    found = cost.selected_flops(3, N, 12, 4, 2, **sizes)
    visible = [S - N + i + 1 if causal else S for i in range(N)]
    assert found["QKᵀ"] == found["AV"] == 2 * 3 * 12 * sum(min(keys, v) for v in visible)
    assert found["indexer"] == 2 * 3 * (N * 12 * 2 * 6 + S * 12 * 5 + sum(visible) * 2 * 6)
    plain = cost.flops(3, N, 12, 4, 2, S=S, causal=causal)
    assert all(found[name] == plain[name] for name in ("W^Q", "W^K", "W^V", "W^O"))


def test_flops_of_a_state_are_those_that_torch_counts_in_the_recurrence():
    from mha_lab.variants import gated_delta_recurrence, linear_recurrence

    q, k, v = torch.randn(3, 2, 4, 6, 8)
    write = torch.rand(2, 4, 6)
    for delta, run in (
        (True, lambda: gated_delta_recurrence(q, k, v, write)),
        (False, lambda: linear_recurrence(q, k, v)),
    ):
        terms = cost.state_flops(2, 6, 32, 4, delta=delta)
        outer = terms["write"]  # a product of one column and one row, which torch does not count as a matrix product
        counted = layer_costs.counted_by_torch(run)
        assert (
            counted == sum(terms[name] for name in ("take out", "read") if name in terms)
            and outer == 2 * 2 * 6 * 4 * 64
        )
    layer, x = LinearAttention(32, 4, 2, bias=False), torch.randn(2, 6, 32)
    projections = sum(n for name, n in cost.state_flops(2, 6, 32, 4, 2).items() if name.startswith("W"))
    assert layer_costs.counted_by_hooks(layer, lambda: layer(x, causal=True)) == projections


def test_bytes_of_a_state_do_not_depend_on_the_text():
    assert cost.state_bytes(1, 32, 128) == 2**20  # a linear layer of Qwen3-Next in 16 bits
    assert cost.state_bytes(3, 4, 8, layers=2, bytes_per_number=4) == 3 * 4 * 64 * 2 * 4


# the record ----------------------------------------------------------------------------------------------------------

MODULE = sys.modules[recorded_memories.__module__]


def test_the_readme_names_the_record():
    readme = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")
    assert f"`{MODULE.MEMORIES_SHA256}`" in readme and f"{MODULE.MEMORIES.stat().st_size:,} bytes" in readme


def test_the_record_is_what_its_docstring_says():
    memories = recorded_memories()
    assert memories.pairs == [4, 8, 16, 32, 64] and memories.few_pairs == [2, 4, 8, 16]
    assert {shares.shape for shares in (*memories.capacity.values(), *memories.stacks.values())} == {(3, 5)}
    assert {shares.shape for shares in memories.updates.values()} == {(3, 4)}
    assert {losses.shape for losses in memories.sharing.values()} == {(3,)}
    assert {kind[1:] for kind in memories.parameters if kind[0] == "sharing"} == set(memories.sharing)
    assert memories.perplexity.keys() == memories.weight.keys() >= {"exact", "indexer", "last", "random"}
    assert len(memories.perplexity["indexer"]) == 3 and memories.perplexity["indexer"][1:].isnan().sum() == 2 * 4
    call = memories.call
    assert call.query.shape == (9, 96, 64) and call.key.shape == call.value.shape == (3, 96, 64)
    assert call.scores.shape == (96, 96) and len(call.tokens) == 96


def test_the_recorded_model_answers_as_recorded():
    memories = recorded_memories()
    model = memory_model(recall(memories.few_pairs, writes=3), "D", d_head=16)
    model.load_state_dict(memories.state)
    for pairs, share in zip(memories.few_pairs, memories.updates["D"][0]):
        test = recall(pairs, writes=3).draw(200, torch.Generator().manual_seed(3))
        assert abs(model.accuracy(test) - share) < 0.04


def test_what_is_recorded_shows_what_the_lesson_says_of_it():
    memories = recorded_memories()
    assert (memories.updates["D"] - memories.updates["W"])[:, :3].min() > 0.3
    assert (memories.capacity["D", 8] < memories.capacity["D", 16])[:, 1:].all()
    assert (memories.stacks["SSSG"] - memories.stacks["SSSS"])[:, -1].min() > 0.3
    best, worst = memories.perplexity["indexer"][:, 2], memories.perplexity["random"][:, 2]
    assert memories.everything < best.min() and best.max() < worst.min()
    parameters = memories.parameters
    assert parameters["sharing", "OOBB", 4] == parameters["sharing", "OOOO", 2]  # what borrows has half the matrices
