"""Exercises of lesson 14: a choice for each of three briefs, and the heads of a trained classifier that may go.

Each is judged by `choosing`: by arithmetic, by what the lessons recorded, or by running the model. More than one choice
is right; a wrong one is told which need it misses and by how much, and gets the question that belongs to it."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mha_lab import choosing
from mha_lab.checks.card import Result
from mha_lab.checks.engine import AnswerExercise, remembered
from mha_lab.checks.question import key_of
from mha_lab.checks.returned import a_thing
from mha_lab.checks.run import plain_ground
from mha_lab.choosing import pruned
from mha_lab.choosing.judged import Judgement
from mha_lab.models.sentences import AttentionClassifier


@dataclass(frozen=True, repr=False)
class BriefExercise(AnswerExercise):
    """An exercise answered by a dictionary of choices, which `brief` turns into a Judgement.

    slips  what each named wrong choice is told by: (choices, judgement) -> whether it is this one; and its question"""

    brief: Callable[..., Judgement] = None
    slips: list[tuple[Callable, str]] = field(default_factory=list)

    def slip(self, question: str) -> Callable:
        """Decorator: a named wrong choice, and what a teacher would ask about it."""

        def register(is_it: Callable) -> Callable:
            self.slips.append((is_it, question))
            return is_it

        return register

    def __call__(self, answer=None, data=None) -> Result:
        """Judge the choices. None or `...` among them means that something is still open."""
        values = answer.values() if isinstance(answer, Mapping) else [answer]
        if any(value is None or value is ... for value in values):
            return self.untouched("Write a choice in place of each `None` above, run that cell and then this one.")
        with plain_ground():
            return remembered(self._judged(answer))

    def _judged(self, answer) -> Result:
        wanted = list(inspect.signature(self.brief).parameters)
        if not isinstance(answer, Mapping) or set(answer) != set(wanted):
            names = ", ".join(wanted)
            given = (
                f"one with {', '.join(map(str, answer)) or 'nothing'}"
                if isinstance(answer, Mapping)
                else a_thing(answer)
            )
            return self.result("wrong", "not yet", f"The answer is a dictionary with {names}, and this is {given}.")
        try:
            found = self.brief(**answer)
        except (ValueError, TypeError) as problem:
            return self.result("wrong", "not yet: there is no such choice", f"{problem}")
        slip, question = next((each for each in self.slips if each[0](answer, found)), (None, None))
        return told(self, found, question, slip and key_of(slip))


def told(task, found: Judgement, question: str | None, key: str | None = None) -> Result:
    """The card: what holds, or which needs are missed and by how much, and the question of a named slip."""
    count = len(found.needs)
    if found:
        return task.result(
            "passed", f"passes: all {count} needs hold", *[f"{need}." for need in found.needs], task.then
        )
    lines = [f"{need}." for need in found.missed]
    verdict = f"not yet: {count - len(found.missed)} of {count} needs hold"
    return task.result("wrong", verdict, *([question] if question else []), *lines, mistake=key)


def brief_exercise(**fields) -> Callable[[Callable], BriefExercise]:
    """Decorator: this function makes a choice that is right, one of several."""
    return lambda solution: BriefExercise(solution, **fields)


IN_4_BITS = (
    "4 bits a number cost far more than any other choice here. Which of the other decisions halves the cache for less?"
)

NO_SUCH_WINDOWS = (
    "No released model has windows so short, or no record so many layers with a window to one that sees everything: "
    "that is no evidence. Which windows do models have, and which mixtures were trained?"
)


def no_such_windows(choice, found):
    """Whether there is no evidence for far places in such a pattern."""
    return math.isnan(found["answers about far places"].value)


# a support classifier on a laptop ------------------------------------------------------------------------------------


@brief_exercise(
    stars=1,
    minutes=6,
    hint="Which need do all models miss that read the numbers themselves, and which kind of position do sentences need "
    "whose order decides?",
    second_hint="Begin with what no training reaches: the ordinals. Then strike out the positions that stay far below "
    "on the main sentences at both budgets, and the budget at which one kind is still behind. A width that nobody "
    "trained has no evidence: begin with the smallest that has some.",
    then="A BiLSTM and attention with a relative bias both pass. What decided was the rule for the numbers, the kind "
    "of positions and the steps. Of heads only this is known: one in each layer is too few for one kind of sentence.",
    brief=choosing.laptop,
)
def support_desk():
    """A dictionary with model, d_model, steps and ordinals: all needs of the desk are met."""
    return {"model": "relative", "d_model": 64, "steps": 2000, "ordinals": "rule"}


@support_desk.slip(
    "You let the model read which request a number points at. No model of the record does better there than a guess "
    "among the numbered requests. What did lesson 09 put in front of the model?"
)
def reads_numbers_itself(choice, found):
    return choice["ordinals"] == "model"


def _recorded(found) -> bool:
    """Whether such a model was trained: a question about what it learned needs a number."""
    return not math.isnan(found["main sentences"].value)


@support_desk.slip(
    "Nobody trained a model of this width on these sentences, so there is no evidence that it is better, and it takes "
    "longer. Which width has a record?"
)
def wider_for_safety(choice, found):
    return choice["d_model"] > 64


@support_desk.slip(
    "The page has no training of this model with so many steps: that is no evidence against it, and none for it. Which "
    "models were trained so?"
)
def nobody_trained_it(choice, found):
    return not _recorded(found)


@support_desk.slip(
    "The model has absolute positions, or none. Here the same wishes in another order want another answer, and not the "
    "place of a word but its distance to others tells the order. Which positions give a distance to every score?"
)
def absolute_positions(choice, found):
    return choice["model"] in ("learned", "sinusoidal", "no places")


@support_desk.slip(
    "After 500 steps the mean looks good, and one kind of sentence is far behind it. Which one, and what brought it up?"
)
def stopped_early(choice, found):
    return choice["steps"] == 500


@support_desk.slip(
    "Rotary positions come close on the main sentences and break on longer ones. Which positions answered sentences "
    "of 6 to 8 requests as well as short ones?"
)
def rotary_on_little_data(choice, found):
    return choice["model"] == "rotary"


@support_desk.slip(
    "The table of the bias begins at 0, and must first learn that near and far differ. With which beginning did it "
    "learn within these steps?"
)
def bias_from_zero(choice, found):
    return choice["model"] == "from zero"


@support_desk.slip(
    "One head a layer loses the sentences in which nothing is wanted. In how many directions can one head of a layer "
    "look by its bias?"
)
def one_head(choice, found):
    return choice["model"].startswith("1 head")


@support_desk.slip(
    "It answers rightly, and nobody measured how long it takes for that. Which models have a time in the record?"
)
def nobody_timed_it(choice, found):
    return math.isnan(found["one answer"].value)


# a chat model for 10,000 users ---------------------------------------------------------------------------------------


@brief_exercise(
    stars=2,
    minutes=8,
    hint="What does each of the 500 texts keep on a GPU, and which of your choices make that smaller without a loss in "
    "the records?",
    second_hint="Work out the cache of one text with everything as it is, times 500, over four GPUs. Then go through "
    "the decisions that make it smaller: fewer key/value heads, windows in most layers, fewer bits. Take of each only "
    "as much as the records call cheap; together they are enough.",
    then="More query heads, a faster multiplication or another softmax would not have helped: what fills the GPUs is "
    "what each text keeps, and what each step reads.",
    brief=choosing.chat,
)
def ten_thousand_users():
    """A dictionary with kv_heads, pattern, window, bits and split: the chat's needs are met."""
    return {"kv_heads": 8, "pattern": "LLLG", "window": 1024, "bits": 16, "split": "heads"}


