"""Makes of what a class handed in one page for its lecturer: where people stop, which mistakes they meet, what they
guessed before and what they know after.

Usage: python tools/make_wall.py RECORDS [--out wall.html] [--names] [--all-words]      (make wall RECORDS=folder)

RECORDS holds what students chose to hand in: nbgrader's submitted/ or autograded/, progress files, JSON lines of
`result.as_dict()` (wall_records.py says how they are told apart). The page holds everything it needs, asks for nothing,
and names nobody unless --names is given. Numbers of people are counts, for a class is too small for percentages. What
only one person wrote is counted and not shown: it may be a name. --all-words shows it.
"""

import argparse
import re
import sys
from html import escape
from pathlib import Path

import wall_records
from wall_counts import ORDER, exercises, predictions, statements
from wall_records import Class

from mha_lab import _page, _whole
from mha_lab.widgets.true_or_false import WORDS

STYLE = Path(__file__).with_suffix(".css")
MOST_MISTAKES = 12


def page(found: Class, names: bool = False, all_words: bool = False) -> str:
    """The wall as HTML."""
    rows, asked = exercises(found), predictions(found, all_words)
    parts = [
        f"<h1>The wall</h1>\n<p class='sum'>{_sum(found, rows, asked)}</p>",
        _where_people_stop(rows, len(found.students), names),
        _mistakes(rows, names),
        _predictions(asked),
        _statements(statements(found)),
        _not_read(found, names),
    ]
    body = "\n".join(["<main>", "".join(filter(None, parts)), "</main>"])
    return _page.whole("The wall", body, STYLE.read_text(encoding="utf-8"))


def _sum(found, rows, asked):
    counted = [(len(found.students), "student", "students"), (len(rows), "exercise", "exercises")]
    counted += [(len(asked), "prediction", "predictions")]
    said = " · ".join(f"<b>{many}</b> {one if many == 1 else more}" for many, one, more in counted)
    return said if found.students else "Nobody has handed in anything yet."


PARTS = ("passed", "passed"), ("stopped", "tried, and has not passed"), ("ours", "handed in the lab's own code")
PARTS += (("untouched", "wrote nothing yet"),)


def _where_people_stop(rows, people, names):
    if not rows:
        return ""
    legend = "".join(f'<span><i class="{kind}"></i>{words}</span>' for kind, words in PARTS)
    lines = []
    for row in rows:
        counts = {kind: getattr(row, kind) for kind, _ in PARTS}
        bar = "".join(_piece(kind, len(who)) for kind, who in counts.items())
        bar += _piece("", people - sum(map(len, counts.values())))
        tried = len(row.passed) + len(row.stopped)
        said = f"{len(row.stopped)} of {tried} who tried" if row.stopped else "nobody" if tried else "nobody tried"
        who = _names(row.stopped) if names else ""
        lines += [
            f"<tr><th scope='row'>{_lesson(row.name)} <code>{row.name}</code></th>"
            f"<td class='bar'><div>{bar}</div></td><td>{said}{who}</td></tr>"
        ]
    return f"""<section>
<h2>Where people stop</h2>
<p class="legend">{legend}</p>
<table class="stops">
<thead><tr><th scope="col">exercise</th><th scope="col">of {people}</th><th scope="col">stopped</th></tr></thead>
<tbody>
{"".join(lines)}
</tbody>
</table>
</section>
"""


def _piece(kind, many):
    """So many people in a bar; those of whom nothing is known leave it empty."""
    return f'<span class="{kind}" style="flex:{many} {many} 0">{many if kind else ""}</span>' if many else ""


def _mistakes(rows, names):
    met = [(row, key, who) for row in rows for key, who in row.met.items() if key != "unnamed"]
    met.sort(key=lambda each: -len(each[2]))
    if not met:
        return ""
    items = []
    for row, key, who in met[:MOST_MISTAKES]:
        later = len(set(who) & set(row.passed))
        counted = f"{len(who)} met it, {later} of them passed later" if later else f"{len(who)} met it"
        sentence = _words(wall_records.sentence(row.name, key))
        items += [
            f"<li><p><b>{counted}</b> · {_lesson(row.name)} <code>{row.name}</code></p>"
            f"<p>{sentence}</p>{_names(who) if names else ''}</li>"
        ]
    more = len(met) - len(items)
    rest = (
        f"<p class='quiet'>{more} more {'mistake was' if more == 1 else 'mistakes were'} met by fewer.</p>"
        if more
        else ""
    )
    unnamed = sum(len(row.met.get("unnamed", ())) for row in rows)
    rest += f"<p class='quiet'>Wrong in a way that has no name: {unnamed} times.</p>" if unnamed else ""
    return f"<section>\n<h2>Mistakes they met</h2>\n<ol class='mistakes'>{''.join(items)}</ol>\n{rest}</section>\n"


