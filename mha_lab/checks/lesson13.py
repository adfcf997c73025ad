"""Exercises of lesson 13: a rank's share of a layer, put to work in MiniLM; the key/value heads that it holds; and two
partial outputs merged."""

import torch

from mha_lab.checks.class_key import sized, some
from mha_lab.checks.engine import exercise, seeded
from mha_lab.checks.in_model import whole_model_exercise

# --------------------------------------------------------------------------------------------------------- rank share


def _share_cases():
    sizes = [(2, 3, 4, 2, 1, 2), (1, 4, 6, 3, 0, 3), (1, 3, 5, 2, 0, 2), (1, 3, 5, 2, 1, 2), (2, 2, 5, 3, 3, 4)]
    cases = []
    for seed, (B, N, H, K, rank, ranks) in enumerate(sized(sizes, together=(2, 4, 5))):
        x, W, b_o = seeded(seed, (B, N, H * K), (4, H * K, H * K), (H * K,))
        cases.append((x, W / (H * K) ** 0.5, b_o, H, rank, ranks))  # scores near 1, as in a layer
    return cases


RANKS = 2, 3, 4, 5
"""How many ranks MiniLM's twelve heads are dealt to; five do not divide them."""


@torch.no_grad()
def _in_minilm(function):
    """MiniLM's recorded layer over several numbers of ranks: for which do the shares add up to what one rank gives?"""
    from mha_lab.pretrained import inside_minilm

    x, *matrices, H, _ = inside_minilm().call
    W, b_o = torch.stack(matrices), torch.zeros(x.shape[-1])
    whole = rank_share.solution(x, W, b_o, H, 0, 1)
    fits, near = [], 0.02 * whole.abs().max()  # half precision is right to one per cent of it
    for ranks in RANKS:
        total = sum(function(x, W, b_o, H, rank, ranks) for rank in range(ranks))
        if torch.allclose(total, whole, atol=near.item()):
            fits.append(ranks)
    said = f"on {_listed(fits)} ranks" if fits else "on no number of ranks"
    return (
        f"In MiniLM, whose layer has {H} heads, your shares add up to the layer's output {said} (of {_listed(RANKS)}).",
        None,
    )


def _listed(numbers):
    *others, last = map(str, numbers)
    return f"{', '.join(others)} and {last}" if others else last


@whole_model_exercise(
    stars=2,
    minutes=15,
    hint="Lesson 03 took the output apart into one term a head. Which columns of W_q, W_k and W_v make the heads of "
    "this rank, which rows of W_o do they write through, and how often may the bias come into the sum?",
    second_hint="First the rank's heads: neighbours, with one more on each of the first ranks where they cannot be "
    "dealt evenly. They are one run of K columns each in the three projections. Attend as ever, K being the width of "
    "one head; lay the rank's heads side by side; multiply by the run of rows of W_o with the same places. Rank 0 adds "
    "the bias.",
    then="The sum over the ranks is the layer. On real ranks that sum is one all_reduce, and nothing else travels.",
    cases=_share_cases,
    parts={"share": ("batch", "token", "feature")},
    inside=_in_minilm,
)
def rank_share(x, W, b_o, num_heads, rank, ranks):
    """x (B, N, D), W (4, D, D) holds W_q, W_k, W_v and W_o, b_o (D,)
    → this rank's share of the output (B, N, D). All ranks' shares add up to the layer's output."""
    W_q, W_k, W_v, W_o = W
    B, N, D = x.shape
    K = D // num_heads
    each, more = divmod(num_heads, ranks)
    first = rank * each + min(rank, more)
    count = each + (rank < more)
    mine = slice(first * K, (first + count) * K)
    q, k, v = ((x @ M[:, mine]).view(B, N, count, K).transpose(1, 2) for M in (W_q, W_k, W_v))
    weights = (q @ k.transpose(-2, -1) / K**0.5).softmax(dim=-1)
    share = (weights @ v).transpose(1, 2).reshape(B, N, count * K) @ W_o[mine]
    return share + b_o if rank == 0 else share


