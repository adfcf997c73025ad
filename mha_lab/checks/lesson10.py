"""Exercises of lesson 10: one more block of an online softmax, the scores in a window, and a cache that slides, put to
work inside a trained model."""

import weakref
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from mha_lab.checks.card import Result
from mha_lab.checks.class_key import sized
from mha_lab.checks.engine import FunctionExercise, exercise, seeded
from mha_lab.checks.in_model import WholeModelExercise
from mha_lab.checks.returned import a_thing
from mha_lab.kv_cache import KVCache


def _block_cases():
    cases = []
    for seed, (N, S, K) in enumerate(sized([(3, 4, 2), (1, 1, 3), (4, 2, 5), (2, 6, 1), (5, 3, 4)])):
        before, scores, values, summed = seeded(seed, (N, 3), (N, S), (S, K), (N, K))
        before, scores = 2 * before, 2 * scores
        before[0], scores[0] = before[0] - 9, scores[0] - 9  # a row of negative scores alone
        largest = before.amax(dim=-1)
        total = (before - largest[:, None]).exp().sum(dim=-1)
        cases.append((largest, total, summed, scores, values))
    largest, total, summed, scores, values = cases[0]
    high = [150 + number.round() for number in (largest, scores)]  # whole, so that half precision has them exactly
    return [*cases, (high[0], total, summed, high[1], values)]  # exp(150) is too large for a float32


@exercise(
    stars=2,
    minutes=15,
    hint="You did it for one score with a pencil. What was the first thing to find in the second half, and what had to "
    "be done to the old sums before anything could be added?",
    second_hint="Three steps for each row: the larger of the old largest score and the block's own; both old sums "
    "times the factor by which their exponentials shrink when they count from it; then the block's exponentials, "
    "counted from the same score, are added, once alone and once with the values. A number for each row needs "
    "one more axis where it meets a matrix.",
    then="Call it once for each block and divide at the end: that is FlashAttention's arithmetic, and your function "
    "holds no more than one block of scores.",
    cases=_block_cases,
    parts={"largest": ("row",), "total": ("row",), "summed": ("row", "feature")},
)
def add_block(largest, total, summed, scores, values):
    """largest and total (N,), summed (N, K): what each row has found so far;
    scores (N, S) and values (S, K): a new block → the three of them with the block added."""
    new = torch.maximum(largest, scores.amax(dim=-1))
    shrink, weights = (largest - new).exp(), (scores - new[:, None]).exp()
    return new, total * shrink + weights.sum(dim=-1), summed * shrink[:, None] + weights @ values


def _parts(largest, scores):
    new = torch.maximum(largest, scores.amax(dim=-1))
    return new, (largest - new).exp(), (scores - new[:, None]).exp()


@add_block.mistake(
    "You added the block to sums that still count from the old largest score. By what must they be multiplied when the "
    "largest score grows?"
)
def nothing_shrunk(largest, total, summed, scores, values):
    new, _, weights = _parts(largest, scores)
    return new, total + weights.sum(dim=-1), summed + weights @ values


@add_block.mistake(
    "Your total is right, and summed still counts from the old largest score. Do both not stand for the same weights?"
)
def only_total_shrunk(largest, total, summed, scores, values):
    new, shrink, weights = _parts(largest, scores)
    return new, total * shrink + weights.sum(dim=-1), summed + weights @ values


@add_block.mistake(
    "You multiplied by exp(new − old), which is 1 or more. When a larger score turns up, should the old weights grow "
    "or shrink?"
)
def grown_for_shrunk(largest, total, summed, scores, values):
    new, shrink, weights = _parts(largest, scores)
    return new, total / shrink + weights.sum(dim=-1), summed / shrink[:, None] + weights @ values


@add_block.mistake(
    "You count from the block's largest score. Your sums stand in the right proportion, but where the block's scores "
    "are all small, exp(old − new) can overflow. Which of the two largest scores is safe?"
)
def from_the_blocks_largest(largest, total, summed, scores, values):
    new = scores.amax(dim=-1)
    shrink, weights = (largest - new).exp(), (scores - new[:, None]).exp()
    return new, total * shrink + weights.sum(dim=-1), summed * shrink[:, None] + weights @ values


