"""What HeadExplorer and its page tell each other: the traits, and the rules between them."""

import traitlets

from mha_lab.widgets._base import DIFFERENCE, OneOf, Whole, shown_words

HOW_TO_READ = "To type your own, install the model once with `make models`, then pass on model=MiniLM.load."


class HeadState(traitlets.HasTraits):
    """The state of an explorer whose `_source` knows words, masks and maps. frontend/src/head_explorer/traits.js has
    the same names."""

    _differences = traitlets.List(DIFFERENCE).tag(sync=True)
    source = traitlets.Enum(["recorded", "projection", "trained"], "recorded").tag(sync=True)
    view = OneOf(["maps", "overview", "lines"], "maps").tag(sync=True)
    stretch = traitlets.Bool(False).tag(sync=True)
    causal = traitlets.Bool(False).tag(sync=True)
    window = Whole(0).tag(sync=True)
    shuffle = Whole(0).tag(sync=True)
    num_kv_heads = Whole(0).tag(sync=True)
    hidden = traitlets.List(traitlets.Unicode()).tag(sync=True)
    num_heads = Whole(1).tag(sync=True)
    head = Whole(0).tag(sync=True)
    pinned = traitlets.List(Whole()).tag(sync=True)
    hovered = traitlets.List(Whole()).tag(sync=True)

    sentence = traitlets.Unicode().tag(sync=True)
    layer = Whole(0).tag(sync=True)
    num_layers = Whole(1).tag(sync=True)
    typed = traitlets.Unicode().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)
    can_read = traitlets.Bool(False).tag(sync=True)
    loaded = traitlets.Bool(True).tag(sync=True)  # False where the first typed sentence will load the model
    how_to_read = traitlets.Unicode(HOW_TO_READ).tag(sync=True)
    _recordings = traitlets.List().tag(sync=True)  # {sentence, tokens, context, weights, mask}, the last two as bytes
    _added = traitlets.List().tag(sync=True)  # the same for sentences read later, so that the others are sent once only
    _trained = traitlets.List().tag(sync=True)  # {sentence, num_heads, quality, seeds, measure} of trained models

    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    d_model = Whole(1).tag(sync=True)
    bias = traitlets.Bool(True).tag(sync=True)
    _query = traitlets.Bytes().tag(sync=True)  # float32 (N, D)
    _key = traitlets.Bytes().tag(sync=True)
    _mask = traitlets.Bytes().tag(sync=True)  # (N, N), 1 = may attend; empty when all may

    _source = None  # a Recorded, Projection or Trained

    def _words(self) -> list[str]:
        return self._source.sides(self)[0]

    def _keys(self) -> list[str]:
        """The words that are looked at: the context of cross-attention, or the words themselves."""
        return self._source.sides(self)[1]

    def _allowed(self):
        """Which cells may be seen, (N, S), True = may attend; None where all may."""
        return self._source.allowed(self)

    def _visible(self) -> list[int]:
        """Where the keys stand that are not hidden. A sentence of which nothing would be left is shown whole."""
        shown = shown_words(self._keys())
        visible = [i for i, word in enumerate(shown) if word not in self.hidden]
        return visible or list(range(len(shown)))

    def _asking(self) -> list[int]:
        """Where the queries stand that are on show: a hidden word neither is looked at nor looks."""
        return self._visible() if self._keys() is self._words() else list(range(len(self._words())))

    @traitlets.validate("num_heads", "num_kv_heads", "sentence", "causal", "window", "shuffle")
    def _source_has_it(self, proposal):
        self._source.check(proposal["trait"].name, proposal["value"], self)
        return proposal["value"]

    @traitlets.validate("layer")
    def _layer_exists(self, proposal):
        if not 0 <= proposal["value"] < self.num_layers:
            raise traitlets.TraitError(f"layer={proposal['value']}: there are layers 0 to {self.num_layers - 1}.")
        return proposal["value"]

    @traitlets.validate("view")
    def _view_exists(self, proposal):
        if proposal["value"] == "overview" and self.num_layers == 1:
            raise traitlets.TraitError("view='overview' shows the heads of all layers, and there is one: view='maps'.")
        return proposal["value"]

    @traitlets.validate("hidden")
    def _hidden_exist(self, proposal):
        hidden = proposal["value"]
        shown = shown_words(self._keys())
        unknown = set(hidden).difference(*(shown_words(keys) for keys in self._source.keys()))
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
        ends = self.num_heads, len(self._words()), len(self._keys())
        if cell and (len(cell) != 3 or not all(0 <= i < end for i, end in zip(cell, ends))):
            raise traitlets.TraitError(f"hovered={cell}: [] or [head, query, key] below {list(ends)}.")
        return cell

    @traitlets.observe("num_heads", "sentence")
    def _drop_missing(self, _):
        self.pinned = [head for head in self.pinned if head < self.num_heads]
        self.head = min(self.head, self.num_heads - 1)
        self.hovered = []
        if self.num_kv_heads and self.num_heads % self.num_kv_heads:
            self.num_kv_heads = 0