@ten_thousand_users.slip(
    "Every layer has a window: what left it can only be handed on from layer to layer, and in our records such stacks "
    "lost most of it. Which layer finds what was said at the beginning?"
)
def chat_of_windows_alone(choice, found):
    return "G" not in choice["pattern"] and choice["window"] < choosing.CHAT["tokens of a text"]


ten_thousand_users.slip(NO_SUCH_WINDOWS)(no_such_windows)


@ten_thousand_users.slip(IN_4_BITS)
def chat_in_4_bits(choice, found):
    return choice["bits"] == 4


@ten_thousand_users.slip(
    "Every query head has keys and values of its own, and all of them are kept. By what factor does the cache shrink "
    "with H / G heads in a group, and what did sharing cost in lesson 06?"
)
def chat_without_sharing(choice, found):
    return choice["kv_heads"] == 32


@ten_thousand_users.slip(
    "There are fewer key/value heads than GPUs, so some GPUs keep copies, and no record tells what sharing between so "
    "many costs. How many heads of keys and values does each of four GPUs need at least?"
)
def fewer_heads_than_gpus(choice, found):
    return choice["kv_heads"] < choosing.CHAT["GPUs"]


@ten_thousand_users.slip(
    "In our record sharing between eight query heads costs more than the brief allows. How many key/value heads halve "
    "the group, and which other choice gives the memory back?"
)
def too_few_groups(choice, found):
    return choice["kv_heads"] == 4