def _heads_at(x, W, num_heads, start, count, *, K=None, scale=None):
    """The outputs (B, N, count·K) of `count` heads from head `start` on, side by side."""
    B, N, D = x.shape
    width = D // num_heads
    K = K or width
    columns = slice(start * width, start * width + count * K)
    q, k, v = ((x @ M[:, columns]).view(B, N, count, K).transpose(1, 2) for M in W[:3])
    weights = (q @ k.mT / (scale or K) ** 0.5).softmax(dim=-1)
    return (weights @ v).transpose(1, 2).reshape(B, N, count * K)


def _dealt(num_heads, rank, ranks):
    each, more = divmod(num_heads, ranks)
    return rank * each + min(rank, more), each + (rank < more)


def _rows(W, num_heads, start, count):
    K = W.shape[-1] // num_heads
    return W[3][start * K : (start + count) * K]


@rank_share.mistake(
    "Your share is right but for the bias, which every rank adds: the sum then has it as often as there are ranks. Who "
    "should add it?"
)
def bias_on_every_rank(x, W, b_o, num_heads, rank, ranks):
    start, count = _dealt(num_heads, rank, ranks)
    return _heads_at(x, W, num_heads, start, count) @ _rows(W, num_heads, start, count) + b_o


@rank_share.mistake("Your share is right but for the bias: no rank adds it. Who should?")
def no_bias(x, W, b_o, num_heads, rank, ranks):
    start, count = _dealt(num_heads, rank, ranks)
    return _heads_at(x, W, num_heads, start, count) @ _rows(W, num_heads, start, count)


@rank_share.mistake(
    "The sum comes out right: every rank adds an equal part of the bias. But rounding then depends on how many ranks "
    "there are, and each must know it. Could one rank alone add it, rank 0?"
)
def bias_in_equal_parts(x, W, b_o, num_heads, rank, ranks):
    return no_bias(x, W, b_o, num_heads, rank, ranks) + b_o / ranks


def _biased(share, b_o, rank):
    return share + b_o if rank == 0 else share


@rank_share.mistake(
    "You took this rank's columns of W_o and turned them over, so that the shapes fit. A head's numbers are the "
    "columns of Concat: do they meet columns of W_o, or rows?"
)
def columns_of_w_o(x, W, b_o, num_heads, rank, ranks):
    start, count = _dealt(num_heads, rank, ranks)
    K = W.shape[-1] // num_heads
    columns = W[3][:, start * K : (start + count) * K]
    return _biased(_heads_at(x, W, num_heads, start, count) @ columns.T, b_o, rank)


@rank_share.mistake(
    "Every rank writes through the first rows of W_o, whichever heads it has. Which rows belong to the heads of rank 1?"
)
def first_rows_of_w_o(x, W, b_o, num_heads, rank, ranks):
    start, count = _dealt(num_heads, rank, ranks)
    return _biased(_heads_at(x, W, num_heads, start, count) @ _rows(W, num_heads, 0, count), b_o, rank)


@rank_share.mistake(
    "You dealt as many heads to each rank and forgot the rest: 5 heads on 2 ranks are 2 and 2, and one head is "
    "nowhere. Who takes it?"
)
def the_rest_forgotten(x, W, b_o, num_heads, rank, ranks):
    count = num_heads // ranks
    share = _heads_at(x, W, num_heads, rank * count, count) @ _rows(W, num_heads, rank * count, count)
    return _biased(share, b_o, rank)


@rank_share.mistake(
    "All heads are there, and the last rank has the whole rest: 5 heads on 4 ranks are 1, 1, 1 and 2, but 11 would be "
    "2, 2, 2 and 5. All wait for the slowest: could the first ranks take one more each?"
)
def the_rest_on_the_last(x, W, b_o, num_heads, rank, ranks):
    each = num_heads // ranks
    count = num_heads - rank * each if rank == ranks - 1 else each
    share = _heads_at(x, W, num_heads, rank * each, count) @ _rows(W, num_heads, rank * each, count)
    return _biased(share, b_o, rank)


