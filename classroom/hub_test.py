"""Starts a class's hub on this machine, lets students come, each in a real browser page, and measures what it takes.

Usage: build/hub/bin/python classroom/hub_test.py [--students 5] [--within 30] [--lessons 00 02 …] [--whole]
       (make hub-test N=5)

N students arrive evenly within so many seconds (six for each unless given), each with an empty home, log in for the
first time, open a lesson (the next of --lessons) and run it down to its first picture. With --whole each then runs the
whole lesson, as many at once as the machine has cores. Pages and kernels stay open until the last one is done.

It fails where a student fails, where a cell raises an error, or where all processes of the hub (its own, the servers,
the kernels) together take more than 22 GiB: the sum of their PSS, in which a page that several share is counted once.
Times run from the click that logs in. The browser runs on the same machine and takes its share of the cores, where a
class brings its own computers: it is said how much that was.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psutil
from class_spawner import hidden
from playwright.async_api import async_playwright

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 1000  # Playwright counts in milliseconds
PATIENCE = int(os.environ.get("PATIENCE", 300)) * SECONDS
MOST_GIB = 22
EVERY = 2  # seconds between two looks at the memory
BROWSERS = "chromium", "chromium-browser", "google-chrome"
FIRST_PICTURE = """async () => {
    const panel = jupyterapp.shell.currentWidget, notebook = panel.content;
    await panel.sessionContext.ready;
    const pause = () => new Promise((done) => setTimeout(done, 50));
    for (let i = 0; i < notebook.widgets.length; i++) {
        const model = notebook.widgets[i].model;
        if (model.type !== 'code') continue;
        notebook.activeCellIndex = i;
        await jupyterapp.commands.execute('notebook:run-cell');
        const outputs = model.outputs.toJSON();
        const error = outputs.find((output) => output.output_type === 'error');
        if (error) throw new Error(`cell ${i}: ${error.ename}: ${error.evalue}`);
        const kinds = outputs.flatMap((output) => Object.keys(output.data ?? {}));
        if (!kinds.some((kind) => /^image|widget-view/.test(kind))) continue;
        await notebook.scrollToItem(i);
        const pictures = '.jp-OutputArea-output :is(canvas, svg, img, .mha)';
        const seen = () => [...notebook.widgets[i].node.querySelectorAll(pictures)]
            .some((picture) => picture.getBoundingClientRect().width > 20);
        while (!seen()) await pause();
        return i;
    }
    throw new Error('no cell of this lesson shows a picture');
}"""
WHOLE = """async () => {
    await jupyterapp.commands.execute('notebook:run-all-cells');
    const cells = jupyterapp.shell.currentWidget.content.model.cells;
    for (let i = 0; i < cells.length; i++) {
        const error = (cells.get(i).outputs?.toJSON() ?? []).find((output) => output.output_type === 'error');
        if (error) throw new Error(`cell ${i}: ${error.ename}: ${error.evalue}`);
    }
}"""


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Hub:
    """The hub of classroom/, on free ports of this machine, with its class in a folder of its own."""

    def __init__(self, folder, students):
        (folder / "students.txt").write_text("".join(f"{name}\n" for name in students))
        config = folder / "jupyterhub_config.py"
        config.write_text(
            f"load_subconfig({str(ROOT / 'classroom' / 'jupyterhub_config.py')!r})\n"
            "c.Spawner.args = ['--LabApp.expose_app_in_browser=True']\n"  # so that a test can ask the page
        )
        self.url = f"http://127.0.0.1:{free_port()}"
        ours = {
            "MHA_LAB_CLASSROOM": str(folder),
            "MHA_LAB_HUB_URL": self.url,
            "MHA_LAB_HUB_PORT": str(free_port()),
            "MHA_LAB_PROXY_PORT": str(free_port()),
        }
        if not os.geteuid() and (closed := hidden(sys.executable, ROOT / ".venv")):
            print(f"All students are root here, because nobody else may enter {closed[0]}.", flush=True)
            ours["MHA_LAB_ONE_USER"] = "1"
        self.log = folder / "hub.log"
        with self.log.open("w") as log:
            command = [sys.executable, "-m", "jupyterhub", "-f", str(config)]
            self.process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **ours}, stdout=log, stderr=subprocess.STDOUT
            )

    def wait(self):
        deadline = time.monotonic() + PATIENCE / SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            if "JupyterHub is now running" in self.log.read_text():
                return
            time.sleep(0.2)
        sys.exit(f"The hub did not start:\n{self.log.read_text()}")

    def family(self):
        """All its processes, and whether each is a kernel, a server or the hub's own."""
        try:
            hub = psutil.Process(self.process.pid)
            processes = [hub, *hub.children(recursive=True)]
        except psutil.Error:  # one of them ended while they were listed
            return
        for process in processes:
            try:
                line = " ".join(process.cmdline())
            except psutil.Error:
                continue
            kind = "kernels" if "ipykernel_launcher" in line else "servers" if "singleuser" in line else "hub"
            yield kind, process

    def memory(self):
        """{kind: (processes, bytes)}; what a kernel starts counts with the hub's."""
        found = {}
        for kind, process in self.family():
            try:
                text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            except OSError:
                continue
            pss = re.search(r"^Pss:\s+(\d+)", text, re.M)
            count, size = found.get(kind, (0, 0))
            found[kind] = count + 1, size + 1024 * int(pss.group(1) if pss else 0)
        return found

    def stop(self):
        processes = [process for _, process in self.family()]
        self.process.terminate()
        _, alive = psutil.wait_procs(processes, timeout=60)
        for process in alive:
            process.kill()


