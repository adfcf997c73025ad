"""What a translation of a cell must have in common with the English: its program, formulas, links, code and numbers."""

import re
from collections import Counter

from translating.lessons import skeleton

FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.DOTALL)
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
TARGET = re.compile(r"\]\(([^()\s]*(?:\([^()]*\)[^()\s]*)*)\)")
NUMBER = re.compile(r"(?<![\w.])[−-]?\d+(?:[.,]\d+)*")
SHARE = re.compile(r"(?<![\w.])\.\d+")  # .87, which another language writes as 0.87 or in words
HTML = re.compile(r"</?[a-z]+[^>]*>")


def counted(pattern: re.Pattern, text: str) -> Counter:
    return Counter(pattern.findall(text))


def unlike(pattern: re.Pattern, english: str, other: str) -> list[str]:
    """What one of two texts has more often than the other, in words."""
    ours, theirs = counted(pattern, english), counted(pattern, other)
    return [f"lacks {each!r}" for each in ours - theirs] + [f"adds {each!r}" for each in theirs - ours]


def problems(kind: str, english: str, other: str) -> list[str]:
    """What is wrong with the translation of a cell, one sentence a fault; none where a machine finds nothing."""
    if kind == "code":
        return of_code(english, other)
    found = unlike(FORMULA, english, other) + unlike(TARGET, english, other) + unlike(HTML, english, other)
    bare = [CODE.sub("", FORMULA.sub("", TARGET.sub("]", text))) for text in (english, other)]
    shares = {f"adds '0{share}'" for share in SHARE.findall(bare[0])}
    return found + unlike_code(english, other) + [each for each in unlike(NUMBER, *bare) if each not in shares]


def unlike_code(english: str, other: str) -> list[str]:
    """Code in a text stays as it is; a fenced block may have other comments."""
    return [each for each in unlike(CODE, english, other) if "```" not in each]


def of_code(english: str, other: str) -> list[str]:
    try:
        same = skeleton(english) == skeleton(other)
    except SyntaxError as error:
        return [f"is no program: {error}"]
    return [] if same else ["is another program: more than strings and comments differs"]
