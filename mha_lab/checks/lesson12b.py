"""Exercises of lesson 12b: scores from latents, the best keys of the past, one step of the gated delta rule, and where
a cache outgrows a state. The second goes on inside a layer of SmolLM2, the third inside a small trained model."""

import math
from functools import partial

import torch

from mha_lab.checks import pictures
from mha_lab.checks.card import Result
from mha_lab.checks.class_key import sized
from mha_lab.checks.engine import answer_exercise, exercise, seeded
from mha_lab.checks.in_model import model_exercise, whole_model_exercise
from mha_lab.checks.pencil import numbers_of, off
from mha_lab.checks.returned import a_thing

# -------------------------------------------------------------------------------------------------------- latent scores

LATENT_SIZES = [
    (3, 2, 4, 5, 3, 2),
    (1, 1, 3, 2, 5, 4),
    (2, 4, 4, 4, 6, 2),
    (4, 1, 6, 7, 2, 6),
    (3, 5, 2, 3, 4, 2),
]  # H, N, S, latent, K, R


def _latent_cases():
    return [
        tuple(seeded(seed, (H, N, K), (S, width), (H, width, K), (H, N, R), (S, R)))
        for seed, (H, N, S, width, K, R) in enumerate(sized(LATENT_SIZES, fixed=(5,)))
    ]


@exercise(
    stars=2,
    minutes=7,
    hint="Two products make a score here: which of them could you take before any key is made? And if the keys had "
    "been made after all, how many numbers would one have, with its turned ones?",
    second_hint="Bring each head's query into the space of the latents by its own matrix, and put its turned numbers "
    "behind. What is kept of a token is its latent with its turned key behind, the same for all heads. One product of "
    "the two gives both parts of the score; the width by whose root it is divided is that of the key that was never "
    "made, with the turned part.",
    then="What is kept of a token serves all heads, and no head's key was ever written down. The position came in "
    "beside the latent, for it could not pass through the matrix.",
    cases=_latent_cases,
    parts={"scores": ("head", "query", "key")},
    sizes=lambda query, latent, W_up, turned_query, turned_key: {
        "K": query.shape[-1],
        "the latent's width": latent.shape[-1],
        "the turned part's width": turned_key.shape[-1],
        "H": len(query),
    },
)
def latent_scores(query, latent, W_up, turned_query, turned_key):
    """query (H, N, K), latent (S, width), W_up (H, width, K): a head's key would be
    latent @ W_up[h]; turned_query (H, N, R) and turned_key (S, R), one for all heads
    → scaled scores (H, N, S)."""
    asking = torch.cat([query @ W_up.mT, turned_query], dim=-1)
    kept = torch.cat([latent, turned_key], dim=-1)
    return asking @ kept.mT / (query.shape[-1] + turned_query.shape[-1]) ** 0.5


def _two_parts(query, latent, W_up, turned_query, turned_key):
    return query @ (latent @ W_up).mT, turned_query @ turned_key.mT


def _divided_by(number, given):
    plain, turned = _two_parts(*given)
    return (plain + turned) / number**0.5


@latent_scores.mistake("Both parts are right, and nothing is scaled. Of how many products is a score the sum?")
def not_scaled(*given):
    return _divided_by(1, given)


@latent_scores.mistake(
    "You divide by √K alone. A score is now a sum of more products than that: how many numbers has a query with its "
    "turned part?"
)
def scaled_by_the_plain_width(*given):
    return _divided_by(given[0].shape[-1], given)


@latent_scores.mistake(
    "You divide by the root of what is *kept*. Moving a matrix from the key to the query changes no score: by what "
    "would you divide if the keys had been made?"
)
def scaled_by_what_is_kept(*given):
    return _divided_by(given[1].shape[-1] + given[4].shape[-1], given)


