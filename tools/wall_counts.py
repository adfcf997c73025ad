"""What the wall counts of a class: who stops where, who met which mistake, what was guessed, and what is known now."""

from collections import Counter
from dataclasses import dataclass

from wall_records import TASKS, Class

from mha_lab.checks import course
from mha_lab.widgets.true_or_false import STATEMENTS

ALONE = "answers that one person gave"
ORDER = {name: (number, place) for number in course.LESSONS
         for place, name in enumerate(course.exercises_of(number, list(TASKS.values())))}  # fmt: skip
"""{exercise: (the number of its lesson, its place in it)}"""


@dataclass(frozen=True)
class Exercise:
    """Who passed, who tried and has not passed, who opened it and wrote nothing, who handed in the lab's own code; and
    who met each mistake, {key: names}. Everybody is in one of the four."""

    name: str
    passed: tuple[str, ...]
    stopped: tuple[str, ...]
    untouched: tuple[str, ...]
    ours: tuple[str, ...]
    met: dict[str, tuple[str, ...]]


def exercises(found: Class) -> list[Exercise]:
    """Every exercise that somebody's records name, in the order of the course."""
    names = {name for student in found.students.values() for name, _, _ in student.results}
    return [_exercise(name, found) for name in sorted(names, key=lambda name: ORDER.get(name, ("~", 0)))]


def _exercise(name, found):
    groups, met = {state: [] for state in ("passed", "wrong", "ours", "untouched")}, {}
    for who, student in found.students.items():
        states = {state for exercise, state, _ in student.results if exercise == name}
        if states:
            groups[next(state for state in groups if state in states)] += [who]
        for key in {key for exercise, state, key in student.results if exercise == name and state == "wrong"}:
            met.setdefault(key or "unnamed", []).append(who)
    by_many = dict(sorted(((key, tuple(names)) for key, names in met.items()), key=lambda each: (-len(each[1]), each)))
    passed, stopped, ours, untouched = map(tuple, groups.values())
    return Exercise(name, passed, stopped, untouched, ours, by_many)


@dataclass(frozen=True)
class Prediction:
    """A question with how many said what, and what it was ("" where nobody has seen it yet)."""

    asked: str
    lesson: str
    said: tuple[tuple[str, int], ...]
    it_was: str


def predictions(found: Class, all_words: bool = False) -> list[Prediction]:
    """Every question that was answered, in the order of the lessons; the answers of most people first."""
    asked = {}
    for student in found.students.values():
        for question, (lesson, said, it_was) in student.guesses.items():
            asked.setdefault(question, []).append((lesson, said, it_was))
    rows = []
    for question, answers in asked.items():
        if len(answers) == 1 and not all_words:
            continue
        said = Counter(said for _, said, _ in answers).most_common()
        shown = [(words, many) for words, many in said if many > 1 or all_words]
        if alone := sum(many for _, many in said) - sum(many for _, many in shown):
            shown += [(ALONE, alone)]
        seen = Counter(it_was for *_, it_was in answers if it_was).most_common(1)
        it_was = seen[0][0] if seen and (seen[0][1] > 1 or all_words) else ""
        rows += [Prediction(question, answers[0][0], tuple(shown), it_was)]
    return sorted(rows, key=lambda row: row.lesson)


def statements(found: Class) -> list[tuple[str, bool, tuple[int, int], tuple[int, int, int]]]:
    """(statement, whether it is true, (right, answered) before the course, and of those who answered again at its end:
    (right before, right after, how many they are)). Others may have left meanwhile."""
    rows = []
    for statement in STATEMENTS:
        key, is_true = statement.key, statement.is_true
        then = [student.then[key] for student in found.students.values() if key in student.then]
        twice = [(s.then[key], s.now[key]) for s in found.students.values() if key in s.then and key in s.now]
        before, after = (sum(answers[at] is is_true for answers in twice) for at in (0, 1))
        if then:
            rows += [(statement.text, is_true, (then.count(is_true), len(then)), (before, after, len(twice)))]
    return rows