async def visit(browser, hub, name, lesson, delay, results, turns, everybody):
    """One student, from the login to the picture, and perhaps to the lesson's end."""
    await asyncio.sleep(delay)
    row = results[name] = {"lesson": lesson}
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = await context.new_page()
    page.set_default_timeout(PATIENCE)
    lost = []
    page.on("requestfailed", lambda request: lost.append(f"{request.url}: {request.failure}"))
    try:
        path = f"/hub/user-redirect/lab/tree/my_notebooks/{lesson}"
        await page.goto(f"{hub.url}/hub/login?next={path}")
        await page.fill("input[name=username]", name)
        await page.fill("input[name=password]", f"the password of {name}")
        start = time.monotonic()
        await page.click("input[type=submit], button[type=submit]")
        await page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.content?.model", polling=100)
        row["page_s"] = time.monotonic() - start
        row["cell"] = await asyncio.wait_for(page.evaluate(FIRST_PICTURE), PATIENCE / SECONDS)
        row["picture_s"] = time.monotonic() - start
        if turns:
            async with turns:
                begin = time.monotonic()
                await asyncio.wait_for(page.evaluate(WHOLE), 1800)
                row["whole_s"] = time.monotonic() - begin
    except Exception as problem:
        row["lost"] = lost
        row["failed"] = (str(problem).splitlines() or [f"{type(problem).__name__} after {PATIENCE / SECONDS:.0f} s"])[0]
    print(f"{name}  {lesson[:20]:20}  {told(row)}", flush=True)
    everybody.append(name)
    while len(everybody) < len(results) or None in results.values():  # the page stays, as a class's pages do
        await asyncio.sleep(0.5)
    await context.close()


def told(row):
    if "failed" in row:
        lost = "".join(f"; {request}" for request in row.get("lost", [])[:3])
        return f"FAILED: {row['failed']}{lost}"
    whole = f", whole lesson {row['whole_s']:.0f} s" if "whole_s" in row else ""
    return f"page {row['page_s']:.1f} s, first picture {row['picture_s']:.1f} s{whole}"


