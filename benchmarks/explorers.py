"""How fast HeadExplorer answers in a real JupyterLab page, beside interact + matplotlib, bertviz and treescope.

    python benchmarks/explorers.py [--peers build/peers] [--changes 30]

A headless Chromium, 60 frames a second; two layers of random weights, the same for every tool; three rounds in turn
over the tools, a third of the changes in each. Where a change takes long there are fewer, and their number is printed.

first pixels  from running the cell (imports done, arrays made, each tool shown once before) to the end of the frame in
              which its picture stands: a canvas that is not blank, an image that is decoded, a line of an SVG
bytes         all that comes over the kernel's websocket for that cell, an explorer's code and still picture too
nodes         DOM elements in the cell's output, shadow trees included
new pixels    from an input event sent to the control (slider, menu, pointer) to the end of the frame that shows the
              change. The event comes at any time within a frame of 16.7 ms: the wait for the next frame is in it.
              HeadExplorer draws the slider's next steps in idle time. Where it had too little (the changes follow each
              other within 20 to 40 ms), a projection's maps of 128 tokens and more fill up over several frames: the
              first counts
main thread   the same without that wait: the event's handler, and the frames that follow, from their first callback to
              the end of style, layout and paint. This has to be done within a frame: the limit is held against it. Not
              told of interact, where the kernel draws
by mouse      new pixels again, when Chromium's own mouse moves over the maps or drags the slider. It keeps a move for
              the page until just before a frame: from then to the end of that frame, which has to hold the limit too

The peers are optional:
    pip install --no-deps --target build/peers -r benchmarks/requirements.txt
    npm install --prefix build/peers requirejs@2.3.6 d3@5.7.0 jquery@2.1.0
(the latter are what bertviz fetches from a CDN: without them it is blank).
"""

import argparse
import math
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.machinery import PathFinder
from pathlib import Path
from random import random

from playwright.sync_api import Error, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "browser")]

from live_lab import Lab, Server  # noqa: E402

from conftest import NO_CHROMIUM, find_chromium, launch_arguments  # noqa: E402

LAYERS, D_MODEL, ROUNDS = 2, 384, 3
FEW = 16  # tokens at which explorers are asked whose picture has no size of a text
SLOW = 2  # seconds: a gesture stops here in each round, and a tool whose first picture took longer is not asked again
MODULE = 250_000  # bytes that an explorer may send beside its data: code, style, still picture, and their messages


@dataclass(frozen=True)
class Limits:
    """What an explorer has to keep to: ms, ms (95 of 100), DOM elements."""

    first: float
    change: float
    nodes: float


SIZES = {
    (12, 16): Limits(150, 16.7, 200),
    (12, 64): Limits(150, 16.7, 300),
    (64, 32): Limits(math.inf, 16.7, math.inf),
    (12, 128): Limits(200, 16.7, 500),
    (12, 512): Limits(500, 33, 1500),
}
"""By heads and tokens."""


@dataclass(frozen=True, eq=False)
class Tool:
    """Something that shows attention. All but the cell is JavaScript, with the helpers at the end of PROBE."""

    name: str
    cell: str
    picture: str  # true once its first picture stands
    gestures: dict[str, tuple[str, str]]  # what a learner does for the i-th time, and a state that is then another
    mouse: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # an element, an event, the i-th point there
    data: Callable[[int, int], int] | None = None  # bytes that one of ours may send for heads, tokens
    package: str | None = None
    most: float = math.inf  # scores in a layer above which it is not asked
    in_kernel: bool = False  # where it draws
    limits: Limits | None = None  # of its own, for what is as large whatever the text: asked once, at few tokens
    only: tuple[int, int] | None = None  # heads and tokens at which alone it is asked