@add_block.mistake(
    "You count from the block's largest score, and your old sums still count from the old one. Which of the two "
    "largest scores should everything count from, and what does that do to the old sums?"
)
def from_the_blocks_largest_and_nothing_shrunk(largest, total, summed, scores, values):
    new = scores.amax(dim=-1)
    weights = (scores - new[:, None]).exp()
    return new, total + weights.sum(dim=-1), summed + weights @ values


@add_block.mistake(
    "You took one largest score for the whole block. Each query has a row of its own, and exp can run down to 0 in a "
    "row that counts from another's score: along which axis is the largest taken?"
)
def one_largest_for_all_rows(largest, total, summed, scores, values):
    new = torch.maximum(largest, scores.max())
    shrink, weights = (largest - new).exp(), (scores - new[:, None]).exp()
    return new, total * shrink + weights.sum(dim=-1), summed * shrink[:, None] + weights @ values


@add_block.mistake(
    "Total and summed are right, and `largest` came back as it was: the next block would shrink them by the wrong "
    "factor. From which score do they count now?"
)
def largest_kept(largest, total, summed, scores, values):
    return largest, *add_block.solution(largest, total, summed, scores, values)[1:]


@add_block.mistake(
    "`largest` is the old one, and everything counts from it: right on paper, but a much larger score in the block "
    "makes exp overflow. From which score is it safe to count?"
)
def counts_from_the_old_largest(largest, total, summed, scores, values):
    weights = (scores - largest[:, None]).exp()
    return largest, total + weights.sum(dim=-1), summed + weights @ values


@add_block.mistake(
    "You divided by the total already. The next block will want to add to summed: is it still a sum then?"
)
def divided_already(largest, total, summed, scores, values):
    new, shrink, weights = _parts(largest, scores)
    total = total * shrink + weights.sum(dim=-1)
    return new, total, (summed * shrink[:, None] + weights @ values) / total[:, None]


@add_block.mistake(
    "You gave the block a softmax of its own, so that its weights sum to 1 whatever its scores are. How would a block "
    "with higher scores get more of the weight?"
)
def softmax_of_the_block(largest, total, summed, scores, values):
    new, shrink, _ = _parts(largest, scores)
    weights = scores.softmax(dim=-1)
    return new, total * shrink + weights.sum(dim=-1), summed * shrink[:, None] + weights @ values


@add_block.mistake(
    "Your largest score never falls below 0, as if a score of 0 had been seen. A row may hold negative scores alone: "
    "from where do you count then?"
)
def largest_from_zero(largest, total, summed, scores, values):
    new = torch.maximum(largest, scores.amax(dim=-1)).clamp_min(0)
    shrink, weights = (largest - new).exp(), (scores - new[:, None]).exp()
    return new, total * shrink + weights.sum(dim=-1), summed * shrink[:, None] + weights @ values


def _counts_from_nowhere(largest, total, summed, scores, values, shrunk):
    new, shrink, _ = _parts(largest, scores)
    shrink, weights = shrink if shrunk else torch.ones_like(shrink), scores.exp()
    return new, total * shrink + weights.sum(dim=-1), summed * shrink[:, None] + weights @ values


for _shrunk in (True, False):
    add_block.mistake(
        "The block's weights are exp(score), with nothing subtracted: they overflow, and they do not count from where "
        "the old sums do. Which largest score belongs into this exp?"
    )(partial(_counts_from_nowhere, shrunk=_shrunk))


@add_block.mistake(
    "Right while scores are small. exp(score) alone is ∞ from a score of 89 on, and ∞ · 0 is NaN: what can be "
    "subtracted before the exp is taken?"
)
def exponentials_apart(largest, total, summed, scores, values):
    new = torch.maximum(largest, scores.amax(dim=-1))
    weights, shrink = scores.exp() * (-new).exp()[:, None], largest.exp() * (-new).exp()
    return new, total * shrink + weights.sum(dim=-1), summed * shrink[:, None] + weights @ values


