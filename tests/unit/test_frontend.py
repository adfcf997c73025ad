"""The explorers' front-end house: sources that name themselves, tests of their own, bundles that need nobody."""

import gzip
import json
import os
import re
import subprocess
from pathlib import Path

import check_frontend
import javascript as modules
import pytest

from mha_lab import widgets

FRONTEND = modules.FRONTEND
STATIC = Path(widgets.__file__).parent / "static"
SOURCES = sorted(path for folder in ("src", "test") for path in (FRONTEND / folder).rglob("*.js"))
ROOMS = sorted(path.parent for path in (FRONTEND / "src").glob("*/index.js"))
TESTS = sorted((FRONTEND / "test").rglob("*.test.js"))
LINES, SCREEN = 250, 60  # of a file, of a function


def named(path):
    return str(path.relative_to(FRONTEND))


# HeadExplorer has three sources, three views, charts and a measurement.
WEIGHTS = {"HeadExplorer": (60_000, 26_000)}
"""Bytes of a bundle, and of the same packed, where they may be more than of the others."""

BROUGHT = {"slides": ["reveal.js"]}
"""Packages of others that a room's bundle holds."""


# the bundles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", widgets.__all__)
def test_each_bundle_is_small_import_free_and_calls_nobody(name):
    code, style = str(getattr(widgets, name)._esm), str(getattr(widgets, name)._css)
    most, most_packed = WEIGHTS.get(name, (40_000, 16_000))
    assert len(code.encode()) < most and len(gzip.compress(code.encode())) < most_packed
    assert not re.search(r"\bimport\b", re.sub(r'"[^"]*"|`[^`]*`', "", code)) and "@import" not in style
    assert "http" not in code.replace("http://www.w3.org/2000/svg", "") + style  # the name of SVG, not an address


@pytest.mark.parametrize("name", widgets.__all__)
def test_a_bundle_is_a_path_so_that_live_reload_finds_it(name):
    kind = getattr(widgets, name)
    room = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    for trait, ending in (("_esm", "js"), ("_css", "css")):
        assert kind.__dict__[trait]._path == STATIC / f"{room}.{ending}"


def test_every_room_has_its_bundle_and_every_bundle_its_room():
    made = {path.stem for path in STATIC.iterdir()}
    assert made == {room.name for room in ROOMS}
    assert {path.name for path in STATIC.iterdir()} == {f"{name}.{end}" for name in made for end in ("js", "css")}


def test_a_package_of_others_comes_with_its_licence_and_calls_nobody():
    code, style = ((STATIC / f"slides.{end}").read_text(encoding="utf-8") for end in ("js", "css"))
    assert "Copyright (C) 2011-2026 Hakim El Hattab" in code and "Permission is hereby granted, free of charge" in code
    held = json.loads((FRONTEND / "package-lock.json").read_text(encoding="utf-8"))["packages"][
        "node_modules/reveal.js"
    ]
    assert f"reveal.js {held['version']}." in code
    assert re.findall(r"https?://[^\s,\"'`]+", code) == ["http://hakim.se"]  # its author, in the licence
    assert not re.search(r"fetch\(|XMLHttpRequest|\beval\(|new Function|sendBeacon|WebSocket", code)
    assert not re.search(r"@import|url\((?!data:)", style)


# the sources ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_a_source_is_checked_and_short(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("// @ts-check\n")
    assert "@ts-ignore" not in text and "@ts-nocheck" not in text and "@ts-expect-error" not in text
    assert len(text.splitlines()) < LINES


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_no_function_is_longer_than_a_screen(path):
    """A function, as the formatter lays it out, ends with the first brace that stands as far in as it began."""
    lines = path.read_text(encoding="utf-8").splitlines()
    long = []
    for start, line in enumerate(lines):
        if not re.search(r"\bfunction\b.*\{$|=> \{$|=>\s*\(?$", line) or line.lstrip().startswith(("*", "//")):
            continue
        indent = re.match(r" *", line)[0]
        end = next((i for i in range(start + 1, len(lines)) if re.match(rf"{indent}[\]}})]", lines[i])), start)
        if end - start >= SCREEN:
            long.append(f"line {start + 1}: {end - start + 1} lines: {line.strip()}")
    assert long == []


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_imports_from_itself_and_from_what_is_shared(room):
    for path in room.glob("*.js"):
        froms = re.findall(r'from "([^"]+)"', path.read_text(encoding="utf-8"))
        own = [name for name in froms if name not in BROUGHT.get(room.name, ())]
        assert [name for name in own if not re.fullmatch(r"(\./|\.\./shared/)\w+\.js", name)] == [], path.name


@pytest.mark.parametrize(
    "room", [r for r in ROOMS if r.name not in ("saved_page", "slides")], ids=lambda room: room.name
)
def test_a_rooms_classes_begin_with_its_own_prefix(room):
    style = (STATIC / f"{room.name}.css").read_text(encoding="utf-8")
    shared = "".join(path.read_text(encoding="utf-8") for path in (FRONTEND / "src/shared").glob("*.css"))
    classes = set(re.findall(r"\.(mha[\w-]*)", style)) - set(re.findall(r"\.(mha[\w-]*)", shared))
    shortest = min(classes, key=len, default="mha-")
    assert shortest.startswith("mha-")
    assert [name for name in classes if not name.startswith(shortest)] == []


