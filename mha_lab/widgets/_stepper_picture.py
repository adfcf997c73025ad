"""The AttentionStepper's picture: its stages for one head, or the heads' sum through W^O."""

import numpy as np

from mha_lab.widgets._base import plural, shown_words
from mha_lab.widgets._picture import ABOVE, BELOW, INK, LINE, MUTED, Page, decimal, weight_colour

ROW, TOP, BAR = 30, 76, 105  # height of a row, where the first begins, length of a bar


def draw_stages(stepper) -> tuple[bytes, int]:
    """Stages 1 to 5 as far as they are uncovered: a row for each key."""
    now, n, stage = stepper.stages, len(stepper.tokens), stepper.stage
    tokens = shown_words(stepper.tokens)
    factor = f"√{stepper.d_head}" if stepper.temperature == 1 else f"(√{stepper.d_head} · {stepper.temperature:g})"
    titles = "1  q·k", f"2  / {factor}", "3  mask", "4  softmax", "5  weight · v"
    lefts = 100, 275, 450, 625, 800
    page = Page(970, TOP + (n + 1) * ROW + 10)
    whose = f"head {stepper.head}: from q·k to its output" if stepper.num_heads > 1 else "from q·k to the output"
    page.text(0, 14, f"{page.clipped(tokens[stepper.position], 14, 300)} looks, {whose}", 14, bold=True)
    for number, (title, x) in enumerate(zip(titles, lefts), 1):
        page.text(x, 44, title, 13, bold=number <= stage, colour=MUTED if number > stage else INK)
    for j, token in enumerate(tokens):
        page.text(90, TOP + j * ROW + 14, page.clipped(token, 13, 88), 13, anchor="rm")
    masked = np.where(now["allowed"], now["scaled"], -np.inf)
    for x, column in list(zip(lefts, (now["scores"], now["scaled"], masked)))[:stage]:
        _draw_scores(page, x, column)
    if stage >= 4:
        _draw_weights(page, lefts[3], now["weights"], now["allowed"])
    if stage >= 5:
        for j, term in enumerate(now["terms"]):
            page.text(lefts[4], TOP + j * ROW + 14, _vector(term), 12, colour="#228833")
        y = TOP + n * ROW
        page.box(0, y, page.width, 0.5, LINE)
        page.text(90, y + 16, "output", 13, anchor="rm", bold=True)
        page.text(lefts[4], y + 16, _vector(now["output"]), 12, colour="#AA3377", bold=True)
    return page.finished()


def _draw_scores(page: Page, x: float, scores: np.ndarray):
    """A column of bars on a scale of its own around 0; −∞ is hatched."""
    reach = np.abs(scores[np.isfinite(scores)]).max(initial=0) or 1.0
    zero = x + BAR / 2
    page.text(x, 62, _short(-reach), 12, colour=MUTED)
    page.text(x + BAR, 62, _short(reach), 12, anchor="rm", colour=MUTED)
    for j, score in enumerate(scores):
        y = TOP + j * ROW + 5
        if np.isfinite(score):
            end = zero + score / reach * BAR / 2
            _draw_bar(page, zero, end, y, ABOVE if score > 0 else BELOW)
        else:
            page.hatched(x, y, BAR, 18)
        page.text(x + BAR + 50, y + 9, _short(score), 12, anchor="rm")


def _draw_weights(page: Page, x: float, weights: np.ndarray, allowed: np.ndarray):
    page.text(x, 62, "0", 12, colour=MUTED)
    page.text(x + BAR, 62, "1", 12, anchor="rm", colour=MUTED)
    for j, weight in enumerate(weights):
        y = TOP + j * ROW + 5
        if not allowed[j]:
            page.hatched(x, y, BAR, 18)
        _draw_bar(page, x, x + weight * BAR, y, weight_colour(weight))
        page.text(x + BAR + 50, y + 9, f"{weight:.3f}", 12, anchor="rm")


def _draw_bar(page: Page, zero: float, end: float, y: float, colour: str):
    if abs(end - zero) >= 0.5:
        page.box(min(zero, end), y, abs(end - zero), 18, colour)
    page.box(zero, y - 2, 0.5, 22, LINE)


def draw_sum(stepper) -> tuple[bytes, int]:
    """Stage 6: a row for each head, what it looks at, brings and adds, and below them their sum."""
    now, H, D = stepper.stages, stepper.num_heads, len(stepper.features)
    tokens = shown_words(stepper.tokens)
    left, top = 400, 70
    width = min(96.0, 720 / D)
    page = Page(left + max(D * width, 240) + 10, top + (H + 1) * ROW + 18)
    title = (
        f"{page.clipped(tokens[stepper.position], 14, 200)}: {plural(H, 'head')} through W^O, added up to the output"
    )
    page.text(0, 14, title, 14, bold=True)
    for x, name in (80, "looks most at"), (240, "brings"):
        page.text(x, 50, name, 12, colour=MUTED)
    for column, name in enumerate(stepper.features) if width >= 14 else ():
        page.text(left + (column + 0.5) * width, 50, page.clipped(name, 12, width - 4), 12, anchor="mm")
    reach = np.abs(now["shares"]).max() or 1.0
    for i, (output, share, weights) in enumerate(zip(now["outputs"], now["shares"], now["looks"])):
        y = top + i * ROW
        page.text(0, y + 15, f"head {i}", 13, bold=i == stepper.head)
        best = weights.argmax()
        looks = f"{page.clipped(tokens[best], 13, 110)} {weights[best]:.2f}" if weights[best] else "nothing"
        page.text(80, y + 15, looks, 13)
        page.text(240, y + 15, page.clipped(_vector(output), 12, 150), 12, colour="#AA3377")
        page.tinted_row(left, y, width, ROW - 2, share, reach)
    y = top + H * ROW + 8
    page.box(0, y - 6, left + D * width, 1, LINE)
    page.text(0, y + 15, "output = the sum", 13, bold=True, colour="#AA3377")
    page.tinted_row(left, y, width, ROW - 2, now["total"], reach, bold=True)
    return page.finished()


def _short(number: float) -> str:
    """In few characters, with a true minus sign."""
    if np.isinf(number):
        return "−∞"
    return "0" if abs(number) < 5e-7 else f"{number:.3g}".replace("-", "−")


def _vector(data: np.ndarray) -> str:
    shown = "  ".join(decimal(number) for number in data[:4])
    return shown if len(data) <= 4 else f"{shown}  …"