@add_block.mistake(
    "The old sums count from the new largest score and the block's weights from the old one. Should all that is added "
    "up not count from the same?"
)
def block_from_the_old_largest(largest, total, summed, scores, values):
    new, shrink, _ = _parts(largest, scores)
    weights = (scores - largest[:, None]).exp()
    return new, total * shrink + weights.sum(dim=-1), summed * shrink[:, None] + weights @ values


# ------------------------------------------------------------------------------------------------------ window scores


@exercise(
    stars=1,
    minutes=5,
    hint="How many tokens does each of the first few see, and from which token on is it the same number?",
    second_hint="Give every token a whole window, then take away what the first ones lack: they lack one less each "
    "time, which is a triangle. And what is the widest window that a text can fill?",
    then="Twice the text is twice the scores, once the text is longer than the window.",
    cases=lambda: sized([(8, 3), (5, 1), (4, 9), (100, 10), (7, 7)]),
    parts={"scores": ()},
)
def window_scores(n, width):
    """How many scores a causal window allows: n tokens, each sees itself and
    the width − 1 before it, where there are as many."""
    width = min(n, width)
    return n * width - width * (width - 1) // 2


@window_scores.mistake("Your tokens all see a whole window. How many tokens does the very first one see?")
def a_whole_window_for_all(n, width):
    return n * width


@window_scores.mistake("That is causal attention without a window. What may token 99 see through a window of 10?")
def no_window(n, width):
    return n * (n + 1) // 2


@window_scores.mistake(
    "Right, but where the window is longer than the text: 4 tokens and a width of 9 have 10 scores. How many tokens "
    "can the last one see at most?"
)
def window_longer_than_the_text(n, width):
    return n * width - width * (width - 1) // 2


@window_scores.mistake("Your window lies on both sides. In a causal one, what does a token see of the future?")
def on_both_sides(n, width):
    return sum(min(i + width, n) - max(0, i - width + 1) for i in range(n))


@window_scores.mistake(
    "You count a token's past and not the token. How many tokens does it see through a window of width 1?"
)
def without_itself(n, width):
    return sum(min(i, width) for i in range(n))


@window_scores.mistake(
    "You count one token too many for each: itself and width before it. What is left for width 1, by that count?"
)
def itself_and_width_more(n, width):
    return sum(min(i + 1, width + 1) for i in range(n))


# -------------------------------------------------------------------------------------------------------------- slide


def _slide_cases():
    sizes = [(2, 3, 6, 4, 2, 3), (1, 2, 5, 1, 3, 4), (1, 1, 2, 1, 2, 8), (2, 2, 4, 3, 1, 1), (1, 2, 7, 2, 4, 5)]
    sizes += [(1, 2, 5, 2, 3, 8), (2, 1, 4, 2, 3, 4)]  # a text shorter than its window, and one just as long
    sizes = sized(sizes, together=(2, 3, 5))
    return [
        (*seeded(seed, (B, G, S, K), (B, G, N, K)), width) for seed, (B, G, S, N, K, width) in enumerate(sizes)
    ]  # fmt: skip


@dataclass(frozen=True, repr=False)
class RollingExercise(WholeModelExercise):
    """`checks.slide(yours, model)`: a right answer rolls the caches of the model that is handed over."""

    def __call__(self, function, model: Any = None) -> Result:
        rolls = None if model is None else _caches_of(model)
        if isinstance(rolls, str):
            return self._wrong(rolls)
        return FunctionExercise.__call__(replace(self, inside=rolls), function)

    def _same_numbers(self, *given) -> Result:
        return super()._same_numbers(*given) if self.inside else FunctionExercise._same_numbers(self, *given)


def _rolling(**fields):
    """Decorator: this function is the solution of an exercise that rolls the caches of a model."""
    return lambda solution: RollingExercise(solution, **fields)


