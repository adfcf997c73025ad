"""A real JupyterLab in a real Chromium, started once: `lab.show(code)` runs a cell and gives its output on the page."""

from collections.abc import Iterator

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
def opened(browser, tmp_path):
    """opened(explorer, **context): its saved page, without a network. An error on it fails the test."""
    contexts, complaints = [], []

    def opened(explorer, **options):
        contexts.append(browser.new_context(offline=True, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(explorer.save_html(tmp_path / "page.html").as_uri())
        steady(page.locator(".mha"))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
