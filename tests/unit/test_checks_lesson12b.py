"""Exercises of lesson 12b: our solutions pass, and each wrong answer that we know gets its own question.

The wrong answers are written here once more, as a learner would write them, and share no code with mha_lab.checks.
"""

import numpy as np
import pytest
import torch
from exercise_promises import promises

from mha_lab import checks
from mha_lab.checks import lesson12b
from mha_lab.rotary import rotate
from mha_lab.tasks.memories_results import recorded_memories
from mha_lab.variants import LatentAttention, gated_delta, top_keys

EXERCISES = {name: getattr(checks, name) for name in ("latent_scores", "best_keys", "delta_step")}


def expanded(query, latent, W_up, q, k, *, width=None, positions=True):
    """Every head's keys are made after all."""
    H, N, K = query.shape
    scores = torch.stack([query[h] @ (latent @ W_up[h]).T for h in range(H)])
    if positions:
        scores = scores + torch.stack([q[h] @ k.T for h in range(H)])
    return scores / (K + q.shape[-1] if width is None else width) ** 0.5


def latents(**options):
    def answer(query, latent, W_up, q, k):
        given = {name: width(query, latent, k) for name, width in options.items() if name == "width"}
        return expanded(query, latent, W_up, q, k, positions=options.get("positions", True), **given)

    return answer


def lower(N, S):
    return torch.arange(S) <= torch.arange(S - N, S)[:, None]


def chosen_by(rule):
    """An answer that goes row by row: rule(scores of a row, its own place) gives the chosen places."""

    def answer(scores, count):
        N, S = scores.shape
        found = torch.zeros(N, S, dtype=torch.bool)
        for n in range(N):
            found[n, rule(scores[n], S - N + n, count)] = True
        return found

    return answer


def sort(row, count):
    return row.argsort(descending=True)[:count]


def by_columns(scores, count):
    N, S = scores.shape
    past, found = lower(N, S), torch.zeros(N, S, dtype=torch.bool)
    hidden = torch.where(past, scores, torch.tensor(-torch.inf))
    for s in range(S):
        found[hidden[:, s].argsort(descending=True)[:count], s] = True
    return found & past


def one_bar(scores, count):
    past = lower(*scores.shape)
    bar = scores[past].sort(descending=True).values[:count][-1]
    return (scores >= bar) & past


def top_left(scores, count):
    N, S = scores.shape
    found = torch.zeros(N, S, dtype=torch.bool)
    for n in range(N):
        found[n, sort(scores[n, : n + 1], count)] = True
    return found


def step(*, fade="first", out=1.0, asked="key", sign=-1, write=True, read="new", scale=False, old="write"):
    """An answer that does what is told, one head after the other."""

    def answer(state, query, key, value, writes, decay):
        outputs, states = [], []
        for S, q, k, v, w, d in zip(state, query, key, value, writes, decay):
            before = S
            S = S if fade in ("never", "last") else d * S
            said = (k if asked == "key" else q) @ (before if fade == "after asking" else S)
            w = w if write else torch.tensor(1.0)
            new = w * (v + sign * out * said) if old == "write" else w * v - said
            after = S + torch.outer(k, new)
            after = d * after if fade == "last" else after
            output = q @ (S if read == "old" else after)
            outputs.append(output / len(k) ** 0.5 if scale else output)
            states.append(after)
        return torch.stack(outputs), torch.stack(states)

    return answer