@ten_thousand_users.slip(
    "Every layer keeps all 8,192 tokens, and reads them for each token that it writes. In how many of them must a far "
    "word be found?"
)
def chat_all_global(choice, found):
    return "L" not in choice["pattern"] or choice["window"] >= choosing.CHAT["tokens of a text"]


@ten_thousand_users.slip(
    "Each GPU holds all weights and then has too little room for its texts. What would it hold of the weights if the "
    "heads were divided?"
)
def a_whole_model_on_each(choice, found):
    return choice["split"] == "texts" and choosing.chat(**choice | {"split": "heads"})


@ten_thousand_users.slip(
    "Your layers with a window are right in kind, and still keep too much. Which of three numbers would you make "
    "smaller: the window, the share of global layers, the bits?"
)
def windows_too_wide(choice, found):
    return "L" in choice["pattern"]


# a reader of long documents on a phone -------------------------------------------------------------------------------


@brief_exercise(
    stars=2,
    minutes=8,
    hint="Which of the three limits, memory, seconds to read, tokens a second, falls first when all layers see all "
    "100,000 tokens, and which choice moves all three at once?",
    second_hint="Take the kernel that stores no scores. Then compute the cache of one global layer and how many such "
    "layers fit beside the weights; all others get a window. Share keys and values as far as the record says that it "
    "costs little, and round the cache before you share more.",
    then="The phone's limit on reading was arithmetic, its limit on writing was memory. Windows in most layers served "
    "both, and the few global layers kept the far places.",
    brief=choosing.phone,
)
def long_reader():
    """A dictionary with kv_heads, pattern, window, bits and kernel: the phone's needs are met."""
    return {"kv_heads": 4, "pattern": "LLLLLG", "window": 1024, "bits": 8, "kernel": "fused"}


@long_reader.slip(
    "The explicit path writes a score for every pair of 100,000 tokens in every head. How many are these for one "
    "layer, and which path gives the same numbers without them?"
)
def stores_all_scores(choice, found):
    return choice["kernel"] == "explicit"


@long_reader.slip(
    "No layer sees the whole document, and in our record an answer that stands beyond the window is then hardly ever "
    "found. How many layers must see everything?"
)
def reader_of_windows_alone(choice, found):
    return "G" not in choice["pattern"] and choice["window"] < choosing.PHONE["tokens of a text"]


long_reader.slip(NO_SUCH_WINDOWS)(no_such_windows)


@long_reader.slip(IN_4_BITS)
def reader_in_4_bits(choice, found):
    return choice["bits"] == 4


@long_reader.slip(
    "Too many query heads share one head of keys and values: the record says more than the brief allows, or nothing "
    "at all. How many of the 16 may share in the record, and what else makes a cache smaller?"
)
def reader_shares_too_much(choice, found):
    return choice["kv_heads"] < 4


