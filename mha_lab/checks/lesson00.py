"""Exercises of lesson 00: find heads by what they do, in maps recorded from a trained encoder.

The lesson hands over the recordings (mha_lab.pretrained): each has .sentence, .tokens and .weights (layers, H, N, N).
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mha_lab.checks import pictures
from mha_lab.checks.card import Result
from mha_lab.checks.engine import AnswerExercise, answer_exercise
from mha_lab.checks.returned import a_thing

THE_SENTENCE = "the trophy did not fit in the suitcase because it was too big"
BEFORE, AFTER, ITSELF = "the word before", "the word after", "itself"
ENOUGH = {BEFORE: 0.9, AFTER: 0.5}  # recorded: the best head has 1.00 and 0.63, the second best 0.40 and 0.29


def looks_at(weights: Tensor) -> dict[str, float]:
    """Where the tokens of one sentence look, in one head: the mean weight they give to each place. weights (N, N)."""
    return {
        BEFORE: weights.diagonal(-1).mean().item(),
        AFTER: weights.diagonal(1).mean().item(),
        ITSELF: weights.diagonal().mean().item(),
        "[CLS]": weights[1:, 0].mean().item(),
        "[SEP]": weights[:-1, -1].mean().item(),
    }


@dataclass(frozen=True)
class LooksAt:
    """Judges a (layer, head) pair: does this head look at one place, in all the sentences?"""

    place: str

    def __call__(self, task: AnswerExercise, answer: tuple[int, int], recordings: Sequence) -> Result:
        problem = _not_the_recordings(task, recordings)
        if problem:
            return self._wrong(task, problem)
        layers, heads = recordings[0].weights.shape[:2]
        pair = _pair(answer)
        if pair is None:
            return self._wrong(
                task, f"The answer is a pair of whole numbers, (layer, head), and this is {a_thing(answer)}."
            )
        if not self._exists(pair, recordings):
            return self._wrong(
                task,
                f"There is no layer {pair[0]}, head {pair[1]}: the model has {layers} layers, 0 to {layers - 1}, of "
                f"{heads} heads, 0 to {heads - 1}. Which number is outside?",
                *self._slip(pair, recordings),
            )
        shares = _mean_shares(pair, recordings)
        found = shares[self.place]
        first = recordings[0]
        title = f"layer {pair[0]}, head {pair[1]}: {found:.2f} on {self.place}"
        picture = partial(pictures.one_map, first.weights[pair], first.tokens, title)
        if found >= ENOUGH[self.place]:
            verdict = f"passes: {found:.2f} of the weight is on {self.place}, over {len(recordings)} sentences"
            return task.result("passed", verdict, task.then, picture=picture)
        slip = self._slip(pair, recordings)
        most = max(shares, key=shares.get)
        key = "written_down_wrong" if slip else f"looks_at_{most.strip('[]').replace(' ', '_').lower()}"
        return self._wrong(task, *slip, self._seen(pair, shares), picture=picture, mistake=key)

    def _wrong(self, task, *lines, picture=None, mistake=None) -> Result:
        return task.result("wrong", "not yet", *lines, picture=picture, mistake=mistake)

    def _exists(self, pair, recordings) -> bool:
        return all(0 <= i < size for i, size in zip(pair, recordings[0].weights.shape[:2], strict=True))

    def _solves(self, pair, recordings) -> bool:
        return self._exists(pair, recordings) and _mean_shares(pair, recordings)[self.place] >= ENOUGH[self.place]

    def _slip(self, pair, recordings) -> list[str]:
        """A right look at the map, wrongly written down."""
        layer, head = pair
        if self._solves((layer - 1, head - 1), recordings):
            return ["Counted from 1, this pair would be right. Layers and heads count from 0: which pair is it then?"]
        if self._solves((head, layer), recordings):
            return ["The other way round, this pair would be right. Which of the two comes first, layer or head?"]
        return []

    def _seen(self, pair: tuple[int, int], shares: dict[str, float]) -> str:
        """What this head does instead, with its numbers, and where to look next."""
        found, seen = shares[self.place], f"In layer {pair[0]}, head {pair[1]}, a word gives"
        most = max(shares, key=shares.get)
        if shares[most] < 0.4:
            return (
                f"{seen} {self.place} {found:.2f} of its weight on average, and no place we measure more than "
                f"{shares[most]:.2f}: this head spreads its looks. What does the map of a head look like in which "
                f"every word looks at {self.place}?"
            )
        if most == self.place:
            return f"{seen} {most} {found:.2f} of its weight on average. Is there a head in which it is clearly more?"
        seen = f"{seen} {self.place} {found:.2f} of its weight on average, and {most} {shares[most]:.2f}."
        if most in (BEFORE, AFTER):
            return f"{seen} A row is the word that looks: is the line you want below the diagonal, or above?"
        if most == ITSELF:
            return f"{seen} The bright cells are on the diagonal: on which side of it should they be?"
        return f"{seen} A bright column means that all look at one word: where is there a slanted line instead?"


def _pair(answer) -> tuple[int, int] | None:
    if not isinstance(answer, tuple | list | np.ndarray | torch.Tensor):  # a set, say, has no order
        return None
    try:
        layer, head = (operator.index(number) for number in answer)
    except (TypeError, ValueError, RuntimeError, IndexError):  # what a tensor of no whole numbers raises
        return None
    return layer, head


def _mean_shares(pair: tuple[int, int], recordings: Sequence) -> dict[str, float]:
    each = [looks_at(torch.as_tensor(recording.weights[pair])) for recording in recordings]
    return {place: sum(shares[place] for shares in each) / len(each) for place in each[0]}


@answer_exercise(
    stars=1,
    minutes=3,
    hint="Rows are the words that look. If every word looks at the one before it, which shape do the bright cells "
    "form, and on which side of the diagonal?",
    second_hint="They form a line just below the diagonal. Go through the twelve heads of layer 0 in the explorer, and "
    "try the one you find on other sentences of the menu.",
    then="It does so for every word of every sentence: this head goes by position, not by meaning.",
    judge=LooksAt(BEFORE),
)
def previous_token_head(recordings):
    """(layer, head), counted from 0, of a head in which every word looks at the word before."""
    share = sum(r.weights.diagonal(-1, 2, 3).mean(-1) for r in recordings)  # (layers, H)
    return divmod(int(share.argmax()), share.shape[1])


@answer_exercise(
    stars=2,
    minutes=5,
    hint="The head before had its line just below the diagonal. Where is it when words look ahead, and how could a "
    "number say which of 72 lines is the clearest?",
    second_hint="It is just above the diagonal: `weights[layer, head].diagonal(1)` are its cells. Their mean, over the "
    "sentences, is a head's score; the best head has about two thirds, and it is not in layer 0.",
    then="Looking ahead is possible because nothing hides the later words from this model.",
    judge=LooksAt(AFTER),
)
def next_token_head(recordings):
    """(layer, head), counted from 0, of the head in which words look most at the word after."""
    share = sum(r.weights.diagonal(1, 2, 3).mean(-1) for r in recordings)  # (layers, H)
    return divmod(int(share.argmax()), share.shape[1])


def _judge_word(task: AnswerExercise, answer: str, recordings: Sequence) -> Result:
    """Judges which word gets the most weight in the row of "it": did the learner read the map, or the sentence?"""
    problem = _not_the_recordings(task, recordings)
    if problem:
        return task.result("wrong", "not yet", problem)
    recording = _the_recording(recordings)
    tokens, weights = recording.tokens, torch.as_tensor(recording.weights[1, 3])
    it = tokens.index("it")
    answer = _one_word(answer)
    said = answer.strip(" \n\t'\"“”‘’.,").lower() if isinstance(answer, str) else ""
    names = [token.lower() for token in tokens]
    right = task.solution([recording])
    picture = partial(pictures.one_map, weights, tokens, "layer 1, head 3: the row of “it” is framed", framed_row=it)
    if said not in names:
        line = f"The answer is one word of “{recording.sentence}”, and this is {a_thing(answer)}."
        return task.result("wrong", "not yet", line)
    share = max(float(weights[it, i]) for i, name in enumerate(names) if name == said)
    if said == right:
        verdict = f"passes: “it” gives “{right}” {share:.2f} of its weight"
        return task.result("passed", verdict, task.then, picture=picture)
    most = float(weights[it, tokens.index(right)])
    seen = f"“it” gives “{said}” {share:.2f} of its weight, and another word {most:.2f}."
    if said == "trophy":
        seen += " You answered what the sentence means. What does the map say?"
    elif said in ("[cls]", "[sep]"):
        seen += f" {said.upper()} is a mark which the model adds. Which *word* is it?"
    elif said == "it":
        seen += " Which cell of its row is brighter than the one on the diagonal?"
    elif said == _brightest_word(weights[:, it], tokens):
        seen += f" “{said}” is the brightest in the *column* of “it”, where others look at “it”. What is in its row?"
    else:
        seen += " Go along the row of “it”: which cell is the brightest?"
    key = {"trophy": "the_meaning", "it": "itself", "[cls]": "a_mark", "[sep]": "a_mark"}.get(said, "another_word")
    return task.result("wrong", "not yet", seen, picture=picture, mistake=key)


def _one_word(answer):
    """A word that came in a list of one, or in an array."""
    if isinstance(answer, np.ndarray | torch.Tensor) and answer.size != 0 and np.size(answer) == 1:
        answer = answer.reshape(-1)[0].item()
    return answer[0] if isinstance(answer, tuple | list) and len(answer) == 1 else answer


def _not_the_recordings(task: AnswerExercise, given) -> str | None:
    """A sentence where the second argument is not what `pretrained.recorded()` gives, else None."""
    call = f"`checks.{task.__name__}(your_answer, recordings)`"
    if given is None:
        return f"The answer is judged on the recordings: {call}. Where is the second argument?"
    if all(hasattr(given, name) for name in ("sentence", "tokens", "weights")):
        return f"The answer is judged on all recordings, and this is one of them: {call}. Which is the whole list?"
    known = isinstance(given, Sequence) and not isinstance(given, str) and len(given) > 0
    if not known or not all(hasattr(each, "weights") and hasattr(each, "tokens") for each in given):
        return (
            f"The second argument is {a_thing(given)}, and the recordings were asked for: {call}. Which cell made the "
            "list `recordings`?"
        )
    return None


def _the_recording(recordings: Sequence):
    for recording in recordings:
        if recording.sentence == THE_SENTENCE:
            return recording
    raise ValueError(f"where_it_looks needs the recording of “{THE_SENTENCE}”; {len(recordings)} others were given.")


def _brightest_word(weights: Tensor, tokens: Sequence[str]) -> str:
    """The word with the most weight among words: [CLS] and [SEP] are marks, not words."""
    return max(zip(weights.tolist(), tokens, strict=True), key=lambda pair: (pair[1][0] != "[", pair[0]))[1]


@answer_exercise(
    stars=1,
    minutes=3,
    hint="In a map, which is the word that looks: the row, or the column?",
    second_hint="A row is the word that looks; its columns are what it looks at. In the explorer choose layer 1, click "
    "head 3 and move along the row of “it”: the line above the maps names each weight. [CLS] is a mark, not a word.",
    then="A person says trophy; the head looks at the other noun. What does it know, and what not? That comes next.",
    judge=_judge_word,
)
def where_it_looks(recordings):
    """The word to which "it" gives the most weight: layer 1, head 3, sentence about the trophy."""
    trophy = next(r for r in recordings if r.sentence.startswith("the trophy did not fit"))
    row = trophy.weights[1, 3, trophy.tokens.index("it")]
    words = [i for i, token in enumerate(trophy.tokens) if token not in ("[CLS]", "[SEP]")]
    return trophy.tokens[max(words, key=lambda i: row[i])]