@rank_share.mistake(
    "You cut this rank's columns into num_heads heads, each narrower than it was. No shape objects. How many heads "
    "does this rank have, and how wide is one?"
)
def cut_into_all_heads_again(x, W, b_o, num_heads, rank, ranks):
    B, N, D = x.shape
    start, count = _dealt(num_heads, rank, ranks)
    width = D // num_heads
    mine = slice(start * width, (start + count) * width)
    q, k, v = (x @ M[:, mine] for M in W[:3])
    if count * width % num_heads:  # there it would not even come out even
        heads = [part.view(B, N, count, width).transpose(1, 2) for part in (q, k, v)]
    else:
        heads = [part.view(B, N, num_heads, -1).transpose(1, 2) for part in (q, k, v)]
    q, k, v = heads
    found = (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1) @ v
    return _biased(found.transpose(1, 2).reshape(B, N, count * width) @ W[3][mine], b_o, rank)


@rank_share.mistake(
    "You took this rank's columns of x. Every head sees the whole token: what is cut into heads, x or its projections?"
)
def columns_of_x(x, W, b_o, num_heads, rank, ranks):
    start, count = _dealt(num_heads, rank, ranks)
    K = W.shape[-1] // num_heads
    mine = slice(start * K, (start + count) * K)
    own = torch.zeros_like(x)
    own[..., mine] = x[..., mine]
    share = _heads_at(own, W, num_heads, start, count) @ _rows(W, num_heads, start, count)
    return _biased(share, b_o, rank)


