"""Dates as people write them → ISO 8601, character by character: 14 March 2021 → 2021-03-14."""

import random
from datetime import date, timedelta
from functools import cache

from mha_lab import _door
from mha_lab.tasks._pairs import Aligned, Corpus, corpus, part_of

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
WEEKDAYS = "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
FIRST, LAST = date(1950, 1, 1), date(2049, 12, 31)
FORMATS = (
    "{day} {month} {year}",
    "{month} {day}, {year}",
    "{day} {mon} {year}",
    "{mon} {day}{th}, {year}",
    "the {day}{th} of {month} {year}",
    "{weekday}, {day} {month} {year}",
    "{dd}.{mm}.{year}",
    "{mm}/{dd}/{year}",
)
"""Eight ways to write a date. The last two hold the same digits in another order: only the dot or the stroke tells."""
DATE_FIELDS = {"year": slice(0, 4), "month": slice(5, 7), "day": slice(8, 10)}
"""Where each field stands in the answer."""


def dates(num_strings: int = 20_000) -> Corpus:
    """Different dates from 1950 to 2049, each in one of eight formats, as lower-case characters.

    The right place for a digit of the year is the whole year in the source, and so for month and day (without the th
    of 14th); the hyphens stand for nothing. A date belongs to one part, whatever its format: a tenth is for
    validation, a tenth for the test."""
    days = (LAST - FIRST).days + 1
    if not 100 <= _door.whole("num_strings", num_strings, at_least=None) <= days:
        raise ValueError(f"{num_strings} different dates: there must be 100 to {days}.")
    return _dates(num_strings).copy()


@cache
def _dates(num_strings):
    days = (LAST - FIRST).days + 1
    source = random.Random(0)
    examples = {"training": [], "validation": [], "test": []}
    for day in source.sample(range(days), num_strings):
        day = FIRST + timedelta(days=day)
        examples[part_of(day.isoformat())].append(written(day, source.randrange(len(FORMATS))))
    return corpus("dates", examples, list, "".join)


def written(day: date, form: int) -> Aligned:
    """A date in FORMATS[form], its ISO form, and where each field stands."""
    fields = _fields(day)
    text, span = "", {}
    for piece in FORMATS[form].replace("{", "\0{").replace("}", "}\0").split("\0"):
        filled = piece.format(**fields)
        name = {"mon": "month", "mm": "month", "dd": "day"}.get(piece.strip("{}"), piece.strip("{}"))
        if name in DATE_FIELDS and piece.startswith("{"):
            span[name] = tuple(range(len(text), len(text) + len(filled)))
        text += filled
    right = [()] * 10
    for name, place in DATE_FIELDS.items():
        right[place] = [span[name]] * (place.stop - place.start)
    return Aligned(tuple(text), tuple(day.isoformat()), tuple(right))


def _fields(day):
    month = MONTHS[day.month - 1]
    last = day.day % 10
    th = {1: "st", 2: "nd", 3: "rd"}.get(last, "th") if day.day // 10 != 1 else "th"
    numbers = {"day": day.day, "dd": f"{day.day:02}", "mm": f"{day.month:02}", "year": day.year}
    return numbers | {"month": month, "mon": month[:3], "th": th, "weekday": WEEKDAYS[day.weekday()]}