@long_reader.slip(
    "Half of the square of 100,000 tokens is computed in every layer. What does a layer with a window compute of it?"
)
def reader_all_global(choice, found):
    return "L" not in choice["pattern"] or choice["window"] >= choosing.PHONE["tokens of a text"]


@long_reader.slip(
    "Every query head keeps keys and values of its own for 100,000 tokens. Which share of them do released models keep?"
)
def reader_without_sharing(choice, found):
    return choice["kv_heads"] == 16 and choice["bits"] == 16


@long_reader.slip(
    "Your mixture is right in kind and too heavy. Which of the three numbers would you move: the share of global "
    "layers, the window, the bits?"
)
def reader_too_heavy(choice, found):
    return "L" in choice["pattern"]


# the heads of a trained classifier that may go -----------------------------------------------------------------------

ALONE = 0.02  # of the validation sentences: a head without which fewer are lost seems harmless


def _pairs(answer) -> list[tuple[int, int]] | None:
    try:
        pairs = [(int(layer), int(head)) for layer, head in answer]
    except (TypeError, ValueError):
        return None
    return pairs if all(0 <= layer < 2 and 0 <= head < 8 for layer, head in pairs) else None


def _judge_heads(task, answer, model) -> Result:
    if not isinstance(model, AttentionClassifier):
        how = f"The answer is judged by running the model: `checks.{task.__name__}(gone, classifier)`."
        return task.result("wrong", "not yet", f"{how} Which cell loaded it?")
    pairs = _pairs(answer)
    if pairs is None:
        asked = "The answer is a list of heads such as [(0, 3), (1, 5)], layers 0 and 1, heads 0 to 7"
        return task.result("wrong", "not yet", f"{asked}, and this is {a_thing(answer)}.")
    found = pruned.judge(model, pairs)
    return told(task, found, None if found else _about_heads(set(pairs), model))


def _about_heads(gone, model) -> str | None:
    if len(gone) < pruned.PRUNED["gone"]:
        return "You let fewer go than were asked for. Which head costs least of those that are left?"
    whole = pruned.right(model)
    falls = {head: {kind: whole[kind] - share for kind, share in pruned.right(model, [head]).items()} for head in gone}
    missed = max(falls, key=lambda head: max(falls[head].values()))
    kind = max(falls[missed], key=falls[missed].get)
    if falls[missed][kind] > 5 * ALONE:
        return (
            f"Head {missed[0]}.{missed[1]} is among them: without it alone, {falls[missed][kind]:.2f} of the "
            f"{kind!r} sentences of the validation part are lost. Did you look at the mean, or at each kind?"
        )
    if all(fall["all"] < ALONE for fall in falls.values()):
        return (
            "Alone, each of these heads seems to cost next to nothing on the validation part, and on new sentences the "
            "set costs too much. Which sets did you run as a whole before you answered?"
        )
    return "Which of your heads costs most, if you put one after the other back in?"


def heads_exercise(**fields) -> Callable[[Callable], AnswerExercise]:
    """Decorator: this function names heads of the trained classifier that may go."""
    return lambda solution: AnswerExercise(solution, judge=_judge_heads, **fields)


@heads_exercise(
    stars=2,
    minutes=8,
    hint="Which heads cost nothing when they go alone, and is a set of such heads harmless too?",
    second_hint="Go step by step, on the validation part: let the cheapest head go, then run the model without it and "
    "each of the others, and let the cheapest of these go. Stop after five. Or draw many sets of five at random, and "
    "take the best one of the validation part.",
    then="It was chosen on one part and judged on another, kind by kind, by running it. A sixteenth of the layer's "
    "matrices goes with each head.",
)
def heads_that_go(model):
    """A list of at least five (layer, head) of the classifier without which it stays right
    enough, on new sentences: at least .97 of all and .91 of each kind."""
    from mha_lab.choosing import pruned

    gone, every_head = [], [(layer, head) for layer in range(2) for head in range(8)]
    while len(gone) < 5:
        left = [head for head in every_head if head not in gone]
        gone.append(max(left, key=lambda head: pruned.right(model, [*gone, head])["all"]))
    return gone
