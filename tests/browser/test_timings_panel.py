"""HeadExplorer's timings panel in a real JupyterLab: measuring never stands in the way of the maps."""

import re

from axe_playwright_python.sync_playwright import Axe
from live_lab import CONTRAST, steady
from playwright.sync_api import expect

SETUP = """
import numpy as np
from mha_lab.widgets import HeadExplorer

def show(d_model, **options):
    query, key = np.random.default_rng(0).normal(size=(2, 5, d_model)).astype(np.float32)
    return HeadExplorer.from_projection(query, key, "the cat saw the dog".split(), **options)
"""
SMALL = SETUP + "explorer = show(24, num_heads=4)\nexplorer.timing_tokens = 16\nexplorer"
LONG = SETUP + "explorer = show(96, num_heads=4)\nexplorer.timing_tokens = 512\nexplorer"
IMPATIENT = SMALL.replace("\nexplorer.", "\nexplorer._patience = 0.5\nexplorer.")
RECORDED = """
from mha_lab import pretrained
from mha_lab.widgets import HeadExplorer
explorer = HeadExplorer.from_projection(*pretrained.recorded_projection(), num_heads=12)
explorer.timings_open = True
explorer
"""


class Panel:
    """The panel on the page, open."""

    def __init__(self, lab, code):
        self.lab = lab
        self.root = lab.show(code).locator(".mha-heads")
        self.node = self.root.locator(".mha-heads-timings")
        self.heads = self.root.get_by_role("slider")
        self.message = self.node.get_by_role("status")
        self.sentence = self.node.locator(".mha-heads-timings-sentence")
        self.measure = self.node.get_by_role("button", name="Measure")
        self.cancel = self.node.get_by_role("button", name="Cancel")
        self.bar = self.node.locator("progress")
        self.open()

    def open(self):
        steady(self.root)
        if not self.node.evaluate("(node) => node.open"):
            self.node.locator("summary").press("Enter")
        expect(self.sentence).to_be_visible()

    def maps(self):
        return self.root.locator(".mha-heads-stage canvas").first.evaluate("(canvas) => canvas.toDataURL()")

    def move_heads(self, key="ArrowRight"):
        """Move the head count by a key and wait for other maps and the panel's other line."""
        before = self.maps()
        line = self.node.locator(".mha-chart-here")
        at = line.get_attribute("d") if line.count() else None
        self.heads.press(key)
        canvas = self.root.locator(".mha-heads-stage canvas").first.element_handle()
        self.lab.page.wait_for_function("([c, before]) => c.toDataURL() !== before", arg=[canvas, before])
        if at:
            expect(line).not_to_have_attribute("d", at)


def test_measure_shows_progress_and_then_times_that_follow_the_head_count(lab):
    panel = Panel(lab, SMALL)
    expect(panel.sentence).to_have_text("Not measured yet for d_model 24 at 16 tokens: press Measure.")
    panel.measure.press("Enter")
    expect(panel.message).to_contain_text("Measured 8 head counts at 16 tokens")
    words = r"4 heads, 16 tokens: explicit 0 ms \(0–0; predicted 0\), fused 0 ms \(0–0; predicted 0\)\."
    expect(panel.sentence).to_have_text(re.compile(words.replace("0", r"[\d.]+")))
    panel.move_heads()
    expect(panel.sentence).to_contain_text("6 heads, 16 tokens")
    lab.expect_python("[explorer.num_heads, explorer.measuring, len(explorer.timings[0]['rows'])]", [6, False, 16])
    panel.node.get_by_role("radio", name="128").check()
    expect(panel.sentence).to_contain_text("Not measured yet for d_model 24 at 128 tokens")
    panel.node.get_by_role("radio", name="16").check()
    expect(panel.sentence).to_contain_text("6 heads, 16 tokens")
    again = Panel(lab, SMALL)
    expect(again.message).to_have_text("Your last timings are shown (16 tokens).")
    expect(again.sentence).to_contain_text("4 heads, 16 tokens: explicit")


