"""A real JupyterLab on a free port, and its page in a real Chromium, as the browser tests drive them."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Locator, expect

REPOSITORY = Path(__file__).parents[2]
SECONDS = 1000  # Playwright counts in milliseconds
PATIENCE = 60 * SECONDS  # how long a condition may take on a busy machine before it is a failure
expect.set_options(timeout=PATIENCE)
SETTINGS = {
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/apputils-extension/themes.jupyterlab-settings": {"adaptive-theme": False},
    "@jupyter-widgets/jupyterlab-manager/plugin.jupyterlab-settings": {"saveState": True},  # as the package has it
}


class Server:
    """A JupyterLab of its own: a free port, no token, settings and files in a temporary folder."""

    def __init__(self, folder: Path):
        self.files, self.data = folder / "files", folder / "data"
        settings = folder / "settings"
        self.files.mkdir()
        for name, content in SETTINGS.items():
            path = settings / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        options = [
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.root_dir={self.files}",
            "--ServerApp.allow_root=True",
            "--ServerApp.open_browser=False",
            "--ServerApp.disable_check_xsrf=True",
            "--IdentityProvider.token=",
            "--LabApp.expose_app_in_browser=True",
        ]
        places = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
        lab_places = {f"JUPYTERLAB_{name}_DIR": str(folder / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
        more = {"JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
        self.log = (folder / "jupyter.log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env={**os.environ, **places, **lab_places, **more},
            cwd=self.files,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def wait(self) -> None:
        """Return when the server answers."""
        deadline = time.monotonic() + PATIENCE / SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/api/status", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        self.log.seek(0)
        raise RuntimeError(f"JupyterLab did not start:\n{self.log.read()}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()


class Lab:
    """A page of that JupyterLab, with one notebook open."""

    def __init__(self, browser: Browser, server: Server):
        self.page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
        self.page.set_default_timeout(PATIENCE)
        self.server = server

    def close(self) -> None:
        """Shut the notebook's kernel down and close the page."""
        self.stop_kernel()
        self.page.close()

    @property
    def panel(self) -> Locator:
        """The notebook in front."""
        return self.page.locator(".jp-NotebookPanel:visible")

    def open(self, path: str) -> None:
        """Load the page with this notebook and wait for its kernel."""
        self.page.goto(f"{self.server.url}/lab/tree/{path}?reset", timeout=PATIENCE)
        self.page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.content?.model")
        self.page.evaluate(
            """async () => {
                const app = window.jupyterapp;
                await app.restored;
                await app.shell.currentWidget.context.ready;
                await app.shell.currentWidget.sessionContext.ready;
                if (!app.shell.leftCollapsed) await app.commands.execute('application:toggle-left-area');
            }"""
        )

    @contextmanager
    def beside(self, path: str) -> Iterator[None]:
        """Another notebook in front, in the page as it is; closed again afterwards, its kernel too."""
        self.page.evaluate(
            """async (path) => {
                const { commands, shell } = window.jupyterapp;
                const first = shell.currentWidget.id;
                const widget = await commands.execute('docmanager:open', { path, factory: 'Notebook' });
                await widget.context.ready;
                await widget.sessionContext.ready;
                shell.activateById(widget.id);
                window.leaveBeside = async () => {
                    await widget.sessionContext.shutdown();
                    widget.dispose();
                    shell.activateById(first);
                };
            }""",
            path,
        )
        try:
            yield
        finally:
            self.page.evaluate("window.leaveBeside()")

    def open_new(self, name: str) -> None:
        """Open an empty notebook with a kernel of its own."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("")])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, self.server.files / name)
        self.open(name)

    def show(self, code: str) -> Locator:
        """Run `code` as the notebook's only cell and give the cell's output area. An error in it fails the test."""
        self.page.mouse.move(1, 1)  # away from what is about to appear
        self.page.evaluate(
            """async (source) => {
                const model = window.jupyterapp.shell.currentWidget.content.model.sharedModel;
                model.transact(() => {
                    model.deleteCellRange(0, model.cells.length);
                    model.insertCells(0, [{ cell_type: 'code', source, metadata: {}, outputs: [] }]);
                });
            }""",
            code,
        )
        self.run_all()
        return self.panel.locator(".jp-OutputArea").first

    def run_all(self) -> None:
        """Run every cell and wait for the last; an error in one fails the test."""
        ended = self.page.evaluate(
            """(patience) => Promise.race([
                window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => true),
                new Promise((late) => setTimeout(late, patience)),
            ])""",
            4 * PATIENCE,
        )
        assert ended, "the cells did not come to an end"
        errors = [o for cell in self.cells() for o in cell.get("outputs", []) if o["output_type"] == "error"]
        assert not errors, "\n".join(errors[0]["traceback"])

    def cells(self) -> list[dict]:
        """The notebook's cells with their outputs, as they are now."""
        return self.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells")

    def python(self, expression: str) -> object:
        """The value of an expression in the notebook's kernel (something that JSON can carry)."""
        text = self.page.evaluate(
            """async (code) => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({ code, store_history: false });
                let text = '';
                future.onIOPub = (message) => {
                    const { name, text: said } = message.content; // a warning of the kernel's own goes to stderr
                    if (message.header.msg_type === 'stream' && name === 'stdout') text += said;
                    if (message.header.msg_type === 'error') text = message.content.traceback.join('\\n');
                };
                await future.done;
                return text;
            }""",
            f"import json as _json\nprint(_json.dumps({expression}))",
        )
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            raise AssertionError(text) from None

    def expect_python(self, expression: str, expected: object) -> None:
        """Wait until the expression has this value in the kernel: what the page does reaches Python a moment later."""
        deadline = time.monotonic() + PATIENCE / SECONDS
        while (found := self.python(expression)) != expected:
            assert time.monotonic() < deadline, f"{expression} is {found}, not {expected}"

    def stop_kernel(self) -> None:
        """Shut the kernel down for good."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")

    def theme(self, name: str) -> None:
        """Change the theme ("JupyterLab Dark" or "JupyterLab Light") and wait until the page wears it."""
        self.page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", name)
        self.page.wait_for_function(
            "(theme) => document.body.dataset.jpThemeName === theme", arg=name, timeout=PATIENCE
        )


STEADY = """async (root) => {
    let [drawn, frames] = ['', 0];
    for (let asked = 0; frames < 5; asked++) {
        if (asked === 1000) throw new Error(`still drawing: ${drawn} times so far`);
        await new Promise(requestAnimationFrame);
        frames = root.dataset.drawn === drawn ? frames + 1 : 0;
        drawn = root.dataset.drawn;
    }
}"""


def steady(root: Locator) -> None:
    """Wait until an explorer is drawn, and not again for five frames.

    The first drawing is followed by another when the page has told its width and that it is in view: who has found a
    part of the picture before that holds one that is gone.
    """
    expect(root).to_have_attribute("data-drawn", re.compile("."))
    root.evaluate(STEADY)


CONTRAST = """(root, property) => {
    // WCAG 2 contrast of every text but that of controls that are off. Everything is painted as on the page: opacity
    // and transparent colours count.
    if (!root.isConnected) throw new Error('an element that left the page has no colours');
    const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const luminance = (colour, alpha) => {
        Object.assign(context, { globalAlpha: alpha, fillStyle: colour }).fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((c) => c / 255)
            .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    };
    const contrast = (node) => {
        const styles = [];
        for (let n = node; n; n = n.parentElement) styles.unshift(getComputedStyle(n));
        let [behind, opacity] = [luminance('white', 1), 1];
        for (const style of styles) behind = luminance(style.backgroundColor, (opacity *= style.opacity));
        const ink = luminance(styles.at(-1)[property ?? 'color'], opacity);
        return (Math.max(ink, behind) + 0.05) / (Math.min(ink, behind) + 0.05);
    };
    const found = {};
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        const text = walker.currentNode.data.trim();
        if (!text || node.closest(':disabled, [aria-disabled=true]')) continue;
        const counts = property === 'fill' ? node.closest('svg') : node.offsetParent;
        if (counts) found[text] = Math.min(found[text] ?? 21, contrast(node));
    }
    return found;
}"""
"""How legible an explorer is: `root.evaluate(CONTRAST)` gives {text: ratio}; with "fill", of the texts in its figures.

The root is what stays: a figure may be drawn anew between finding it and asking it.
"""
