"""The report of a run in a real browser: no message on its console, no overflow, and what moves does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.published_run import make_report, published_run

from linumpy_lib.quality.report_style import STYLE

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

# Clicks and presses keys in a copy of the page, and leaves what it saw in the page's title.
DRIVER = """<script>
addEventListener('load', () => setTimeout(() => {
  const seen = {}, one = s => document.querySelector(s), all = s => Array.from(document.querySelectorAll(s));
  const key = (target, key) => target.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
  const chart = one('figure.trend');
  chart.focus();
  seen.focused = document.activeElement === chart;
  key(chart, 'ArrowRight');
  seen.first = chart.querySelector('output').textContent;
  seen.others = all('figure.trend output').slice(1).map(o => o.textContent);
  seen.row = one('tr.chosen').dataset.slice;
  key(chart, 'End');
  seen.last = chart.querySelector('output').textContent;
  key(chart, 'Escape');
  seen.none = all('tr.chosen').length;
  const box = chart.querySelector('svg').getBoundingClientRect();
  chart.querySelector('svg').dispatchEvent(new PointerEvent('pointermove', {clientX: box.right, clientY: box.top}));
  seen.pointed = chart.querySelector('output').textContent;
  one('#only-issues').click();
  seen.hidden = all('table.ledger tbody tr').filter(row => row.hidden).length;
  one('#unfold').click();
  seen.folded = all('details.step:not([open])').length;
  const zoom = all('details.step button.zoom');
  zoom[0].focus();
  zoom[0].click();
  seen.open = one('dialog').open;
  seen.caption = one('dialog output').textContent;
  key(one('dialog'), 'ArrowRight');
  seen.next = one('dialog output').textContent;
  one('dialog [data-do=size]').click();
  seen.actual = one('dialog .stage').classList.contains('actual');
  one('dialog [data-do=close]').click();
  seen.closed = !one('dialog').open;
  seen.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  seen.unnamed = all('button, input, a, [tabindex]').filter(e =>
    !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).length;
  seen.images = all('.thumbs img').length;
  document.title = JSON.stringify(seen);
}, 50));
</script>"""


def browser(*words: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    fixed = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--virtual-time-budget=3000")
    return subprocess.run([CHROMIUM, *fixed, *words], capture_output=True, text=True, timeout=120, check=True)


def messages(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    return make_report(published_run(folder / "results"))


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_everything_moves_and_nothing_overflows(page: Path, width: int) -> None:
    free = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    copy = page.with_name(f"driven_{width}.html")
    copy.write_text(free.replace("</body>", f"{DRIVER}</body>"), encoding="utf-8")
    done = browser(f"--window-size={width},900", "--dump-dom", copy.as_uri())
    assert messages(done) == []
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title
    seen: dict[str, Any] = json.loads(title[1].replace("&amp;", "&"))
    assert seen["focused"]
    assert seen["first"] == "slice 1: 2 um"
    assert any(text.startswith("slice 1: ") for text in seen["others"])
    assert seen["row"] == "1"
    assert seen["last"] == seen["pointed"] == "slice 9: 18 um"
    assert seen["none"] == 0
    assert seen["hidden"] == 3, "slices 1 to 3 have nothing to look at"
    assert seen["folded"] == 0
    assert seen["open"]
    assert (seen["caption"], seen["next"]) == ("Cut face, slice 1 (1 of 6)", "Cut face, slice 2 (2 of 6)")
    assert seen["actual"]
    assert seen["closed"]
    assert seen["wide"] == 0
    assert seen["unnamed"] == 0
    assert seen["images"] == 7


@needs_chromium
def test_the_page_as_it_is_has_no_complaint_and_prints(page: Path) -> None:
    picture, paper = page.with_suffix(".png"), page.with_suffix(".pdf")
    done = browser("--window-size=390,844", f"--screenshot={picture}", page.as_uri())
    assert messages(done) == []
    assert picture.stat().st_size > 10_000
    printed = browser(f"--print-to-pdf={paper}", page.as_uri())
    assert messages(printed) == []
    assert paper.read_bytes().startswith(b"%PDF")


@needs_chromium
def test_names_that_are_programs_do_not_run(tmp_path: Path) -> None:
    name = '</script><script>document.title="run"</script><img src=x onerror=console.error(1)>'
    root = published_run(tmp_path / "results", note=name)
    made = make_report(root)
    done = browser("--dump-dom", made.as_uri())
    assert messages(done) == []
    assert "<title>Quality report: mouse</title>" in done.stdout
    assert "&lt;/script&gt;&lt;script&gt;" in made.read_text(encoding="utf-8")


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * c for c in digits) if len(digits) == 3 else digits
    parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_text_is_readable(scheme: int) -> None:
    """WCAG 2 asks for a contrast of 4.5 between text and its ground."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#\w+)", blocks[0]))
    colours |= dict(re.findall(r"--(\w+): (#\w+)", blocks[scheme]))
    for ground in ("page", "card"):
        for word in ("text", "faint", "accent", "ok", "warning", "error", "info"):
            low, high = sorted((_luminance(colours[ground]), _luminance(colours[word])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (word, ground)