@pytest.mark.parametrize("name", widgets.__all__)
def test_the_typedef_of_the_traits_names_exactly_those_that_the_page_shares(name):
    kind = getattr(widgets, name)
    room = FRONTEND / "src" / kind.__dict__["_esm"]._path.stem
    own = {trait for trait, value in kind.class_traits(sync=True).items()} - set(PROTOCOL)
    text = (room / "traits.js").read_text(encoding="utf-8")
    typedef = re.search(r"@typedef (?:\{Object\} )?Traits\n((?: \*.*\n)*?) \*/", text)
    assert typedef, f"{room.name}/traits.js has no `@typedef Traits` with a @property for each trait"
    assert set(re.findall(r"@property \{.*\} (\w+)", typedef[1])) == own


PROTOCOL = (
    *("_model_module", "_model_module_version", "_model_name", "_view_module", "_view_module_version", "_view_name"),
    *("_dom_classes", "_view_count", "_anywidget_id", "_esm", "_css", "layout", "tabbable", "tooltip", "comm"),
)


# make check ----------------------------------------------------------------------------------------------------------


def test_without_node_the_check_says_that_it_is_left_out_and_fails_only_where_it_is_required(monkeypatch, capsys):
    monkeypatch.setattr(check_frontend.shutil, "which", lambda name: None)
    monkeypatch.delenv("NODE_CHECKS", raising=False)
    assert check_frontend.main() == 0
    monkeypatch.setenv("NODE_CHECKS", "required")
    assert check_frontend.main() == 1
    sentence = "The explorers' sources (frontend/) are not checked: there is no Node and npm here"
    assert [line.startswith(sentence) for line in capsys.readouterr().out.splitlines()] == [True, True]


def test_an_old_node_is_no_node(tmp_path, monkeypatch):
    for name, says in ("node", "v16.20.2"), ("npm", "8"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {says}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert "v16.20.2" in check_frontend.what_is_missing()


def test_a_bundle_that_differs_or_that_only_one_side_has_is_named(tmp_path, monkeypatch):
    made, kept = tmp_path / "made", tmp_path / "kept"
    for folder, files in (
        (made, {"a.js": "1", "b.js": "1", "c.js": "1"}),
        (kept, {"a.js": "1", "b.js": "2", "d.js": ""}),
    ):
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    monkeypatch.setattr(check_frontend, "STATIC", kept)
    assert check_frontend.stale(made) == ["b.js", "c.js", "d.js"]


def test_packages_are_installed_again_when_the_lock_names_others(tmp_path, monkeypatch):
    lock = {"packages": {"": {}, "a": {"integrity": "1"}, "other-system": {"integrity": "2", "optional": True}}}
    for name, content in ("LOCK", lock), ("INSTALLED", {"packages": {"a": {"integrity": "1"}}}):
        monkeypatch.setattr(check_frontend, name, tmp_path / name)
        (tmp_path / name).write_text(json.dumps(content))
    assert check_frontend.is_installed()
    for packages in {"a": {"integrity": "3"}}, {}:
        (tmp_path / "INSTALLED").write_text(json.dumps({"packages": packages}))
        assert not check_frontend.is_installed()
    (tmp_path / "INSTALLED").unlink()
    assert not check_frontend.is_installed()


def test_the_lock_names_every_package_by_its_sum_and_none_by_a_host():
    lock = json.loads((FRONTEND / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages and all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())
    assert all(re.fullmatch(r"[\d.]+", version) for version in lock["packages"][""]["devDependencies"].values())


# their own tests -----------------------------------------------------------------------------------------------------


def test_nodes_own_runner_finds_nothing_wrong():
    node = modules.find_node()
    if not node:
        if modules.REQUIRED:
            pytest.fail(f"NODE_CHECKS=required, and {modules.NO_NODE}.")
        pytest.skip(f"{modules.NO_NODE}; the same tests run in Chromium.")
    run = subprocess.run(
        [node, "--test", *map(named, TESTS)], cwd=FRONTEND, capture_output=True, text=True, encoding="utf-8"
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr


def test_the_same_tests_hold_in_a_browser(in_modules_page):
    """Where no Node is, they are all that there is; a few lines stand in for node:test and node:assert."""
    stands_in = {"node:test": "/test/browser/test.js", "node:assert/strict": "/test/browser/assert.js"}
    imports = "".join(f'await import("/{named(path)}");\n' for path in TESTS)
    text = f"""<!doctype html><title>tests</title>
        <script type="importmap">{json.dumps({"imports": stands_in})}</script>
        <script type="module">
        import {{ finished }} from "node:test";
        try {{
            {imports}
            window.failures = await finished();
        }} catch (problem) {{
            window.failures = [String(problem.stack)];
        }}</script>"""

    def failures(page):
        modules.serve(page, {"tests": text})
        page.goto(f"{modules.ADDRESS}tests")
        page.wait_for_function("window.failures")
        found = page.evaluate("window.failures")
        page.goto(modules.ADDRESS)
        return found

    assert in_modules_page(failures) == []
