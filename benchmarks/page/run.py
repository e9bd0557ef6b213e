"""Flame graphs of 2k, 20k and 100k nodes: first paint, zoom and search, beside other libraries.

    python benchmarks/page/run.py [--nodes 2000,20000,100000] [--repeat 3]

All run in one Chromium, on the same trees. A step starts right after a frame, as a separate task,
and ends when the next frame has been handed over; a page with nothing to do waits for that frame:
the `idle` column. What a page leaves for after the picture is not in it. Each library gets its own
input format as text; parsing it counts.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Error, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

HERE = Path(__file__).resolve().parent
WEB = HERE.parent.parent / "web"
SUBJECTS = {"kernelscope": "columnar", "d3flame": "nested", "flamechart": "timed"}
NEEDLE = "fn_1"
_PATIENCE_MS = 180_000


@dataclass
class Node:
    name: str
    own: int
    value: int = 0
    events: int = 0
    children: list[Node] = field(default_factory=list)


def make_tree(nodes: int) -> Node:
    """Depths and widths as off-CPU stacks have them: 8 to 40 frames, few wide, many thin."""
    rng = random.Random(nodes)
    names = [f"fn_{i}" for i in range(max(50, nodes // 5))]
    root, made = Node("all", 0), 1
    while made < nodes:
        node = root
        for depth in range(rng.randint(8, 40)):
            chosen = rng.choice(names[: 4 + depth * 40])
            known = next((child for child in node.children if child.name == chosen), None)
            if known is None:
                known = Node(chosen, 0)
                node.children.append(known)
                made += 1
            node = known
            if made >= nodes:
                break
        node.own += int(rng.paretovariate(1.1) * 100)
    _sum(root)
    return root


def _sum(node: Node) -> int:
    node.children.sort(key=lambda child: child.name)
    node.value = node.own + sum(_sum(child) for child in node.children)
    node.events = (node.own > 0) + sum(child.events for child in node.children)
    return node.value


def walk(node: Node, level: int = 0) -> Iterator[tuple[Node, int]]:
    yield node, level
    for child in node.children:
        yield from walk(child, level + 1)


def columnar(root: Node) -> Any:
    ids: dict[str, int] = {}
    columns = ("name", "level", "value", "self", "count")
    answer: dict[str, list[Any]] = {column: [] for column in columns}
    for node, level in walk(root):
        answer["name"].append(ids.setdefault(node.name, len(ids)))
        answer["level"].append(level)
        answer["value"].append(node.value)
        answer["self"].append(node.own)
        answer["count"].append(node.events)
    return answer | {"names": list(ids)}


def nested(node: Node) -> Any:
    children = [nested(child) for child in node.children]
    return {"name": node.name, "value": node.value, "children": children}


def timed(root: Node) -> Any:
    return [_timed(root, 0)]


def _timed(node: Node, start: int) -> Any:
    children, at = [], start
    for child in node.children:
        children.append(_timed(child, at))
        at += child.value
    return {"name": node.name, "start": start, "duration": node.value, "children": children}


def speedscope(root: Node) -> Any:
    frames: dict[str, int] = {}
    samples, weights = [], []

    def visit(node: Node, path: list[int]) -> None:
        here = [*path, frames.setdefault(node.name, len(frames))]
        if node.own:
            samples.append(here)
            weights.append(node.own)
        for child in node.children:
            visit(child, here)

    visit(root, [])
    profile = {"type": "sampled", "name": _TITLE, "unit": "microseconds", "startValue": 0}
    profile |= {"endValue": sum(weights), "samples": samples, "weights": weights}
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": [{"name": name} for name in frames]},
        "profiles": [profile],
    }


def build(site: Path) -> None:
    for folder in (WEB, HERE):
        if not (folder / "node_modules").is_dir():
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=folder, check=True)
    esbuild = WEB / "node_modules/.bin/esbuild"
    sources = [f"{name}.ts" for name in SUBJECTS]
    options = ["--bundle", "--format=esm", "--minify", "--log-level=error", f"--outdir={site}"]
    subprocess.run([esbuild, *sources, *options], cwd=HERE, check=True)
    style = site / "style.css"
    sheets = [WEB / "src/style.css", "--bundle", "--log-level=error", f"--outfile={style}"]
    subprocess.run([esbuild, *sheets], check=True)
    style.write_text(f"{style.read_text()}#place > .flameview {{ height: 840px }}")
    for name in SUBJECTS:
        (site / f"{name}.html").write_text(
            '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="style.css">'
            '<div id="place"></div>'
            f'<script type="module" src="{name}.js"></script>'
        )
    shutil.copytree(WEB / "node_modules/speedscope/dist/release", site / "speedscope")


def write_inputs(site: Path, sizes: list[int]) -> None:
    formats = {"columnar": columnar, "nested": nested, "timed": timed, "speedscope": speedscope}
    for nodes in sizes:
        tree = make_tree(nodes)
        for name, convert in formats.items():
            (site / f"{name}-{nodes}.json").write_text(json.dumps(convert(tree)))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def measure(browser: Browser, base: str, subject: str, nodes: int) -> dict[str, float | None]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(_PATIENCE_MS)
    try:
        page.goto(f"{base}/{subject}.html")
        page.wait_for_function("window.bench")
        address = f"/{SUBJECTS[subject]}-{nodes}.json"
        return {
            "idle": page.evaluate("bench.idle()"),
            "paint": page.evaluate("path => bench.paint(path)", address),
            "zoom": page.evaluate("bench.zoom()"),
            "search": page.evaluate("text => bench.search(text)", NEEDLE),
        }
    except Error as error:
        print(f"{subject} {nodes}: {error.message.splitlines()[0]}", file=sys.stderr)
        return {}
    finally:
        page.close()


# speedscope is a program and no library: it is driven by events on a loaded page. It writes the
# profile's name into its toolbar together with the first picture.
_TITLE = "profile-of-the-benchmark"
_WATCH = """
window.shown = new Promise(done => new MutationObserver((_, observer) => {
    if (!document.body.textContent.includes('%s')) return
    observer.disconnect()
    requestAnimationFrame(() => setTimeout(() => done(performance.now())))
}).observe(document, {subtree: true, childList: true, characterData: true}))
const input = document.querySelector('input[type=file]')
input.addEventListener('change', () => { window.began = performance.now() }, true)
"""
_TIMED = """
async step => {
    const frame = () => new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)))
    await new Promise(resolve => setTimeout(resolve, 300))
    await frame()
    await frame()
    const start = performance.now()
    new Function(step)()
    await frame()
    return performance.now() - start
}
"""
_KEY = "dispatchEvent(new KeyboardEvent('keydown', {key: '%s', ctrlKey: %s, bubbles: true}))"
_TYPE = """
const input = document.querySelector('input[type=text], input:not([type])')
input.value = '%s'
input.dispatchEvent(new Event('input', {bubbles: true}))
"""


def measure_speedscope(
    browser: Browser, base: str, site: Path, nodes: int
) -> dict[str, float | None]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(_PATIENCE_MS)
    try:
        page.goto(f"{base}/speedscope/index.html")
        page.wait_for_selector("input[type=file]", state="attached")
        idle = page.evaluate(_TIMED, "")
        page.evaluate(_WATCH % _TITLE)
        page.set_input_files("input[type=file]", site / f"speedscope-{nodes}.json")
        paint = page.evaluate("window.shown.then(end => end - window.began)")
        zoom = page.evaluate(_TIMED, _KEY % ("+", "false"))
        page.evaluate(_KEY % ("f", "true"))
        page.wait_for_selector("input[type=text], input:not([type])")
        search = page.evaluate(_TIMED, _TYPE % NEEDLE)
    except Error as error:
        print(f"speedscope {nodes}: {error.message.splitlines()[0]}", file=sys.stderr)
        return {}
    else:
        return {"idle": idle, "paint": paint, "zoom": zoom, "search": search}
    finally:
        page.close()


def median(runs: list[dict[str, float | None]], step: str) -> str:
    found = [value for run in runs if (value := run.get(step)) is not None]
    return f"{statistics.median(found):9.0f}" if found else f"{'-':>9}"


STEPS = ("idle", "paint", "zoom", "search")


@dataclass(frozen=True)
class Runs:
    """The milliseconds of each step, in every repetition that did not fail."""

    subject: str
    nodes: int
    runs: list[dict[str, float | None]]


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or "/usr/bin/chromium"
        options = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


def measured(browser: Browser, sizes: list[int], repeat: int) -> Iterator[Runs]:
    """Yield the runs of each subject and size; subjects take turns."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        build(site)
        write_inputs(site, sizes)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        for nodes in sizes:
            found = [Runs(subject, nodes, []) for subject in (*SUBJECTS, "speedscope")]
            for _ in range(repeat):
                for each in found:
                    each.runs.append(
                        measure_speedscope(browser, base, site, nodes)
                        if each.subject == "speedscope"
                        else measure(browser, base, each.subject, nodes)
                    )
            yield from found
        server.shutdown()


def report(sizes: list[int], repeat: int) -> None:
    with chromium() as browser:
        print(f"{platform.machine()}, Chromium {browser.version}, median of {repeat}, ms")
        print(f"{'':14}{'nodes':>8}{'idle':>9}{'paint':>9}{'zoom':>9}{'search':>9}")
        for each in measured(browser, sizes, repeat):
            figures = "".join(median(each.runs, step) for step in STEPS)
            print(f"{each.subject:14}{each.nodes:8}{figures}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--nodes", default="2000,20000,100000")
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    report([int(nodes) for nodes in given.nodes.split(",")], given.repeat)


if __name__ == "__main__":
    main()
