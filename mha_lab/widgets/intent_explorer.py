"""IntentExplorer: type a sentence; see what a classifier answers, from which words it reads that, where heads look."""

from collections.abc import Sequence

import numpy as np
import traitlets

from mha_lab.widgets._base import STATIC, Explorer, Whole, found, numbers, plural, shown_words
from mha_lab.widgets._life import WHATEVER, said, shortened
from mha_lab.widgets._picture import LINE, MUTED, Page, drawable, weight_colour
from mha_lab.widgets._recordings import checked, in_bytes, same_model

SHOWN = 3  # answers
BAR = "#4477AA"
LONGEST = 160  # px of a word in the picture


class IntentExplorer(Explorer):
    """A sentence, the likeliest answers, and a row of words for each head, tinted by its weights.

        reader = models.SentenceReader(model, tasks.intents())
        IntentExplorer([reader.read(sentence) for sentence in sentences], model=reader)

    The rows show where the heads of one layer look from one word; or, with word = -1, from the answer: the mean of all
    rows of a head's map, each counted by how much of the answer is read from its word.

    Every state is a trait, to be set or observed from Python: sentence, layer, word (-1 is the answer), hovered ([head,
    word] whose weight is read, or nothing), stretch (the strongest colour is the largest weight on show instead of 1),
    typed and message. Sentences that are there answer without a kernel; a new one needs it, and `model`.
    """

    _esm = STATIC / "intent_explorer.js"
    _css = STATIC / "intent_explorer.css"

    fixed = "names", "num_layers", "num_heads", "_readings"

    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    sentence = traitlets.Unicode().tag(sync=True)
    layer = Whole(0).tag(sync=True)
    word = Whole(-1).tag(sync=True)
    hovered = traitlets.List(Whole()).tag(sync=True)
    stretch = traitlets.Bool(True).tag(sync=True)
    typed = traitlets.Unicode().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)
    can_read = traitlets.Bool(False).tag(sync=True)
    num_layers = Whole(1).tag(sync=True)
    num_heads = Whole(1).tag(sync=True)
    _readings = traitlets.List().tag(sync=True)  # {sentence, tokens, note, probabilities, shares and weights as bytes}
    _typed = traitlets.List().tag(sync=True)  # the same for sentences read later: the others are sent once only

    def __init__(
        self,
        readings: Sequence,
        *,
        model=None,
        sentence: str | None = None,
        layer: int | None = None,
        word: int = -1,
        stretch: bool = True,
    ):
        """readings   what models.SentenceReader(…).read gives: .sentence, .tokens (N words), .weights
                   (layers, H, N, N), .shares (N,), .probabilities (answers,), .names (answers) and .message.
        model      an object whose .read(sentence) gives a reading: what a learner types is run through it.
        layer      the last unless given.

        Raises ValueError where the readings do not fit each other, or hold what weights and probabilities cannot be."""
        if hasattr(readings, "weights"):
            raise ValueError(f"readings is one {type(readings).__name__}; it must be a list of them: [reading].")
        readings = list(readings)
        if not readings:
            raise ValueError("there are 0 readings; IntentExplorer shows one or more.")
        if model is not None and not hasattr(model, "read"):
            raise ValueError(
                f"model is {type(model).__name__}: it must have .read(sentence), as models.SentenceReader has."
            )
        if any(reading.weights is None for reading in readings):
            raise ValueError("this model has no heads to show: its readings' weights are None.")
        self._model, self._shape = model, checked(readings[0]).model
        sent = [self._packed(reading, list(readings[0].names)) for reading in readings]
        if len({each["sentence"] for each in sent}) < len(sent):
            raise ValueError("two readings have the same sentence: the menu could not tell them apart.")
        super().__init__(
            names=list(readings[0].names),
            _readings=sent,
            num_layers=self._shape[0],
            num_heads=self._shape[1],
            sentence=sent[0]["sentence"] if sentence is None else sentence,
            layer=self._shape[0] - 1 if layer is None else layer,
            word=word,
            stretch=stretch,
            can_read=model is not None,
        )
        self.on_msg(self._on_message)

    def read(self, sentence: str) -> None:
        """Run a sentence through the model, add it to the menu and show it. The model's own errors come through."""
        sentence = sentence.strip()
        if sentence not in [each["sentence"] for each in self._all()]:
            if self._model is None:
                raise ValueError("there is no model to read a new sentence: pass on model=.")
            sent = self._packed(self._model.read(sentence), self.names)
            self._typed = [*self._typed, {**sent, "sentence": sentence}]
        self.sentence = sentence

    @property
    def answers(self) -> list[tuple[str, float]]:
        """All answers with their probabilities, the likeliest first."""
        return sorted(zip(self.names, self._shown()["probabilities"]), key=lambda pair: -pair[1])

    @property
    def looks(self) -> np.ndarray:
        """(H, N): where each head of the layer looks from the word, or from the answer. What the browser shows."""
        shown = self._shown()
        N = len(shown["tokens"])
        weights = (np.frombuffer(shown["weights"], np.uint8) / 255.0) ** 2
        weights = weights.reshape(self.num_layers, self.num_heads, N, N)[self.layer]
        return weights[:, self.word] if self.word >= 0 else np.einsum("n,hnm->hm", self.shares, weights)

    @property
    def shares(self) -> np.ndarray:
        """(N,): how much of the answer is read from each word."""
        return np.frombuffer(self._shown()["shares"], np.float32).astype(float)

    def picture(self) -> tuple[bytes, int]:
        return _draw(self)

    def __repr__(self):
        name, probability = self.answers[0]
        heads = f"{plural(self.num_layers, 'layer')} × {plural(self.num_heads, 'head')}"
        return f"IntentExplorer({plural(len(self._readings), 'sentence')}, {heads}; {name}, {probability:.0%})"

    def _all(self) -> list[dict]:
        return [*self._readings, *self._typed]

    def _shown(self) -> dict:
        return found(self._all(), self.sentence)

    def _packed(self, reading, names: list[str]) -> dict:
        """A reading as it is sent; a weight is the square of byte / 255, as in HeadExplorer, and never deflated."""
        maps = checked(reading)
        same_model(maps, self._shape)
        N, A = len(maps.tokens), len(names)
        shares = numbers("shares", reading.shares, "(N)")
        probabilities = numbers("probabilities", reading.probabilities, "(answers)")
        if list(reading.names) != names or shares.shape != (N,) or probabilities.shape != (A,):
            raise ValueError(
                f"{reading.sentence!r}: shares holds {plural(shares.size, 'number')} for {plural(N, 'token')}, "
                f"probabilities {plural(probabilities.size, 'number')} for {plural(A, 'name')}: one for each, and the "
                "same names in every reading."
            )
        for name, share in ("shares", shares), ("probabilities", probabilities):
            if share.min() < 0 or abs(share.sum() - 1) > 0.01:
                raise ValueError(f"the {name} of {reading.sentence!r} sum to {share.sum():.3g}: they must sum to 1.")
        return {
            "sentence": maps.sentence,
            "tokens": maps.tokens,
            "weights": in_bytes(maps.weights),
            "shares": shares.tobytes(),
            "probabilities": [round(float(p), 5) for p in probabilities],
            "note": shortened(str(reading.message)),
        }

    @traitlets.validate("layer")
    def _layer_exists(self, proposal):
        if not 0 <= proposal["value"] < self.num_layers:
            raise traitlets.TraitError(f"layer={proposal['value']}: there are layers 0 to {self.num_layers - 1}.")
        return proposal["value"]

    @traitlets.validate("sentence")
    def _sentence_exists(self, proposal):
        return found(self._all(), proposal["value"])["sentence"]

    @traitlets.validate("word")
    def _word_exists(self, proposal):
        N = len(self._shown()["tokens"])
        if not -1 <= proposal["value"] < N:
            raise traitlets.TraitError(f"word={proposal['value']}: the words are 0 to {N - 1}, and -1 is the answer.")
        return proposal["value"]

    @traitlets.validate("hovered")
    def _hovered_exists(self, proposal):
        cell = proposal["value"]
        ends = self.num_heads, len(self._shown()["tokens"])
        if cell and (len(cell) != 2 or not all(0 <= i < end for i, end in zip(cell, ends))):
            raise traitlets.TraitError(f"hovered={cell}: [] or [head, word] below {list(ends)}.")
        return cell

    @traitlets.observe("sentence")
    def _from_the_answer(self, change):
        if change["old"]:  # the words are other ones now
            self.word, self.hovered = -1, []

    def _on_message(self, _, content, buffers):
        if not isinstance(content, dict) or content.get("kind") != "read":
            return
        try:
            self.read(str(content.get("sentence", "")))
            self.message = ""
        except WHATEVER as problem:  # a learner typed it: whatever goes wrong is told in the widget, in words
            self.message = said(problem)
        self.send({"kind": "answered"})


