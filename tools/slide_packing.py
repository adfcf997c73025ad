"""Puts a lesson's parts on slides: one idea each, a question before its answer, and nothing taller than the slide."""

import re
from dataclasses import dataclass, field

from slide_parts import FEW, GAP, HEIGHT, LINE, WIDTH, Part

TITLE, LONG_TITLE = 62, 106  # pixels that a title of one line, or of two, takes
WORDY = 85  # words on a slide of text alone
SMALLEST, LARGEST = 1.0, 1.45  # of its natural size: a figure's
HARDLY = 15  # words with which a heading is still alone
CLOSING = 45  # words that end a section, and need no slide of their own
QUESTION = 45  # words of a prediction that is asked once more above its answer


@dataclass
class Slide:
    group: str  # the section or sitting that it belongs to
    title: str = ""
    big: bool = False  # the title of the lesson or of a sitting
    parts: list = field(default_factory=list)
    notes: list = field(default_factory=list)  # HTML

    @property
    def used(self):
        title = (LONG_TITLE if len(self.title) > 70 else TITLE) if self.title else 0
        return title + sum(part.height for part in self.parts)

    @property
    def room(self):
        return HEIGHT - self.used

    @property
    def is_sparse(self):
        """Whether it has so few words that they may be larger."""
        words = sum(part.words for part in self.parts)
        only_words = all(part.kind in ("text", "fold") and "<table" not in part.html for part in self.parts)
        return bool(self.parts) and only_words and words <= 80 and not self.big

    @property
    def is_lone(self):
        """Whether it is a few words and nothing else."""
        return self.is_sparse and not self.title and sum(part.words for part in self.parts) <= 60

    def has(self, *kinds):
        return any(part.kind in kinds for part in self.parts)


class Packer:
    """Takes part after part; `slides` is what it has made of them."""

    def __init__(self):
        self.slides = []
        self.group = ""
        self.asked = None  # the prediction that has not been answered yet

    @property
    def last(self):
        return self.slides[-1]

    def new(self, title="", big=False):
        self.slides.append(Slide(self.group, title, big))
        return self.last

    def add(self, part):
        if part.kind in ("section", "sitting"):
            self.group = part.title
            self.new(part.title, big=part.kind == "sitting")
            self.asked = None
        elif part.kind in ("exercise", "heading"):
            if self.last.parts or self.last.big:
                self.new()
            self.last.title = part.title  # in place of a section's that has no word of its own
        elif part.kind == "fold":
            self.fold(part)
        elif part.kind == "figure":
            self.figure(part)
        elif part.kind == "explorer":
            self.explorer(part)
        else:
            self.block(part)

    def block(self, part):
        """Text, code or what was printed."""
        here = self.last
        shown = here.has("code", "output", "figure", "explorer", "fold")
        words = sum(each.words for each in here.parts)
        crowded = {
            "text": shown
            or (words > FEW and words + part.words > WORDY and not (len(here.parts) == 1 and here.parts[0].leads)),
            "code": here.has("explorer", "fold") or (here.has("output", "figure") and not part.proves),
            "output": False,
        }[part.kind]
        if part.predicts:
            self.asked = part
        if not part.starts and not crowded and part.height > here.room:
            self.forget_question(here)
        if part.starts or crowded or (here.parts and part.height > here.room):
            here = self.next_with_code(part) if part.kind == "output" else self.next_for(part)
        here.parts.append(part)

    def next_with_code(self, part):
        """A new slide for what code shows, to which the code comes along where both fit."""
        before = self.last
        code = before.parts[-1] if before.parts else None
        told = [each for each in before.parts[:-1] if not (each.kind == "text" and each.leads)]
        alone = len(before.parts) < 2 or (before.title and not told)  # it would leave a heading alone
        if not code or code.kind != "code" or alone or code.height + part.height > HEIGHT:
            return self.next_for(part)
        before.parts.pop()
        here = self.next_for(code)
        here.parts.append(code)
        if part.height > here.room:
            self.forget_question(here)
        return here

    def next_for(self, part):
        """A new slide; what ends in a colon comes along, and a question stands once more above its answer."""
        before = self.last
        here = self.new()
        leads_over = before.parts and before.parts[-1].kind == "text" and before.parts[-1].leads
        if leads_over and len(before.parts) > 1 and not before.parts[-1].predicts:
            here.parts.append(before.parts.pop())
        if (part.hidden or part.leads) and part.kind != "text" and self.asked and self.asked.words <= QUESTION:
            again = Part("asked", f'<div class="again">{self.asked.html}</div>', self.asked.height * 0.85)
            if here.used + again.height + part.height <= HEIGHT:
                here.parts.append(again)
        return here

    def forget_question(self, slide):
        """Where there is no room for its answer, a question that was repeated is not."""
        slide.parts = [part for part in slide.parts if part.kind != "asked"]

    def figure(self, part):
        here = self.last
        width, height = part.size
        smallest = min(SMALLEST, WIDTH / width, (HEIGHT - GAP) / height)
        if here.room < smallest * height + GAP:
            self.forget_question(here)
        if part.starts or here.has("figure", "explorer", "fold") or here.room < smallest * height + GAP:
            part.height = smallest * height + GAP
            here = self.next_with_code(part)
        part.height = smallest * height + GAP  # what it needs; it is enlarged when the slide is full
        here.parts.append(part)

    def explorer(self, part):
        """Alone, below the few words that say what to do with it."""
        here = self.last
        natural = part.size[1] if part.size else HEIGHT
        part.height = natural + GAP
        guess = re.search(r'alt="Guess\((.*?) \[', part.html)
        if guess:
            self.asked = Part("text", f"<p>{guess[1]}</p>", LINE + GAP, words=len(guess[1].split()))
        few = not here.big and not here.has("code", "output", "figure", "explorer", "fold")
        if part.starts or not (few and (part.height <= here.room / 1.4 or here.used <= TITLE)):
            told = "".join(each.html for each in here.parts if each.kind == "text")
            here = self.next_for(part)
            here.notes.append(told)  # what to do with it stood on the slide before
        part.height = min(part.height, max(0, here.room))
        here.parts.append(part)

    def fold(self, part):
        """What a fold holds: shown on request, and told to the teacher on the slide before."""
        text = "".join(chunk.html for chunk in part.notes)
        self.last.notes.append(f"<h2>{part.title}</h2>{text}")
        title, rest = part.title, list(part.notes)
        while rest:
            slide, words = self.new(title), 0
            while rest and (not words or (words + rest[0].words <= 1.3 * WORDY and rest[0].height <= slide.room)):
                chunk = rest.pop(0)
                words += chunk.words
                slide.parts.append(Part("fold", chunk.html, chunk.height, words=chunk.words, hidden=True))
            slide.notes.append(text)
        self.asked = None


