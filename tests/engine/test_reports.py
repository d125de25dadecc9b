import base64
import datetime
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from defusedxml import ElementTree

from vistazo.engine import reports
from vistazo.engine.reports import (
    Curves,
    Facts,
    Headline,
    Matrix,
    Picture,
    Pictures,
    Report,
    Section,
    Table,
    Text,
    number,
    percent,
    to_html,
    to_json,
    to_svg,
    to_terminal,
)
from vistazo.language import speaking

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=https://evil.example/x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7*7 }}",
    "a\x1b[31m\x00\u202e\udce9",
    "]]>&amp;<!--",
    "ñandú",
]
VOID = {"meta", "img", "br", "link", "input", "hr"}


def report(names: list[str] = HOSTILE, epochs: int = 5) -> Report:
    size = len(names)
    counts = [[90 if row == column else (row * column) % 4 for column in range(size)] for row in range(size)]
    line = [1 / (1 + epoch) for epoch in range(epochs)]
    name = names[0]
    return Report(
        title=name,
        subtitle=name,
        sections=[
            Section("", [Headline(percent(0.913), name, f"n = 10\n{name}")]),
            Section(
                name, [Text(f"{name}\n\n{name}"), Facts([(name, name), ("n", 10000), ("nothing", None)])]
            ),
            Section("t", [Table(["class", "F1", name], [[name, 0.5, None] for name in names])]),
            Section(
                "c", [Curves(list(range(1, epochs + 1)), {name: line, "validación": line}, name, "loss")]
            ),
            Section("m", [Matrix(names, counts, "class", name)]),
            Section("p", [Pictures([Picture(DOT, [name, "99%", f"{name}.png"]) for name in names])]),
        ],
    )


