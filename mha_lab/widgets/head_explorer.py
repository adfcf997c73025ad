"""HeadExplorer: the attention maps of all heads at once, of a trained model or cut live from one projection."""

import zlib
from collections.abc import Sequence

import numpy as np
import torch
import traitlets

from mha_lab import _door
from mha_lab._shown import plain
from mha_lab.attention import attention, split_heads
from mha_lab.masks import causal_mask, window_mask
from mha_lab.widgets._base import (
    DIFFERENCE,
    STATIC,
    Explorer,
    allowed_cells,
    found,
    numbers,
    plural,
    shown_words,
    words,
)
from mha_lab.widgets._picture import FINE, MUTED, Page
from mha_lab.widgets._timings import Timings

DEFLATED = 256**2  # cells; larger maps are sent deflated: of 512 tokens, random ones are half as many bytes
LAYERS_OF_MAPS = "(layers, H, N, S)"
HOW_TO_READ = "To type your own, install the model once with `make models`, then pass on model=MiniLM.load."


class HeadExplorer(Timings, Explorer):
    """All heads as small multiples: point at a cell to read its weight, click a head to enlarge it, another beside it.

        HeadExplorer(recordings, layer=1)                      a trained model's heads; model= lets the learner type
                                                               of cross-attention too: (N, S), not only (N, N)
        HeadExplorer.from_projection(query, key, tokens)       the head count moves, and the browser recuts the heads

    The controls answer in the browser and need no kernel. Every state is a trait, to be set or observed from Python:
    sentence, layer, num_heads, causal, window (a query sees keys fewer than so many positions away; 0 is none), hidden
    (words as they are shown, such as ["[CLS]", "the₂"]; the rows of what is left sum to 1 again), stretch, head (the
    current one), pinned (none, one or two heads), hovered ([head, query, key] or nothing), typed and message; those of
    the timings panel are described in `Timings`. What a learner does reaches Python when the gesture pauses for 0.1 s,
    and at the latest after 1 s.
    """

    _esm = STATIC / "head_explorer.js"
    _css = STATIC / "head_explorer.css"

    fixed = "source", "num_layers", "tokens", "d_model", "bias", "_recordings", "_query", "_key", "_mask"

    _differences = traitlets.List(DIFFERENCE).tag(sync=True)
    source = traitlets.Enum(["recorded", "projection"], "recorded").tag(sync=True)
    stretch = traitlets.Bool(False).tag(sync=True)
    causal = traitlets.Bool(False).tag(sync=True)
    window = traitlets.Int(0).tag(sync=True)
    hidden = traitlets.List(traitlets.Unicode()).tag(sync=True)
    num_heads = traitlets.Int(1).tag(sync=True)
    head = traitlets.Int(0).tag(sync=True)
    pinned = traitlets.List(traitlets.Int()).tag(sync=True)
    hovered = traitlets.List(traitlets.Int()).tag(sync=True)

    sentence = traitlets.Unicode().tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    num_layers = traitlets.Int(1).tag(sync=True)
    typed = traitlets.Unicode().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)
    can_read = traitlets.Bool(False).tag(sync=True)
    loaded = traitlets.Bool(True).tag(sync=True)  # False where the first typed sentence will load the model
    how_to_read = traitlets.Unicode(HOW_TO_READ).tag(sync=True)
    _recordings = traitlets.List().tag(sync=True)  # {sentence, tokens, context, weights, mask}, the last two as bytes
    _added = traitlets.List().tag(sync=True)  # the same for sentences read later, so that the others are sent once only

    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    d_model = traitlets.Int(1).tag(sync=True)
    bias = traitlets.Bool(True).tag(sync=True)
    _query = traitlets.Bytes().tag(sync=True)  # float32 (N, D)
    _key = traitlets.Bytes().tag(sync=True)
    _mask = traitlets.Bytes().tag(sync=True)  # (N, N), 1 = may attend; empty when all may

    def __init__(
        self,
        recordings: Sequence,
        *,
        layer: int = 0,
        sentence: str | None = None,
        model=None,
        mask=None,
        stretch: bool = False,
        hidden: Sequence[str] = (),
        pinned: Sequence[int] = (),
        how_to_read: str = HOW_TO_READ,
    ):
        """Heads as they were recorded.

        recordings   one or more objects with .sentence, .tokens (N words) and .weights (layers, H, N, N), such as
                     pretrained.recorded() gives; of cross-attention with .context (S words) as well, and .weights
                     (layers, H, N, S): tokens look at the context. Each sentence's weights are sent once, with 8 bits
                     a weight (see `_pack`); the exact ones follow on demand, as long as there is a kernel to ask.
        model        an object whose .read(sentence) gives such a recording: what a learner types is run through it.
                     Or a function that loads it, called when the first sentence is typed: MiniLM.load.
        how_to_read  what the text box says where there is no model.
        mask         (N, S) boolean, True = may attend, where all recordings are of that shape; other cells are hatched.

        Raises ValueError where the recordings do not fit each other, or hold what attention weights cannot be.
        """
        if hasattr(recordings, "weights"):
            raise ValueError(f"recordings is one {type(recordings).__name__}; it must be a list of them: [recording].")
        recordings = list(recordings)
        if not recordings:
            raise ValueError("there are 0 recordings; HeadExplorer shows one or more.")
        if model is not None and not hasattr(model, "read") and not callable(model):
            raise ValueError(
                f"model is {type(model).__name__}: it must have .read(sentence), or be a function that loads it."
            )
        model_shape = _model_shape(recordings[0])
        packed = [_pack(recording, model_shape, mask) for recording in recordings]
        if len({p["sentence"] for p in packed}) < len(packed):
            raise ValueError("two recordings have the same sentence: the menu could not tell them apart.")
        self._model = model
        self._exact = {str(r.sentence): _maps(r) for r in recordings}
        super().__init__(
            source="recorded",
            _recordings=packed,
            num_layers=model_shape[0],
            num_heads=model_shape[1],
            layer=layer,
            sentence=packed[0]["sentence"] if sentence is None else sentence,
            can_read=model is not None,
            loaded=model is None or hasattr(model, "read"),
            how_to_read=how_to_read,
            stretch=stretch,
            hidden=list(_door.several("hidden", hidden, "words")),
            pinned=list(_door.several("pinned", pinned, "heads, such as [3, 8]")),
        )
        self.on_msg(self._on_message)

    @classmethod
    def from_projection(
        cls,
        query,
        key,
        tokens: Sequence[str],
        *,
        num_heads: int = 1,
        causal: bool = False,
        window: int = 0,
        mask=None,
        bias: bool = True,
        stretch: bool = False,
        hidden: Sequence[str] = (),
        pinned: Sequence[int] = (),
    ) -> "HeadExplorer":
        """Heads cut live from query and key (N, D), the projections of N tokens, by any head count that divides D.

        mask   (N, N) boolean, True = may attend. causal and window join it.
        bias   whether the four projections have one: it shows in the parameter count.

        Raises ValueError for shapes that do not fit, TypeError for a mask that is not boolean."""
        query, key = numbers("query", query, "(N, D)"), numbers("key", key, "(N, D)")
        if query.shape != key.shape:
            raise ValueError(f"query has shape {query.shape} and key {key.shape}: every token needs one row of each.")
        n, d_model = query.shape
        if d_model < 1:
            raise ValueError(f"query has shape {query.shape}: d_model must be at least 1.")
        tokens = words(tokens, n, "rows of query and key")
        mask = allowed_cells(mask, (n, n))
        explorer = cls.__new__(cls)
        explorer._model = None
        Explorer.__init__(
            explorer,
            source="projection",
            _query=query.tobytes(),
            _key=key.tobytes(),
            _mask=b"" if mask is None else mask.astype(np.uint8).tobytes(),
            tokens=tokens,
            d_model=d_model,
            num_heads=num_heads,
            causal=causal,
            window=window,
            bias=bias,
            stretch=stretch,
            hidden=list(_door.several("hidden", hidden, "words")),
            pinned=list(_door.several("pinned", pinned, "heads, such as [3, 8]")),
        )
        explorer._show_kept()
        return explorer

    def read(self, sentence: str) -> None:
        """Run a sentence through the model, add it to the menu and show it. The model's own errors come through."""
        sentence = sentence.strip()
        if not sentence:
            raise ValueError("the sentence is empty: type at least one word.")
        if sentence not in self._sentences():
            if self._model is None:
                raise ValueError(self.how_to_read)
            if not hasattr(self._model, "read"):
                self._model = self._model()
                self.loaded = True
            recording = self._model.read(sentence)
            packed = _pack(recording, (self.num_layers, self.num_heads))
            self._exact[sentence] = _maps(recording)
            self._added = [*self._added, {**packed, "sentence": sentence}]
        self.sentence = sentence

    @property
    def weights(self) -> np.ndarray:
        """The maps on show, (H, N, S). Hidden words have rows and columns of 0, and the other rows sum to 1."""
        weights, visible = self._all_weights(), self._visible()
        if len(visible) == len(self._keys()):
            return weights
        kept = np.zeros_like(weights)
        rows_and_columns = np.ix_(range(len(weights)), self._asking(), visible)
        left = weights[rows_and_columns]
        sums = left.sum(axis=-1, keepdims=True)
        kept[rows_and_columns] = np.divide(left, sums, out=np.zeros_like(left), where=sums > 0)
        return kept

    def picture(self) -> tuple[bytes, int]:
        """The maps on show as PNG, and its width in CSS pixels; the pinned heads alone where there are any."""
        return _draw(self)

    def __repr__(self):
        if self.source == "projection":
            n, _ = self._shape()
            return f"HeadExplorer(Q and K ({n}, {self.d_model}) cut into {plural(self.num_heads, 'head')})"
        sentences = plural(len(self._recordings), "sentence")
        heads = f"{plural(self.num_layers, 'layer')} × {plural(self.num_heads, 'head')}"
        return f"HeadExplorer({sentences}, {heads}; layer {self.layer} shown)"

    # What JavaScript knows too: which state is on show.

    def _all_weights(self) -> np.ndarray:
        """The maps (H, N, S) of all words, before any is hidden."""
        if self.source == "recorded":
            return self._exact[self.sentence][self.layer]
        n, _ = self._shape()
        query, key = (torch.tensor(np.frombuffer(data, np.float32)).double() for data in (self._query, self._key))
        query, key = (split_heads(data.view(1, n, self.d_model), self.num_heads) for data in (query, key))
        allowed = self._allowed()
        mask = None if allowed is None else torch.from_numpy(allowed)
        return attention(query, key, key, mask=mask)[1][0].numpy()

    def _visible(self) -> list[int]:
        """Where the keys stand that are not hidden. A sentence of which nothing would be left is shown whole."""
        shown = shown_words(self._keys())
        visible = [i for i, word in enumerate(shown) if word not in self.hidden]
        return visible or list(range(len(shown)))

    def _asking(self) -> list[int]:
        """Where the queries stand that are on show: a hidden word neither is looked at nor looks."""
        return self._visible() if self._keys() is self._words() else list(range(len(self._words())))

    def _all(self) -> list[dict]:
        return [*self._recordings, *self._added]

    def _sentences(self) -> list[str]:
        return [packed["sentence"] for packed in self._all()]

    def _shown(self) -> dict:
        return found(self._all(), self.sentence)

    def _words(self) -> list[str]:
        return self.tokens if self.source == "projection" else self._shown()["tokens"]

    def _keys(self) -> list[str]:
        """The words that are looked at: the context of cross-attention, or the words themselves."""
        return self._words() if self.source == "projection" else self._shown().get("context", self._words())

    def _shape(self) -> tuple[int, int]:
        return len(self._words()), len(self._keys())

    def _allowed(self) -> np.ndarray | None:
        stored = self._mask if self.source == "projection" else self._shown()["mask"]
        allowed = np.frombuffer(stored, np.uint8).reshape(self._shape()).astype(bool) if stored else None
        if self.causal:
            past = causal_mask(len(self._words())).numpy()
            allowed = past if allowed is None else allowed & past
        if self.window:
            near = window_mask(len(self._words()), self.window).numpy()
            allowed = near if allowed is None else allowed & near
        return allowed

    # Rules between traits, the same as in the browser.

    @traitlets.validate("num_heads")
    def _num_heads_divides(self, proposal):
        num_heads = proposal["value"]
        if self.source == "recorded":
            if num_heads != next(iter(self._exact.values())).shape[1]:
                raise traitlets.TraitError("a trained model's head count is its own: use HeadExplorer.from_projection.")
        elif num_heads < 1 or self.d_model % num_heads:
            divisors = ", ".join(str(d) for d in range(1, self.d_model + 1) if self.d_model % d == 0)
            raise traitlets.TraitError(
                f"d_model={self.d_model} cannot be split over num_heads={num_heads}; what divides it: {divisors}."
            )
        return num_heads

    @traitlets.validate("layer")
    def _layer_exists(self, proposal):
        if not 0 <= proposal["value"] < self.num_layers:
            raise traitlets.TraitError(f"layer={proposal['value']}: there are layers 0 to {self.num_layers - 1}.")
        return proposal["value"]

    @traitlets.validate("sentence")
    def _sentence_exists(self, proposal):
        if self.source == "recorded":
            found(self._all(), proposal["value"])
        return proposal["value"]

    @traitlets.validate("causal", "window")
    def _masks_need_scores(self, proposal):
        if proposal["value"] and self.source == "recorded":
            raise traitlets.TraitError("recorded weights cannot be masked afterwards: the scores behind them are gone.")
        if proposal["value"] < 0:
            raise traitlets.TraitError(f"window={proposal['value']}: 0 is no window, 1 leaves a query its own key.")
        return proposal["value"]

    @traitlets.validate("hidden")
    def _hidden_exist(self, proposal):
        hidden = proposal["value"]
        shown = shown_words(self._keys())
        sentences = (
            [self.tokens] if self.source == "projection" else [p.get("context", p["tokens"]) for p in self._all()]
        )
        unknown = set(hidden).difference(*(shown_words(tokens) for tokens in sentences))
        if unknown:
            raise traitlets.TraitError(f"hidden={hidden}: {min(unknown)!r} is not on show; the words are {shown}.")
        if set(shown) <= set(hidden):
            raise traitlets.TraitError(f"hidden={hidden}: nothing would be left to show; leave one word.")
        return hidden

    @traitlets.validate("pinned")
    def _pinned_exist(self, proposal):
        pinned = proposal["value"]
        if len(set(pinned)) < len(pinned) or len(pinned) > 2 or not all(0 <= head < self.num_heads for head in pinned):
            raise traitlets.TraitError(
                f"pinned={pinned}: at most two different heads, each from 0 to {self.num_heads - 1}."
            )
        return pinned

    @traitlets.validate("head")
    def _head_exists(self, proposal):
        if not 0 <= proposal["value"] < self.num_heads:
            raise traitlets.TraitError(f"head={proposal['value']}: there are heads 0 to {self.num_heads - 1}.")
        return proposal["value"]

    @traitlets.validate("hovered")
    def _hovered_exists(self, proposal):
        cell = proposal["value"]
        ends = self.num_heads, *self._shape()
        if cell and (len(cell) != 3 or not all(0 <= i < end for i, end in zip(cell, ends))):
            raise traitlets.TraitError(f"hovered={cell}: [] or [head, query, key] below {list(ends)}.")
        return cell

    @traitlets.observe("num_heads", "sentence")
    def _drop_missing(self, _):
        self.pinned = [head for head in self.pinned if head < self.num_heads]
        self.head = min(self.head, self.num_heads - 1)
        self.hovered = []

    def _on_message(self, _, content, buffers):
        if not isinstance(content, dict):
            return
        if content.get("kind") == "exact":
            self._tell_exactly(content.get("id"))
        elif content.get("kind") == "read":
            self._read_asked(str(content.get("sentence", "")))

    def _tell_exactly(self, rows):
        """rows is [sentence, layer, first row, end]: the browser has 8 bits a weight, and here are all of them. What is
        not there, a page asks for that belongs to another explorer: it gets no answer."""
        try:
            sentence, layer, first, end = rows
            self._exact[sentence][layer, :, first:end]
        except (TypeError, ValueError, KeyError, IndexError):
            return
        weights = np.ascontiguousarray(self._exact[sentence][layer, :, first:end])
        self.send({"kind": "exact", "id": rows}, [weights.tobytes()])

    def _read_asked(self, sentence):
        """A learner typed a sentence. Whatever goes wrong is told in the widget, in words."""
        try:
            self.read(sentence)
            self.message = ""
        except Exception as problem:
            self.message = str(problem) or type(problem).__name__
        self.send({"kind": "answered"})