@rank_share.mistake(
    "You made one wide head of all that this rank has. How many maps does this rank compute, one or one for each head?"
)
def one_wide_head(x, W, b_o, num_heads, rank, ranks):
    start, count = _dealt(num_heads, rank, ranks)
    share = _heads_at(x, W, num_heads, start, 1, K=count * (W.shape[-1] // num_heads))
    return _biased(share @ _rows(W, num_heads, start, count), b_o, rank)


@rank_share.mistake(
    "You divide the scores by the root of what this rank holds of a token, or of all of it. Is a head wider or "
    "narrower because other heads live elsewhere?"
)
def scaled_by_the_ranks_width(x, W, b_o, num_heads, rank, ranks):
    start, count = _dealt(num_heads, rank, ranks)
    K = W.shape[-1] // num_heads
    heads = _heads_at(x, W, num_heads, start, count, scale=count * K)
    return _biased(heads @ _rows(W, num_heads, start, count), b_o, rank)


@rank_share.mistake(
    "Your rank returns the whole layer: it computes every head. What would the sum over all ranks be, and what was "
    "saved?"
)
def the_whole_layer(x, W, b_o, num_heads, rank, ranks):
    return _heads_at(x, W, num_heads, 0, num_heads) @ W[3] + b_o


@rank_share.mistake(
    "You compute the whole layer and return a part of it that adds up. The sum is right, and every rank has computed "
    "all heads: what should a rank leave to the others?"
)
def the_whole_layer_divided(x, W, b_o, num_heads, rank, ranks):
    return the_whole_layer(x, W, b_o, num_heads, rank, ranks) / ranks


@rank_share.mistake(
    "Each rank has every R-th head, and the rows of W_o that belong to them: the sum comes out right. Here neighbours "
    "stay together. Which heads share keys and values in GQA, and how many of those would a rank then need?"
)
def every_rth_head(x, W, b_o, num_heads, rank, ranks):
    share = sum(
        _heads_at(x, W, num_heads, head, 1) @ _rows(W, num_heads, head, 1) for head in range(rank, num_heads, ranks)
    )
    return _biased(share, b_o, rank)


# ------------------------------------------------------------------------------------------------------------ kv heads


@exercise(
    stars=1,
    minutes=5,
    hint="Write down the query heads of this rank. At which key/value head does query head i look (lesson 05)?",
    second_hint="With H / R query heads a rank, this one's begin at rank · H / R. Divide the number of each, rounding "
    "down, by the size of a group; what is left when doubles are taken out is the answer.",
    then="A rank holds every key/value head at which one of its query heads looks, and no other.",
    cases=lambda: [
        (H * times, G * times, (rank + some(0, 15)) % ranks, ranks)
        for H, G, rank, ranks, times in (
            (*sizes, some(1, 3))
            for sizes in [
                (8, 4, 1, 2),
                (32, 8, 5, 8),
                (8, 2, 3, 4),
                (32, 8, 11, 16),
                (12, 4, 1, 6),
                (6, 6, 2, 3),
                (16, 2, 2, 4),
            ]
        )
    ],
    parts={"key/value heads": ("head",)},
)
def kv_heads_held(num_heads, num_kv_heads, rank, ranks):
    """H query heads on G key/value heads, dealt to ranks as neighbours; ranks divide H.
    → the numbers of the key/value heads that this rank must hold, in order"""
    each, shared = num_heads // ranks, num_heads // num_kv_heads
    heads = range(rank * each, (rank + 1) * each)
    return sorted({head // shared for head in heads})


@kv_heads_held.mistake(
    "You cut the key/value heads as you cut the query heads. With 2 of them on 4 ranks nothing is left for a rank: "
    "what do its queries look at?"
)
def cut_as_the_queries(num_heads, num_kv_heads, rank, ranks):
    each = num_kv_heads // ranks
    return list(range(rank * each, (rank + 1) * each))


@kv_heads_held.mistake(
    "Each rank has a key/value head of its own number, and there are not so many. Which of those that exist do this "
    "rank's query heads look at?"
)
def one_each_by_number(num_heads, num_kv_heads, rank, ranks):
    each = max(1, num_kv_heads // ranks)
    return list(range(rank * each, (rank + 1) * each))


@kv_heads_held.mistake(
    "You deal them in turns, 0, 1, 0, 1. Query heads that are neighbours share a key/value head: do neighbouring ranks "
    "take turns, then?"
)
def in_turns(num_heads, num_kv_heads, rank, ranks):
    if num_kv_heads >= ranks:
        each = num_kv_heads // ranks
        return list(range(rank * each, (rank + 1) * each))
    return [rank % num_kv_heads]


@kv_heads_held.mistake(
    "Right where a rank's query heads are all of one group. 12 heads in groups of 3, two on each rank: where do heads "
    "2 and 3 look?"
)
def never_two_groups(num_heads, num_kv_heads, rank, ranks):
    each = max(1, num_kv_heads // ranks)
    first = rank * num_kv_heads // ranks
    return list(range(first, first + each))


@kv_heads_held.mistake(
    "These are the rank's *query* heads. How many of them share one key/value head, and what is its number?"
)
def the_query_heads(num_heads, num_kv_heads, rank, ranks):
    each = num_heads // ranks
    return list(range(rank * each, (rank + 1) * each))


@kv_heads_held.mistake(
    "You list a key/value head once for each query head that looks at it. How often must a rank hold it?"
)
def once_for_each_query(num_heads, num_kv_heads, rank, ranks):
    each, shared = num_heads // ranks, num_heads // num_kv_heads
    return [head // shared for head in range(rank * each, (rank + 1) * each)]


@kv_heads_held.mistake(
    "Every rank holds all of them: right numbers come out, and nothing is saved. Which does it need?"
)
def all_of_them(num_heads, num_kv_heads, rank, ranks):
    return list(range(num_kv_heads))


# -------------------------------------------------------------------------------------------------------------- merge


def _merge_cases():
    cases = []
    for seed, (N, K) in enumerate(sized([(3, 2), (1, 4), (4, 3), (2, 1)])):
        output, more, lse, more_lse = seeded(seed, (N, K), (N, K), (N,), (N,))
        cases.append((output, 2 * lse, more, 2 * more_lse - 1))
    output, lse, more, more_lse = cases[0]
    return [*cases, (output, 150 + lse.round(), more, 150 + more_lse.round())]  # exp(150) is too large for a float32


@exercise(
    stars=2,
    minutes=10,
    hint="One of the two outputs may stand for a key that got nearly all of the weight, the other for a thousand that "
    "got none. By what is an output an average, and how large is the sum of exponentials that it was divided by?",
    second_hint="exp(lse) is that sum: multiply each output by its own, add, and divide by both together. To keep exp "
    "from overflowing, take the larger lse, row by row, out of both first. The new lse is the logarithm of the two "
    "sums' sum.",
    then="Ring attention calls it once for each block that arrives. Kernels that cut a long cache into pieces, to keep "
    "a whole GPU busy with one query, end with the same lines.",
    cases=_merge_cases,
    parts={"output": ("query", "feature"), "lse": ("query",)},
    blame=("lse", "output"),
)
def merge(output, lse, more, more_lse):
    """output and more (N, K): attention of the same N queries to two sets of keys; lse and more_lse
    (N,): the logarithm of each row's sum of exp(score) → output and lse for all of the keys."""
    largest = torch.maximum(lse, more_lse)
    one, other = (lse - largest).exp(), (more_lse - largest).exp()
    total = one + other
    return (output * one[:, None] + more * other[:, None]) / total[:, None], largest + total.log()


@merge.mistake(
    "You took the mean of the two outputs, whatever they stand for. If the second set has one key with a score far "
    "below all others, should it move the result by half?"
)
def plain_mean(output, lse, more, more_lse):
    return (output + more) / 2, torch.logaddexp(lse, more_lse)


@merge.mistake(
    "You added the two outputs. Each is an average already, whose weights sum to 1: to what do the weights of your sum "
    "add up?"
)
def plain_sum(output, lse, more, more_lse):
    return output + more, torch.logaddexp(lse, more_lse)


@merge.mistake(
    "Your lse is right, and the outputs were added without being rescaled to the new sum: each still counts from the "
    "sum of its own keys. What share of the new sum is each of them?"
)
def only_the_second_rescaled(output, lse, more, more_lse):
    both = torch.logaddexp(lse, more_lse)
    return output + more * (more_lse - both).exp()[:, None], both


@merge.mistake("The shares stand the wrong way round: which output does exp(lse) belong to, and which exp(more_lse)?")
def shares_exchanged(output, lse, more, more_lse):
    both = torch.logaddexp(lse, more_lse)
    return output * (more_lse - both).exp()[:, None] + more * (lse - both).exp()[:, None], both


@merge.mistake(
    "Right while scores are small. exp(lse) alone is ∞ from 89 on, and ∞ / ∞ is NaN: what can be subtracted from both "
    "before the exp is taken?"
)
def nothing_taken_out(output, lse, more, more_lse):
    one, other = lse.exp()[:, None], more_lse.exp()[:, None]
    return (output * one + more * other) / (one + other), (lse.exp() + more_lse.exp()).log()


@merge.mistake(
    "Your output is right, and lse came back as the sum of the two. They are logarithms: of what is the sum of two "
    "logarithms the logarithm?"
)
def logarithms_added(output, lse, more, more_lse):
    return merge.solution(output, lse, more, more_lse)[0], lse + more_lse


@merge.mistake(
    "Your output is right, and lse came back as the larger of the two. The next block will be weighed against it: does "
    "the sum of all exponentials not hold the smaller one too?"
)
def the_larger_lse(output, lse, more, more_lse):
    return merge.solution(output, lse, more, more_lse)[0], torch.maximum(lse, more_lse)


@merge.mistake(
    "Your output is right, and lse came back as it was. The next block would be weighed against the first one alone: "
    "of which keys is the sum now?"
)
def lse_kept(output, lse, more, more_lse):
    return merge.solution(output, lse, more, more_lse)[0], lse


@merge.mistake(
    "You weigh by lse itself. It is a logarithm, and may be negative: what must it become before it is a weight?"
)
def weighed_by_logarithms(output, lse, more, more_lse):
    both = (lse + more_lse)[:, None]
    return (output * lse[:, None] + more * more_lse[:, None]) / both, torch.logaddexp(lse, more_lse)


@merge.mistake(
    "You took one largest lse for all rows, or one share for all of them. Each query has sums of its own: along which "
    "axis is the largest taken?"
)
def one_share_for_all(output, lse, more, more_lse):
    share = torch.sigmoid(lse.mean() - more_lse.mean())
    return share * output + (1 - share) * more, torch.logaddexp(lse, more_lse)


@merge.mistake(
    "You multiplied by exp(lse − largest) and did not divide by what these two add up to. To what do the weights sum?"
)
def not_divided(output, lse, more, more_lse):
    largest = torch.maximum(lse, more_lse)
    one, other = (lse - largest).exp()[:, None], (more_lse - largest).exp()[:, None]
    return output * one + more * other, torch.logaddexp(lse, more_lse)
