"""TileExplorer: FlashAttention's tiles step over the scores, which are never stored."""

from collections.abc import Sequence

import numpy as np
import torch
import traitlets

from mha_lab import _door
from mha_lab.widgets import _tile_picture
from mha_lab.widgets._base import STATIC, Explorer, OneOf, Whole, numbers, plural, words
from mha_lab.widgets._tiles import BYTES, numbers_held, numbers_moved_in_full, steps, traced

MOST_TOKENS, MOST_WIDE = 16, 8
OWN_WORDS = "the trophy does not fit in the suitcase because it is large".split()
OWN_SEED = 19  # whose larger scores often come late, so that there is something to shrink


class TileExplorer(Explorer):
    """Attention tile by tile: which blocks of Q, K and V are in fast memory, and online softmax with every number.

        TileExplorer()  # twelve words, random numbers
        TileExplorer(query, key, value, ["the", "cat", "sat"], query_rows=2, key_columns=1)  # query, key, value (N, K)

    The steps are those of `mha_lab.variants.chunked_attention`. Every state is a trait, to be set or observed from
    Python: query_rows and key_columns (the size of a tile), causal (tiles in the future are skipped), step (0: nothing
    has been read yet), cells ("scores" or "weights", exp(score − largest)), row (the query whose arithmetic is written
    out, -1 for the last of the present tile) and pointed (what the pointer is at: [row, column], [row, -1] or []).
    """

    _esm = STATIC / "tile_explorer.js"
    _css = STATIC / "tile_explorer.css"

    fixed = "tokens", "d_head", "d_value", "_query", "_key", "_value"

    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    query_rows = Whole(4).tag(sync=True)
    key_columns = Whole(4).tag(sync=True)
    causal = traitlets.Bool(True).tag(sync=True)
    step = Whole(1).tag(sync=True)
    cells = OneOf(["scores", "weights"], "scores").tag(sync=True)
    row = Whole(-1).tag(sync=True)
    pointed = traitlets.List(Whole()).tag(sync=True)
    d_head = Whole(4).tag(sync=True)
    d_value = Whole(4).tag(sync=True)
    _query = traitlets.Bytes().tag(sync=True)  # float32 (N, K)
    _key = traitlets.Bytes().tag(sync=True)
    _value = traitlets.Bytes().tag(sync=True)  # (N, width)

    def __init__(
        self,
        query=None,
        key=None,
        value=None,
        tokens: Sequence[str] | None = None,
        *,
        query_rows: int | None = None,
        key_columns: int | None = None,
        causal: bool = True,
        step: int = 1,
        cells: str = "scores",
        row: int = -1,
        seed: int = OWN_SEED,
    ):
        """query, key (N, K), value (N, width) of N ≤ 16 tokens, up to 8 wide; without them random numbers from `seed`
        for the tokens, or for twelve words of ours. A tile is 4 × 4, or less where there are fewer tokens.

        Raises ValueError for shapes that do not fit, TraitError for a state that there is not."""
        query, key, value, tokens = _given(query, key, value, tokens, seed)
        n = len(tokens)
        super().__init__(
            tokens=tokens,
            d_head=query.shape[1],
            d_value=value.shape[1],
            _query=query.tobytes(),
            _key=key.tobytes(),
            _value=value.tobytes(),
            query_rows=min(4, n) if query_rows is None else query_rows,
            key_columns=min(4, n) if key_columns is None else key_columns,
            causal=causal,
            step=step,
            cells=cells,
            row=row,
        )

    def set(self, **traits) -> None:
        """Sets several traits at once: what goes together is judged together."""
        with self.hold_trait_notifications():
            for name, new in traits.items():
                setattr(self, name, new)

    @property
    def last(self) -> int:
        """The number of the last step: every output is written."""
        return len(steps(len(self.tokens), self.query_rows, self.key_columns, self.causal))

    @property
    def trace(self) -> list[dict]:
        """Every step as the browser computes it, computed here (`_tiles.traced` says what it holds)."""
        widths = {"_query": self.d_head, "_key": self.d_head, "_value": self.d_value}
        sent = (np.frombuffer(getattr(self, n), np.float32).reshape(-1, w).astype(float) for n, w in widths.items())
        return traced(*sent, query_rows=self.query_rows, key_columns=self.key_columns, causal=self.causal)

    @property
    def memory(self) -> dict[str, int]:
        """In bytes: what tiles of this size hold at most, all scores; what is moved in all by tiles, and with scores
        in slow memory."""
        n, K, V = len(self.tokens), self.d_head, self.d_value
        end = self.trace[-1]
        counted = {
            "held": numbers_held(self.query_rows, self.key_columns, K, V),
            "scores": n * n,
            "moved": end["read"] + end["written"],
            "moved_in_full": numbers_moved_in_full(n, K, V),
        }
        return {name: BYTES * count for name, count in counted.items()}

    def picture(self) -> tuple[bytes, int]:
        return _tile_picture.draw(self)

    def __repr__(self):
        size = f"tiles of {self.query_rows} × {self.key_columns}{', causal' if self.causal else ''}"
        return f"TileExplorer({plural(len(self.tokens), 'token')}, {size}; step {self.step} of {self.last})"

    @traitlets.observe("query_rows", "key_columns", "causal")
    def _fewer_steps(self, _):
        if self.step > self.last:
            self.step = self.last

    @traitlets.validate("query_rows", "key_columns")
    def _is_a_size(self, proposal):
        name, value, n = proposal["trait"].name, proposal["value"], len(self.tokens)
        if not 1 <= value <= n:
            raise traitlets.TraitError(
                f"{name}={_door._short(value)}: a tile of {plural(n, 'token')} has 1 to {n} of them."
            )
        return value

    @traitlets.validate("step")
    def _is_a_step(self, proposal):
        value = proposal["value"]
        if min(self.query_rows, self.key_columns) < 1:
            return value  # what is wrong is the tile, and that is said for itself
        if not 0 <= value <= self.last:
            raise traitlets.TraitError(f"step={_door._short(value)}: with these tiles the steps are 0 to {self.last}.")
        return value

    @traitlets.validate("row")
    def _is_a_row(self, proposal):
        value, n = proposal["value"], len(self.tokens)
        if not -1 <= value < n:
            raise traitlets.TraitError(
                f"row={_door._short(value)}: it must be 0 to {n - 1}, or -1 for the present tile's."
            )
        return value

    @traitlets.validate("pointed")
    def _is_a_place(self, proposal):
        value, n = proposal["value"], len(self.tokens)
        if value and not (len(value) == 2 and 0 <= value[0] < n and -1 <= value[1] < n):
            raise traitlets.TraitError(
                f"pointed={value!r:.60}: it must be [row, column], each 0 to {n - 1}, [row, -1] or []."
            )
        return value