AT_ONCE = "performance.now()"  # what is drawn within the event's handler: another state as soon as that has ended
STAGE = "const stage = find('.mha-heads-stage'), place = stage.places[i % stage.places.length];"
CELL = "[place.x + (((3 * i + 1) % n) + 0.5) * place.cell, place.y + (((7 * i + 3) % n) + 0.5) * place.cell]"
HOVER = f"{STAGE} over(stage, 'pointermove', ...{CELL})", "find('.mha-heads-readout').textContent"
TRAINED = HOVER[0].replace("% n)", "% 8)"), HOVER[1]  # its first text has 8 tokens
SLIDER = "find('.mha-heads input[type=range]')"
SLIDE = f"walk({SLIDER})", "find('.mha-heads').dataset.drawn"
HOVERED = "find('.mha-heads-stage')", "pointermove", f"{STAGE} return {CELL}"
SLID = SLIDER, "input", f"return knob({SLIDER}, i)"
MAPS = "find('.mha-heads[data-drawn]') && filled(find('.mha-heads canvas'))"
PARTS = "const parts = all('.mha-layer-hit');"
TILE_STEPS = "find('.mha-tiles-line > input')"
SCORES = "over(find('.mha-tiles-drawing'), 'pointermove', 112 + 16 * (i % 16), 82 + 16 * (i % 7))"
LAYER_HEADS = "find('.mha-layer input[type=range]')"
ROWS = "const row = all('.mha-models tbody tr')[i % 7];"  # of those on show
HEADS = "all('.mha-models thead button')[(7 * i) % 20]"
CHIP = "all('.mha-models-asks button')[1]"  # asks for a gate, for none, for either: 12, 33, 45 rows
TABLE_DRAWN = "find('.mha-models').dataset.drawn"
TOOLS = (
    Tool(
        "HeadExplorer, Q and K",
        "HeadExplorer.from_projection(query, key, tokens, num_heads=heads)",
        MAPS,
        {"hover": HOVER, "head count": SLIDE},
        {"hover": HOVERED, "head count": SLID},
        data=lambda heads, n: 2 * n * D_MODEL * 4,
    ),
    Tool(
        "HeadExplorer, recorded",
        "HeadExplorer([recording])",
        MAPS,
        {"hover": HOVER, "layer": SLIDE},
        {"hover": HOVERED, "layer": SLID},
        data=lambda heads, n: LAYERS * min(heads * n * n, 3_200_000 - MODULE // LAYERS),
    ),
    Tool(
        "LayerMap",
        "LayerMap(d_model=D_MODEL, num_heads=heads, tokens=n)",
        "find('.mha-layer[data-drawn] text')",
        {
            "hover": (
                f"{PARTS} over(parts[i % parts.length], 'pointermove', 8, 8)",
                "find('.mha-layer b').textContent",
            ),
            "head count": (f"walk({LAYER_HEADS})", "find('.mha-layer').dataset.drawn"),
        },
        {
            "hover": (
                "find('.mha-layer-drawing')",
                "pointermove",
                f"{PARTS} const part = parts[i % parts.length].getBoundingClientRect();"
                " return [part.x - box.x + 8, part.y - box.y + 8]",
            ),
            "head count": (LAYER_HEADS, "input", f"return knob({LAYER_HEADS}, i)"),
        },
        data=lambda heads, n: 0,
        limits=Limits(150, 16.7, 400),
    ),
    Tool(
        "HeadExplorer, all layers",
        "HeadExplorer([SimpleNamespace(sentence='twelve', tokens=tokens, weights=np.tile(weights, (6, 1, 1, 1)))], "
        "view='overview')",
        MAPS,
        {"hover": HOVER, "layer": SLIDE},
        {"hover": HOVERED, "layer": SLID},
        data=lambda heads, n: 6 * LAYERS * heads * n * n + 150_000,  # its picture is of random numbers, all of them
        limits=Limits(300, 16.7, 300),
        only=(12, 64),
    ),
    Tool(
        "HeadExplorer, trained",
        "HeadExplorer.from_trained(recorded_head_counts().readings, d_model=64, bias=False, num_heads=heads - 4)",
        MAPS,
        {"hover": TRAINED, "head count": SLIDE},
        {"hover": (*HOVERED[:2], HOVERED[2].replace("% n)", "% 8)")), "head count": SLID},
        data=lambda heads, n: 300_000,
        limits=Limits(300, 16.7, 400),
        only=(12, 16),
    ),
    Tool(
        "TileExplorer",
        "TileExplorer(tokens=[str(i) for i in range(FEW)])",
        "find('.mha-tiles[data-drawn] .mha-tiles-score')",
        {
            "hover": (SCORES, "find('.mha-tiles-readout > p').textContent"),
            "step": (f"walk({TILE_STEPS})", "find('.mha-tiles').dataset.drawn"),
        },
        {
            "hover": ("find('.mha-tiles-drawing')", "pointermove", "return [112 + 16 * (i % 16), 82 + 16 * (i % 7)]"),
            "step": (TILE_STEPS, "input", f"return knob({TILE_STEPS}, i)"),
        },
        data=lambda heads, n: 0,
        limits=Limits(150, 16.7, 400),
    ),
    Tool(
        "ModelTable",
        "ModelTable()",
        "find('.mha-models[data-drawn] tbody tr')",
        {
            "hover": (f"{ROWS} over(row, 'pointerover', 40, 8)", "find('.mha-models figcaption').textContent"),
            "sort": (f"{HEADS}.click()", TABLE_DRAWN),
            "ask": (f"{CHIP}.click()", TABLE_DRAWN),
        },
        {
            "hover": (
                "find('.mha-models-table')",
                "pointermove",
                f"{ROWS} const at = row.getBoundingClientRect(); return [at.x - box.x + 40, at.y - box.y + 8]",
            ),
            "sort": ("find('.mha-models')", "click", f"return inside({HEADS}, box)"),
            "ask": ("find('.mha-models')", "click", f"return inside({CHIP}, box)"),
        },
        data=lambda heads, n: 0,
        limits=Limits(200, 16.7, 1500),  # a table that is read aloud has an element for each cell
    ),
    Tool(
        "interact + matplotlib",
        "interact(draw, layer=(0, 1));",
        "find('img')?.complete && find('img').naturalWidth",
        {
            "layer": (
                "press(find('.noUi-handle'), find('.noUi-handle').ariaValueNow > 0 ? 'ArrowLeft' : 'ArrowRight')",
                "find('img')?.complete && find('img').src",
            )
        },
        in_kernel=True,
    ),
    Tool(
        "bertviz head view",
        "bertviz.head_view(tensors, tokens)",
        "find('svg line')",
        {
            "layer": ("choose(find('#layer'), 1 - find('#layer').selectedIndex)", AT_ONCE),
            "hover": ("over(find('#left').querySelectorAll('text')[i % n], 'mouseover', 1, 1)", AT_ONCE),
        },
        package="bertviz",
        most=12 * 128**2,
    ),
    Tool(
        "treescope",
        "treescope.render_array(weights, sliders=(0,), vmin=0, vmax=1)",
        "filled(find('canvas'))",
        {
            "layer": ("walk(all('input[type=range]').find((slider) => slider.step === '1'))", AT_ONCE),
            "hover": ("over(find('canvas'), 'mousemove', 20 + 7 * i, 20 + 3 * i)", AT_ONCE),
        },
        package="treescope",
    ),
)

SETUP = """
import sys
sys.path.append({peers!r})
import matplotlib.pyplot as plt
import numpy as np
import torch
from types import SimpleNamespace
from ipywidgets import Widget, interact
from mha_lab.tasks import recorded_head_counts
from mha_lab.widgets import HeadExplorer, LayerMap, ModelTable, TileExplorer
"""
PREPARE = """
Widget.close_all()
heads, n, D_MODEL, FEW = {heads}, {n}, {D_MODEL}, {FEW}
rng = np.random.default_rng(0)
weights = np.exp(2 * rng.normal(size=({LAYERS}, heads, n, n)))
weights = (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)
tensors = [torch.from_numpy(layer[None]) for layer in weights]
query, key = rng.normal(size=(2, n, {D_MODEL})).astype(np.float32)
tokens = [f"word{{i}}" for i in range(n)]
recording = SimpleNamespace(sentence=" ".join(tokens), tokens=tokens, weights=weights)

def draw(layer):
    rows = 2 if heads == 12 else 4
    figure, panels = plt.subplots(rows, heads // rows, figsize=(10, 4.5), sharex=True, sharey=True)
    for head, panel in enumerate(panels.flat):
        panel.imshow(weights[layer, head], vmin=0, vmax=1, cmap="cividis")
        panel.set_title(head, fontsize=8)
        words = tokens if n <= 16 else []  # as in HeadExplorer: beside the outer maps, and where a cell can carry one
        panel.set_xticks(range(len(words)), words, rotation=60, fontsize=6)
        panel.set_yticks(range(len(words)), words, fontsize=6)
    plt.show()
"""

NAMES = "all, find, filled, walk, knob, choose, press, over, inside"
PROBE = """(() => {
    const probe = (window.probe = { bytes: 0 });
    window.WebSocket = class extends WebSocket {
        constructor(...address) {
            super(...address);
            this.addEventListener('message', ({ data }) => (probe.bytes += data.byteLength ?? data.length));
        }
    };

    // A message posted in a frame's first callback arrives when that frame's style, layout and paint are done; where
    // the browser puts the next frame first, they are done when that begins.
    const channel = new MessageChannel();
    const waiting = [];
    let start = 0;
    const ended = () => {
        if (!start) return;
        const frame = { start, end: performance.now() };
        start = 0;
        waiting.splice(0).forEach((tell) => tell(frame));
    };
    channel.port1.onmessage = ended;
    const follow = () => {
        ended();
        start = performance.now();
        channel.port2.postMessage(null);
        requestAnimationFrame(follow);
    };
    requestAnimationFrame(follow);
    const frame = () => new Promise((tell) => waiting.push(tell));
    const pause = (ms) => new Promise((over) => setTimeout(over, ms));

    /** The frames up to the one that ends with `seen`: the time then, and how long they kept the main thread. */
    async function until(seen, since, patience) {
        for (let work = 0; ; ) {
            const { start, end } = await frame();
            if (start < since) continue; // it was drawn before
            work += end - start;
            if (seen()) return { end, work };
            if (end - since > patience) throw new Error(`nothing new to see after ${patience} ms`);
        }
    }

    /** Run one cell: milliseconds to its first picture, bytes received, elements in its output. */
    probe.run = async (source, picture, patience) => {
        const model = window.jupyterapp.shell.currentWidget.content.model.sharedModel;
        model.transact(() => {
            model.deleteCellRange(0, model.cells.length);
            model.insertCells(0, [{ cell_type: 'code', source, metadata: {}, outputs: [] }]);
        });
        await pause(200);
        const [since, before] = [performance.now(), probe.bytes];
        const ended = window.jupyterapp.commands.execute('notebook:run-all-cells');
        const { end } = await until(picture, since, patience);
        await ended;
        await pause(300);
        return { first: end - since, bytes: probe.bytes - before, nodes: all('*').length };
    };

    /** Up to `count` changes: [ms to new pixels, ms of the main thread] of each. */
    probe.change = async (act, state, from, count, patience) => {
        const [first, found] = [performance.now(), []];
        for (let i = from; i < from + count && performance.now() - first < patience; i++) {
            await pause(20 + 20 * Math.random());
            const before = state();
            const since = performance.now();
            act(i);
            const handled = performance.now();
            const { end, work } = await until(() => state() !== before, handled, 20000);
            found.push([end - since, handled - since + work]);
        }
        return found;
    };

    /** From now on, ms from each event of an element to the end of its frame. */
    probe.listen = (node, event) => {
        const found = (probe.heard = []);
        const hear = () => {
            const since = performance.now();
            until(() => true, since, 20000).then(({ end }) => found.push(end - since));
        };
        node.addEventListener(event, hear, { capture: true });
        probe.deaf = () => node.removeEventListener(event, hear, { capture: true });
    };

    const within = (root) =>
        [...root.querySelectorAll('*')].flatMap((node) => [node, ...(node.shadowRoot ? within(node.shadowRoot) : [])]);
    const output = () => document.querySelector('.jp-NotebookPanel .jp-OutputArea');
    const all = (selector) => within(output()).filter((node) => node.matches(selector));
    const find = (selector) => output().querySelector(selector) ?? all(selector)[0];

    /** Whether anything is drawn on a canvas. */
    const filled = (canvas) => {
        if (!canvas?.width || !canvas.height) return false;
        const context = new OffscreenCanvas(16, 16).getContext('2d');
        context.drawImage(canvas, 0, 0, 16, 16);
        return context.getImageData(0, 0, 16, 16).data.some((value) => value > 0);
    };
    /** A slider one step on, to and fro between 0 and where it stood first (or its end, if it stood at 0). */
    const walk = (slider) => {
        slider.far ??= Number(slider.value) || Number(slider.max);
        const at = Number(slider.value);
        slider.way = at === 0 ? 1 : at >= slider.far ? -1 : slider.way;
        slider.value = at + slider.way;
        slider.dispatchEvent(new Event('input', { bubbles: true }));
    };
    /** Where its knob stands i steps from where it stood first, to and fro, when 0 is its left end. */
    const knob = (slider, i) => {
        slider.far ??= Number(slider.value) || Number(slider.max);
        const steps = Math.abs(((i + slider.far) % (2 * slider.far)) - slider.far);
        const [half, wide] = [8, slider.clientWidth];
        return [half + ((wide - 2 * half) * (slider.far - steps)) / slider.max, slider.clientHeight / 2];
    };
    /** The middle of an element, as seen from a box. */
    const inside = (node, box) => {
        const own = node.getBoundingClientRect();
        return [own.x - box.x + own.width / 2, own.y - box.y + own.height / 2];
    };
    const choose = (menu, index) => {
        menu.selectedIndex = index;
        menu.dispatchEvent(new Event('change', { bubbles: true }));
    };
    const press = (node, key) => node.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    const over = (node, type, x, y) => {
        const box = node.getBoundingClientRect();
        const Kind = type.startsWith('pointer') ? PointerEvent : MouseEvent;
        const at = { clientX: box.x + x, clientY: box.y + y };
        node.dispatchEvent(new Kind(type, { ...at, bubbles: true, pointerType: 'mouse' }));
    };
    Object.assign(probe, { NAMES });
})();""".replace("NAMES", NAMES)


def missing(tool, peers):
    """Why a tool cannot be asked, in words, or None."""
    if tool.package and not PathFinder.find_spec(tool.package, [*sys.path, str(peers)]):
        folder = peers.relative_to(ROOT) if peers.is_relative_to(ROOT) else peers
        return f"is not installed: pip install --no-deps --target {folder} -r benchmarks/requirements.txt"
    if tool.package == "bertviz" and not all(path.exists() for path in scripts(peers).values()):
        return f"is blank without its CDN: npm install --prefix {peers} requirejs@2.3.6 d3@5.7.0 jquery@2.1.0"
    return None


def scripts(peers):
    """What bertviz fetches, by the end of its address, and where npm puts it."""
    modules = peers / "node_modules"
    return {
        "require.min.js": modules / "requirejs/require.js",
        "d3.min.js": modules / "d3/dist/d3.min.js",
        "jquery.min.js": modules / "jquery/dist/jquery.min.js",
    }


class Page(Lab):
    """A notebook whose cells and controls are timed from within the page."""

    def __init__(self, browser, server, peers):
        super().__init__(browser, server)
        self.peers = peers
        self.page.add_init_script(PROBE)

    def prepare(self, packages):
        """Import everything; for bertviz have its loader on the page, which fetched by its own cell comes too late."""
        self.open_new("explorers.ipynb")
        self.show(SETUP.format(peers=str(self.peers)) + "".join(f"import {package}\n" for package in packages))
        if "bertviz" in packages:
            for name, path in scripts(self.peers).items():
                serve = partial(lambda route, _, path: route.fulfill(path=path), path=path)
                self.page.route(f"**/cdnjs.cloudflare.com/**/{name}", serve)
            self.page.add_script_tag(url="https://cdnjs.cloudflare.com/ajax/libs/require.js/2.3.6/require.min.js")

    def ask(self, tool, heads, n, changes, start):
        """One cell and `changes` of each gesture, the first of them the start-th: {"cell": …, a gesture: …, …}."""
        self.python(f"exec({PREPARE.format(heads=heads, n=n, LAYERS=LAYERS, D_MODEL=D_MODEL, FEW=FEW)!r})")
        names = f"const {{ {NAMES} }} = probe; const [heads, n] = [{heads}, {n}];"
        found = {
            "cell": self.page.evaluate(
                f"(cell) => {{ {names} return probe.run(cell, () => {tool.picture}, 60000); }}", tool.cell
            )
        }
        for gesture, (act, state) in tool.gestures.items():
            call = f"probe.change((i) => {{ {act} }}, () => {state}, {start}, {changes}, {1000 * SLOW})"
            found[gesture] = self.page.evaluate(f"() => {{ {names} return {call}; }}")
        for gesture, (node, event, point) in tool.mouse.items():
            place = f"""(i) => {{
                {names}
                const box = {node}.getBoundingClientRect();
                const [x, y] = (() => {{ {point} }})();
                return [box.x + x, box.y + y];
            }}"""
            self.page.mouse.move(*self.page.evaluate(place, start))
            if event == "input":
                self.page.mouse.down()
            self.page.wait_for_timeout(300)
            self.page.evaluate(f"() => {{ {names} probe.listen({node}, '{event}'); }}")
            for i in range(start, start + changes):
                self.page.mouse.move(*self.page.evaluate(place, i + 1))
                if event == "click":
                    self.page.mouse.down()
                    self.page.mouse.up()
                self.page.wait_for_timeout(20 + 20 * random())
            self.page.mouse.up()
            found[f"{gesture}, by mouse"] = self.page.evaluate("() => (probe.deaf(), probe.heard)")
        return found


def measure(lab, tools, heads, n, changes):
    """{tool: [what each round found]}, the tools in turn."""
    fitting = [tool for tool in tools if heads * n * n <= tool.most]
    wanted = [tool for tool in fitting if (tool.only or (heads, n if tool.limits is None else FEW)) == (heads, n)]
    asked = {tool: [] for tool in wanted}
    for number in range(ROUNDS):
        for tool, rounds in asked.items():
            if rounds and rounds[-1]["cell"]["first"] > 1000 * SLOW:
                continue
            print(
                f"\r{heads} heads, {n} tokens, {number + 1} of {ROUNDS}: {tool.name:24}",
                end="",
                flush=True,
                file=sys.stderr,
            )
            try:
                rounds.append(lab.ask(tool, heads, n, changes // ROUNDS, number * changes // ROUNDS))
            except Error as problem:
                print(f": {problem.message.splitlines()[0]}", file=sys.stderr)
                if tool.data:
                    raise
    print("\r" + " " * 78 + "\r", end="", file=sys.stderr)
    return {tool: rounds for tool, rounds in asked.items() if rounds}


def p95(values):
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def report(heads, n, asked, limits):
    """Print what was found at one size. Gives (what, found, limit) for each promise of ours."""
    promises = []
    title = f"{heads} heads, {n} tokens"
    heading = "first pixels      bytes   nodes   change           new pixels   main thread    by mouse"
    print(f"{title:25} {heading}")
    print(f"{'':25}           ms                              times     median    p95  median    p95  median    p95")
    for tool, rounds in asked.items():
        first = statistics.median(found["cell"]["first"] for found in rounds)
        size, nodes = (max(found["cell"][name] for found in rounds) for name in ("bytes", "nodes"))
        own = tool.limits or limits
        if tool.data:
            promises += [
                (f"{tool.name}: first pixels, ms", first, own.first),
                (f"{tool.name}: bytes", size, tool.data(heads, n) + MODULE),
                (f"{tool.name}: nodes", nodes, own.nodes),
            ]
        left = f"{tool.name:25} {first:12,.0f} {size:10,} {nodes:7,}"
        for gesture in tool.gestures:
            changes = [change for found in rounds for change in found[gesture]]
            new, work = zip(*changes)
            here = f"{'kernel':>14}" if tool.in_kernel else f"{statistics.median(work):7.1f} {p95(work):6.1f}"
            moved = [ms for found in rounds for ms in found.get(f"{gesture}, by mouse", [])]
            mouse = f"{statistics.median(moved):7.1f} {p95(moved):6.1f}" if moved else ""
            line = f"{gesture:10} {len(changes):3} {statistics.median(new):8.1f} {p95(new):6.1f} {here} {mouse}"
            print(f"{left:57}   {line.rstrip()}")
            left = ""
            if tool.data:
                promises += [
                    (f"{tool.name}: {gesture}, ms", p95(work), own.change),
                    (f"{tool.name}: {gesture} by mouse, ms", p95(moved), own.change),
                ]
    print()
    return promises


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--peers", type=Path, default=ROOT / "build" / "peers")
    parser.add_argument("--changes", type=int, default=30)
    options = parser.parse_args()
    if not find_chromium():
        print(f"benchmarks/explorers.py is skipped: {NO_CHROMIUM}.")
        return
    objections = {tool: missing(tool, options.peers) for tool in TOOLS}
    tools = [tool for tool in TOOLS if not objections[tool]]
    print("## The explorers, in a real JupyterLab page\n")
    for tool, objection in objections.items():
        if objection:
            print(f"{tool.name} is left out: it {objection}\n")
    print("```text")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder))
        try:
            server.wait()
            lab = Page(playwright.chromium.launch(**launch_arguments()), server, options.peers)
            lab.prepare([tool.package for tool in tools if tool.package])
            measure(lab, tools, 12, 4, ROUNDS)  # the first of everything loads code
            promises = {}
            for (heads, n), limits in SIZES.items():
                for what, found, limit in report(heads, n, measure(lab, tools, heads, n, options.changes), limits):
                    promises[f"{heads} heads, {n} tokens, {what}"] = found, limit
            lab.close()
        finally:
            server.stop()
    broken = {what: pair for what, pair in promises.items() if pair[0] > pair[1]}
    print(f"{len(promises) - len(broken)} of {len(promises)} limits hold.{' Those that do not:' if broken else ''}")
    for what, (found, limit) in broken.items():
        print(f"  {what}: {found:,.1f}, limit {limit:,.1f}")
    print("```")


if __name__ == "__main__":
    main()
