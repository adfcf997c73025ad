"""A published model as a row of ModelTable: its numbers, what is special about it, and how it is sorted and asked."""

from collections.abc import Mapping

from mha_lab.published import CERTAINTY, FEATURES, Model, added_per_token, features, layers_in_words, stores
from mha_lab.widgets._base import plural
from mha_lab.widgets._cost_sizes import MOST, not_shown
from mha_lab.widgets.kv_cache_explorer import MOST_HEADS

COLUMNS = {
    "name": ("model", "a click on a row opens it"),
    "year": ("year", "of the model, or of its class in the library"),
    "layers": ("layers", "how many layers"),
    "d_model": ("d_model", "numbers of a token between the layers"),
    "num_heads": ("heads\nH", "query heads"),
    "num_kv_heads": ("K/V\nheads G", "heads of keys and values; with a latent, heads that are made of it"),
    "d_head": ("d_head", "width of a query and a key of one head"),
    "ratio": ("H·d_head /\nd_model", "how wide all heads are together, beside d_model"),
    "cached": ("cache\na token", "numbers that a token adds to the cache, in all layers, while no window is full"),
    "pattern": ("all layers", "what each layer looks at; sorted by the share of those that look at the whole text"),
}
"""By the name that `sort` takes: a column's head, and what it holds."""

NUMBERS = tuple(name for name in COLUMNS if name not in ("name", "pattern"))
"""Columns of numbers: what the axes of the plot can be."""


def row_of(m: Model) -> dict[str, object]:
    """What the page shows of a model."""
    return {
        "name": m.name,
        "year": m.year,
        "layers": m.layers,
        "d_model": m.d_model,
        "num_heads": m.num_heads,
        "num_kv_heads": m.num_kv_heads,
        "d_head": m.d_head,
        "ratio": None if m.d_head is None else m.num_heads * m.d_head / m.d_model,
        "cached": added_per_token(m),
        "later": added_per_token(m, windows_full=True),
        "decoder": m.decoder,
        "pattern": m.kinds,
        "shared": m.shared_layers,
        "kinds": layers_in_words(m),
        "has": features(m),
        "note": f"{m.note[:1].upper()}{m.note[1:]}." if m.note else "",
        "source": m.source,
        "certainty": f"{m.certainty}, {CERTAINTY[m.certainty]}",
        "left": _left(m),
    }


def answer(row: dict, ask: Mapping[str, bool]) -> bool | None:
    """Whether a row has all that is asked of it; None where its source does not say enough. The page says the same."""
    each = [None if row["has"][name] is None else bool(row["has"][name]) == wanted for name, wanted in ask.items()]
    return False if False in each else None if None in each else True


def key_of(row: dict, column: str) -> float | str | None:
    """What a column sorts a row by; None comes last. The page says the same."""
    if column == "name":
        return row["name"].lower()
    if column == "pattern":
        return row["pattern"] and sum(map(row["pattern"].count, "GN")) / len(row["pattern"])
    if column in FEATURES:
        return None if row["has"][column] is None else float(not row["has"][column])
    return row[column]


def status_in_words(rows: list[dict], ask: Mapping[str, bool]) -> str:
    """How many models answer what is asked. The page says the same."""
    if not ask:
        return plural(len(rows), "model")
    found = [answer(row, ask) for row in rows]
    parts = []
    for word, wanted in ("with", True), ("without", False):
        things = [what for name, (_, what) in FEATURES.items() if ask.get(name) is wanted]
        if things:
            parts.append(f"{word} {' and '.join(filter(None, (', '.join(things[:-1]), things[-1])))}")
    more = f"; the source of {found.count(None)} more does not say" if None in found else ""
    return f"{found.count(True)} of {len(found)}: {', '.join(parts)}{more}"


def no_cost(m: Model) -> str:
    """Why CostExplorer cannot show a model; nothing where it can."""
    if words := not_shown(m):
        return words
    beyond = [name for name, most in MOST.items() if (getattr(m, name, None) or 0) > most]
    return f"its {beyond[0]} is larger than {MOST[beyond[0]]:,}" if beyond else ""


def no_cache(m: Model) -> str:
    """Why KVCacheExplorer cannot show a model; nothing where it can."""
    if not m.decoder:
        return "it keeps no cache"
    if not stores(m):
        return "not all of its sizes are known"
    return f"it has more than {MOST_HEADS:,} heads" if m.num_heads > MOST_HEADS else ""


def _left(m: Model) -> str:
    """Which explorers cannot show it, in a sentence."""
    why = {"CostExplorer": no_cost(m), "KVCacheExplorer": no_cache(m)}
    by_reason = {}
    for name, words in why.items():
        if words:
            by_reason.setdefault(words, []).append(name)
    return " ".join(f"Not in {' and '.join(names)}: {words}." for words, names in by_reason.items())
