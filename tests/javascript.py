"""Runs the explorers' modules (frontend/src) where Node is found and in Chromium otherwise; and their tests."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

FRONTEND = Path(__file__).parents[1] / "frontend"
ADDRESS = "http://lab.test/"  # nobody's: what it serves are the files of FRONTEND
NO_NODE = "no Node of version 18 or newer was found: install one (Debian: apt install nodejs npm)"
REQUIRED = os.environ.get("NODE_CHECKS") == "required"

# JSON has no word for these; the other way it has none for undefined, which becomes null.
READ = """(_, value) => (value && typeof value === 'object' && '$number' in value ? Number(value.$number) : value)"""
WRITE = """(_, value) => (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))
    ? { $number: Object.is(value, -0) ? '-0' : String(value) } : value)"""


@cache
def find_node() -> str | None:
    """Node of version 18 or newer, or None."""
    node = shutil.which("node")
    if not node:
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    return node if version[1:].split(".")[0].isdigit() and int(version[1:].split(".")[0]) >= 18 else None


def call_in_node(modules: str | Sequence[str], body: str, data: dict):
    """What the body of a function returns that has the exports of modules of frontend/src as `m`, and data."""
    code = f"""
        import {{ readFileSync }} from 'node:fs';
        const m = {_merged((FRONTEND / "src" / module).as_uri() for module in _several(modules))};
        const data = JSON.parse(readFileSync(0, 'utf8'), {READ});
        const result = await (async () => {{ {body} }})();
        process.stdout.write(JSON.stringify(result ?? null, {WRITE}));"""
    run = subprocess.run(
        [find_node(), "--input-type=module", "--eval", code],
        input=json.dumps(_written(data)),
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout, object_hook=_read)


def call_in_page(page, modules: str | Sequence[str], body: str, data: dict):
    """The same in a page that `serve` has prepared."""
    text = page.evaluate(
        f"""async (text) => {{
            const m = {_merged(f"{ADDRESS}src/{module}" for module in _several(modules))};
            const data = JSON.parse(text, {READ});
            const result = await (async () => {{ {body} }})();
            return JSON.stringify(result ?? null, {WRITE});
        }}""",
        json.dumps(_written(data)),
    )
    return json.loads(text, object_hook=_read)


def _several(modules):
    return [modules] if isinstance(modules, str) else modules


def _merged(addresses) -> str:
    """JavaScript for the exports of the modules at these addresses, as one object."""
    return "{ " + ", ".join(f"...(await import({json.dumps(address)}))" for address in addresses) + " }"


KINDS = {".js": "text/javascript", ".html": "text/html", ".json": "application/json"}


def serve(page, pages: dict[str, str] | None = None) -> None:
    """Lets a page see the files of FRONTEND at ADDRESS, and `pages` {path: HTML}; it goes to an empty one."""
    pages = {"": "<!doctype html><title>modules</title>", **(pages or {})}

    def answer(route):
        path = route.request.url.removeprefix(ADDRESS)
        if path in pages:
            return route.fulfill(body=pages[path], content_type="text/html")
        file = FRONTEND / path
        return (
            route.fulfill(path=file, content_type=KINDS[file.suffix]) if file.is_file() else route.fulfill(status=404)
        )

    page.route(f"{ADDRESS}**", answer)
    page.goto(ADDRESS)


def _written(value):
    """A value in JSON's own words: numbers that JSON has no word for become {"$number": "NaN"}."""
    if isinstance(value, dict):
        return {name: _written(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_written(inner) for inner in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return {"$number": "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"}
    return value


def _read(pairs: dict):
    return float(pairs["$number"].replace("Infinity", "inf")) if set(pairs) == {"$number"} else pairs
