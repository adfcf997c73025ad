"""The parts of a multi-head layer in the order in which numbers flow: words, formulas and shapes that LayerMap shows.

A formula of letters is what is computed: "2·B·H·N·S·K" is a product of sizes, "D·H·K + H·K" a sum of products. Beside
the letters of `mha_lab` stand P, the pairs of a query and a key that it may see, and R = H / G.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod

MODES = {"self": "self", "causal": "causal", "cross": "cross", "cache": "with a cache"}
PROJECTION, ATTENTION = "02 · Multi-head projection", "01 · Single-head attention"
MERGING, SHARING, CROSS = "03 · Concatenation and W^O", "05 · MQA and GQA", "08 · Cross-attention"


@dataclass(frozen=True)
class Part:
    """One part of the layer in the modes where it is as described here."""

    name: str
    label: str
    shape: str
    formula: str
    sentence: str
    """Plain words, with sizes in braces: {N}, {H·K}."""
    shared: str = ""
    """What else there is to say where heads share keys and values."""
    lesson: str = ""
    """The lesson that builds it; none where it is there before the layer begins."""
    weights: str = ""
    biases: str = ""
    flops: str = ""
    modes: tuple[str, ...] = tuple(MODES)


def _projected(name, letter, what):
    """The three forms that keys and values have: of the same tokens, of a context, of the new tokens alone."""
    common = {"lesson": PROJECTION, "weights": "D·G·K", "biases": "G·K"}
    matrix = f"W^{letter.upper()}"
    for words, rows, source, modes in (
        (f"Another projection, {matrix}, gives each token its {name}", "N", "x", ("self", "causal")),
        (f"A projection, {matrix}, gives each token of the context its {name}", "S", "context", ("cross",)),
        (f"Only a new token is projected by {matrix} and gets a {name}", "N", "x", ("cache",)),
    ):
        yield Part(
            name,
            name,
            f"B, {rows}, G·K",
            f"{letter} = {source} · {matrix}",
            f"{words}: {{G·K}} numbers {what}.",
            flops=f"2·B·{rows}·D·G·K",
            modes=modes,
            **common,
        )


def _attended(name, label, shape, formula, sentence, hidden=None):
    """What is counted for every key, or only for those that a query may see; `hidden` says what is then otherwise."""
    for pairs, words, modes in (("N·S", sentence, ("self", "cross")), ("P", hidden or sentence, ("causal", "cache"))):
        flops = f"2·B·H·{pairs}·K"
        yield Part(name, label, shape, formula, words, lesson=ATTENTION, flops=flops, modes=modes)


PARTS = (
    Part(
        "tokens",
        "tokens",
        "B, N",
        "tokens: whole numbers",
        "The text is cut into tokens, words or pieces of words, and each is known by its number in a list of them all.",
    ),
    Part(
        "x",
        "x",
        "B, N, D",
        "x = embedding of the tokens",
        "Each token is now a vector of {D} numbers: at first its embedding, learned numbers that stand for the token.",
    ),
    Part(
        "context",
        "context",
        "B, S, D",
        "context: vectors of another text",
        "The tokens of x look at the {S} tokens of another text, such as the sentence that is to be translated.",
        lesson=CROSS,
        modes=("cross",),
    ),
    Part(
        "query",
        "query",
        "B, N, H·K",
        "q = x · W^Q",
        "A projection: learned weights, W^Q, turn a token's {D} numbers into {H·K}, its query: what it looks for.",
        lesson=PROJECTION,
        weights="D·H·K",
        biases="H·K",
        flops="2·B·N·D·H·K",
    ),
    *_projected("key", "k", "that say what it can be found by"),
    *_projected("value", "v", "that it hands over to whoever looks at it"),
    Part(
        "cache",
        "cache",
        "B, G, S, K",
        "k and v of all tokens so far",
        "The keys and values of all {S} tokens are kept, so that a new token computes only its own.",
        lesson=SHARING,
        modes=("cache",),
    ),
    Part(
        "split",
        "heads",
        "B, H, N, K",
        "split_heads(q, H)",
        "The {H·K} numbers of a query are cut into pieces of {K}, one for each head, and every head works by itself.",
        shared=" With {H} query heads and {G} for keys and values, each key and value serves {R} query heads.",
        lesson=PROJECTION,
    ),
    *_attended(
        "scores",
        "scores",
        "B, H, N, S",
        "scores = q · kᵀ / √K",
        "In each head every query meets every key, and one number, their score, says how well they fit.",
        "In each head a query meets its own key and earlier ones, and one number, their score, says how well they fit.",
    ),
    Part(
        "mask",
        "mask",
        "N, S",
        "score = −∞ for a later token",
        "No token may see a later one: the mask sets those scores to −∞, and their weights become 0.",
        lesson=ATTENTION,
        modes=("causal", "cache"),
    ),
    Part(
        "softmax",
        "softmax",
        "B, H, N, S",
        "weights = softmax(scores)",
        "Softmax turns the scores of a query into weights: none is below 0, and together they are 1.",
        lesson=ATTENTION,
    ),
    *_attended(
        "average",
        "weights · v",
        "B, H, N, K",
        "head = weights · v",
        *["What a token gets from a head is an average of the values: the larger the weight, the more a value counts."]
        * 2,
    ),
    Part(
        "concat",
        "concat",
        "B, N, H·K",
        "concat = [head 0 | head 1 | …]",
        "Concatenation: what all heads found for a token is laid side by side again, {H·K} numbers.",
        lesson=MERGING,
    ),
    Part(
        "output",
        "output",
        "B, N, D",
        "output = concat · W^O",
        "Learned weights, W^O, mix what the heads found into {D} numbers: the token's vector, with what others gave.",
        lesson=MERGING,
        weights="H·K·D",
        biases="D",
        flops="2·B·N·H·K·D",
    ),
)
WHOLE = Part(
    "layer",
    "the layer",
    "B, N, D",
    "MultiHeadAttention(d_model, num_heads)",
    "For each token a vector of {D} numbers goes in, and one comes out that has taken in something of other tokens.",
)
NAMES = tuple(dict.fromkeys(part.name for part in PARTS))


def parts_of(mode: str) -> list[Part]:
    """The parts of a layer in this mode, in the order of the flow."""
    return [part for part in PARTS if mode in part.modes]


def value(expression: str, sizes: Mapping[str, int]) -> int:
    """A sum of products of sizes; 0 where there is none."""
    products = expression.split(" + ") if expression else ()
    return sum(prod(sizes[f] if f in sizes else int(f) for f in product.split("·")) for product in products)


def filled(words: str, sizes: Mapping[str, int]) -> str:
    """A sentence with the sizes in their places."""
    return re.sub(r"\{(.+?)\}", lambda found: f"{value(found[1], sizes):,}", words)


def numbers(shape: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """A shape of letters as numbers."""
    return tuple(value(side, sizes) for side in shape.split(", "))


def learned(part: Part, bias: bool) -> str:
    """The formula of the parameters of a part."""
    return f"{part.weights} + {part.biases}" if bias and part.biases else part.weights


def formula(part: Part, bias: bool) -> str:
    return f"{part.formula} + b" if bias and part.biases else part.formula


def told() -> list[dict]:
    """All parts as the page reads them."""
    return [asdict(part) | {"modes": list(part.modes)} for part in (*PARTS, WHOLE)]
