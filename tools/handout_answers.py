"""Where the answers of a handout stand. On a screen each is a fold in its place; on paper, where nobody opens a fold,
they stand at the end, in their place, or not at all."""

import re
from typing import NamedTuple

WAYS = "end", "place", "none"
NOT_HERE = '<p class="note">The answer is in the lesson.</p>'


class Fold(NamedTuple):
    """A fold of a page that is in no other one: where it begins and ends, its summary, and what is inside."""

    start: int
    end: int
    kind: str  # its class
    summary: str
    inside: str


def folds(body):
    """The outermost folds of a page's body, in their order."""
    found, depth, start = [], 0, None
    for tag in re.finditer(r"<details\b[^>]*>|</details>", body):
        if tag[0].startswith("</"):
            depth = max(0, depth - 1)
            if depth == 0 and start is not None:
                found.append(_fold(body, start, tag.end()))
                start = None
        else:
            start = tag.start() if depth == 0 else start
            depth += 1
    return found


def _fold(body, start, end):
    whole = re.match(r"<details\b([^>]*)>\s*(?:<summary>(.*?)</summary>)?(.*)</details>$", body[start:end], re.S)
    kind = re.search(r'class="([^"]*)"', whole[1])
    return Fold(start, end, kind[1] if kind else "", whole[2] or "", whole[3])


def placed(body, way="end"):
    """The body with its answers as that way wants them printed."""
    if way == "place":
        return body
    return f'<div class="answers-at-the-end">\n{_at_the_end(_without_answers(body) if way == "none" else body)}</div>\n'


def _without_answers(body):
    pieces, done = [], 0
    for fold in folds(body):
        if fold.kind != "exercise":
            alone = not pieces or _text(body[done : fold.start])  # an output and what is said of it: one answer
            pieces += [body[done : fold.start], NOT_HERE if alone else ""]
            done = fold.end
    return "".join(pieces) + body[done:]


def _at_the_end(body):
    pieces, answers, done, number, section = [], [], 0, 0, ""
    for fold in folds(body):
        between = body[done : fold.start]
        section = ([section] + re.findall(r"<h[1-4]\b[^>]*>(.*?)</h[1-4]>", between, re.S))[-1]
        if number == 0 or _text(between):
            number += 1
            title = " · ".join(filter(None, [str(number), _text(section)]))
            answers += [f'<h3 id="answer-{number}">{title}</h3>\n{_asked(between)}']
            link = f'<a href="#answer-{number}">number {number}</a>'
            what = "Predict first. The answer" if fold.kind == "answer" else _text(fold.summary)
            pieces += [between, f'<p class="on-paper">{what} → {link} at the end</p>\n']
        else:
            pieces += [between]
        pieces += [body[fold.start : fold.end]]
        answers += [_on_paper(fold.inside)]
        done = fold.end
    pieces += [body[done:]]
    if answers:
        title = "Hints" if all(fold.kind == "exercise" for fold in folds(body)) else "Answers and solutions"
        pieces += [f'<section class="on-paper answers">\n<h2>{title}</h2>\n', *answers, "\n</section>\n"]
    return "".join(pieces)


def _asked(before):
    """The last prediction that was asked for."""
    asked = re.findall(r"<p>(?:(?!</p>).)*<strong>Predict(?:(?!</p>).)*</p>", before, re.S)
    return asked[-1] + "\n" if asked else ""


def _on_paper(inside):
    """A copy for the end: nothing to open, no explorer but its picture, no name that is in the page already."""
    inside = re.sub(r"<details\b[^>]*>", '<div class="opened">', inside).replace("</details>", "</div>")
    inside = re.sub(r"<summary>(.*?)</summary>", r"<p><strong>\1</strong></p>", inside, flags=re.S)
    inside = re.sub(r'<div class="mha-host" data-model="[^"]*">', '<div class="mha-picture">', inside)
    return re.sub(r'(<[a-z][^<>]*?)\sid="[^"]*"', r"\1", inside)


def _text(markup):
    """What can be read of it: no tags."""
    return re.sub(r"<[^>]+>", "", markup).strip()