@latent_scores.mistake(
    "The latent's part is right, and no score knows how far apart two tokens stand. What were turned_query and "
    "turned_key for?"
)
def without_positions(query, latent, W_up, turned_query, turned_key):
    return query @ (latent @ W_up).mT / (query.shape[-1] + turned_query.shape[-1]) ** 0.5


@latent_scores.mistake(
    "Without positions your scores are right, and they are divided by √K. What were turned_query and turned_key for?"
)
def without_positions_and_width(query, latent, W_up, turned_query, turned_key):
    return query @ (latent @ W_up).mT / query.shape[-1] ** 0.5


@latent_scores.mistake(
    "You scaled the two parts apart, each by the root of its own width. In one product of the whole query with the "
    "whole key, by what would both be divided?"
)
def scaled_apart(query, latent, W_up, turned_query, turned_key):
    plain, turned = _two_parts(query, latent, W_up, turned_query, turned_key)
    return plain / query.shape[-1] ** 0.5 + turned / turned_query.shape[-1] ** 0.5


@latent_scores.mistake(
    "All your heads ask through head 0's matrix. What would their keys have been, if each head had made its own?"
)
def one_matrix_for_all(query, latent, W_up, turned_query, turned_key):
    return latent_scores.solution(query, latent, W_up[:1].expand_as(W_up), turned_query, turned_key)


@latent_scores.mistake(
    "These are weights already: your rows sum to 1. Scores were asked for; what comes between scores and weights?"
)
def already_weights(*given):
    return latent_scores.solution(*given).softmax(dim=-1)


# ------------------------------------------------------------------------------------------------------------ best keys


def _best_cases():
    sizes = [(6, 6, 3), (1, 7, 2), (4, 9, 4), (5, 5, 1), (4, 4, 9)]
    return [(*seeded(seed, (N, S)), count) for seed, (N, S, count) in enumerate(sized(sizes))]


def _call_of(recorded):
    from mha_lab.tasks.memories_results import SelectedCall

    if isinstance(recorded, SelectedCall):
        return recorded.scores, IN_MODEL
    return f"The second argument is `memories.call`, and this is {a_thing(recorded)}. Which cell has made `memories`?"


IN_MODEL = 8
"""Keys that each token looks at in the recorded layer."""


def _attended(chosen, recorded):
    """The layer's weights without a choice, its output, and its output where it looks at what is chosen alone."""
    from mha_lab.attention import attention
    from mha_lab.masks import causal_mask

    call = recorded.query[None], recorded.key[None], recorded.value[None]
    past = causal_mask(recorded.query.shape[1])
    output, weights = attention(*call, mask=past)
    return weights[0], output[0], attention(*call, mask=torch.as_tensor(chosen) & past)[0][0]


def _in_layer(yours, target, recorded):
    found = []
    for chosen in (torch.as_tensor(yours[0]), torch.as_tensor(target[0])):
        weights, output, selected = _attended(chosen, recorded)
        late = slice(IN_MODEL, None)  # the first tokens see all there is
        kept = (weights * chosen)[:, late].sum(dim=-1).mean()
        off = (selected - output)[:, late].norm() / output[:, late].norm()
        found.append(f"{kept:.2f} of its weight, and its output moves by {off:.2f} of its length")
    return (
        f"In layer 18 of SmolLM2 each of {len(recorded.tokens)} tokens looks at {IN_MODEL} keys that an indexer "
        f"prefers. By your choice the layer keeps {found[0]}; by ours {found[1]}."
    )


def _map_of_choice(yours, target, recorded):
    from mha_lab import plots

    figure = pictures.bare_figure("what your function chose in SmolLM2, beside the layer's own weights", 9.2, 4.6)
    weights, *_ = _attended(torch.as_tensor(target[0]), recorded)
    rows, columns = slice(-10, None), slice(-20, None)
    looked = weights.mean(dim=0)[rows, columns]
    shown = {
        "where the heads look (the most: 1)": looked / looked.amax(),
        f"the {IN_MODEL} keys that you chose": torch.as_tensor(yours[0]).float()[rows, columns],
    }
    words = [word.strip() for word in recorded.tokens]
    for ax, (title, part) in zip(figure.subplots(1, 2), shown.items()):
        plots.attention_map(part, words[rows], words[columns], numbers=False, title=title, ax=ax)
    return figure