def enlarge(slides):
    """Figures grow into the room that is left, as far as they bear it."""
    for slide in slides:
        figures = [part for part in slide.parts if part.kind == "figure"]
        for part in figures:
            width, height = part.size
            free = slide.room / len(figures) + part.height - GAP
            scale = min(LARGEST, WIDTH / width, max(free, 1) / height)
            part.size = width * scale, height * scale
            part.height = part.size[1] + GAP
            part.html = part.html.replace("<img ", f'<img width="{part.size[0]:.0f}" height="{part.size[1]:.0f}" ', 1)


def packed(parts):
    """The slides of these parts; each begins with a section, or stands under the lesson's own name."""
    packer = Packer()
    packer.new()
    for part in parts:
        if part.kind == "check":
            packer.last.notes += part.notes
        else:
            packer.add(part)
            packer.last.notes += [note for note in part.notes if isinstance(note, str)]
    slides = closed(headed([slide for slide in packer.slides if slide.parts or slide.title]))
    for slide in slides:
        if slide.parts and not slide.title and all(part.hidden for part in slide.parts):
            slide.parts[0].hidden = False  # to come to it is the key
    enlarge(slides)
    return slides


def headed(slides):
    """The slides, in which a heading with hardly a word below it goes to the slide that it is the heading of."""
    kept = []
    for slide in slides:
        before = kept[-1] if kept else Slide("")
        hardly = (
            before.title and not before.big and all(part.kind == "text" and not part.predicts for part in before.parts)
        )
        bare = hardly and sum(part.words for part in before.parts) <= HARDLY
        follows = slide.parts and not slide.title and not slide.parts[0].starts
        if bare and follows and slide.group == before.group and before.used + slide.used <= HEIGHT:
            slide.title, slide.parts, slide.notes = before.title, before.parts + slide.parts, before.notes + slide.notes
            kept.pop()
        kept.append(slide)
    return kept


def closed(slides):
    """The slides, in which a few words that close a section or lead to an exercise stand below what came before."""
    kept = []
    for slide, after in zip(slides, [*slides[1:], Slide("")]):
        before = kept[-1] if kept else Slide("")
        closes = after.title or after.group != slide.group
        only_words = slide.parts and all(part.kind == "text" and not part.predicts for part in slide.parts)
        few = sum(part.words for part in slide.parts) <= CLOSING and sum(part.height for part in slide.parts)
        fits = (
            few and not slide.parts[0].starts and few <= before.room and not before.big and not before.has("explorer")
        )
        if closes and only_words and fits and not slide.title and before.group == slide.group and before.parts:
            for part in slide.parts:
                part.hidden = any(each.hidden for each in before.parts)
            before.parts += slide.parts
            before.notes += slide.notes
        else:
            kept.append(slide)
    return kept
