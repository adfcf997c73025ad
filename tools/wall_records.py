"""What a class handed in, read from a folder: what the checks said, what was guessed, what was called true or false.

Read are JSON lines of `result.as_dict()`, progress files (`mha_lab.progress`), and the outputs of notebooks, as in
nbgrader's submitted/ or autograded/. A folder in it is one student's, however deep its files lie, and so is a file that
lies beside such folders; a record that has "student" belongs to who is named there. Students hand files in if they want
to: hidden folders, links and files above LARGEST are not read.
"""

import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from mha_lab import checks, progress
from mha_lab.checks.card import LOOKS, Task
from mha_lab.widgets.true_or_false import FIRST, LAST, STATEMENTS

LARGEST = 50 * 2**20  # bytes; a notebook with its figures has two million
STATES = dict(zip((sign for _, sign in LOOKS.values()), LOOKS))
CARD = re.compile(rf"([{''.join(map(re.escape, STATES))}]) (\w+) \(★")
SAID = re.compile(r"^(\S.*)\n    you said: (.*)\n    it was:   (.*)$", re.M)
THEN = re.compile(r"^(\S.*)\n    then: (true|false|no answer)   now: (true|false|no answer)   it was: ", re.M)
STATEMENT_OF = {statement.text: statement.key for statement in STATEMENTS}
TASKS = {name: task for name in checks.__all__ if isinstance(task := getattr(checks, name), Task)}


@dataclass
class Student:
    """results: (exercise, state, key of the mistake or None), in the order in which they were found.
    guesses: {what was asked: (lesson, what was said, what it was or "")}. then, now: {statement: True or False}."""

    results: list[tuple[str, str, str | None]] = field(default_factory=list)
    guesses: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    then: dict[str, bool] = field(default_factory=dict)
    now: dict[str, bool] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.results or self.guesses or self.then or self.now)


@dataclass
class Class:
    """students by name; how many files of each kind were read; files that were not, with the reason; how many results
    were of exercises that this course has not."""

    students: dict[str, Student] = field(default_factory=dict)
    files: Counter = field(default_factory=Counter)
    unread: list[tuple[str, str]] = field(default_factory=list)
    strange: int = 0

    def student(self, name: str) -> Student:
        return self.students.setdefault(name, Student())


def read(folder: Path) -> Class:
    """Raises OSError for a folder that cannot be read."""
    found = Class()
    if not folder.is_dir():
        raise NotADirectoryError(f"{str(folder)!r} is no folder.")
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in sorted(Path(place) / name for name in files):
            if (kind := READERS.get(path.suffix)) is None or path.name.startswith(".") or path.is_symlink():
                continue
            inside = path.relative_to(folder)
            owner = inside.parts[0] if len(inside.parts) > 1 else path.stem
            try:
                if path.stat().st_size > LARGEST:
                    raise ValueError(f"has more than {LARGEST // 2**20} MiB")
                found.files[kind(path, owner, found)] += 1
            except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError) as why:
                words = str(why) if type(why) is ValueError and not isinstance(why, json.JSONDecodeError) else ""
                found.unread += [(str(inside), words or "is not what its name says")]
    found.students = {name: student for name, student in sorted(found.students.items()) if student}
    return found


def _lines(path, owner, found):
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        if line.strip():
            record = json.loads(line)
            name = record.get("student", owner)
            _result(found, name if isinstance(name, str) else owner, record)
    return "files of records"


def _result(found, name, record):
    exercise, state, mistake = record["exercise"], record["state"], record.get("mistake")
    if exercise not in TASKS or state not in LOOKS:
        found.strange += 1
        return
    found.student(name).results.append((exercise, state, mistake if isinstance(mistake, str) else None))


def _progress(path, owner, found):
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    if isinstance(content, list):
        for record in content:
            _result(found, owner, record)
        return "files of records"
    student = found.student(owner)
    for exercise in content["passed"]:
        _result(found, owner, {"exercise": exercise, "state": "passed"})
    for key, guess in content["guesses"].items():
        if not progress.PARTS["guesses"](guess):
            continue
        lesson, _, name = key.partition(".")
        if guess["asked"] in STATEMENT_OF and guess["said"] in ("true", "false"):
            {FIRST: student.then, LAST: student.now}.get(lesson, {})[STATEMENT_OF[guess["asked"]]] = (
                guess["said"] == "true"
            )
        else:
            student.guesses[guess["asked"]] = lesson, guess["said"], guess.get("it_was", "")
    return "progress files"


def _notebook(path, owner, found):
    student = found.student(owner)
    lesson = next(iter(re.findall(r"\d\d[a-z]?(?=_)", path.name)), "")
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            words = output.get("data", {}).get("text/plain", output.get("text", ""))
            _said(student, "".join(words), lesson)
    return "notebooks"


def _said(student, words, lesson):
    if (card := CARD.match(words)) and card[2] in TASKS:
        state = STATES[card[1]]
        student.results.append((card[2], state, _mistake_in(words, card[2]) if state == "wrong" else None))
    for asked, said, it_was in SAID.findall(words):
        if said != "no guess yet":
            student.guesses[asked] = lesson, said, it_was
    for text, *answers in THEN.findall(words):
        for answer, kept in zip(answers, (student.then, student.now)):
            if text in STATEMENT_OF and answer != "no answer":
                kept[STATEMENT_OF[text]] = answer == "true"


READERS = {".jsonl": _lines, ".json": _progress, ".ipynb": _notebook}


# mistakes ------------------------------------------------------------------------------------------------------------

OF_EVERY_EXERCISE = {
    "not_a_function": "The check was given what the function returns, and not the function itself.",
    "wrong_arguments": "The function takes other arguments than the task says.",
    "changes_its_inputs": "The numbers are right, but an argument came back changed.",
    "loops_over_heads": "The numbers are right, but a loop goes over the heads.",
    "only_outside_the_model": "Right on the shapes of the check, and wrong inside the model.",
    "returns_nothing": "The function returns nothing.",
    "returns_no_numbers": "The function returns something other than numbers.",
    "raises": "The function raises an error.",
    "unnamed": "Wrong in a way that has no name here.",
}


def mistakes_of(exercise: str) -> list[tuple[str, str]]:
    """(key, the sentence that a check answers it with) of an exercise's known mistakes."""
    return [(_key(function), message) for function, message in getattr(TASKS[exercise], "mistakes", [])]


def sentence(exercise: str, key: str) -> str:
    """What a mistake is, in words; its key where nothing more is known."""
    known = (message for each, message in [*mistakes_of(exercise), *OF_EVERY_EXERCISE.items()] if each == key)
    return next(known, key.replace("_", " "))


def _key(function):
    while hasattr(function, "func"):  # a partial
        function = function.func
    return function.__name__.strip("_")


def _mistake_in(words, exercise):
    plain = " ".join(words.split())
    return next((key for key, text in mistakes_of(exercise) if " ".join(text.split()) in plain), "unnamed")