class _Rolling(KVCache):
    """A cache that keeps what a function keeps, beside the first tokens of the text, if it is told to."""

    def __init__(self, slides, width, first=0):
        super().__init__(window=width + first)
        self.slides, self.width, self.first = slides, width, first

    def mask(self, new, *, device=None):
        """A new token sees the first tokens, and `width` others, itself among them."""
        S = self.reach(new)
        sees = torch.ones(new, S, dtype=torch.bool, device=device).tril(S - new)
        sees[:, self.first :] &= torch.ones_like(sees)[:, self.first :].triu(S - new - self.width + 1 - self.first)
        return sees

    def stage(self, key, value, *, owner=None, learning=False):
        held, new = self._state, key.shape[-2]
        kept = []
        for old, added in zip(held.columns() if held.storage else (key[..., :0, :],) * 2, (key, value)):
            rest = self.slides(old[..., self.first :, :], added, self.width) if held.storage else added
            kept.append(torch.cat([old[..., : self.first, :], rest], dim=-2))
        expected = self.reach(new)
        if kept[0].shape[-2] != expected:
            raise ValueError(f"slide kept {kept[0].shape[-2]} keys where {expected} were needed")
        owner = None if owner is None else weakref.ref(owner)
        self._staged = held._replace(storage=tuple(kept), start=0, end=expected, seen=held.seen + new, owner=owner)
        return tuple(kept)


def _caches_of(model: Any):
    """What runs a trained model with a function that rolls its caches; or a sentence, where it is something else."""
    from mha_lab.models import Encoder
    from mha_lab.pretrained import Llama

    relay = isinstance(model, Encoder) and model.causal and model.window
    if relay and [each.num_embeddings for each in model.embed] == [11]:
        return partial(_rolled_relay, model)
    if isinstance(model, Llama):
        return partial(_rolled_smollm2, model)
    return (
        f"The second argument is {a_thing(model)}, and a trained model was asked for: the relay of section 7, "
        "`relays[4]`, or `pretrained.SmolLM2.load()`. Which cell has made it?"
    )


@torch.no_grad()
def _rolled_relay(model, function) -> tuple[str, None]:
    """How far a number is handed on through a relay of section 7 that reads a text in pieces."""
    inputs = torch.zeros(10, 64, 1, dtype=torch.long)
    inputs[:, 0, 0] = torch.arange(10) + 1  # each number once, then blanks
    caches = [_Rolling(function, model.window) for _ in model.blocks]
    parts = []
    for part in inputs.split([7, 1, 1, 1, 1, 13, 40], dim=1):
        x = model.positions(model.embed[0](part[..., 0]))
        for block, cache in zip(model.blocks, caches):
            x, _ = block(x, cache=cache)
        parts.append(model.answer[0](model.norm(x)))
    with_cache, with_mask = (_known_up_to(logits) for logits in (torch.cat(parts, dim=1), model(inputs)[0]))
    layers = f"{len(model.blocks)} layer{'s' * (len(model.blocks) > 1)}"
    line = (
        f"In the relay of section 7, {layers} with a window of {model.window}, your function rolls every cache. In a "
        f"text that comes in 7 pieces the number is known up to {with_cache} tokens away (with the mask: {with_mask})."
    )
    return line, None


def _known_up_to(logits):
    """(10, N, 10), where text i states the number i: the last token that knows it in nine of the ten texts."""
    knows = (logits.argmax(dim=-1) == torch.arange(10)[:, None]).double().mean(dim=0) > 0.85
    return int(knows.nonzero().max()) if knows.any() else 0


@torch.no_grad()
def _rolled_smollm2(model, function) -> tuple[str, None]:
    """The perplexity of SmolLM2 on the recorded 900 tokens, with windows of 128 and with the first token kept."""
    from mha_lab.measure import single_thread
    from mha_lab.pretrained import recorded_smollm2

    smol, found = recorded_smollm2(), []
    for view, width, first in ("last 128", 128, 0), ("first, last 127", 127, 1):
        caches = [_Rolling(function, width, first) for _ in model.blocks]
        with single_thread():
            logits = torch.cat([model(part, caches=caches)[0] for part in smol.long.split(100, dim=1)])
        losses = torch.nn.functional.cross_entropy(logits[:-1], smol.long[0, 1:], reduction="none")
        recorded = smol.seen[view][299:].mean().exp()
        found.append(f"{losses[299:].mean().exp():.1f} (recorded with a mask: {recorded:.1f})")
    line = (
        f"In SmolLM2 your function rolls the caches of all {len(model.blocks)} layers over 900 tokens of prose. With "
        f"the last 128 tokens the perplexity is {found[0]}, with the last 127 beside the first one {found[1]}."
    )
    return line, None


