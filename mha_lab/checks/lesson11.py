"""Exercises of lesson 11: a score for induction heads, a choice of heads beside chance, key/value heads made one,
rotary pairs in another order. All of them go on inside SmolLM2: on what was recorded there, and the last two also in
the model itself, where it is installed."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch

from mha_lab import pretrained
from mha_lab.checks import pictures
from mha_lab.checks.card import Result
from mha_lab.checks.class_key import sized, some
from mha_lab.checks.engine import seeded
from mha_lab.checks.in_model import ModelExercise, in_a_record, model_exercise
from mha_lab.checks.returned import a_thing
from mha_lab.rotary import Rotary, rotate

LAYER, HEAD = 18, 6
"""Whose queries and keys `inside_smollm2` holds, and the head that the cards tell of."""


def _of_the_record(made):
    asked = "the record of SmolLM2 was asked for. Which cell of section 3 has loaded `found`?"
    return in_a_record(pretrained.SmolLM2Record, made, asked)


# ---------------------------------------------------------------------------------------------------- induction score


def _said_twice():
    """Weights of heads on texts of T tokens said twice: rows that sum to 1."""
    shapes = [(3, 8, 8), (2, 12, 12), (4, 6, 6), (1, 10, 10), (2, 16, 16)]
    shapes = [(heads, n, n) for heads, n in ((heads, n + 2 * some(0, 2)) for heads, n, _ in shapes)]
    return [(seeded(seed, shape)[0].softmax(dim=-1),) for seed, shape in enumerate(shapes)]


def _diagonal(weights, back, start):
    """(H,): mean over the queries from `start` of the weight on the key `back` places before."""
    N = weights.shape[-1]
    return torch.stack([weights[:, i, i - back] for i in range(start, N)]).mean(dim=0)


def _two_maps(found):
    return (torch.stack(list(found.maps.values())),)


def _scores_of_two(yours, target, found) -> str:
    pairs = [f"{layer}.{head}" for layer, head in found.maps]
    told = " and ".join(f"{score:.2f} to head {pair}" for pair, score in zip(pairs, yours[0]))
    right = " and ".join(f"{score:.2f}" for score in target[0])
    return f"In SmolLM2, on one text of 50 random tokens said twice, your function gives {told}; ours gives {right}."


def _two_maps_with_their_lines(yours, _, found):
    from mha_lab import plots

    figure = pictures.bare_figure("the heads that your function scores", 9.2, 5.0)
    for ax, ((layer, head), weights), score in zip(figure.subplots(1, 2), found.maps.items(), yours[0]):
        T = len(weights) // 2
        ax.imshow(weights.numpy(), cmap=plots.WEIGHTS, vmin=0, vmax=1)
        ax.plot([1, T], [T, 2 * T - 1], color="white", linestyle=":", linewidth=1.2)
        ax.set(xlabel="token that is looked at", ylabel="token that looks")
        ax.set_title(f"Head {layer}.{head} scores {score:.2f}: the weight on the dotted line", fontsize=9)
    return figure


@model_exercise(
    stars=2,
    minutes=12,
    hint="Token i of the second copy has its double T places earlier. Where does the token stand that came after the "
    "double, and on which line through the map do all these places lie?",
    second_hint="They lie on a diagonal, T − 1 places beside the main one. A diagonal as long as the map allows has "
    "one entry more than the second copy has tokens: find out which query it belongs to, and leave it out. Then take "
    "the mean over the queries, for each head.",
    then="The score needs no sentence and no linguist: the text is random, and so only the repetition can be seen.",
    cases=_said_twice,
    parts={"score": ("head",)},
    inside=_of_the_record(_two_maps),
    says=_scores_of_two,
    shows=_two_maps_with_their_lines,
)
def induction_score(weights):
    """weights (H, 2T, 2T) of heads on T random tokens said twice → (H,):
    the share of its weight that a token of the second copy lays on the token that
    came *after* its double in the first copy, mean over the second copy."""
    length = weights.shape[-1] // 2
    on_following = weights.diagonal(1 - length, dim1=1, dim2=2)  # of queries length − 1 …
    return on_following[:, 1:].mean(dim=1)


@induction_score.mistake(
    "You measured the weight on the double itself. To say what comes next, which token after the double is wanted?"
)
def on_the_double(weights):
    length = weights.shape[-1] // 2
    return _diagonal(weights, length, length)


@induction_score.mistake(
    "You measured the weight on the token *before* the double. In the first copy, does the wanted token stand before "
    "or after?"
)
def before_the_double(weights):
    length = weights.shape[-1] // 2
    on_before = [weights[:, i, i - length - 1] for i in range(length + 1, 2 * length)]
    return torch.stack(on_before).mean(dim=0)


def _on_the_previous(weights, everywhere):
    return _diagonal(weights, 1, 1 if everywhere else weights.shape[-1] // 2)


for _everywhere in (True, False):
    induction_score.mistake("That is the previous-token score. Who says it first: the token before, or the double?")(
        partial(_on_the_previous, everywhere=_everywhere)
    )


@induction_score.mistake(
    "Your average runs from the last token of the first copy to the last but one of the second: one place too early. "
    "Which query is the first of the second copy?"
)
def one_query_too_early(weights):
    length = weights.shape[-1] // 2
    on_following = weights.diagonal(1 - length, dim1=1, dim2=2)
    return on_following[:, :-1].mean(dim=1)


@induction_score.mistake(
    "Your average has one query too many: the last token of the first copy. Has it seen its double yet?"
)
def from_the_first_copy_on(weights):
    length = weights.shape[-1] // 2
    return _diagonal(weights, length - 1, length - 1)


@induction_score.mistake("You divided by all queries. How many of them stand in the second copy?")
def over_all_queries(weights):
    length = weights.shape[-1] // 2
    return _diagonal(weights, length - 1, length) / 2


@induction_score.mistake("You added up over the queries. What is the most that a share can be?")
def added_up(weights):
    length = weights.shape[-1] // 2
    return _diagonal(weights, length - 1, length) * length


@induction_score.mistake("Your map is turned. In weights[h, i, j], which of i and j asks?")
def turned(weights):
    length = weights.shape[-1] // 2
    return _diagonal(weights.mT, length - 1, length)


@induction_score.mistake(
    "The last query is missing from your average. How many queries has the second copy, and which number has the last?"
)
def last_query_left_out(weights):
    length = weights.shape[-1] // 2
    return weights.diagonal(1 - length, dim1=1, dim2=2)[:, 1:-1].mean(dim=1)


@induction_score.mistake(
    "The first query of the second copy is missing from your average. At which number does the second copy begin?"
)
def first_query_left_out(weights):
    length = weights.shape[-1] // 2
    return _diagonal(weights, length - 1, length + 1)


# ---------------------------------------------------------------------------------------------------------- by chance


def _draws():
    """Losses in steps of a tenth, so that a draw may equal the choice; one choice beats all draws."""
    cases = []
    for seed, (draws, place) in enumerate([(12, 3), (5, 1), (20, 9), (7, 6), (9, 4)]):
        draws += some(0, 4)
        drawn = (10 * seeded(seed, (draws,))[0]).round() / 10 + 4
        cases.append((drawn.sort().values[place].item(), drawn))
    return [*cases, (1.0, cases[0][1])]


def _chosen_and_drawn(found):
    return found.pruned[1], found.random_pruned[:, 1]


def _likely_by_chance(yours, target, found) -> str:
    mine, right = float(yours[0]), float(target[0])
    beside = "" if abs(mine - right) < 1e-6 else f" ({right:.2f} by ours)"
    return (
        f"The 27 chosen heads of SmolLM2, judged on the other text beside {len(found.random_pruned)} random sets: "
        f"{mine:.2f}{beside}."
    )


def _losses_on_a_line(yours, _, found):
    from mha_lab import plots

    chosen, drawn = _chosen_and_drawn(found)
    figure = pictures.bare_figure("the chosen 27 heads among random sets of 27", 7, 1.9)
    ax = figure.subplots()
    ax.plot(drawn.numpy(), [0] * len(drawn), "o", color=plots.QUERY, alpha=0.7)
    ax.plot([chosen], [1], "D", color=plots.OUTPUT)
    ax.set_yticks([0, 1], ["27 random heads", "the chosen 27"])
    ax.set(ylim=(-0.6, 1.6), xlabel="loss on the other text, nats a token")
    ax.set_title(f"By your function chance does as well with a probability of {float(yours[0]):.2f}", fontsize=9)
    return figure


@model_exercise(
    stars=1,
    minutes=5,
    hint="Suppose that the choice were one more random set. How many sets are there then, and how many of them have "
    "a loss no larger than its own?",
    second_hint="Count the draws whose loss is as small as the choice's, or smaller: equal ones count. Then add the "
    "choice itself, to those that you counted and to all of them, and divide.",
    then="With 12 draws this can never fall below 1/13. And it means little on the text that made the choice: there "
    "their loss is smaller than that of every draw, because they were selected for it.",
    cases=_draws,
    parts={"probability": ()},
    inside=_of_the_record(_chosen_and_drawn),
    says=_likely_by_chance,
    shows=_losses_on_a_line,
)
def by_chance(chosen, drawn):
    """chosen: the loss without the chosen heads; drawn (draws,): the losses without as many
    random ones → among all these sets, the chosen one included, the share whose loss is no
    larger than that of the chosen one."""
    as_good = (drawn <= chosen).sum()
    return (as_good + 1) / (len(drawn) + 1)


@by_chance.mistake(
    "You counted the draws alone. If none of 12 draws is as good, is it impossible that the 13th would be? How many "
    "sets are there, with the chosen one?"
)
def draws_alone(chosen, drawn):
    return (drawn <= chosen).double().mean()


@by_chance.mistake(
    "The choice stands in your denominator and not in your numerator. Is the chosen set as good as itself?"
)
def itself_below_only(chosen, drawn):
    return (drawn <= chosen).sum() / (len(drawn) + 1)


@by_chance.mistake(
    "The choice stands in your numerator and not in your denominator. How many sets are there in all? (Where every "
    "draw is as good, you would get more than 1.)"
)
def itself_above_only(chosen, drawn):
    return ((drawn <= chosen).sum() + 1) / len(drawn)


@by_chance.mistake("You left out the draws whose loss equals that of the choice. Did chance do as well there, or not?")
def ties_left_out(chosen, drawn):
    return ((drawn < chosen).sum() + 1) / (len(drawn) + 1)


def _strictly_smaller(chosen, drawn, of_all_sets):
    return (drawn < chosen).sum() / (len(drawn) + of_all_sets)


for _of_all_sets in (0, 1):
    by_chance.mistake(
        "You counted only the draws whose loss is smaller than that of the choice. Where the two are equal, did chance "
        "not do as well? And where is the chosen set itself?"
    )(partial(_strictly_smaller, of_all_sets=_of_all_sets))


def _other_side(chosen, drawn, with_itself):
    worse = (drawn >= chosen).sum() + with_itself
    return worse / (len(drawn) + with_itself)


for _with_itself in (1, 0):
    by_chance.mistake(
        "You counted the draws whose loss is *larger*. The choice claims to do little harm: which draws speak against "
        "it?"
    )(partial(_other_side, with_itself=_with_itself))


@by_chance.mistake(
    "You returned the share of draws that the choice beats. A reader wants to know how easily chance does as well: "
    "which draws are these?"
)
def draws_that_are_beaten(chosen, drawn):
    return (drawn > chosen).double().mean()


@by_chance.mistake(
    "That is how many standard deviations the choice lies from the mean of the draws. How many of the draws "
    "have a loss no larger than its own?"
)
def in_deviations(chosen, drawn):
    return (chosen - drawn.mean()) / drawn.std()


# ---------------------------------------------------------------------------------------------------------- pool heads


@dataclass(frozen=True, repr=False)
class RowsExercise(ModelExercise):
    """An exercise on the rows of a projection: after one recorded layer, the model itself, where it is installed.

    through  puts the function to work in the loaded model and says what came of it: (model, function, inside) -> str
    """

    through: Callable = None

    def _in_the_model(self, function: Callable, result: Result) -> Result:
        result = super()._in_the_model(function, result)
        if result.picture is None:  # the function raised, or returned another shape
            return result
        told = self._in_all_of_it(function, result.passed)
        first, rest = (result.lines[:1], result.lines[1:]) if result.passed else (result.lines, ())
        return replace(result, lines=(*first, *told, *rest))

    def _in_all_of_it(self, function, passed) -> list[str]:
        """One line about the loaded model, which gives the function tensors, or else arrays."""
        try:
            model = pretrained.SmolLM2.load()
        except pretrained.ModelMissing:
            return [TO_RUN] if passed else []
        for in_numpy in False, True:

            def rows(*case, in_numpy=in_numpy):
                (found,) = self.run(function, case, in_numpy).parts
                return torch.as_tensor(found)

            try:
                return [self.through(model, rows, self.recorded)]
            except Exception:  # the cases have said what is wrong with it, or it wants the other kind
                continue
        return []


TO_RUN = "Once SmolLM2 is installed (`make models`), this check puts your function to work in the model itself."


def rows_exercise(**fields) -> Callable[[Callable], RowsExercise]:
    """Decorator: this function is the solution of an exercise that changes the rows of a model's projections."""
    return lambda solution: RowsExercise(solution, **fields)