def _given(query, key, value, tokens, seed):
    """Arrays and words that go together."""
    parts = {"query": query, "key": key, "value": value}
    missing = [name for name, data in parts.items() if data is None]
    if len(missing) == 3:
        tokens = OWN_WORDS if tokens is None else tokens
        n = len(tokens) if isinstance(tokens, list | tuple) else 0
        tokens = words(tokens, n, "numbers")
        _short_enough(n)
        generator = torch.Generator().manual_seed(_door.seed("seed", seed))
        query, key, value = torch.randn(3, n, 4, generator=generator, dtype=torch.float32, device="cpu").numpy()
        return 1.4 * query, 1.4 * key, value, tokens  # so that some keys are liked better than others
    if missing:
        raise ValueError(f"{' and '.join(missing)} not given: give query, key and value, or none of them.")
    query, key, value = (numbers(name, data, "(N, K)") for name, data in parts.items())
    if query.shape != key.shape:
        raise ValueError(f"query has shape {query.shape} and key {key.shape}: every token needs one row of each.")
    if len(key) != len(value):
        raise ValueError(f"key has shape {key.shape} and value {value.shape}: each key needs its value.")
    (n, width), d_value = query.shape, value.shape[1]
    _short_enough(n)
    if not (1 <= width <= MOST_WIDE and 1 <= d_value <= MOST_WIDE):
        raise ValueError(f"keys of width {width} and values of width {d_value}: the tiles shown are 1 to {MOST_WIDE}.")
    return query, key, value, words([str(i) for i in range(n)] if tokens is None else tokens, n, "rows of query")


def _short_enough(n):
    if not 1 <= n <= MOST_TOKENS:
        raise ValueError(f"{plural(n, 'token')}: the tiles of 1 to {MOST_TOKENS} are shown, each with its numbers.")