@model_exercise(
    stars=2,
    minutes=7,
    hint="The last of the N queries is the last of the S tokens. Which keys may the others not choose, and when must "
    "you take these away: before you look for the best ones, or after?",
    second_hint="Give every key that lies in a query's future a score of −∞. Then find the places of the largest "
    "scores in each row, no more of them than there are keys, and set True there. A row may have fewer keys in its "
    "past than it may choose: what it took of the future beyond them is taken away again.",
    then="Nothing was made smooth: a key is looked at or it is not, and so no gradient reaches the scores from here. "
    "That is why an indexer needs a loss of its own.",
    cases=_best_cases,
    parts={"chosen": ("query", "key")},
    inside=_call_of,
    says=_in_layer,
    shows=_map_of_choice,
)
def best_keys(scores, count):
    """scores (N, S) of the last N of S tokens → boolean (N, S): True at the `count` keys
    with the highest scores among a query's own token and its past, or at all of these
    where there are fewer."""
    N, S = scores.shape
    past = torch.ones(N, S, dtype=torch.bool).tril(S - N)
    best = scores.masked_fill(~past, -torch.inf).topk(min(count, S), dim=-1).indices
    return torch.zeros(N, S, dtype=torch.bool).scatter(-1, best, True) & past


def _past(scores, beyond=0):
    N, S = scores.shape
    return torch.ones(N, S, dtype=torch.bool).tril(S - N + beyond)


def _chosen(scores, count, dim=-1, largest=True):
    best = scores.topk(min(count, scores.shape[dim]), dim=dim, largest=largest).indices
    return torch.zeros(scores.shape, dtype=torch.bool).scatter(dim, best, True)


@best_keys.mistake(
    "You chose first and hid the future afterwards, so that some of your rows have fewer keys than they may have. What "
    "would a token get whose best keys all lie in its future?"
)
def hidden_afterwards(scores, count):
    return _chosen(scores, count) & _past(scores)


@best_keys.mistake("Your queries choose among all keys. Which of them does a model that writes not have yet?")
def future_chosen(scores, count):
    return _chosen(scores, count)


@best_keys.mistake(
    "Where a query's past has fewer keys than it may choose, you filled up with keys of its future. How many keys can "
    "the first token choose?"
)
def filled_up_with_the_future(scores, count):
    return _chosen(scores.masked_fill(~_past(scores), -torch.inf), count)


@best_keys.mistake(
    "Your choice runs along the queries: each key was given to the queries that like it best. Along which axis do a "
    "query's keys lie?"
)
def along_the_queries(scores, count):
    return _chosen(scores.masked_fill(~_past(scores), -torch.inf), count, dim=0) & _past(scores)


@best_keys.mistake("You chose the lowest scores. Which keys does an indexer recommend, those with high or low scores?")
def the_worst_keys(scores, count):
    return _chosen(scores.masked_fill(~_past(scores), torch.inf), count, largest=False) & _past(scores)


@best_keys.mistake(
    "Your tokens cannot choose themselves. May a token look at itself, and what else is there for the first one?"
)
def without_itself(scores, count):
    past = _past(scores, beyond=-1)
    return _chosen(scores.masked_fill(~past, -torch.inf), count) & past


@best_keys.mistake(
    "Each token has itself and the best count − 1 others. Did anybody say that a token must look at itself?"
)
def itself_in_any_case(scores, count):
    N, S = scores.shape
    itself = torch.arange(S - N, S)[:, None]
    past = _past(scores)
    return _chosen(scores.masked_fill(~past, -torch.inf).scatter(-1, itself, torch.inf), count) & past


