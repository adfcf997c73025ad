"""HeadExplorer: the attention maps of all heads at once, recorded, cut live from one projection, or trained."""

from collections.abc import Mapping, Sequence

import numpy as np

from mha_lab import _door
from mha_lab.widgets import _head_picture
from mha_lab.widgets._base import STATIC, Explorer, plural
from mha_lab.widgets._head_state import HOW_TO_READ, HeadState
from mha_lab.widgets._life import WHATEVER, said
from mha_lab.widgets._sources import Projection, Recorded, Trained
from mha_lab.widgets._timings import Timings


class HeadExplorer(HeadState, Timings, Explorer):
    """All heads as small multiples: point at a cell to read its weight, click a head to enlarge it, another beside it.

        HeadExplorer(recordings, layer=1)                      a trained model's heads; model= lets the learner type
                                                               of cross-attention too: (N, S), not only (N, N)
        HeadExplorer.from_projection(query, key, tokens)       the head count moves, and the browser recuts the heads
        HeadExplorer.from_trained({1: …, 2: …, 4: …})          the head count moves over models trained with each

    The controls answer in the browser and need no kernel. Every state is a trait, to be set or observed from Python:
    view ("maps"; "overview" of all layers' heads; "lines" from word to word, of one head), sentence, layer, num_heads,
    causal, window (a query sees keys fewer than so many positions away; 0 is none), shuffle (a seed that permutes the
    columns of Q and K together; 0 leaves them in order), num_kv_heads (so many heads of keys, each the mean of those of
    its query heads; 0 leaves each its own), hidden (words as they are shown, such as ["[CLS]", "the₂"]; the rows of
    what is left sum to 1 again), stretch, head (the current one), pinned (none, one or two heads), hovered ([head,
    query, key] or nothing), typed and message; those of the timings are described in `Timings`. What a learner does
    reaches Python when the gesture pauses for 0.1 s, and at the latest after 1 s.
    """

    _esm = STATIC / "head_explorer.js"
    _css = STATIC / "head_explorer.css"

    fixed = "source", "num_layers", "tokens", "d_model", "bias", "_recordings", "_trained", "_query", "_key", "_mask"

    def __init__(
        self,
        recordings: Sequence,
        *,
        layer: int = 0,
        sentence: str | None = None,
        model=None,
        mask=None,
        view: str = "maps",
        stretch: bool = False,
        hidden: Sequence[str] = (),
        pinned: Sequence[int] = (),
        how_to_read: str = HOW_TO_READ,
        **state,
    ):
        """Heads as they were recorded.

        recordings   one or more objects with .sentence, .tokens (N words) and .weights (layers, H, N, N), such as
                     pretrained.recorded() gives; of cross-attention with .context (S words) as well, and .weights
                     (layers, H, N, S): tokens look at the context. Each sentence's weights are sent once, with 8 bits
                     a weight (see `packed`); the exact ones follow on demand, as long as there is a kernel to ask.
        model        an object whose .read(sentence) gives such a recording: what a learner types is run through it.
                     Or a function that loads it, called when the first sentence is typed: MiniLM.load.
        how_to_read  what the text box says where there is no model.
        mask         (N, S) boolean, True = may attend, where all recordings are of that shape; other cells are hatched.
                     A recording may have a .mask of its own instead.

        Raises ValueError where the recordings do not fit each other, or hold what attention weights cannot be.
        """
        own = isinstance(recordings, Recorded | Projection | Trained)
        self._source = recordings if own else Recorded(recordings, mask, model)
        for name in set(state).difference(self._source.moves):
            raise TypeError(f"HeadExplorer takes no {name} where heads are {self._source.kind}.")
        state |= {"layer": layer, "view": view, "stretch": stretch, "how_to_read": how_to_read}
        state |= {} if sentence is None else {"sentence": sentence}
        state["hidden"] = list(_door.several("hidden", hidden, "words"))
        state["pinned"] = list(_door.several("pinned", pinned, "heads, such as [3, 8]"))
        super().__init__(source=self._source.kind, **{**self._source.traits, **state})
        self.on_msg(self._on_message)
        if self._source.kind != "recorded":
            self._show_kept()

    @classmethod
    def from_projection(
        cls,
        query,
        key,
        tokens: Sequence[str],
        *,
        num_heads: int = 1,
        num_kv_heads: int = 0,
        causal: bool = False,
        window: int = 0,
        shuffle: int = 0,
        mask=None,
        bias: bool = True,
        view: str = "maps",
        stretch: bool = False,
        hidden: Sequence[str] = (),
        pinned: Sequence[int] = (),
    ) -> "HeadExplorer":
        """Heads cut live from query and key (N, D), the projections of N tokens, by any head count that divides D.

        mask   (N, N) boolean, True = may attend. causal and window join it.
        bias   whether the four projections have one: it shows in the parameter count.

        Raises ValueError for shapes that do not fit, TypeError for a mask that is not boolean."""
        state = {"num_heads": num_heads, "num_kv_heads": num_kv_heads, "causal": causal, "window": window}
        state |= {"shuffle": shuffle, "view": view, "stretch": stretch, "hidden": hidden, "pinned": pinned}
        return cls(Projection(query, key, tokens, mask, bias), **state)

    @classmethod
    def from_trained(
        cls,
        models: Mapping,
        *,
        d_model: int,
        num_heads: int | None = None,
        mask=None,
        bias: bool = True,
        layer: int = 0,
        sentence: str | None = None,
        view: str = "maps",
        stretch: bool = False,
        hidden: Sequence[str] = (),
        pinned: Sequence[int] = (),
    ) -> "HeadExplorer":
        """Heads of models that were trained with each head count: the slider goes over those.

        models     {head count: a recording, or several}, each as HeadExplorer takes it, and of the same sentences. One
                   that has .quality (a number for each seed) and .measure (what that counts, such as "right answers")
                   says what its model reached: it is drawn beside the times. tasks.recorded_head_counts().readings is
                   such a mapping.
        d_model    the width that the heads share, and bias whether the projections have one: for times and parameters.
        num_heads  the head count to begin with; without it the largest, at most 8.

        Raises ValueError where the models do not fit each other, or hold what attention weights cannot be."""
        source = Trained(models, d_model, bias, mask)
        if num_heads is None:
            num_heads = max((heads for heads in source.models if heads <= 8), default=min(source.models))
        state = {"num_heads": num_heads, "layer": layer, "sentence": sentence, "view": view}
        return cls(source, **state, stretch=stretch, hidden=hidden, pinned=pinned)

    def read(self, sentence: str) -> None:
        """Run a sentence through the model, add it to the menu and show it. The model's own errors come through."""
        sentence = sentence.strip()
        if not sentence:
            raise ValueError("the sentence is empty: type at least one word.")
        if sentence not in self._source.first:
            if self._source.model is None:
                raise ValueError(self.how_to_read)
            self._added = [*self._added, self._source.read(sentence)]
            self.loaded = True
        self.sentence = sentence

    @property
    def weights(self) -> np.ndarray:
        """The maps on show, (H, N, S). Hidden words have rows and columns of 0, and the other rows sum to 1."""
        return self._of_the_visible(self._source.weights(self)[self.layer])

    def picture(self) -> tuple[bytes, int]:
        """What is on show as PNG, and its width in CSS pixels; the pinned heads alone where there are any."""
        return _head_picture.draw(self)

    def __repr__(self):
        n, heads = len(self._words()), plural(self.num_heads, "head")
        if self.source == "projection":
            shared = f" on {self.num_kv_heads} of keys" if self.num_kv_heads else ""
            shuffled = ", columns shuffled" if self.shuffle else ""
            return f"HeadExplorer(Q and K ({n}, {self.d_model}) cut into {heads}{shared}{shuffled})"
        if self.source == "trained":
            counts = ", ".join(map(str, self._source.models))
            return f"HeadExplorer(trained with {counts} heads; {heads} shown)"
        sentences = plural(len(self._recordings) + len(self._added), "sentence")
        return f"HeadExplorer({sentences}, {plural(self.num_layers, 'layer')} × {heads}; layer {self.layer} shown)"

    def _of_the_visible(self, weights):
        """Weights (…, N, S) without hidden words, each row divided by what is left of it."""
        if len(self._visible()) == len(self._keys()):
            return weights
        kept = np.zeros_like(weights)
        rows, columns = np.ix_(self._asking(), self._visible())
        left = weights[..., rows, columns]
        sums = left.sum(axis=-1, keepdims=True)
        kept[..., rows, columns] = np.divide(left, sums, out=np.zeros_like(left), where=sums > 0)
        return kept

    def _on_message(self, _, content, buffers):
        if not isinstance(content, dict) or self.source == "projection":
            return
        if content.get("kind") == "exact":
            self._tell_exactly(content.get("id"))
        elif content.get("kind") == "read" and self.source == "recorded":
            self._read_asked(str(content.get("sentence", "")))

    def _tell_exactly(self, rows):
        """rows is [sentence, layer, first row, end], and the head count where several were trained: the browser has 8
        bits a weight, and here are all of them. What is not there, a page asks for that belongs to another explorer: it
        gets no answer."""
        try:
            sentence, layer, first, end, *heads = rows
            reading = self._source.models[heads[0] if heads else self.num_heads][sentence]
            weights = np.ascontiguousarray(reading.weights[layer, :, first:end])
        except (TypeError, ValueError, KeyError, IndexError):
            return
        self.send({"kind": "exact", "id": rows}, [weights.tobytes()])

    def _read_asked(self, sentence):
        """A learner typed a sentence. Whatever goes wrong is told in the widget, in words."""
        try:
            self.read(sentence)
            self.message = ""
        except WHATEVER as problem:
            self.message = said(problem)
        self.send({"kind": "answered"})
