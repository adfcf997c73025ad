"""Exercises of lesson 05: one decoding step, shared keys and values, the bytes of a cache.

Shared keys and values go on inside SmolLM2: on one layer's recorded queries, keys and values, and as the attention of
all of its layers while it writes, where the model is installed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch

from mha_lab import pretrained
from mha_lab.checks import pictures
from mha_lab.checks.card import Result
from mha_lab.checks.class_key import sized
from mha_lab.checks.engine import exercise, seeded
from mha_lab.checks.in_model import ModelExercise
from mha_lab.checks.lesson04 import count_gap
from mha_lab.checks.returned import a_thing
from mha_lab.checks.run import outcomes
from mha_lab.pretrained.inside_smollm2 import STEP_HEAD, STEP_LAYER

# (B, N, S, H, G, K). The last two are MHA and MQA; the others tell one order of sharing from another.
SIZES = [(2, 3, 5, 4, 2, 3), (1, 1, 4, 6, 2, 4), (2, 2, 3, 6, 3, 2), (1, 4, 4, 3, 3, 5), (2, 2, 4, 4, 1, 3)]


def _grouped_cases():
    sizes = sized(SIZES, together=(3, 4))
    return [
        tuple(seeded(seed, (B, H, N, K), (B, G, S, K), (B, G, S, K))) for seed, (B, N, S, H, G, K) in enumerate(sizes)
    ]


@dataclass(frozen=True, repr=False)
class WritingExercise(ModelExercise):
    """After one recorded layer, all layers of the model while it writes, where it is installed."""

    def _in_the_model(self, function: Callable, result: Result) -> Result:
        result = super()._in_the_model(function, result)
        if not isinstance(self.recorded, pretrained.InsideSmolLM2):
            return result
        in_all = self._in_all_layers(function, self.recorded, result)
        first, rest = (result.lines[:1], result.lines[1:]) if result.passed else (result.lines, ())
        return replace(result, lines=(*first, *in_all, *rest))

    def _in_all_layers(self, function, inside, result) -> list[str]:
        """What SmolLM2 writes with the function, given what it was made for, tensors or arrays; nothing where it cannot
        go on with it."""
        if result.picture is None:  # the function raised, or returned another shape
            return []
        target, axes = self.run(self.solution, inside.call), list(self.parts.values())
        (yours,) = outcomes(
            function, [inside.call], self.names, axes, right=lambda found: not self.gaps(found[0], target, inside.call)
        )

        def heads(*case):
            return torch.as_tensor(self.run(function, case, yours.in_numpy).parts[0])

        try:
            written = inside.written(heads)
        except Exception:  # the layer's own cases have said what is wrong with it
            return []
        if written:
            return [_what_it_wrote(inside.prompt, *written)]
        return [TO_WRITE] if result.passed else []


TO_WRITE = "Once SmolLM2 is installed (`make models`), this check lets it write with your function in all 30 layers."


def _what_it_wrote(prompt, found, expected) -> str:
    same = "as with our layer" if found == expected else f'where our layer writes "{expected.strip()}"'
    return f'With your function in all 30 layers, SmolLM2 continues "{prompt}" with "{found.strip()}", {same}.'


def _step_in_smollm2(recorded) -> tuple | str:
    if isinstance(recorded, pretrained.InsideSmolLM2):
        return recorded.call
    return f"The second argument is `pretrained.inside_smollm2()`, and this is {a_thing(recorded)}."


def _maps_of_the_step(output, inside):
    """(9, N): where each head looks, from the half of the call whose values are unit vectors."""
    return output[1, :, 0, : len(inside.tokens)]


def _in_one_step(yours, target, inside) -> str:
    mine, right = (torch.as_tensor(_maps_of_the_step(part[0], inside)) for part in (yours, target))

    def looks_at(weights):
        return f'"{inside.tokens[int(weights.argmax())].strip()}", with {weights.max():.2f}'

    mine_at, right_at = looks_at(mine[STEP_HEAD]), looks_at(right[STEP_HEAD])
    beside = "as in the model" if mine_at == right_at else f"and in the model at {right_at}"
    return (
        f"In layer {STEP_LAYER} of SmolLM2, 9 query heads on 3 key/value heads, the last token of "
        f'"{pretrained.STEP_PROMPT}" asks what comes next. In head {STEP_HEAD}, by your function, it looks most at '
        f"{mine_at}, {beside}."
    )


def _map_of_the_step(yours, target, inside):
    from mha_lab import plots

    weights = _maps_of_the_step(yours[0], inside)
    figure = pictures.bare_figure("where the last token looks in your nine heads", 7.4, 3.8)
    rows = [f"head {i} (kv {i // 3})" for i in range(len(weights))]
    title = f"Your function in layer {STEP_LAYER} of SmolLM2: where the last token looks"
    shown = weights.clip(0, 1)
    plots.attention_map(shown, rows, inside.tokens, numbers=False, title=title, ax=figure.subplots())
    return figure


def writing_exercise(**fields) -> Callable[[Callable], WritingExercise]:
    """Decorator: this function is the solution of the exercise with which SmolLM2 writes."""
    return lambda solution: WritingExercise(solution, **fields)


@writing_exercise(
    stars=2,
    minutes=15,
    hint="Query heads 0 … H/G − 1 all look at key head 0. What would have to be true of the shapes so that the "
    "attention of lesson 01 runs unchanged: as many key heads as query heads, or as few query heads as key heads?",
    second_hint="Two ways. Either each key head and each value head is copied H/G times, the copies side by side, and "
    "attention runs head by head. Or nothing is copied: the H axis of the queries is cut into G groups of H/G, and the "
    "heads of a group are laid under each other as more rows of one head; attend, and give the output back its H heads "
    "of N rows.",
    then="Now compare the two ways: the fold reads the shared keys as they lie, and the repetition writes every one of "
    "them H / G times first. A decoder pays for that at every token.",
    cases=_grouped_cases,
    parts={"output": ("batch", "head", "query", "feature")},
    sizes=lambda query, key, value: {
        "K": query.shape[3],
        "H": query.shape[1],
        "G": key.shape[1],
        "H·K": query.shape[1] * query.shape[3],
        "N": query.shape[2],
        "S": key.shape[2],
    },
    at_scale=lambda scale, query, key, value: _attend(
        query, _neighbours(key, query), _neighbours(value, query), scale=scale
    ),
    inside=_step_in_smollm2,
    says=_in_one_step,
    shows=_map_of_the_step,
)
def grouped_attention(query, key, value):
    """query (B, H, N, K), key and value (B, G, S, K), G divides H → output (B, H, N, K):
    query heads 0 … H/G − 1 use key/value head 0, the next H/G use head 1, and so on."""
    B, H, N, K = query.shape
    G = key.shape[1]
    rows = query.reshape(B, G, H // G * N, K)  # a group's query heads become rows of one head
    weights = (rows @ key.mT / K**0.5).softmax(dim=-1)
    return (weights @ value).view(B, H, N, K)


def _attend(query, key, value, *, scale=None, axis=-1):
    scale = query.shape[-1] ** 0.5 if scale is None else scale
    return (query @ key.mT / scale).softmax(axis) @ value


def _neighbours(x, query):
    return x.repeat_interleave(query.shape[1] // x.shape[1], dim=1)


def _in_turn(x, query):
    return x.repeat(1, query.shape[1] // x.shape[1], 1, 1)


@grouped_attention.mistake(
    "Your heads take turns: query head 0 uses key/value head 0, query head 1 uses head 1, and so on from the "
    "start again. That is what `repeat` does, and a fold into (H / G, G). Which heads should be neighbours in "
    "one group?"
)
def repeated_in_turn(query, key, value):
    return _attend(query, _in_turn(key, query), _in_turn(value, query))


@grouped_attention.mistake(
    "Your keys are shared by neighbours and your values in turn, so a head looks in one place and fetches from "
    "another. Which of your two lines is different from the other?"
)
def values_repeated_in_turn(query, key, value):
    return _attend(query, _neighbours(key, query), _in_turn(value, query))


@grouped_attention.mistake(
    "Your values are shared by neighbours and your keys in turn, so a head looks with the wrong keys. Which of "
    "your two lines is different from the other?"
)
def keys_repeated_in_turn(query, key, value):
    return _attend(query, _in_turn(key, query), _neighbours(value, query))


@grouped_attention.mistake(
    "All your query heads use key/value head 0: that is multi-query attention. Where did the other G − 1 heads go?"
)
def first_head_for_all(query, key, value):
    return _attend(query, key[:, :1], value[:, :1])


@grouped_attention.mistake(
    "The sharing is right, and what your heads fetch is their keys. A key says where to look: what is it that gets "
    "fetched?"
)
def keys_fetched(query, key, value):
    return _attend(query, _neighbours(key, query), _neighbours(key, query))


@grouped_attention.mistake(
    "The sharing is right, and a query does not see the keys with a higher number than its own, as with "
    "`is_causal=True`. Who asked for a mask here?"
)
def causal_by_habit(query, key, value):
    scores = query @ _neighbours(key, query).mT / query.shape[-1] ** 0.5
    allowed = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    return scores.masked_fill(~allowed, -torch.inf).softmax(-1) @ _neighbours(value, query)


def _on_all(query, key, value, how):
    """Every query head looks at all key/value heads: one after another, or at all their keys at once."""
    if how == "at once":
        return _attend(query, key.flatten(1, 2)[:, None], value.flatten(1, 2)[:, None])
    each = _attend(query[:, :, None], key[:, None], value[:, None])  # (B, H, G, N, K)
    return each.sum(2) if how == "summed" else each.mean(2)


for _how in ("at once", "summed", "averaged"):
    grouped_attention.mistake(
        "Each of your query heads looks at all G key/value heads. It has one of them, which it shares with its "
        "neighbours: which one does query head i have?"
    )(partial(_on_all, how=_how))


@grouped_attention.mistake(
    "Your key and value heads were averaged into one. G of them are there to be told apart: which query heads "
    "share which?"
)
def averaged_over_heads(query, key, value):
    return _attend(query, key.mean(1, keepdim=True), value.mean(1, keepdim=True))


@grouped_attention.mistake(
    "You have G outputs, one for each group: the queries of a group were averaged. It is the keys and values that are "
    "shared. How many queries does a group keep?"
)
def queries_averaged(query, key, value):
    return _attend(query.unflatten(1, (key.shape[1], -1)).mean(2), key, value)


@grouped_attention.mistake(
    "The numbers are right and still folded: (B, G, H/G · N, K). What turns the rows of a group back into its heads?"
)
def not_unfolded(query, key, value):
    return _attend(query.reshape(query.shape[0], key.shape[1], -1, query.shape[-1]), key, value)


@grouped_attention.mistake(
    "A single query would come out right, and several are mixed up: the rows of a group were taken word by word, "
    "across all heads. In (B, H, N, K), which axis must be cut into groups, and which stays whole?"
)
def folded_word_by_word(query, key, value):
    B, H, N, K = query.shape
    rows = query.transpose(1, 2).reshape(B, key.shape[1], H // key.shape[1] * N, K)
    return _attend(rows, key, value).reshape(B, H, N, K)


@grouped_attention.mistake(
    "The sharing is right and the scores were not scaled. By what does one head divide, however many heads "
    "share its keys?"
)
def grouped_without_scale(query, key, value):
    return _attend(query, _neighbours(key, query), _neighbours(value, query), scale=1)


@grouped_attention.mistake(
    "The sharing is right and the scale is too large: it is the root of all heads' width together. How many "
    "products does one head's dot product sum?"
)
def grouped_scaled_by_d_model(query, key, value):
    wide = (query.shape[1] * query.shape[-1]) ** 0.5
    return _attend(query, _neighbours(key, query), _neighbours(value, query), scale=wide)


@grouped_attention.mistake(
    "The sharing is right, and softmax ran over the queries: each key hands out 1. Which axis of the scores (B, "
    "H, N, S) holds the keys?"
)
def grouped_softmax_over_queries(query, key, value):
    return _attend(query, _neighbours(key, query), _neighbours(value, query), axis=-2)


def _byte_cases():
    known = [  # batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number
        (1, 8192, 32, 32, 8, 128, 2),  # Llama-3-8B
        (1, 1024, 12, 12, 12, 64, 2),  # GPT-2 small
        (4, 2048, 30, 9, 3, 64, 4),  # SmolLM2-135M
        (3, 100, 5, 16, 1, 7, 1),
        (2, 6, 2, 4, 2, 3, 2),  # small enough to count on paper
        (64, 8000, 80, 64, 8, 128, 2),  # Llama-3-70B serving 64 texts: more bytes than an int32 can count
    ]
    return sized(known, together=(3, 4), fixed=(6,))


@exercise(
    stars=1,
    minutes=5,
    hint="How many vectors does one token leave behind in one layer, and how many numbers has such a vector?",
    second_hint="A token leaves a key and a value for each head that *stores* them. Multiply the numbers in these by "
    "everything of which there are several: layers, tokens, texts; and at last by the bytes of a number. One argument "
    "is left over.",
    then="Queries leave nothing behind, so their heads do not appear. That is the whole idea of sharing.",
    cases=_byte_cases,
    parts={"bytes": ()},
    gap=partial(count_gap, unit=" bytes"),
    rtol=1e-9,
)
def cache_bytes(batch, tokens, layers, num_heads, num_kv_heads, d_head, bytes_per_number):
    """Whole numbers → the bytes of all keys and values that a decoder keeps
    for `batch` texts of `tokens` tokens each."""
    return 2 * batch * tokens * layers * num_kv_heads * d_head * bytes_per_number


def _bytes(case, **changed):
    names = ("batch", "tokens", "layers", "num_heads", "num_kv_heads", "d_head", "bytes_per_number")
    return cache_bytes.solution(**(dict(zip(names, case, strict=True)) | changed))


@cache_bytes.mistake(
    "Yours is half of it: one vector for each token, head and layer. What is kept beside the key, so that the "
    "token can hand something over?"
)
def values_forgotten(*case):
    return _bytes(case) // 2


@cache_bytes.mistake(
    "You counted query heads. How many heads do the *keys and values* have, and is any old query needed again?"
)
def query_heads_counted(*case):
    return _bytes(case, num_kv_heads=case[3])


@cache_bytes.mistake(
    "You counted query heads, and keys only. What is kept beside a key, and how many heads does it have?"
)
def query_heads_counted_and_values_forgotten(*case):
    return _bytes(case, num_kv_heads=case[3]) // 2


@cache_bytes.mistake(
    "You counted one query for every token too. Which token's query is needed at the next step: an old one's, "
    "or the new one's?"
)
def queries_kept_too(*case):
    return _bytes(case) + _bytes(case, num_kv_heads=case[3]) // 2


@cache_bytes.mistake(
    "Yours is 1.5 times the cache: three vectors for each token, head and layer. Beside the key and the value, is "
    "an old token's query needed again?"
)
def three_vectors(*case):
    return 3 * _bytes(case) // 2


@cache_bytes.mistake("Yours is one layer's cache. Can a layer use the keys of another one?")
def one_layer(*case):
    return _bytes(case, layers=1)


@cache_bytes.mistake("Yours is one text's cache. Do texts in a batch share their past?")
def one_text(*case):
    return _bytes(case, batch=1)


@cache_bytes.mistake("Yours counts numbers, and bytes were asked for. How wide is one number?")
def numbers_instead_of_bytes(*case):
    return _bytes(case, bytes_per_number=1)


@cache_bytes.mistake(
    "d_head is missing: you count one number for a key, and a key is a vector. How many numbers has it?"
)
def d_head_forgotten(*case):
    return _bytes(case, d_head=1)


def _in_larger_units(*case, unit):
    return _bytes(case) / unit


for _unit in (2**10, 2**20, 2**30, 10**3, 10**6, 10**9):
    cache_bytes.mistake(
        "Yours is in larger units: kilobytes, megabytes or gigabytes. The number is right if you do not divide at the "
        "end: how many *bytes* are there?"
    )(partial(_in_larger_units, unit=_unit))


def _tokens_off(*case, by):
    return _bytes(case, tokens=case[1] + by)


for _by in (1, -1):
    cache_bytes.mistake(
        "Yours is the cache of one token more or less than there are. Every one of the `tokens` leaves its key and "
        "value: which one did you add or leave out?"
    )(partial(_tokens_off, by=_by))


@cache_bytes.mistake("Yours is in bits. How many of them make a byte?")
def bits_instead_of_bytes(*case):
    return 8 * _bytes(case)


@cache_bytes.mistake(
    "Yours grows with the square of the text. Those are the scores, and nobody keeps them: what does one *token* leave?"
)
def tokens_squared(*case):
    return _bytes(case, tokens=case[1] ** 2)


@cache_bytes.mistake(
    "Right below 2³¹: a count of 32 bits starts again from the other end, and the cache of a large model is larger. "
    "Python's own whole numbers never overflow, nor does `torch.int64` here: where does yours become an int32?"
)
def in_32_bits(*case):
    return (_bytes(case) + 2**31) % 2**32 - 2**31


def _decode_cases():
    sizes = [(1, 2, 5, 3), (2, 3, 4, 2), (1, 1, 7, 4), (3, 4, 1, 5), (2, 2, 2, 2), (1, 2, 0, 3)]  # (B, H, S, K)
    sizes = sized(sizes)
    return [tuple(seeded(seed, *[(B, H, 1, K)] * 3, *[(B, H, S, K)] * 2)) for seed, (B, H, S, K) in enumerate(sizes)]


_KEPT = ("batch", "head", "token", "feature")


@exercise(
    stars=2,
    minutes=10,
    hint="Should the new token see itself? Then which comes first: attending, or putting its key and value with the "
    "others? And which mask does the last word of a text need?",
    second_hint="First join the new key to the old ones along the axis of the tokens, behind them; the value likewise. "
    "Joining makes new tensors and leaves the inputs as they are. Then attend as in lesson 01: the single query over "
    "all S + 1 keys, without a mask. Return the output and the two joined tensors.",
    then="No mask: everything that the last token could be hidden from lies in the future, and is not there yet.",
    cases=_decode_cases,
    parts={"output": ("batch", "head", "query", "feature"), "keys": _KEPT, "values": _KEPT},
    blame=("keys", "values", "output"),
    sizes=lambda query, key, value, cached_key, cached_value: {
        "K": query.shape[3],
        "H": query.shape[1],
        "H·K": query.shape[1] * query.shape[3],
        "S": cached_key.shape[2],
        "(S + 1)": cached_key.shape[2] + 1,
    },
    at_scale=lambda scale, query, *rest: (_attend(query, *_caches(*rest), scale=scale), *_caches(*rest)),
)
def decode_step(query, key, value, cached_key, cached_value):
    """query, key, value (B, H, 1, K) of the new token, cached_key, cached_value (B, H, S, K)
    of those before it → output (B, H, 1, K), keys and values (B, H, S + 1, K) to keep."""
    keys = torch.cat([cached_key, key], dim=-2)
    values = torch.cat([cached_value, value], dim=-2)
    weights = (query @ keys.mT / query.shape[-1] ** 0.5).softmax(dim=-1)
    return weights @ values, keys, values


def _joined(old, new):
    return torch.cat([old, new], dim=-2)


def _caches(key, value, cached_key, cached_value):
    return _joined(cached_key, key), _joined(cached_value, value)


@decode_step.mistake(
    "The caches are right, and the output is the value of token 0: `is_causal=True` numbers queries from the "
    "first key, so your one query was taken for the first word. Which keys may the *last* word see?"
)
def causal_at_decode(query, *rest):
    keys, values = _caches(*rest)
    return values[:, :, :1], keys, values


@decode_step.mistake(
    "Your caches hold the new token only: what was in them was overwritten. What will the next token see of the text?"
)
def cache_overwritten(query, key, value, cached_key, cached_value):
    return _attend(query, key, value), key, value


@decode_step.mistake(
    "The output is right. The caches that you return hold the new token only, so the next step has lost the text. What "
    "should it find there?"
)
def only_the_new_token_kept(query, key, value, *cached):
    return _attend(query, *_caches(key, value, *cached)), key, value


@decode_step.mistake(
    "The output is right, and the caches came back as they were. Will the next token be able to see this one?"
)
def cache_not_extended(query, key, value, *cached):
    return _attend(query, *_caches(key, value, *cached)), *cached


@decode_step.mistake(
    "The caches are right, and the new token did not see itself: attention ran before it was appended. Which of "
    "the two steps comes first?"
)
def attends_before_appending(query, key, value, *cached):
    return _attend(query, *cached), *_caches(key, value, *cached)


@decode_step.mistake(
    "Your token saw the old tokens and not itself, and was not kept for the next one either. Where did its key go?"
)
def new_token_dropped(query, key, value, *cached):
    return _attend(query, *cached), *cached


@decode_step.mistake(
    "The output is right, since attention does not mind the order. But your new token stands *before* the old "
    "ones: where will a position, or a mask for several tokens at once, look for it?"
)
def prepended(query, key, value, cached_key, cached_value):
    keys, values = _joined(key, cached_key), _joined(value, cached_value)
    return _attend(query, keys, values), keys, values


@decode_step.mistake(
    "The new key stands behind the old ones and the new value in front of them. Whose value should a key stand beside?"
)
def values_prepended(query, key, value, cached_key, cached_value):
    keys, values = _joined(cached_key, key), _joined(value, cached_value)
    return _attend(query, keys, values), keys, values


@decode_step.mistake(
    "The new value stands behind the old ones and the new key in front of them. Whose value should a key stand beside?"
)
def keys_prepended(query, key, value, cached_key, cached_value):
    keys, values = _joined(key, cached_key), _joined(cached_value, value)
    return _attend(query, keys, values), keys, values


@decode_step.mistake(
    "Keys and values are right and come in the other order. Which of the two caches does the task name first?"
)
def caches_exchanged(query, key, value, *cached):
    keys, values = _caches(key, value, *cached)
    return _attend(query, keys, values), values, keys


@decode_step.mistake(
    "Your values are the old *keys* with the new value behind them. Which cache does the new value belong to?"
)
def values_extend_the_key_cache(query, key, value, cached_key, cached_value):
    keys, values = _joined(cached_key, key), _joined(cached_key, value)
    return _attend(query, keys, values), keys, values


@decode_step.mistake(
    "Your keys are the old *values* with the new key behind them. Which cache does the new key belong to?"
)
def keys_extend_the_value_cache(query, key, value, cached_key, cached_value):
    keys, values = _joined(cached_value, key), _joined(cached_value, value)
    return _attend(query, keys, values), keys, values


@decode_step.mistake(
    "The new *key* stands in your value cache too. What is the new token to hand over when somebody looks at it?"
)
def new_key_in_both(query, key, value, cached_key, cached_value):
    keys, values = _joined(cached_key, key), _joined(cached_value, key)
    return _attend(query, keys, values), keys, values


@decode_step.mistake("The caches are right, and the scores were not scaled. By what does one head divide?")
def decoded_without_scale(query, *rest):
    keys, values = _caches(*rest)
    return _attend(query, keys, values, scale=1), keys, values


@decode_step.mistake(
    "The caches are right, and every old token got its full weight: softmax ran over the one query, not over the keys. "
    "Which axis holds the keys?"
)
def decoded_with_softmax_over_queries(query, *rest):
    keys, values = _caches(*rest)
    return _attend(query, keys, values, axis=-2), keys, values


@decode_step.mistake(
    "Your keys are the old ones with the new *query* behind them. Which of the three vectors of a token does a later "
    "query meet?"
)
def query_cached_as_key(query, key, value, cached_key, cached_value):
    keys, values = _joined(cached_key, query), _joined(cached_value, value)
    return _attend(query, keys, values), keys, values