WRONG = {
    ("latent_scores", "not_scaled"): latents(width=lambda query, latent, k: 1),
    ("latent_scores", "scaled_by_the_plain_width"): latents(width=lambda query, latent, k: query.shape[-1]),
    ("latent_scores", "scaled_by_what_is_kept"): latents(width=lambda query, latent, k: latent.shape[-1] + k.shape[-1]),
    ("latent_scores", "without_positions"): latents(positions=False),
    ("latent_scores", "without_positions_and_width"): latents(
        positions=False, width=lambda query, latent, k: query.shape[-1]
    ),
    ("latent_scores", "scaled_apart"): lambda query, latent, W, q, k: (
        torch.einsum("hnk,hlk,sl->hns", query, W, latent) / query.shape[-1] ** 0.5
        + torch.einsum("hnr,sr->hns", q, k) / k.shape[-1] ** 0.5
    ),
    ("latent_scores", "one_matrix_for_all"): lambda query, latent, W, q, k: expanded(
        query, latent, W[[0] * len(W)], q, k
    ),
    ("latent_scores", "already_weights"): lambda *given: torch.softmax(expanded(*given), -1),
    ("best_keys", "hidden_afterwards"): chosen_by(
        lambda row, at, count: [s for s in sort(row, count).tolist() if s <= at]
    ),
    ("best_keys", "future_chosen"): chosen_by(lambda row, at, count: sort(row, count)),
    ("best_keys", "filled_up_with_the_future"): lambda scores, count: (
        torch.zeros_like(scores).scatter(
            1,
            torch.where(lower(*scores.shape), scores, torch.tensor(-torch.inf))
            .topk(min(count, scores.shape[1]))
            .indices,
            1.0,
        )
        > 0
    ),
    ("best_keys", "along_the_queries"): by_columns,
    ("best_keys", "the_worst_keys"): chosen_by(lambda row, at, count: row[: at + 1].argsort()[:count]),
    ("best_keys", "without_itself"): chosen_by(lambda row, at, count: sort(row[:at], count)),
    ("best_keys", "itself_in_any_case"): chosen_by(lambda row, at, count: [at, *sort(row[:at], count - 1).tolist()]),
    ("best_keys", "a_window"): chosen_by(lambda row, at, count: list(range(max(0, at - count + 1), at + 1))),
    ("best_keys", "from_the_top_left"): top_left,
    ("best_keys", "one_bar_for_all"): one_bar,
    ("delta_step", "nothing_taken_out"): step(out=0.0),
    ("delta_step", "asked_before_it_faded"): step(fade="after asking"),
    ("delta_step", "new_value_faded_too"): step(fade="last"),
    ("delta_step", "nothing_fades"): step(fade="never"),
    ("delta_step", "written_whole"): step(write=False),
    ("delta_step", "taken_out_whole"): step(old="whole"),
    ("delta_step", "read_before_writing"): step(read="old"),
    ("delta_step", "taken_out_at_the_query"): step(asked="query"),
    ("delta_step", "read_with_a_scale"): step(scale=True),
    ("delta_step", "said_added"): step(sign=1),
}


def in_one_call(state, query, key, value, write, decay):
    given = [x[:, None] for x in (query, key, value, write, decay.log())]
    output, left = gated_delta(*given[:4], log_decay=given[4], state=state)
    return output[:, 0], left


def as_a_matrix(state, query, key, value, write, decay):
    """S ← α (1 − β k kᵀ) S + β k vᵀ: the form of the papers."""
    turn = torch.eye(key.shape[-1]) - write[:, None, None] * key[:, :, None] * key[:, None]
    state = decay[:, None, None] * (turn @ state) + write[:, None, None] * key[:, :, None] * value[:, None]
    return torch.einsum("hk,hkw->hw", query, state), state


RIGHT = [
    ("latent_scores", expanded),
    ("latent_scores", lambda query, latent, W, q, k: expanded(query, latent, W, q, k)),
    ("best_keys", chosen_by(lambda row, at, count: sort(row[: at + 1], count))),
    ("best_keys", lambda scores, count: top_keys(scores, count, mask=lower(*scores.shape))),
    ("delta_step", step()),
    ("delta_step", as_a_matrix),
    ("delta_step", in_one_call),
]

TestExercises = promises(EXERCISES, WRONG, RIGHT)


def test_latent_scores_are_those_of_the_layer():
    layer = LatentAttention(12, 3, 5, d_rotary=2).double()
    x = torch.randn(1, 6, 12, dtype=torch.float64)
    query, turned = layer.q_proj(x).view(6, 3, 6).transpose(0, 1).split([4, 2], dim=-1)
    W_up = layer.k_up.weight.view(3, 4, 5).mT
    scores = checks.latent_scores.solution(query, layer.down(x)[0], W_up, rotate(turned), rotate(layer.k_rotary(x))[0])
    values = layer.v_up(layer.down(x))[0].view(6, 3, 4).transpose(0, 1)
    heads = scores.masked_fill(~lower(6, 6), -torch.inf).softmax(dim=-1) @ values
    torch.testing.assert_close(layer.out_proj(heads.transpose(0, 1).flatten(1)), layer(x, causal=True)[0])


# inside a model ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def memories():
    return recorded_memories()


def test_a_right_choice_keeps_in_smollm2_what_ours_keeps(memories):
    result = checks.best_keys(lambda scores, count: top_keys(scores, count, mask=lower(*scores.shape)), memories.call)
    assert result.passed and "In layer 18 of SmolLM2 each of 96 tokens" in result.lines[0]
    mine, ours = result.lines[0].split("the layer keeps ")[1].split("; by ours ")
    assert mine == ours.rstrip(".") and result.picture() is not None