async def watch(hub, peaks):
    """The most memory of all together, and of each kind at that moment."""
    while True:
        found = await asyncio.to_thread(hub.memory)
        if sum(size for _, size in found.values()) > sum(size for _, size in peaks.values()):
            peaks.clear()
            peaks.update(found)
        await asyncio.sleep(EVERY)


async def come(options, hub, names, lessons):
    results, peaks, everybody = dict.fromkeys(names), {}, []
    turns = asyncio.Semaphore(options.at_once) if options.whole else None
    async with async_playwright() as playwright:
        path = next((found for found in map(shutil.which, BROWSERS) if found), None)
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        looking = asyncio.create_task(watch(hub, peaks))
        step = options.within / len(names)
        visits = [
            visit(browser, hub, name, lessons[i % len(lessons)], i * step, results, turns, everybody)
            for i, name in enumerate(names)
        ]
        await asyncio.gather(*visits)
        cpu = {"hub": cpu_of(process for _, process in hub.family()), "browser": cpu_of(browsers())}
        looking.cancel()
        await browser.close()
    return results, peaks, cpu


def browsers():
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "chrom" in process.name():
                found.append(process)
        except psutil.Error:  # a page of it has just closed
            pass
    return found


def cpu_of(processes):
    spent = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
            spent += times.user + times.system
        except psutil.Error:
            pass
    return spent


def main(arguments):
    parser = argparse.ArgumentParser(description="Let a class come to a hub on this machine, and measure.")
    parser.add_argument("--students", type=int, default=5)
    parser.add_argument("--within", type=float, help="seconds in which all arrive; else six for each")
    parser.add_argument("--lessons", nargs="+", default=["00"], help="numbers; students take them in turn")
    parser.add_argument("--whole", action="store_true", help="each runs the whole lesson after the first picture")
    parser.add_argument("--at-once", type=int, default=os.cpu_count(), help="how many run it at a time")
    parser.add_argument("--shared", type=Path, help="a folder that classroom/share.py has filled")
    parser.add_argument("--json", type=Path, help="write what was measured here")
    options = parser.parse_args(arguments)
    options.within = 6 * options.students if options.within is None else options.within
    lessons = [next((ROOT / "notebooks").glob(f"{number}*.ipynb")).name for number in options.lessons]
    names = [f"student{i + 1:02}" for i in range(options.students)]
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="mha_lab-hub-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o711)
        if options.shared:
            (Path(folder) / "shared").symlink_to(options.shared.resolve())
        hub = Hub(Path(folder), names)
        try:
            hub.wait()
            results, peaks, cpu = asyncio.run(come(options, hub, names, lessons))
        finally:
            hub.stop()
        log = hub.log.read_text()
    failed = [name for name, row in results.items() if "failed" in row]
    gib = sum(size for _, size in peaks.values()) / 2**30
    pictures = [row["picture_s"] for row in results.values() if "picture_s" in row]
    for kind, (count, size) in sorted(peaks.items()):
        print(f"{kind:8} {count:3} processes {size / 1e6:7.0f} MB, {size / count / 1e6:.0f} MB each")
    print(f"memory in all, at the most {gib:.1f} GiB (at most {MOST_GIB} are allowed)")
    if pictures:
        print(f"first picture: median {statistics.median(pictures):.1f} s, worst {max(pictures):.1f} s")
    print(f"CPU seconds: hub, servers and kernels {cpu['hub']:.0f}, browser {cpu['browser']:.0f}; ", end="")
    print(f"{os.cpu_count()} cores, of which others kept {load:.1f} busy at the start")
    if options.json:
        measured = {"students": results, "gib": gib, "cpu_s": cpu, "cores": os.cpu_count(), "load": load}
        options.json.write_text(json.dumps(measured, indent=1) + "\n")
    if failed:
        print(f"{len(failed)} of {len(names)} failed. The hub's last words:\n{log[-3000:]}")
    return bool(failed) or gib > MOST_GIB


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