def test_while_it_measures_the_maps_move_and_cancel_keeps_what_there_is(lab):
    panel = Panel(lab, LONG)
    panel.measure.click()
    expect(panel.bar).to_be_visible()
    expect(panel.measure).to_be_disabled()
    expect(panel.node.locator("small")).to_have_text(re.compile(r"about \d+ s left"))
    expect(panel.node.locator("svg")).to_be_visible()  # the first point
    for key in "ArrowRight", "ArrowRight", "Home":
        panel.move_heads(key)
    lab.expect_python("explorer.num_heads", 1)  # the kernel hears of it meanwhile
    expect(panel.bar).to_be_visible()
    panel.cancel.click()
    expect(panel.message).to_contain_text(re.compile(r"Cancelled: \d+ head counts? at 512 tokens measured and kept\."))
    expect(panel.bar).to_be_hidden()
    expect(panel.measure).to_be_enabled()
    expect(panel.sentence).to_contain_text("1 head, 512 tokens: explicit")
    expect(panel.sentence).not_to_contain_text("explicit not measured")


def test_the_keyboard_stays_on_measure_and_comes_back_from_cancel(lab):
    panel = Panel(lab, LONG)
    panel.measure.focus()
    panel.measure.press("Enter")
    expect(panel.bar).to_be_visible()
    expect(panel.measure).to_be_focused()
    panel.measure.press("Enter")  # it is measuring already
    lab.page.keyboard.press("Tab")
    expect(panel.cancel).to_be_focused()
    panel.cancel.press("Enter")
    expect(panel.message).to_contain_text("Cancelled")
    expect(panel.measure).to_be_focused()


def test_an_error_is_told_in_words_and_measuring_works_again(lab):
    broken = "\nfrom mha_lab import memory as _m\n_free = _m.free_memory\n_m.free_memory = lambda device: 1000\n"
    panel = Panel(lab, SMALL.replace("\nexplorer\n", "\n").removesuffix("explorer") + broken + "explorer")
    panel.measure.click()
    expect(panel.message).to_contain_text("The measurement stopped: This needs about")
    lab.python("setattr(_m, 'free_memory', _free)")
    panel.measure.click()
    expect(panel.message).to_contain_text("Measured 8 head counts")


def test_recorded_timings_name_their_machine_and_read_well_in_both_themes(lab):
    panel = Panel(lab, RECORDED)
    expect(panel.sentence).to_contain_text("12 heads, 512 tokens: explicit")
    expect(panel.node.locator(".mha-heads-timings-note")).to_have_text(
        re.compile(r"^Recorded on .*torch .* \(cpu, 1 thread\)")
    )
    panel.move_heads()
    expect(panel.sentence).to_contain_text("16 heads, 512 tokens")
    for theme in "JupyterLab Light", "JupyterLab Dark":
        lab.theme(theme)
        assert Axe().run(lab.page, context=".mha-heads-timings").response["violations"] == []
        contrast = panel.node.evaluate(CONTRAST)
        assert min(contrast.values()) >= 4.5, contrast
        drawn = panel.node.evaluate(CONTRAST, "fill")
        words = {text: drawn[text] for text in ("● explicit", "◆ fused", "heads", "ms")}
        assert min(words.values()) >= 4.5, words


def test_a_restarted_and_then_a_dead_kernel_are_told_and_the_maps_go_on(own_lab):
    errors = []
    own_lab.page.on("pageerror", lambda error: errors.append(str(error)))
    panel = Panel(own_lab, LONG.replace("\nexplorer.", "\nexplorer._patience = 0.5\nexplorer."))
    panel.measure.click()
    expect(panel.node.locator("svg")).to_be_visible()
    own_lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    expect(panel.message).to_contain_text("No word from the kernel")
    expect(panel.measure).to_be_enabled()
    panel.move_heads()
    expect(panel.sentence).to_contain_text("6 heads, 512 tokens: explicit")
    own_lab.stop_kernel()
    panel.measure.click()
    expect(panel.message).to_contain_text("No word from the kernel")
    panel.move_heads()
    expect(panel.sentence).to_contain_text("8 heads, 512 tokens: explicit")
    ours = [error for error in errors if "Canceled future" not in error]  # JupyterLab gives up a question of its own
    assert ours == []


def test_a_busy_kernel_is_told_and_the_measurement_comes_when_it_is_free(lab):
    panel = Panel(lab, IMPATIENT)
    lab.page.evaluate(
        """(code) => {
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            kernel.requestExecute({ code, store_history: false });
        }""",
        "import pathlib, time\nwhile not pathlib.Path('free').exists(): time.sleep(0.05)",
    )
    panel.measure.click()
    panel.move_heads()
    expect(panel.message).to_contain_text("No word from the kernel")
    expect(panel.measure).to_be_enabled()
    (lab.server.files / "free").touch()
    expect(panel.message).to_contain_text("Measured 8 head counts")
