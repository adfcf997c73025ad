"""What the sizes in CostExplorer may be: of released models, of measured points, and with a latent."""

from mha_lab import _door
from mha_lab.measure import Timing
from mha_lab.published import Model, layers_in_words
from mha_lab.widgets._presets import preset

LENGTHS = [16 * 2**i * step // 2 for i in range(14) for step in (2, 3)][:-1]  # 16, 24, 32, 48 … 131,072 tokens
MOST = {"n": 2**20, "d_model": 2**14, "num_heads": 2**14, "d_head": 2**12, "batch": 64}
MOST_POINTS = 2000
BYTES = {"float32": 4, "bfloat16": 2}
PATHS = ("explicit", "fused")
SECONDS = (1e-9, 1e9)
"""A measurement lies between: a chart of more than a nanosecond to thirty years shows nothing."""
LAYER = ("d_model", "num_heads", "num_kv_heads", "d_head")
LATENT = {"numbers": 1, "rotary": 0, "query": 0, "value": 1}
"""What a latent is made of, and the least of each: the numbers that are kept of a token, how many of them are a key
with its position, the numbers of which queries are made (0: of the token itself), the width of a head's value."""
HEADS = [1, 2, 3, 4, 5, 6, 8, 9, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128]
"""Head counts to choose from where d_head is set, and num_heads need not divide d_model."""


def layer_of(m: Model) -> dict[str, object]:
    """The layer of a model that is shown, a global one where its width is d_head, and what that leaves out."""
    letter = "L" if m.global_d_head or not set(m.kinds) & set("GN") else "G"
    follows = m.num_heads * m.d_head == m.d_model and not m.latent
    left = []
    if m.gate_width:
        left.append(f"the output gate's W^G ({m.d_model * m.gate_width:,} parameters)")
    if m.indexer:
        keys = "keys" if m.indexer.keys is None else f"{m.indexer.keys:,} keys"
        left.append(f"the indexer, which picks {keys} for each query")
    if m.sinks:
        left.append(f"the sinks, {m.sinks}")
    if m.values != m.d_head and not m.latent:
        left.append(f"that values are {m.values} wide: they are counted as {m.d_head}")
    several = len(set(m.kinds.replace("N", "G"))) > 1
    latent = {"numbers": m.latent, "rotary": m.latent_rotary, "query": m.query_latent, "value": m.values}
    return {
        "n": m.window if letter == "L" else min(m.context or 8192, LENGTHS[-1]),
        "d_model": m.d_model,
        "num_heads": m.num_heads,
        "num_kv_heads": m.num_kv_heads,
        "d_head": None if follows else m.d_head,
        "latent": latent if m.latent else None,
        "bias": m.bias,
        "context": m.context,
        "window": m.window if letter == "L" else 0,
        "year": m.year,
        **preset(m),
        "layers": f"{layers_in_words(m)}; shown is a {'local' if letter == 'L' else 'global'} one" if several else "",
        "left_out": "; ".join(left),
    }


def not_shown(m: Model) -> str:
    """Why the layers of a model are not counted here; nothing where they are."""
    if m.latent is None or m.d_head is None or m.kinds is None:
        return "not all of its sizes are known"
    if m.key_is_value:
        return "one key that is the value too, see KVCacheExplorer"
    return ""


def point_of(point, num_heads: int, num_kv_heads: int, d_head: int | None) -> dict[str, object]:
    """A measurement of a layer with so many heads. Raises ValueError, in one sentence, where it is none."""
    try:
        tokens, took, path = point
        n = _door.whole("tokens", tokens)
        spread = (took.q1, took.median, took.q3) if isinstance(took, Timing) else (took,) * 3
        low, seconds, high = (_door.finite("seconds", number) for number in spread)
        if n > MOST["n"] or not SECONDS[0] <= low <= seconds <= high <= SECONDS[1] or path not in PATHS:
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            f"{_door.told(point)} is no point: tokens (up to {MOST['n']:,}), seconds (a number from 10⁻⁹ to 10⁹, or a "
            "Timing), 'explicit' or 'fused'."
        ) from None
    return {
        "n": n,
        "seconds": seconds,
        "low": low,
        "high": high,
        "path": path,
        "num_heads": num_heads,
        "num_kv_heads": num_kv_heads,
        "d_head": d_head,
    }


def nearest(choices: list[int], wish: int) -> int:
    """The choice that is nearest to a wish, by their ratio."""
    return min(choices, key=lambda choice: max(choice / wish, wish / choice))


def check_latent(latent, d_model, num_heads, num_kv_heads, d_head):
    """Raises ValueError or TypeError, in words, for a latent that no such layer has."""
    if set(latent) != set(LATENT):
        raise ValueError(f"latent is {_door.told(latent)}; it must be a dict of {', '.join(LATENT)}.")
    for name, least in LATENT.items():
        _door.whole(f"latent's {name}", latent[name], at_least=least)
        if latent[name] > MOST["d_model"]:
            raise ValueError(f"latent's {name}={_door._short(latent[name])}: it must be at most {MOST['d_model']:,}.")
    if num_kv_heads != num_heads:
        raise ValueError(f"num_kv_heads={num_kv_heads}: a latent serves all {num_heads} heads, each with its own keys.")
    width = d_model // num_heads if d_head is None else d_head
    if latent["rotary"] >= min(latent["numbers"], width):
        raise ValueError(
            f"latent's rotary={latent['rotary']}: it must be less than its numbers, {latent['numbers']}, and d_head, "
            f"{width}."
        )