def _model_shape(recording) -> tuple[int, int]:
    """(layers, heads) of a recording."""
    missing = [name for name in ("sentence", "tokens", "weights") if not hasattr(recording, name)]
    if missing:
        raise ValueError(
            f"{type(recording).__name__} has no .{missing[0]}: a recording has .sentence, .tokens, .weights."
        )
    return _maps(recording).shape[:2]


def _maps(recording) -> np.ndarray:
    """Its weights (layers, H, N, S). A batch of one is taken too, as the models of transformers give it: a tuple of
    (1, H, N, S), one for each layer."""
    given = plain(recording.weights)
    if given is None or (isinstance(given, list) and any(layer is None for layer in given)):
        raise ValueError(
            "weights is None: the model kept none. Models of transformers give them when they are loaded with "
            'attn_implementation="eager" and called with output_attentions=True.'
        )
    weights = numbers("weights", given, f"{LAYERS_OF_MAPS} or (layers, batch, H, N, S)")
    if weights.ndim == 4:
        return weights
    if weights.shape[1] != 1:
        raise ValueError(
            f"weights have shape {weights.shape}, (layers, batch, H, N, S) with a batch of {weights.shape[1]}: a "
            "recording is of one sentence, such as [layer[0] for layer in weights]."
        )
    return weights[:, 0]