@best_keys.mistake("You chose the last keys, whatever their scores are: that is a window. What are the scores for?")
def a_window(scores, count):
    return _past(scores) & ~_past(scores, beyond=-count)


@best_keys.mistake(
    "Your triangle begins at the first key, as if query 0 were token 0. The N queries are the *last* of the S tokens: "
    "how many keys may the last query choose from?"
)
def from_the_top_left(scores, count):
    past = torch.ones(scores.shape, dtype=torch.bool).tril()
    return _chosen(scores.masked_fill(~past, -torch.inf), count) & past


@best_keys.mistake(
    "You compare scores with the count-th largest of the *whole* table, so that some rows have many keys and some "
    "none. For whom is a key among the best?"
)
def one_bar_for_all(scores, count):
    past = _past(scores)
    allowed = scores[past]
    return past & (scores >= allowed.topk(min(count, len(allowed))).values[-1])


# ----------------------------------------------------------------------------------------------------------- delta step


def _delta_cases():
    cases = []
    for seed, (H, K, width) in enumerate(sized([(2, 3, 4), (1, 4, 4), (3, 2, 5), (2, 5, 1), (4, 3, 3)])):
        state, query, key, value, write, decay = seeded(seed, (H, K, width), (H, K), (H, K), (H, width), (H,), (H,))
        cases.append((state, query, key / key.norm(dim=-1, keepdim=True), value, write.sigmoid(), decay.sigmoid()))
    return cases


def _recalls(function):
    """How many pairs a trained model still knows, with the function as the rule of its only layer."""
    from mha_lab.models.memories import memory_model
    from mha_lab.tasks.memories_results import recorded_memories
    from mha_lab.tasks.recall import recall

    memories, asked = recorded_memories(), []
    model = memory_model(recall(memories.few_pairs, writes=3), "D", d_head=16)
    model.load_state_dict(memories.state)
    for pairs in 4, 16:
        test = recall(pairs, writes=3).draw(40, torch.Generator().manual_seed(7))
        model.blocks[0].attention.rule = partial(_step_by_step, function)
        with torch.no_grad():
            asked.append(f"{model.accuracy(test).item():.0%} of 16 questions after {pairs} pairs")
    return (
        f"In a model trained on pairs that are written three times each, your rule answers {' and '.join(asked)}.",
        None,
    )


def _step_by_step(function, query, key, value, write, log_decay, state):
    """A layer's whole text, (B, 1, 1, N, …), one token after the other; texts stand where the function has heads."""
    q, k, v, w = (x[:, 0, 0] for x in (query, key, value, write))
    held, outputs = q.new_zeros(len(q), q.shape[-1], v.shape[-1]), []
    for n in range(q.shape[1]):
        output, held = function(held, q[:, n], k[:, n], v[:, n], w[:, n], torch.ones(len(q)))
        outputs.append(output)
    return torch.stack(outputs, dim=1)[:, None, None], held[:, None, None]


@whole_model_exercise(
    stars=2,
    minutes=15,
    hint="Four things happen to a state in one step, and their order counts: which of them looks at what the state "
    "says, and must that be the state before or after it has faded?",
    second_hint="Let the state fade: every number of a head times that head's decay. Ask it what it says at the key: "
    "the key as a row times the state. The difference between the new value and that, times write, is what is added, "
    "at the key: an outer product, the key as a column and the difference as a row. Only then does the query "
    "read, as the key did.",
    then="Your state has K × width numbers a head, after one token or after a million. Whatever is not in them is "
    "forgotten.",
    cases=_delta_cases,
    parts={"output": ("head", "feature"), "new state": ("head", "key feature", "feature")},
    blame=("new state", "output"),
    inside=_recalls,
)
def delta_step(state, query, key, value, write, decay):
    """state (H, K, width), query and key (H, K), value (H, width), write and decay (H,) from 0 to 1
    → output (H, width) and the new state (H, K, width)."""
    state = decay[:, None, None] * state
    said = (key[:, None] @ state)[:, 0]
    state = state + key[:, :, None] * (write[:, None] * (value - said))[:, None]
    return (query[:, None] @ state)[:, 0], state