def test_a_window_keeps_less_there_and_has_its_question_first(memories):
    result = checks.best_keys(WRONG["best_keys", "a_window"], memories.call)
    assert not result.passed and "That is" not in result.lines[0] and "a window" in result.lines[0]
    mine, ours = result.lines[-1].split("the layer keeps ")[1].split("; by ours ")
    assert float(mine[:4]) < float(ours[:4])


def test_what_is_no_recorded_call_is_told():
    assert "`memories.call`, and this is the int 3" in checks.best_keys(checks.best_keys.solution, 3).lines[0]


def test_a_right_step_answers_in_the_trained_model_what_its_layer_answers(memories):
    result = checks.delta_step(as_a_matrix)
    assert result.passed and "of 16 questions after 4 pairs" in result.lines[-1] and "does the same" in result.lines[-1]
    text, _ = lesson12b._recalls(step())
    shares = [int(part.split("%")[0].split()[-1]) for part in text.split(" of 16")[:2]]
    for share, pairs in zip(shares, (4, 16)):
        assert abs(share / 100 - memories.updates["D"][0][memories.few_pairs.index(pairs)]) < 0.05


def test_without_taking_out_the_trained_model_forgets(memories):
    text, _ = lesson12b._recalls(step(out=0.0))
    assert int(text.split("%")[0].split()[-1]) < 80


# with a pencil -------------------------------------------------------------------------------------------------------

SIZES = 2.1, 2048, 1024, 0.44


@pytest.mark.parametrize("sizes", [SIZES, (2, 2000, 1000, 0.43), list(checks.state_or_cache.solution())])
def test_a_pencil_may_be_a_little_off(sizes):
    assert checks.state_or_cache(sizes).passed


@pytest.mark.parametrize(
    "place, slip, question",
    [(place, slip, said) for place, slips in enumerate(lesson12b.SLIPS.values()) for slip, said in slips.items()],
)
def test_each_slip_of_the_pencil_gets_its_question(place, slip, question):
    result = checks.state_or_cache([*SIZES[:place], slip, *SIZES[place + 1 :]])
    assert not result.passed and question.endswith("?") and result.lines[0].endswith(question)


def test_other_sizes_are_told_by_how_much_they_are_off():
    assert "3 times too large" in checks.state_or_cache((6.29, *SIZES[1:])).lines[0]
    assert "it is more than 0" in checks.state_or_cache((*SIZES[:3], -1)).lines[0]


@pytest.mark.parametrize("answer", [(1, 2), "four", (1, 2, 3, "x"), (1, 2, 3, float("nan")), 7])
def test_what_is_no_four_numbers_is_told(answer):
    assert "Four numbers were asked for" in checks.state_or_cache(answer).lines[0]


def test_the_sizes_are_those_of_the_published_model():
    from mha_lab import cost
    from mha_lab.published import MODELS

    model = next(m for m in MODELS if m.name == "Qwen3-Next-80B-A3B")
    state, a_token, equal, share = checks.state_or_cache.solution()
    assert state * 1e6 == 4 * model.state == cost.state_bytes(1, 32, 128, bytes_per_number=4)
    assert a_token == cost.kv_cache_bytes(1, 1, model.num_kv_heads, model.d_head)
    assert (model.layers, model.kinds.count("G"), model.context) == (48, 12, 32_768)
    assert equal == 1024 and share == 0.4375


def test_a_state_is_counted_in_the_bits_in_which_our_own_layer_keeps_it():
    from mha_lab.variants import GatedDeltaAttention, StateCache

    layer, cache = GatedDeltaAttention(32, 2, d_head=16, bias=False).to(torch.bfloat16), StateCache()
    with torch.no_grad():
        layer(torch.zeros(1, 3, 32, dtype=torch.bfloat16), cache=cache)
    assert cache.nbytes == 4 * 2 * 16**2


def test_who_forgets_the_states_or_halves_them_does_not_pass():
    for share in (0.25, 0.344):
        result = checks.state_or_cache((*SIZES[:3], share))
        assert not result.passed and "state" in result.lines[0]


def test_arrays_are_welcome():
    def in_numpy(scores, count):
        N, S = scores.shape
        found = np.zeros((N, S), dtype=bool)
        for n in range(N):
            best = np.argsort(-scores[n, : S - N + n + 1])[:count]
            found[n, best] = True
        return found

    assert checks.best_keys(in_numpy).passed