def _pack(recording, model_shape: tuple[int, int], mask=None) -> dict:
    """A recording as it is sent: a weight is the square of byte / 255.

    So its error is at most sqrt(weight) / 255: below 0.004 for any weight, and smaller where weights are small, which
    show too when [CLS] is hidden or the colours are stretched. (With even steps, all below 0.002 would be lost.)
    The bytes of a long sentence are deflated: by their frequencies and runs alone, as the browser waits for it.
    """
    found = _model_shape(recording)
    if found != model_shape:
        raise ValueError(
            f"{recording.sentence!r} has (layers, heads) {found} and the first recording {model_shape}: "
            "one explorer shows one model."
        )
    weights = _maps(recording)
    n, s = weights.shape[-2:]
    context = getattr(recording, "context", None)
    if 0 in weights.shape or (context is None and n != s):
        raise ValueError(
            f"weights have shape {weights.shape}; they must be (layers, H, N, N), or (layers, H, N, S) where the "
            "recording has a .context of S words that are looked at."
        )
    sides = {"tokens": words(recording.tokens, n, "weights")}
    if context is not None:
        sides["context"] = words(context, s, "weights", name="context words", part="column")
    allowed = allowed_cells(mask, (n, s))
    sums, smallest = weights.sum(axis=-1), weights.min(axis=-1)
    expected = 1.0 if allowed is None else allowed.any(axis=-1)
    wrong = np.argwhere((np.abs(sums - expected) > 0.01) | (smallest < 0))
    if len(wrong):
        raise ValueError(_not_attention(wrong[0], sums, smallest, allowed))
    if allowed is not None and weights[..., ~allowed].max(initial=0.0) > 0.001:
        raise ValueError(
            f"a masked cell has weight {weights[..., ~allowed].max():.3g}, not 0: in the mask, True = may attend."
        )
    sent = (np.sqrt(weights.clip(0, 1)) * 255).round().astype(np.uint8).tobytes()
    if n * s > DEFLATED:
        deflate = zlib.compressobj(1, strategy=zlib.Z_RLE)
        sent = deflate.compress(sent) + deflate.flush()
    return {
        "sentence": str(recording.sentence),
        **sides,
        "weights": sent,
        "mask": b"" if allowed is None else allowed.astype(np.uint8).tobytes(),
    }