def _draw(explorer: IntentExplorer) -> tuple[bytes, int]:
    """The answers as bars, and the rows of words. Where no installed font has Chinese letters, words are numbered."""
    tokens = shown_words(explorer._shown()["tokens"])
    written = all(drawable(token) for token in tokens)
    labels = tokens if written else [str(i + 1) for i in range(len(tokens))]
    looks, width, left, size = explorer.looks, 900, 92, 12
    rows = [("the answer", explorer.shares), *((f"head {h}", weights) for h, weights in enumerate(looks))]
    top = max(float(values.max()) for _, values in rows) if explorer.stretch else 1.0

    ruler, places, x, line = Page(1, 1), [], left, 0  # of each word: x, line, width; the same in every row
    labels = [ruler.clipped(label, size, LONGEST) for label in labels]
    for label in labels:
        wide = ruler.width_of(label, size) + 9
        if x + wide > width:
            x, line = left, line + 1
        places.append((x, line, wide))
        x += wide + 2
    lines, high = line + 1, 22
    row_height = lines * high + 8
    begin = 34 + SHOWN * 22 + 34
    page = Page(width, begin + len(rows) * row_height + 4)

    sentence = shown_words([explorer.sentence])[0]  # a line break could not be measured
    sentence = sentence if drawable(sentence) else f"A sentence of {plural(len(tokens), 'token')}"
    page.text(0, 12, page.clipped(sentence, 14, width - 10), 14, bold=True)
    for i, (name, probability) in enumerate(explorer.answers[:SHOWN]):
        y = 34 + i * 22
        name = name if drawable(name) else " ".join(filter(drawable, name.split())).strip("· ")
        page.text(0, y + 9, page.clipped(name, 13, 240), 13, bold=i == 0)
        page.box(250, y + 2, 300, 14, None, LINE)
        page.box(250, y + 2, max(1, 300 * probability), 14, BAR)
        page.text(558, y + 9, f"{probability:.0%}", 13)
    start = "the answer" if explorer.word < 0 else labels[explorer.word]
    words = "" if written else " (its words by number: this picture has no Chinese letters)"
    page.text(0, begin - 18, f"Where layer {explorer.layer} looks from {start}{words}", 12, colour=MUTED)
    page.text(width - 172, begin - 18, "weight 0", 11, anchor="rm")
    page.colour_bar(width - 166, begin - 24, 90, 12)
    page.text(width - 70, begin - 18, f"{top:.2f}" if explorer.stretch else "1", 11)
    for row, (name, values) in enumerate(rows):
        y = begin + row * row_height
        page.text(left - 10, y + high / 2, name, 12, anchor="rm", bold=row == 0)
        for label, value, (x, line, wide) in zip(labels, values, places):
            shade = float(value) / (top or 1.0)
            colour = "white" if shade < 0.5 else "black"
            page.box(x, y + line * high, wide, high - 2, weight_colour(shade))
            page.text(x + wide / 2, y + line * high + high / 2 - 1, label, size, anchor="mm", colour=colour)
    return page.finished()