@_rolling(
    stars=2,
    minutes=10,
    hint="Of all new tokens, which one sees farthest back? How many old keys does it need, if it is itself one of the "
    "`width` tokens that it sees?",
    second_hint="Find the place of the first old key that is needed, which is never before the beginning; cut the old "
    "keys from there on, along the tokens, and put the new ones behind them.",
    then="Keys and values of a window, whatever the length of the text: this is what Mistral's cache keeps.",
    cases=_slide_cases,
    parts={"keys": ("batch", "head", "token", "feature")},
)
def slide(keys, new, width):
    """keys (B, G, S, K) of the old tokens, new (B, G, N, K) → the keys that the new tokens need:
    each of them sees itself and the width − 1 before it; nothing that none of them sees stays."""
    first = max(0, keys.shape[-2] - (width - 1))
    return torch.cat([keys[..., first:, :], new], dim=-2)


def _old(keys, count):
    return keys[..., max(0, keys.shape[-2] - count) :, :]


@slide.mistake(
    "You kept the last `width` keys of all. That is right where one token is new. When several arrive at once, what "
    "does the *first* of them see?"
)
def last_width_of_all(keys, new, width):
    return _old(torch.cat([keys, new], dim=-2), width)


@slide.mistake("You kept `width` old keys: one too many. A new token sees `width` tokens; is it one of them?")
def one_old_key_too_many(keys, new, width):
    return torch.cat([_old(keys, width), new], dim=-2)


@slide.mistake("Nothing was forgotten. Which old keys does none of the new tokens see?")
def nothing_forgotten(keys, new, width):
    return torch.cat([keys, new], dim=-2)


@slide.mistake("You kept the oldest keys. Which of them stand next to the new token?")
def the_oldest_kept(keys, new, width):
    return torch.cat([keys[..., : width - 1, :], new], dim=-2)


@slide.mistake(
    "Right, but for width 1. There you keep every old key, because `keys[..., -0:, :]` is all of them. How can you cut "
    "from the front instead?"
)
def minus_zero(keys, new, width):
    return torch.cat([keys[..., -(width - 1) :, :], new], dim=-2)


@slide.mistake("You put the new keys in front. In which order do the tokens stand in the text?")
def new_in_front(keys, new, width):
    return torch.cat([new, _old(keys, width - 1)], dim=-2)


def _negative_start(keys, new, width, joined):
    """A slice that starts at a negative number where the text is shorter than the window."""
    S, N = keys.shape[-2], new.shape[-2]
    if joined:
        return torch.cat([keys, new], dim=-2)[..., S + N - (width + N - 1) :, :]
    return torch.cat([keys[..., S - width + 1 :, :], new], dim=-2)


for _joined in (True, False):
    slide.mistake(
        "Where the text is shorter than the window, S - width + 1 is negative, and a slice then counts from the end. "
        "Which number is the smallest that a slice should start at?"
    )(partial(_negative_start, joined=_joined))


@slide.mistake(
    "Right, but where there are just `width` old keys: you keep all of them. A new token sees `width` tokens and is "
    "one of them: how many old ones are left for it?"
)
def all_kept_up_to_width(keys, new, width):
    return torch.cat([_old(keys, width - 1 if keys.shape[-2] > width else width), new], dim=-2)


@slide.mistake(
    "You kept one old key too few, width − 2. The first new token sees itself and the width − 1 before it: how many of "
    "those are old?"
)
def one_old_key_too_few(keys, new, width):
    return torch.cat([_old(keys, max(width - 2, 0)), new], dim=-2)
