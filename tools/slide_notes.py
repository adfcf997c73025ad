"""The teacher's page of a lesson's slides: hints, solutions and likely mistakes of its exercises, and its plan."""

import re
from html import escape
from pathlib import Path

from nbconvert.filters import markdown2html
from slide_parts import FOLD, LINKED_LESSON, plain

from mha_lab import checks

PLANS = Path(__file__).resolve().parent.parent / "docs/teaching"
ROW = re.compile(r"^\| *(\d+) *\| *(.*?) *\| *(.*?) *\|$", re.MULTILINE)
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])+)\]\([^)#]*#(?:[^()]|\([^)]*\))*\)")
CELL = re.compile(r"the cell (?:with|that says|of) `([^`]+)`")


def of_check(name):
    """HTML of an exercise: what to say first, what then, our solution, and what goes wrong in which words."""
    task = getattr(checks, name, None)
    if task is None:
        return ""
    parts = [
        ("A hint, a question", escape(task.hint)),
        ("A second one", escape(task.second_hint)),
        ("Our solution", f"<pre>{escape(task.source)}</pre>" if _has_source(task) else ""),
    ]
    sentences = dict.fromkeys(message for _, message in getattr(task, "mistakes", []) if isinstance(message, str))
    wrong = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    parts.append(("What goes wrong, and what the check then says", f"<ul>{wrong}</ul>" if wrong else ""))
    told = "".join(f"<p><b>{head}.</b> {text}</p>" for head, text in parts if text)
    return f"<h2>{name}</h2>{told}"


def _has_source(task):
    try:
        return bool(task.source)
    except Exception:  # in class mode it is refused, and some exercises have none
        return False


class Plan:
    """A lesson's page in docs/teaching, or none: what to do in which section, what to ask, what is misunderstood."""

    def __init__(self, text=""):
        self.text = text
        self.parts = dict(re.findall(r"^## (.*)\n((?:(?!^## ).*\n?)*)", text, re.MULTILINE))

    @classmethod
    def of(cls, stem):
        path = PLANS / f"{stem}.md"
        return cls(path.read_text(encoding="utf-8") if path.is_file() else "")

    def sections(self, minutes):
        """The titles that a plan of so many minutes goes through, None where there is no such plan."""
        rows = self.parts.get(f"In {minutes} minutes")
        return None if rows is None else [plain(_unlinked(step)) for _, step, _ in ROW.findall(rows)]

    def exercises(self, title, minutes):
        """The numbers of the exercises that a plan does in this section."""
        rows = ROW.findall(self._rows(minutes))
        acts = [act for _, step, act in rows if same(plain(_unlinked(step)), title)]
        return re.findall(r"\b\d+b?\.\d+\b", " ".join(act for act in acts if "Exercise" in act))

    def of_section(self, title):
        """HTML: what the plans do in this section."""
        told = []
        for minutes in 45, 90:
            for time, step, act in ROW.findall(self.parts.get(f"In {minutes} minutes", "")):
                if same(plain(_unlinked(step)), title):
                    told.append(f"<p><b>{time} of {minutes} minutes.</b> {_inline(act)}</p>")
        return "".join(told)

    def misconceptions(self):
        """[(the code of the cell that settles it or None, the section, HTML)]."""
        for item in re.split(r"^\d+\. ", self.parts.get("Three misconceptions", ""), flags=re.MULTILINE)[1:]:
            cell, section = CELL.search(item), LINK.search(item)
            yield cell and cell[1], section and plain(section[1]), f"<p><b>Expect:</b> {_inline(item)}</p>"

    def at_the_beginning(self):
        before = re.search(r"\*\*Before class\.\*\*.*", self.text)
        told = [markdown2html(_unlinked(before[0]))] if before else []
        told += [self._told(name) for name in ("What to ask", "What may be cut", "At home")]
        for minutes in 45, 90:
            rows = [f"{time} · {plain(_unlinked(step))}" for time, step, _ in ROW.findall(self._rows(minutes))]
            if rows:
                told.append(f"<h2>In {minutes} minutes</h2><p>{'<br>'.join(map(escape, rows))}</p>")
        return "".join(told)

    def _rows(self, minutes):
        return self.parts.get(f"In {minutes} minutes", "")

    def _told(self, name):
        return f"<h2>{name}</h2>{markdown2html(_unlinked(self.parts[name]))}" if name in self.parts else ""

    def exit_question(self):
        """(Markdown of the question, Markdown of its answer) or None."""
        text = self.parts.get("Exit question")
        if not text:
            return None
        fold = FOLD.search(text)
        return FOLD.sub("", text).strip(), fold[2].strip() if fold else ""


def same(one, other):
    """Whether two titles are one: what marks letters as code or raises them does not count."""
    return re.sub(r"\W", "", one) == re.sub(r"\W", "", plain(other))


def _unlinked(text):
    return LINKED_LESSON.sub(r"\1", LINK.sub(r"\1", text))


def _inline(text):
    return re.sub(r"^<p>|</p>$", "", markdown2html(_unlinked(text.strip())).strip())