class Reader(HTMLParser):
    """Collects tags, attributes and text, and insists that every tag is closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == [], "every tag is closed"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


# ---------------------------------------------------------------- the page
def test_hostile_names_are_shown_and_execute_nothing():
    page = Reader(to_html(report()))
    assert {tag for tag, _ in page.tags} & {"script", "iframe", "object", "a", "link", "form"} == set()
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.words
    assert "{{ 7*7 }}" in page.words
    assert "a\ufffd[31m\ufffd\ufffd\ufffd" in page.words


def test_the_page_is_one_file_that_asks_no_network():
    text = to_html(report(["gato", "perro"]))
    page = Reader(text)
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv")]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert text.encode("utf-8")


def test_every_address_of_a_hostile_report_is_embedded():
    for _, attributes in Reader(to_html(report())).tags:
        assert attributes.get("src", "data:").startswith("data:")
        assert "href" not in attributes
        assert "style" not in attributes


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_page_says_its_language(language):
    with speaking(language):
        text = to_html(report())
    assert Reader(text).all("html") == [{"lang": language}]
    assert ("91,3\u00a0%" if language == "es" else "91.3%") in text


def test_people_who_cannot_see_the_page_can_read_it():
    page = Reader(to_html(report()))
    assert all(heading.get("scope") for heading in page.all("th"))
    assert all(image["alt"] for image in page.all("img"))
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in page.all("svg"))
    assert len(page.all("h1")) == len(page.all("main")) == 1


@pytest.mark.parametrize(
    ("x", "series"),
    [
        pytest.param([1], {"a": [0.5], "b": [0.5]}, id="one epoch"),
        pytest.param([1, 2, 3], {"a": [0.5, None, float("nan")]}, id="gaps"),
        pytest.param([1, 2], {"a": [1, 1]}, id="flat"),
        pytest.param([0.0, 0.5], {"a": [0, 0]}, id="zero"),
        pytest.param(
            list(range(500)), {str(n): [n + 1e-7 * x for x in range(500)] for n in range(6)}, id="many"
        ),
        pytest.param([1, 2], {"<&\x00>" * 9: [1e12, -1e12]}, id="hostile and huge"),
    ],
)
def test_drawings_are_well_formed_and_stay_inside_their_frame(x, series):
    page = to_html(Report("r", [Section("", [Curves(x, series, "epoch", "loss <&>")])]))
    (svg,) = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    drawing = ElementTree.fromstring(svg)
    _, _, width, height = map(float, drawing.get("viewBox").split())
    drawn = [path.get("d") for path in drawing.iter("path") if path.get("class") == "line"]
    points = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", "".join(drawn))
    points += [(label.get("x"), label.get("y")) for label in drawing.iter("text")]
    assert points
    assert all(0 <= float(across) <= width and 0 <= float(down) <= height for across, down in points)


def test_labels_at_the_ends_of_lines_do_not_overlap():
    series = {str(n): [0.5, 0.5 + n * 1e-4] for n in range(6)} | {"far": [0, 1]}
    page = to_html(Report("r", [Section("", [Curves([1, 2], series, "epoch", "loss")])]))
    heights = sorted(float(y) for y in re.findall(r'class="name" x="[\d.]+" y="([\d.]+)"', page))
    assert len(heights) == 7
    assert min(after - before for before, after in pairwise(heights)) >= 14


def test_curves_without_points_say_so():
    with speaking("en"):
        page = to_html(Report("r", [Section("", [Curves([], {"a": []}, "epoch", "loss")])]))
    assert "There is nothing to draw yet." in page
    assert "<svg" not in page


def test_a_name_has_one_colour_throughout_the_report():
    curves = [
        Curves([1], {"train": [1], "validation": [2]}, "epoch", "loss"),
        Curves([1], {"validation": [2]}, "epoch", "accuracy"),
    ]
    page = to_html(Report("r", [Section("", curves)]))
    assert re.findall(r'<g class="(k\d)">', page) == ["k1", "k2", "k2"]
    assert page.count('<div class="curves">') == 1, "neighbouring curves stand side by side"


@pytest.mark.parametrize(
    ("classes", "look"),
    [(20, "figures"), (21, "small-cells"), (50, "small-cells"), (51, "tiny"), (100, "tiny")],
)
def test_large_matrices_are_drawn_by_colour_alone(classes, look):
    names = [f"class {number}" for number in range(classes)]
    counts = [[9 * (row == column) for column in range(classes)] for row in range(classes)]
    page = to_html(Report("r", [Section("", [Matrix(names, counts, "class", "answer")])]))
    assert f'class="matrix {look}"' in page
    assert page.count('class="right h10"') == classes


def test_a_matrix_tells_the_share_of_its_row():
    matrix = Matrix(["cat", "dog"], [[3, 1], [0, 0]], "class", "answer")
    with speaking("en"):
        page = to_html(Report("r", [Section("", [matrix])]))
    assert 'class="wrong h5" title="cat taken for dog: 1 of 4 (25.0%)"' in page
    assert 'class="right h9" title="cat recognised: 3 of 4 (75.0%)"' in page


# ---------------------------------------------------------------- the terminal
def test_the_short_form_reads_as_expected():
    told = Report(
        "Cats and dogs",
        [
            Section("", [Headline("91.3%", "accuracy", "n = 100")]),
            Section(
                "Classes",
                [
                    Table(["class", "F1"], [["cat", 0.9], ["dog", None]]),
                    Matrix(["cat", "dog"], [[9, 1], [0, 5]], "class", "answer"),
                    Curves([1, 2], {"train": [1.5, 0.25]}, "epoch", "Loss"),
                ],
            ),
        ],
    )
    with speaking("en"):
        assert to_terminal(told) == (
            "Cats and dogs\n\n91.3%  accuracy\nn = 100\n\nClasses\n-------\n"
            "class     F1\ncat    0.900\ndog        -\n\n"
            "cat taken for dog: 1 of 10 (10.0%)\n\nLoss\n  train: 1.50 -> 0.250\n"
        )


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_the_short_form_survives_any_console(language, encoding):
    with speaking(language):
        text = to_terminal(report())
    text.encode(encoding, "replace")
    assert "\x1b" not in text
    assert "\x00" not in text
    assert "\u00a0" not in text
    assert text.isascii() or set(re.sub(r"[\x00-\x7f]", "", text)) <= set("áéíóúñüÁÉÍÓÚÑÜ¿¡")


def test_long_tables_and_many_pictures_are_cut_and_counted():
    with speaking("en"):
        text = to_terminal(report([f"class {number}" for number in range(40)]))
    assert "... and 30 more" in text
    assert "... and 35 more" in text
    assert "class 9 " in text
    assert "class 30 " not in text


# ---------------------------------------------------------------- JSON and numbers
def test_the_dictionary_is_strict_json_without_pixels():
    numpy = pytest.importorskip("numpy")
    told = Report("r", [Section("s", [Facts([("n", numpy.int64(3))]), *report().sections[-1].blocks])])
    told.sections[0].blocks.append(Curves([1, 2], {"a": [float("nan"), numpy.float32(0.5)]}, "x", "y"))
    with speaking("es"):
        plain = to_json(told)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    facts, pictures, curves = plain["sections"][0]["blocks"]
    assert plain["language"] == "es"
    assert facts == {"kind": "facts", "pairs": [["n", 3]]}
    assert pictures["pictures"][0] == {"caption": [HOSTILE[0], "99%", HOSTILE[0] + ".png"]}
    assert curves["series"] == {"a": [None, 0.5]}


@pytest.mark.parametrize(
    ("value", "english", "spanish"),
    [
        (1234, "1,234", "1234"),
        (12345, "12,345", "12\u00a0345"),
        (1234.5, "1,234.500", "1234,500"),
        (0.9126, "0.913", "0,913"),
        (None, "–", "–"),
        (float("nan"), "–", "–"),
    ],
)
def test_numbers_are_written_as_the_language_writes_them(value, english, spanish):
    with speaking("en"):
        assert number(value) == english
    with speaking("es"):
        assert number(value) == spanish


@pytest.mark.parametrize(
    ("share", "words"),
    [(1, "100.0%"), (0.99999, ">99.9%"), (0.9995, ">99.9%"), (0.9994, "99.9%"), (0, "0.0%"), (1e-5, "<0.1%")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share, words):
    with speaking("en"):
        assert percent(share) == words


# ---------------------------------------------------------------- data that cannot be wrong
@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: Table(["a"], [[1, 2]]), "every row has 1 cells", id="row too long"),
        pytest.param(lambda: Table(["a"], [], align="lr"), "align has 1 letters", id="alignment too long"),
        pytest.param(lambda: Table(["a"], [], align="x"), "made of 'l' and 'r'", id="alignment unknown"),
        pytest.param(lambda: Curves([1], {"a": []}, "x", "y"), "lines have 1 points", id="line too short"),
        pytest.param(lambda: Curves([float("nan")], {}, "x", "y"), "x is finite", id="x not finite"),
        pytest.param(lambda: Matrix(["a"], [[1, 2]], "r", "c"), "1 labels need 1 x 1", id="not square"),
        pytest.param(lambda: Matrix(["a"], [[-1]], "r", "c"), "0 or more", id="negative"),
        pytest.param(lambda: Picture(b"GIF89a", []), "PNG", id="not a PNG"),
        pytest.param(lambda: Picture(DOT, "words"), "sequence of lines", id="caption is one text"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_empty_report_has_a_page():
    assert Reader(to_html(Report("r", []))).all("h1")
    assert to_terminal(Report("r", [])) == "r\n"
    assert to_terminal(Report("r", [Section("s", [Facts([]), Pictures([]), Matrix([], [], "r", "c")])]))
    assert to_html(
        Report("r", [Section("s", [Facts([]), Pictures([]), Table([], []), Matrix([], [], "r", "c")])])
    )


def test_a_report_needs_neither_torch_nor_jinja_until_a_page_is_made():
    code = "import sys, vistazo.engine.reports; print({'torch', 'jinja2', 'numpy'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


# ---------------------------------------------------------------- bands, dates, a drawing of its own
SVG = "{http://www.w3.org/2000/svg}"


def day(text):
    return float((datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days)


def drawn(curves):
    """The drawing as a tree, and the points of its paths of one class."""
    tree = ElementTree.fromstring(to_svg(curves))

    def points(kind):
        paths = [one.get("d") for one in tree.iter(f"{SVG}path") if one.get("class").split()[0] == kind]
        return [
            [tuple(map(float, at)) for at in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)] for path in paths
        ]

    return tree, points


def test_a_band_goes_there_along_its_top_and_back_along_its_bottom():
    _, points = drawn(Curves([0, 1, 2], {"a": [1, 2, 3]}, "x", "y", {"a": ([0, 1, 2], [2, 3, 4])}))
    ((line,), (band,)) = points("line"), points("band")
    assert len(band) == 6
    assert [across for across, _ in band[:3]] == [across for across, _ in line]
    assert [across for across, _ in band[3:]] == [across for across, _ in reversed(line)]
    for (_, top), (_, middle), (_, bottom) in zip(band[:3], line, reversed(band[3:]), strict=True):
        assert top < middle < bottom, "down the page is down"
        assert middle - top == pytest.approx(bottom - middle, abs=0.2)


def test_a_band_stays_inside_the_frame_even_where_it_is_far_wider_than_its_line():
    tree, points = drawn(Curves([0, 1], {"a": [5, 5]}, "x", "y", {"a": ([-1000, 0], [10, 4000])}))
    _, _, width, height = map(float, tree.get("viewBox").split())
    assert all(0 <= across <= width and 0 <= down <= height for one in points("band") for across, down in one)


@pytest.mark.parametrize("hole", [None, float("nan"), float("inf")])
def test_a_band_has_a_gap_where_either_end_has_one(hole):
    low, high = [0, hole, 0, 0, 0], [1, 1, 1, 1, 1]
    text = to_svg(Curves(list(range(5)), {"a": [0.5] * 5}, "x", "y", {"a": (low, high)}))
    (path,) = re.findall(r'class="band k1" d="([^"]*)"', text)
    assert path.count("M") == path.count("z") == 1, "the one point left of the gap is no area"
    assert len(re.findall(r"[\d.]+ [\d.]+", path)) == 6


def test_a_band_has_the_colour_of_its_line_and_no_band_is_drawn_without_one():
    curves = Curves([0, 1], {"real": [1, 1], "told": [2, 2], "empty": [None, None]}, "x", "y",
                    {"told": ([1, 1], [3, 3]), "empty": ([1, 1], [3, 3])})  # fmt: skip
    assert re.findall(r'class="band (k\d)"', to_svg(curves)) == ["k2"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda: Curves([1], {"a": [1]}, "x", "y", {"a": ([1, 2], [1])}), "bands have 1 points", id="long"
        ),
        pytest.param(
            lambda: Curves([1], {"a": [1]}, "x", "y", {"b": ([1], [1])}), "around a line", id="no line"
        ),
    ],
)
def test_bands_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2022-01-01", "2022-01-04"),
        ("2022-01-20", "2022-03-15"),
        ("2021-11-15", "2022-06-03"),
        ("2015-02-11", "2022-06-03"),
        ("1968-12-30", "1970-02-02"),
        ("1900-01-01", "2100-01-01"),
    ],
)
def test_an_axis_of_dates_is_marked_with_dates_that_lie_on_it(first, last):
    tree, _ = drawn(Curves([day(first), day(last)], {"a": [1, 2]}, "date", "y", dates=True))
    words = [one.text for one in tree.iter(f"{SVG}text") if re.fullmatch(r"\d{4}-\d\d-\d\d", one.text or "")]
    assert 2 <= len(words) <= 11
    assert words == sorted(words)
    assert first <= words[0] <= words[-1] <= last
    if day(last) - day(first) >= 60:
        assert all(word.endswith("-01") for word in words)


def test_a_point_tells_its_date():
    with speaking("en"):
        assert "<title>date 2022-03-01, a: 5.00</title>" in to_svg(
            Curves([day("2022-03-01")], {"a": [5]}, "date", "y", dates=True)
        )


def test_a_wide_drawing_is_twice_as_wide():
    narrow, wide = (drawn(Curves([0, 1], {"a": [1, 2]}, "x", "y", wide=one))[0] for one in (False, True))
    sizes = [list(map(float, one.get("viewBox").split()))[2:] for one in (narrow, wide)]
    assert sizes[1] == [2 * sizes[0][0], sizes[0][1]]


def test_a_drawing_alone_is_well_formed_whatever_its_names():
    curves = Curves(
        [0, 1], {name: [1, 2] for name in HOSTILE}, HOSTILE[0], HOSTILE[1], {HOSTILE[0]: ([0, 0], [3, 3])}
    )
    tree = ElementTree.fromstring(to_svg(curves))
    assert tree.tag == f"{SVG}svg"
    assert {one.tag for one in tree.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "style", "rect", "path", "g", "text", "title")
    }
    assert not [name for one in tree.iter() for name in one.attrib if name.startswith("on") or "href" in name]


def test_nothing_to_draw_is_no_file():
    with pytest.raises(ValueError, match="there is nothing to draw"):
        to_svg(Curves([], {"a": []}, "x", "y"))


def test_an_axis_of_shares_goes_no_further_than_shares_do():
    for values, holds, shown in (
        ([1.0, 1.0], (0.0, 1.0), {0.0, 1.0}),
        ([0.0, 0.0], (0.0, 0.01), {0.0, 0.01}),
    ):
        curves = Curves([1, 2], {"a": values}, "x", "y", holds=holds)
        words = [float(word) for _, word in reports._plot(curves, ["a"])["y_ticks"]]
        assert min(words) == min(shown) and max(words) == max(shown)
