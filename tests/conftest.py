"""What all tests share: the same hypothesis examples on every run, and a Chromium for the browser tests."""

import itertools
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import javascript as modules
import pytest
import torch
from hypothesis import settings
from playwright.sync_api import sync_playwright

# The same examples every time: ten runs are ten times the same test. No deadline: a busy machine is no failure.
settings.register_profile("lab", derandomize=True, deadline=None, database=None)
settings.load_profile("lab")

pytest.register_assert_rewrite("exercise_promises")
HOMES = itertools.count()  # made where somebody writes there


@pytest.fixture(autouse=True)
def nobody_has_passed_anything(tmp_path_factory, monkeypatch):
    """Each test begins the course anew, and none reads or writes what the one who runs them has passed."""
    monkeypatch.setenv("MHA_LAB_HOME", str(tmp_path_factory.getbasetemp() / "homes" / str(next(HOMES))))


@pytest.fixture(autouse=True)
def plain_defaults():
    """Tests write numbers of 32 bits on the CPU, whatever somebody's start-up file has made the default; those that
    promise something under other defaults set them."""
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    plain = dtype == torch.float32 and device.type == "cpu"
    if not plain:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device("cpu")
    yield
    if not plain:
        torch.set_default_dtype(dtype)
        torch.set_default_device(device)


BROWSER_TESTS = Path(__file__).parent / "browser"
CHROMIUMS = "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "msedge"
MACOS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
NO_CHROMIUM = (
    "no Chromium, Chrome or Edge was found: install one (Debian: apt install chromium) "
    "or name it with CHROMIUM=/path/to/it"
)


def find_chromium() -> str | None:
    """The browser named by CHROMIUM, or the first one installed; None where there is none."""
    wanted = os.environ.get("CHROMIUM")
    for name in [wanted] if wanted else [*CHROMIUMS, *MACOS]:
        if path := shutil.which(name):
            return path
    return None


def launch_arguments() -> dict:
    """How Playwright drives the machine's own browser; as root Chromium refuses to start in its sandbox."""
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return {"executable_path": find_chromium(), "args": ["--no-sandbox"] if as_root else []}


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    return {**browser_type_launch_args, **launch_arguments()}


@pytest.fixture(scope="session")
def javascript(request):
    """javascript("head_explorer/maths.js", "return m.f(data.x)", x=…): what the body of a function returns that has the
    exports of a module of frontend/src as `m`, and data. In Node where it is found, in Chromium otherwise."""
    if modules.find_node():
        yield lambda module, body, **data: modules.call_in_node(module, body, data)
        return
    if modules.REQUIRED:
        raise pytest.UsageError(f"NODE_CHECKS=required, and {modules.NO_NODE}.")
    in_page = request.getfixturevalue("in_modules_page")
    yield lambda module, body, **data: in_page(modules.call_in_page, module, body, data)


@pytest.fixture(scope="session")
def in_modules_page():
    """in_modules_page(act, …): what act(page, …) returns, of a page that can import what lies in frontend/. Playwright
    has a thread of its own: where it runs, its event loop runs too, and a test that runs a lesson needs its own."""
    if not find_chromium():
        pytest.skip(NO_CHROMIUM)
    with ThreadPoolExecutor(1) as elsewhere:
        playwright = elsewhere.submit(lambda: sync_playwright().start()).result()
        browser = elsewhere.submit(lambda: playwright.chromium.launch(**launch_arguments())).result()
        page = elsewhere.submit(browser.new_page).result()
        elsewhere.submit(modules.serve, page).result()
        yield lambda act, *given: elsewhere.submit(act, page, *given).result()
        elsewhere.submit(browser.close).result()
        elsewhere.submit(playwright.stop).result()


def pytest_collection_modifyitems(items):
    """A test has one name in every run. Browser tests need a browser: without one they are skipped, or fail where
    BROWSER_TESTS=required (as in CI)."""
    changing = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if changing:  # xdist's workers must collect the same tests, by name
        raise pytest.UsageError(f"a test is named by an address, which differs from run to run: {changing[0]}")
    browser_tests = [item for item in items if BROWSER_TESTS in item.path.parents]
    if not browser_tests or find_chromium():
        return
    if os.environ.get("BROWSER_TESTS") == "required":
        raise pytest.UsageError(f"BROWSER_TESTS=required, and {NO_CHROMIUM}.")
    for item in browser_tests:
        item.add_marker(pytest.mark.skip(reason=f"browser tests skipped: {NO_CHROMIUM}."))