def _read(query, state):
    return torch.einsum("hk,hkw->hw", query, state)


def _added(state, key, new):
    return state + key[:, :, None] * new[:, None]


@delta_step.mistake(
    "You add the new value, and what was held at this key before stays there. What does the state say at a key that "
    "was written twice?"
)
def nothing_taken_out(state, query, key, value, write, decay):
    state = _added(decay[:, None, None] * state, key, write[:, None] * value)
    return _read(query, state), state


@delta_step.mistake(
    "You asked the state what it says *before* it faded, and so you take out more than is there. Which comes first?"
)
def asked_before_it_faded(state, query, key, value, write, decay):
    new = write[:, None] * (value - _read(key, state))
    state = _added(decay[:, None, None] * state, key, new)
    return _read(query, state), state


@delta_step.mistake(
    "What you add fades with the rest, in the very step in which it is written. What should fade, the old or the new?"
)
def new_value_faded_too(state, query, key, value, write, decay):
    state = decay[:, None, None] * _added(state, key, write[:, None] * (value - _read(key, state)))
    return _read(query, state), state


@delta_step.mistake("Nothing fades in your state. For what is `decay` there?")
def nothing_fades(state, query, key, value, write, decay):
    return delta_step.solution(state, query, key, value, write, torch.ones_like(decay))


@delta_step.mistake("You write the whole difference, as if `write` were 1. What should the state say if `write` is 0?")
def written_whole(state, query, key, value, write, decay):
    return delta_step.solution(state, query, key, value, torch.ones_like(write), decay)


@delta_step.mistake(
    "You take the old value out whole and write a part of the new one. If `write` is 0, should the old value be gone?"
)
def taken_out_whole(state, query, key, value, write, decay):
    state = decay[:, None, None] * state
    state = _added(state, key, write[:, None] * value - _read(key, state))
    return _read(query, state), state


@delta_step.mistake(
    "Your new state is right, and the query has read the old one. Should a token see what it has written itself?"
)
def read_before_writing(state, query, key, value, write, decay):
    _, new = delta_step.solution(state, query, key, value, write, decay)
    return _read(query, decay[:, None, None] * state), new


@delta_step.mistake(
    "You took out what the state says to the *query*. At which vector will the new value be written, and what must be "
    "taken out there?"
)
def taken_out_at_the_query(state, query, key, value, write, decay):
    state = decay[:, None, None] * state
    state = _added(state, key, write[:, None] * (value - _read(query, state)))
    return _read(query, state), state


@delta_step.mistake(
    "Your new state is right, and the output is divided by √K. Is there a softmax here whose scores must stay small?"
)
def read_with_a_scale(state, query, key, value, write, decay):
    output, state = delta_step.solution(state, query, key, value, write, decay)
    return output / query.shape[-1] ** 0.5, state


@delta_step.mistake(
    "You added what the state already says, and did not take it away: value *plus* said. After writing with write = 1, "
    "what should the state say at the key?"
)
def said_added(state, query, key, value, write, decay):
    state = decay[:, None, None] * state
    state = _added(state, key, write[:, None] * (value + _read(key, state)))
    return _read(query, state), state


# ------------------------------------------------------------------------------------------------------- state or cache

