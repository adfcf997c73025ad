"""A real JupyterLab in a real Chromium, started once: `lab.show(code)` runs a cell and gives its output on the page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_lab import Lab, Server, steady
from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("jupyter"))
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def shared_lab(browser: Browser, server: Server) -> Iterator[Lab]:
    lab = Lab(browser, server)
    lab.open_new("shared.ipynb")
    yield lab
    lab.close()


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """One notebook and one kernel for all tests that leave both as they were."""
    yield shared_lab
    if shared_lab.page.evaluate("document.body.dataset.jpThemeLight") == "false":
        shared_lab.theme("JupyterLab Light")


@pytest.fixture
def own_lab(browser: Browser, server: Server, request) -> Iterator[Lab]:
    """A page, a notebook and a kernel of the test's own, to be broken."""
    lab = Lab(browser, server)
    lab.open_new(f"{request.node.name}.ipynb")
    yield lab
    lab.close()


@pytest.fixture
def from_disk(browser):
    """from_disk(path, query="", **context): a file in a browser without a network. A complaint or a request fails the
    test."""
    contexts, complaints = [], []

    def from_disk(path, query="", **options):
        context = browser.new_context(**{"offline": True, "viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        context.route(re.compile("^(?!file:|blob:|data:)"), lambda route: route.abort())
        context.on("requestfailed", lambda request: complaints.append(request.url))
        context.on("console", lambda message: complaints.append(message.text))
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(Path(path).as_uri() + query)
        return page

    yield from_disk
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def opened(from_disk, tmp_path):
    """opened(explorer, **context): its saved page, from disk."""

    def opened(explorer, **options):
        page = from_disk(explorer.save_html(tmp_path / "page.html"), **options)
        steady(page.locator(".mha"))
        return page

    return opened
