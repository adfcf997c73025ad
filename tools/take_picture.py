"""Takes the README's picture: the head explorer as it stands in a JupyterLab page.

Usage: .venv/bin/python tools/take_picture.py      (needs what the browser tests need)
"""

import os
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "browser")]

from live_lab import Lab, Server  # noqa: E402
from playwright.sync_api import expect, sync_playwright  # noqa: E402

from conftest import find_chromium  # noqa: E402
from mha_lab import _whole  # noqa: E402

PICTURE = ROOT / "docs" / "head_explorer.png"
CODE = """
from mha_lab import pretrained, widgets
explorer = widgets.HeadExplorer(pretrained.recorded(), layer=1, pinned=[3, 8])
tokens = pretrained.recorded()[0].tokens
explorer.can_read = True  # as where the model is installed
explorer.hovered = [3, tokens.index("it"), tokens.index("suitcase")]
explorer
"""


def main():
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder))
        try:
            server.wait()
            args = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=find_chromium(), args=args)
            lab = Lab(browser, server)
            lab.page.set_viewport_size({"width": 1280, "height": 1100})
            lab.open_new("picture.ipynb")
            explorer = lab.show(CODE).locator(".mha-heads")
            expect(explorer).to_have_attribute("data-drawn", re.compile("."))
            PICTURE.parent.mkdir(exist_ok=True)
            _whole.write(PICTURE, explorer.screenshot())
            browser.close()
        finally:
            server.stop()


if __name__ == "__main__":
    main()