def _predictions(asked):
    if not asked:
        return ""
    items = []
    for row in asked:
        people = sum(many for _, many in row.said)
        bars = "".join(_answer(words, many, people, row) for words, many in row.said)
        was = f"<p class='was'>It was: <b>{escape(row.it_was)}</b></p>" if row.it_was else ""
        items += [f"<article><h3>{escape(row.lesson)} · {escape(row.asked)}</h3>\n<ul>{bars}</ul>{was}</article>\n"]
    return f"<section>\n<h2>What they guessed</h2>\n<div class='guesses'>{''.join(items)}</div>\n</section>\n"


def _answer(words, many, people, row):
    right = " class='right'" if said_what_it_was(words, row.it_was) else ""
    width = f"width:calc((100% - 2em) * {many / people:.4f})"
    return f"<li{right}><span>{escape(words)}</span><span class='line'><i style='{width}'></i> {many}</span></li>"


def said_what_it_was(words, it_was):
    """Whether the answer is what was said, or begins with it: "about a third: .333" with "about a third"."""
    return re.match(re.escape(words) + r"(?:$|[:;,]\s|\s\()", it_was) is not None


def _statements(rows):
    if not rows:
        return ""
    heads = "statement", "it is", "right before", "of those who answered twice, before", "and after"
    lines = []
    for text, is_true, then, (before, after, twice) in rows:
        cells = WORDS[is_true], _right(*then), _right(before, twice), _right(after, twice)
        told = "".join(f'<td data-head="{head}">{cell}</td>' for head, cell in zip(heads[1:], cells))
        lines += [f'<tr><th scope="row">{escape(text)}</th>{told}</tr>']
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    return f"""<section>
<h2>Ten statements, before and after</h2>
<table class="statements">
<thead><tr>{head}</tr></thead>
<tbody>
{"".join(lines)}
</tbody>
</table>
</section>
"""


def _right(right, answered):
    if not answered:
        return "<span class='quiet'>nobody</span>"
    share = f"width:calc(6em * {right / answered:.4f})"
    return f"<span class='meter'><i style='{share}'></i></span> {right} of {answered}"


def _not_read(found, names):
    lines = []
    if found.unread:
        many = len(found.unread)
        named = f" ({escape('; '.join(f'{path}: {why}' for path, why in found.unread))})" if names else ""
        lines += [f"{'1 file was' if many == 1 else f'{many} files were'} not read{named}."]
    if found.strange:
        counted = "1 result is" if found.strange == 1 else f"{found.strange} results are"
        lines += [f"{counted} of no exercise of this course, and left out."]
    return f"<p class='quiet'>{' '.join(lines)}</p>\n" if lines else ""


def _names(who):
    return f"<p class='quiet'>{escape(', '.join(who))}</p>" if who else ""


def _words(text):
    """Escaped, with `code` and *emphasis* set as such."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*(\w[\w ]*)\*", r"<em>\1</em>", text)


def _lesson(exercise):
    return ORDER.get(exercise, ("",))[0]


def main(arguments):
    parser = argparse.ArgumentParser(description="Make of what a class handed in one page for its lecturer.")
    parser.add_argument("records", type=Path, help="a folder with what students handed in")
    parser.add_argument("--out", type=Path, default=Path("wall.html"), help="the page; wall.html unless given")
    parser.add_argument("--names", action="store_true", help="name who stopped where, for the lecturer alone")
    parser.add_argument("--all-words", action="store_true", help="also show what only one person wrote")
    options = parser.parse_args(arguments)
    try:
        found = wall_records.read(options.records)
        _whole.write(options.out, page(found, options.names, options.all_words))
    except OSError as problem:
        print(f"{problem.filename or ''} {problem.strerror or problem}".strip(), file=sys.stderr)
        return 1
    read = ", ".join(f"{many} {kind}" for kind, many in sorted(found.files.items())) or "nothing that can be read"
    unread = f"; not read: {', '.join(path for path, _ in found.unread)}" if found.unread else ""
    print(f"{options.out}: {len(found.students)} students, from {read}{unread}")
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))
