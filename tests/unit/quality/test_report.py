"""Reports: self-contained, escaped, rated, reproducible."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest

from linumpy_lib.quality.charts import histogram_svg
from linumpy_lib.quality.report import Metric, Report, format_value

HOSTILE = "<script>alert('x')</script>\"&'; <img src=x onerror=alert(1)>"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
VOID = {"meta", "img", "link", "br"}


class Tags(HTMLParser):
    """Collects the tags and fails on a page whose tags do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def hostile_report() -> Report:
    report = Report(HOSTILE, HOSTILE, footer=HOSTILE)
    section = report.section(HOSTILE)
    section.text(HOSTILE).heading(HOSTILE).notice(HOSTILE)
    section.metrics([Metric(HOSTILE, HOSTILE, HOSTILE, "ok", {HOSTILE: 1.0}, HOSTILE)])
    section.table([HOSTILE], [[HOSTILE]], caption=HOSTILE).figure(PNG, caption=HOSTILE, alt=HOSTILE, width_px=20)
    section.values({HOSTILE: HOSTILE}).raw(HOSTILE, {HOSTILE: [HOSTILE]})
    section.charts([histogram_svg([0, 1, 2], [1, 2], title=HOSTILE, marks={HOSTILE: 1.0})])
    return report


def test_hostile_names_stay_text() -> None:
    tags = Tags(hostile_report().html()).tags
    assert "script" not in {tag for tag, _ in tags}
    assert not [a for _, attributes in tags for a in attributes if a.startswith("on")]
    assert {a.get("src", "")[:15] for t, a in tags if t == "img"} == {"data:image/png;"}


def test_the_page_needs_no_other_file() -> None:
    page = hostile_report().html()
    assert not re.search(r"https?:|url\(|@import|<link|src=\"(?!data:)", page.replace("&lt;", ""))
    links = [a["href"] for t, a in Tags(page).tags if t == "a"]
    anchors = {a["id"] for t, a in Tags(page).tags if t == "section"}
    assert {f"#{anchor}" for anchor in anchors} == set(links)


def test_equal_content_gives_equal_pages() -> None:
    assert hostile_report().html() == hostile_report().html()


def test_the_worst_figure_decides() -> None:
    report = Report("r")
    assert report.status == "info"
    report.section("a").metrics([Metric("m", 1, status="ok"), Metric("n", None)])
    assert report.status == "ok"
    report.section("b").metrics([Metric("m", 1, "%", "error", {"above": 2.0}), Metric("n", 1, status="warning")])
    assert report.status == "error"
    assert "above 2 %" in report.html()
    assert "out of range" in report.html()


def test_sections_with_equal_titles_have_their_own_anchor() -> None:
    report = Report("r")
    assert len({report.section("Same").anchor for _ in range(3)}) == 3


def test_numbers_are_aligned_and_words_are_not() -> None:
    page = Report("r")
    page.section("t").table(["name", "n", "mixed"], [["a", 1200, 1], ["b", None, "x"]])
    html = page.html()
    assert html.count('<td class="number">') == 2
    assert "1\u202f200" in html


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (0.0, "0"),
        (1 / 3, "0.3333"),
        ([1.0, 2.5], "1, 2.5"),
        ([], "–"),
    ],
)
def test_values_are_written_for_people(value: object, text: str) -> None:
    assert format_value(value) == text


def test_only_pictures_are_embedded() -> None:
    with pytest.raises(ValueError, match="PNG"):
        Report("r").section("s").figure(b"<svg>")


def test_bars_are_as_high_as_their_counts() -> None:
    svg = histogram_svg(
        [1, 10, 100, 1000], [5, 0, 10], title="t", logarithmic=True, marks={"median": 31.6, "none": None}
    )
    bars = [(float(w), float(h)) for w, h in re.findall(r'width="([\d.]+)" height="([\d.]+)"', svg)]
    assert len(bars) == 2
    assert bars[0][0] == pytest.approx(bars[1][0])
    assert bars[1][1] == pytest.approx(2 * bars[0][1], rel=0.01)
    assert svg.count('class="mark"') == 1
    assert re.findall(r">(\d+)</text>", svg) == ["1", "10", "100", "1000"]


def test_an_empty_histogram_is_drawn() -> None:
    assert 'class="bar"' not in histogram_svg([0.0, 1.0], [0], title="t")