def _of_one_step(made):
    """What a model exercise is called with in one recorded step of SmolLM2; or a sentence, for anything else."""

    def inside(recorded):
        if isinstance(recorded, pretrained.InsideSmolLM2):
            return made(*_step(recorded))
        return f"The second argument is `pretrained.inside_smollm2()`, and this is {a_thing(recorded)}."

    return inside


def _step(recorded):
    """Query (9, 1, 64) of the last token and keys (3, N, 64) of all tokens, turned by their places."""
    query, key, _ = recorded.call
    return query[0], key[0]


def _weights(query, key):
    """(H, K) and (G, N, K) → (H, N): where the last token looks."""
    key = key.repeat_interleave(len(query) // len(key), dim=0)
    return (key @ query[..., None] / query.shape[-1] ** 0.5)[..., 0].softmax(dim=-1)


def _as_trained(recorded):
    query, key = _step(recorded)
    return _weights(query[:, 0], key)


def _most(weights, tokens) -> str:
    row = weights[HEAD]
    return f'"{tokens[int(row.argmax())].strip()}", with {row.max():.2f}'


def _rows_of_maps(weights, recorded, title):
    from mha_lab import plots

    figure = pictures.bare_figure(title, 7.4, 3.8)
    rows = [f"head {head}" for head in range(len(weights))]
    shown = weights.nan_to_num().clip(0, 1)
    plots.attention_map(shown, rows, recorded.tokens, numbers=False, title=title, ax=figure.subplots())
    return figure


@torch.no_grad()
def _perplexity(model) -> float:
    from mha_lab.measure import single_thread

    with single_thread():
        ids = pretrained.recorded_smollm2().held_out
        return float(pretrained.circuits.token_losses(model, ids).mean().exp())


def _trained_perplexity() -> float:
    return math.exp(pretrained.recorded_smollm2().held_out_loss)


def _keys_as_rows(query, key):
    G, _, K = key.shape
    return key.mT.reshape(G * K, -1), G, 1


def _pooled_weights(rows, recorded):
    query, _ = _step(recorded)
    return _weights(query[:, 0], torch.as_tensor(rows).float().T[None])


def _pooled_says(yours, target, recorded) -> str:
    mine, right = (_most(_pooled_weights(part[0], recorded), recorded.tokens) for part in (yours, target))
    beside = "" if mine == right else f" (by our mean: {right})"
    return (
        f'In layer {LAYER} of SmolLM2 all 9 query heads now ask your one key head. After "… the river is" head '
        f"{HEAD} looks most at {mine}{beside}. With the 3 key heads it was trained with: "
        f"{_most(_as_trained(recorded), recorded.tokens)}."
    )


def _pooled_shows(yours, _, recorded):
    title = f"Layer {LAYER} of SmolLM2 on your one key head: where the last token looks"
    return _rows_of_maps(_pooled_weights(yours[0], recorded), recorded, title)


@torch.no_grad()
def _pooled_through(model, function, recorded) -> str:
    block = model.blocks[LAYER]
    old = block.attention
    layer = pretrained.regrouped(old, 1)
    for name in "k_proj", "v_proj":
        getattr(layer, name).weight.copy_(function(getattr(old, name).weight.detach().clone(), old.num_kv_heads, 1))
    block.attention = layer
    return (
        f"With this layer alone on your one key/value head, SmolLM2's perplexity on 353 tokens of prose goes from "
        f"{_trained_perplexity():,.1f} to {_perplexity(model):,.1f}."
    )


def _pool_cases():
    cases = []
    sizes = [(6, 4, 5, 2), (9, 3, 4, 3), (4, 2, 6, 1), (8, 3, 3, 2), (12, 2, 4, 3)]
    for seed, (G, K, D, new) in enumerate(sized(sizes, together=(0, 3))):
        cases.append((seeded(seed, (G * K, D))[0], G, new))
    return cases


@rows_exercise(
    stars=2,
    minutes=10,
    hint="Row 0 of the first new head is the mean of which rows of the weight? How far apart do they stand?",
    second_hint="Give the rows three axes: the new head, the old head within it, and the row of a head. The columns "
    "stay as they are. Then average over one of the three, and make one axis of the two that are left.",
    then="Ainslie's paper begins so, and then trains on: without that the averages are keys that no query ever asked "
    "for.",
    cases=_pool_cases,
    parts={"weight": ("row", "column")},
    inside=_of_one_step(_keys_as_rows),
    says=_pooled_says,
    shows=_pooled_shows,
    through=_pooled_through,
)
def pool_heads(weight, old_heads, num_kv_heads):
    """weight (old_heads·K, D) of a key projection → (num_kv_heads·K, D):
    each new head is the mean of the consecutive old heads that it stands for."""
    D = weight.shape[1]
    d_head = weight.shape[0] // old_heads
    by_head = weight.view(num_kv_heads, old_heads // num_kv_heads, d_head, D)
    return by_head.mean(dim=1).reshape(num_kv_heads * d_head, D)


@pool_heads.mistake("You kept the first head of each group. What becomes of what the others knew?")
def first_of_each(weight, old_heads, num_kv_heads):
    D = weight.shape[1]
    return weight.view(num_kv_heads, old_heads // num_kv_heads, -1, D)[:, 0].reshape(-1, D)


@pool_heads.mistake("You added the heads up. How large do the scores become?")
def sum_for_mean(weight, old_heads, num_kv_heads):
    D = weight.shape[1]
    return weight.view(num_kv_heads, old_heads // num_kv_heads, -1, D).sum(dim=1).reshape(-1, D)


@pool_heads.mistake(
    "You joined heads that lie far apart (0 with num_kv_heads, and so on). Which query heads share a key head: "
    "consecutive ones, or every n-th?"
)
def every_nth(weight, old_heads, num_kv_heads):
    D = weight.shape[1]
    return weight.view(old_heads // num_kv_heads, num_kv_heads, -1, D).mean(dim=0).reshape(-1, D)


@pool_heads.mistake(
    "Your heads are averages over neighbouring *rows*: numbers within one head are mixed. Row 0 of a new head should "
    "be the mean of which rows?"
)
def rows_for_heads(weight, old_heads, num_kv_heads):
    group = old_heads // num_kv_heads
    return weight.view(weight.shape[0] // group, group, -1).mean(dim=1)


# ----------------------------------------------------------------------------------------------------------- to halves


BASE = 100_000.0
"""By whose powers SmolLM2 turns."""


def _rotary_cases():
    sizes = [(2, 6, 4), (3, 8, 5), (1, 6, 6), (4, 10, 3), (2, 4, 8)]
    return [(seeded(seed, (H * K, D))[0], H) for seed, (H, K, D) in enumerate(sized(sizes, fixed=(1,)))]


def _unturned(x, last, base=BASE):
    """(…, N, K) queries or keys, before they were before they were turned by their places, the last of which is
    `last`; pairs side by side."""
    mirrored = torch.ones(x.shape[-1]).index_fill(0, torch.arange(1, x.shape[-1], 2), -1)
    return rotate(x * mirrored, last - x.shape[-2] + 1, base=base, adjacent=True) * mirrored


def _rows_before_turning(query, key):
    """Nine query heads and three key heads as the rows of one matrix, a column for each token. Only the last token
    asks: the queries' other columns are 0."""
    last = key.shape[-2] - 1
    queries = torch.zeros(len(query), *key.shape[1:])
    queries[:, -1:] = _unturned(query, last)
    rows = torch.cat([queries, _unturned(key, last)]).mT  # (12, 64, N)
    return rows.reshape(-1, last + 1), len(rows)


def _turned_weights(rows, recorded):
    """(9, N): where the last token looks, with rows i and i + K/2 as the pairs."""
    query, key = _step(recorded)
    heads = torch.as_tensor(rows).float().view(len(query) + len(key), -1, key.shape[1]).mT
    turned = rotate(heads, base=BASE)
    return _weights(turned[: len(query), -1], turned[len(query) :])


def _turned_says(yours, target, recorded) -> str:
    mine, right = (_most(_turned_weights(part[0], recorded), recorded.tokens) for part in (yours, target))
    beside = "as it was trained to" if mine == right else f"and as it was trained at {right}"
    return (
        f"In layer {LAYER} of SmolLM2, queries and keys with your order of rows are turned in pairs that lie K/2 "
        f'apart. After "… the river is" head {HEAD} looks most at {mine}, {beside}.'
    )


def _turned_shows(yours, _, recorded):
    title = f"Layer {LAYER} of SmolLM2 with your rows: where the last token looks"
    return _rows_of_maps(_turned_weights(yours[0], recorded), recorded, title)


def _continued(model, prompt, tokens=8) -> str:
    ids, _ = model.ids(prompt)
    begun = ids.shape[1]
    for _ in range(tokens):
        ids = torch.cat([ids, model(ids)[:, -1:].argmax(dim=-1)], dim=1)
    return model.tokenizer.decode(ids[0, begun:].tolist())


@torch.no_grad()
def _turned_through(model, function, recorded) -> str:
    writes = _continued(model, recorded.prompt)
    for block in model.blocks:
        layer = block.attention
        for projection, heads in (layer.q_proj, layer.num_heads), (layer.k_proj, layer.num_kv_heads):
            projection.weight.copy_(function(projection.weight.detach().clone(), heads))
        layer.rotary = Rotary(base=layer.rotary.base)
    found = _continued(model, recorded.prompt)
    same = "as before" if found == writes else f'where it wrote "{writes.strip()}" before'
    return (
        f"With your order in all 30 layers of SmolLM2 its perplexity on 353 tokens of prose is "
        f"{_perplexity(model):,.1f} "
        f'(before: {_trained_perplexity():,.1f}), and it continues "{recorded.prompt}" with "{found.strip()}", {same}.'
    )


@rows_exercise(
    stars=2,
    minutes=15,
    hint="Within a head the rows stand as first and second of pair 0, first and second of pair 1, and so on. In the "
    "new order, which row comes right after the first of pair 0?",
    second_hint="Give the rows of a head two axes, the pair and which of the two a row is, beside the axis of the "
    "heads. In the new order all the firsts of a head come before all its seconds: two of these axes must change "
    "places, which is more than a change of shape. Then make one axis of the rows again.",
    then="One line, and without it the model talks nonsense in perfect shapes. Checkpoints of Llama travel with one "
    "layout or the other: know which.",
    cases=_rotary_cases,
    parts={"weight": ("row", "column")},
    inside=_of_one_step(_rows_before_turning),
    says=_turned_says,
    shows=_turned_shows,
    through=_turned_through,
)
def to_halves(weight, num_heads):
    """weight (H·K, D) of a query projection whose rotary pairs are rows 2i and 2i + 1 of
    each head → the same rows in the order in which rows i and i + K/2 are the pairs."""
    H, D = num_heads, weight.shape[1]
    return weight.view(H, -1, 2, D).transpose(1, 2).reshape(weight.shape)


@to_halves.mistake(
    "You went the other way, from halves to neighbours. In the given rows, which is the partner of row 0: 1, or K/2?"
)
def the_other_way(weight, num_heads):
    D = weight.shape[1]
    return weight.view(num_heads, 2, -1, D).transpose(1, 2).reshape(weight.shape)


@to_halves.mistake(
    "You reordered all rows at once, so that heads exchanged rows. Where do the first rows of head 1 belong?"
)
def across_heads(weight, num_heads):
    return torch.cat([weight[0::2], weight[1::2]])


@to_halves.mistake(
    "Your seconds come before your firsts. When a pair is turned by an angle, which of the two gets the minus sign?"
)
def seconds_first(weight, num_heads):
    D = weight.shape[1]
    return weight.view(num_heads, -1, 2, D).flip(2).transpose(1, 2).reshape(weight.shape)


@to_halves.mistake("The rows are as they were. With pairs i and i + K/2, what would row 1 be turned with?")
def left_as_it_was(weight, num_heads):
    return weight.clone()


@to_halves.mistake(
    "The shape is right and rows are mixed with columns. Did you `view` where axes should change places?"
)
def view_for_transpose(weight, num_heads):
    D = weight.shape[1]
    return weight.view(num_heads, -1, 2, D).permute(0, 2, 3, 1).reshape(weight.shape)