def _not_attention(where, sums, smallest, allowed) -> str:
    """What is wrong with this row of weights, and where it usually comes from."""
    layer, head, row = where
    total, least = sums[layer, head, row], smallest[layer, head, row]
    if least < 0:
        cause = "Scores become weights by softmax(dim=-1)."
    elif total == 0:
        cause = "A query that may attend to nothing, such as padding, is shown with mask=, where True = may attend."
    elif allowed is not None and not allowed[row].any():
        cause = "In the mask, True = may attend, and this row has none."
    else:
        cause = "Dropout leaves such rows: call .eval() on the model before it reads."
    return (
        f"layer {layer}, head {head}, row {row} is not attention: its smallest weight is {least:.3g} and its sum "
        f"{total:.3g}. Weights lie from 0 to 1, and rows sum to 1. {cause}"
    )


def _draw(explorer: HeadExplorer) -> tuple[bytes, int]:
    asking, visible, allowed = explorer._asking(), explorer._visible(), explorer._allowed()
    weights = explorer.weights[np.ix_(range(explorer.num_heads), asking, visible)]
    allowed = None if allowed is None else allowed[np.ix_(asking, visible)]
    every_query, every_key = shown_words(explorer._words()), shown_words(explorer._keys())
    tokens, keys = [every_query[i] for i in asking], [every_key[j] for j in visible]
    n, s = len(tokens), len(keys)
    heads = explorer.pinned or range(explorer.num_heads)
    maps = [(f"head {head}", weights[head]) for head in heads]
    if len(explorer.pinned) == 2:
        one, other = heads
        maps.append((f"head {one} − head {other} (orange: {one} has more)", weights[one] - weights[other]))
    width, limit = 920, 720
    fitting = None
    # The largest maps that fit; a bit smaller for fewer rows.
    middle = (n * s) ** 0.5  # the side of a square of that area
    for side in np.arange(min(30 * middle, 430), min(middle, 24) - 1, -min(middle / 2, 4)):
        cell = side / middle
        cell = int(cell * FINE) / FINE if cell >= 1 else cell  # whole pixels, so that all cells are alike
        size = min(12, max(7.5, cell * 0.86))
        room = 7 * size if cell >= 7 else 0  # for words, where a row can carry one
        wide, high = s * cell, n * cell
        gap, label = (14, 18) if wide >= 60 else (4, 0)
        columns = int((width - 1.5 * room + gap) // (wide + gap))
        rows = -(-len(maps) // max(1, columns))
        if (columns < 1 or rows * (high + gap + label) + room > limit) and side > 28:
            continue
        if fitting and cell < 0.85 * fitting[0]:
            break
        if not fitting or rows < fitting[-1]:
            fitting = cell, wide, high, size, room, gap, label, rows
    cell, wide, high, size, room, gap, label, rows = fitting
    columns = -(-len(maps) // rows)
    width = max(460, min(width, columns * (wide + gap) + 1.5 * room))
    page = Page(width, 34 + room * 0.86 + rows * (high + gap + label) + 6)

    page.text(0, 12, _headline(explorer), 14, bold=True)
    page.text(width - 172, 12, "weight 0", 11, anchor="rm")
    page.colour_bar(width - 166, 6, 90, 12)
    page.text(width - 70, 12, "head's max" if explorer.stretch else "1", 11)
    for index, (name, shown) in enumerate(maps):
        row, column = divmod(index, columns)
        x, y = round(room) + column * (wide + gap), round(34 + room * 0.86) + row * (high + gap + label)
        options = {"numbers": cell >= 28, "stretch": explorer.stretch, "difference": index >= len(heads)}
        page.map(x, y, cell, shown, allowed, **options)
        if cell >= 5 and explorer._keys() is explorer._words():
            page.diagonal(x, y, cell, n)
        if label:
            page.text(x + wide / 2, y + high + 9, name, 11, anchor="mm", colour=MUTED)
        for i, token in enumerate(tokens) if room and column == 0 else ():
            page.text(x - 5, y + (i + 0.5) * cell, page.clipped(token, size, room - 8), size, anchor="rm")
        for j, token in enumerate(keys) if room and row == 0 else ():
            page.text(x + (j + 0.5) * cell, y - 5, page.clipped(token, size, room - 8), size, angle=60)
    return page.finished(of_maps=True)


def _headline(explorer: HeadExplorer) -> str:
    headline = f"Layer {explorer.layer}, {plural(explorer.num_heads, 'head')}"
    if explorer.source == "projection":
        headline = f"{plural(explorer.num_heads, 'head')} of d_head {explorer.d_model // explorer.num_heads}"
    visible, shown = explorer._visible(), shown_words(explorer._keys())
    hidden = [word for i, word in enumerate(shown) if i not in visible]
    return f"{headline}, without {' '.join(hidden)}" if hidden else headline