ASKED = {
    "the state of a linear layer": "MB",
    "the cache of a full layer": "bytes a token",
    "they are equal at": "tokens",
    "the hybrid's share": "",
}
SLIPS = {
    "the state of a linear layer": {
        1.05: "half of it. In how many bits does this layer keep its state, and how many bytes is that?",
        0.524: "a quarter of it, or a count of numbers. How many bytes has a number of 32 bits?",
        0.0655: "that is one head. How many heads of a linear layer hold a state?",
        0.0164: "a matrix has rows *and* columns: how many numbers are in one of 128 by 128?",
        75.5: "that is all linear layers. What does one of them hold?",
        100.7: "that would be 48 layers. What does one of them hold?",
    },
    "the cache of a full layer": {
        1024: "half of it. Is it a key or a value that you left out, or the bytes of a number?",
        4096: "twice as much. Which of the two is kept in 16 bits, the cache or the state?",
        16384: "eight times as much. Which heads have keys of their own: the 16, or the 2 that they share?",
        24576: "that is all full layers. What does one of them keep?",
        98304: "that would be 48 layers. What does one of them keep?",
    },
    "they are equal at": {
        2048: "twice as many. Which of the two sizes is off by a factor of 2?",
        512: "half as many. Which of the two is kept in 32 bits, and which in 16?",
        256: "a quarter of it. Which of the two sizes is off, and by which factor?",
        128: "eight times too few. Which heads have keys of their own?",
        3072: "there are three linear layers for each full one; but which two layers were to be compared?",
    },
    "the hybrid's share": {
        0.25: "that is the full layers' part alone. What do 36 states add, at 4,096 tokens?",
        0.344: "your states count half. In how many bits are they kept?",
        0.563: "that is what it saves. Which share is left?",
        0.333: "the ratio of full layers to linear ones. What share of *all* layers is full, and where are the states?",
        43.75: "that is in per cent; write it as a share of 1. What is 50 % as a share?",
        2.29: "that is the other way round. Which of the two numbers is the smaller one?",
    },
}


def _judge_state(task, answer, _) -> Result:
    numbers = numbers_of(answer, len(ASKED))
    if numbers is None:
        words = ", ".join(ASKED)
        return task.result(
            "wrong",
            "not yet",
            f"Four numbers were asked for ({words}), and this is {a_thing(answer)}.",
            mistake="not_what_was_asked",
        )
    rows = zip(ASKED, numbers, task.solution(), strict=True)
    wrong = [row for row in rows if abs(row[1] - row[2]) > 0.06 * row[2]]
    if not wrong:
        return task.result("passed", "passes: all four near enough", task.then)
    verdict = f"not yet: {len(ASKED) - len(wrong)} of {len(ASKED)} are right"
    key = f"number_{list(ASKED).index(wrong[0][0]) + 1}"
    return task.result("wrong", verdict, *[_slip(*row) for row in wrong], mistake=key)


def _slip(name, number, target):
    known = next((said for slip, said in SLIPS[name].items() if math.isclose(number, slip, rel_tol=0.02)), None)
    if known is None:
        known = f"it is {off(number, target) if number > 0 else 'more than 0'}. Which sizes is it a product of?"
    return f"{name}, {number:,.6g} {ASKED[name]}".rstrip() + f": {known}"


@answer_exercise(
    stars=2,
    minutes=8,
    hint="For each of the first two: which of the numbers above does it have, and does it grow with the text?",
    second_hint="A state is a square matrix for each of the linear layer's heads, whatever the text, four bytes a "
    "number. A cache keeps a key and a value of each token, for each head that has keys of its own, two bytes a "
    "number. The third number is the first divided by the second; for the fourth, add up twelve layers' caches and "
    "thirty-six states, and compare with 48 caches.",
    then="Beyond a thousand tokens a state is the smaller one, and at long texts the full layers are all that counts: "
    "three linear layers for each full one then keep little more than a quarter.",
    judge=_judge_state,
)
def state_or_cache(layers=48, heads=32, width=128, num_kv_heads=2, d_head=256, tokens=4_096):
    """MB of a linear layer's state, in 32 bits; bytes a token of a full layer's cache, in 16;
    tokens at which the two are equal; the cache and the states of the hybrid, as a share
    of what full layers alone would keep at `tokens`."""
    state = heads * width**2 * 4
    a_token = 2 * num_kv_heads * d_head * 2
    full = layers // 4
    share = (full * a_token * tokens + (layers - full) * state) / (layers * a_token * tokens)
    return state / 1e6, a_token, state / a_token, share
