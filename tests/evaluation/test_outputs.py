"""JSON, CSV, text and the page hold what was measured, and nothing from elsewhere."""

import csv
import html.parser
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covos.core.errors import UsageError
from covos.core.pages import kept_points
from covos.evaluation import comparison_table, comparison_to_json, evaluate
from covos.evaluation.comparison import result_names
from covos.evaluation.layout import columns
from covos.evaluation.page import html_page, write_html
from covos.evaluation.tables import csv_files, csv_names, write_csv

ODD = 'a, "b" <i>'


@pytest.fixture
def results(tmp_path: Path, masks):
    truth = tmp_path / "Annotations"
    for name in (ODD, "plain"):
        masks.write(truth / name, masks.moving(8))
        folder = tmp_path / "JPEGImages" / name
        folder.mkdir(parents=True)
        for index in range(8):
            Image.new("RGB", masks.size[::-1], (200, 30, 30)).save(folder / f"{index:05d}.jpg")
        masks.write(tmp_path / "one" / name, masks.moving(8, speed=3))
        masks.write(tmp_path / "two" / name, masks.moving(8))
    return [evaluate(tmp_path / name, truth, protocol="davis2017-semi") for name in ("one", "two")]


def test_json_holds_everything(results) -> None:
    found = json.loads(results[0].to_json())
    assert found["protocol"] == "davis2017-semi"
    assert found["summary"]["J&F"] == results[0].scores.jf
    assert found["summary"]["sequences"] == 2
    assert found["summary"]["frames"] == 12
    assert found["summary"]["J&F-Interval"] is None  # of two sequences there is none
    first = found["sequences"][0]["objects"][0]
    assert found["sequences"][0]["name"] == ODD
    assert first["J"] == results[0].objects[0].j.tolist()
    assert first["frames"] == [f"{index:05d}" for index in range(1, 7)]
    assert first["J-Decay"] == results[0].objects[0].j_statistics.decay
    assert first["flicker"] == results[0].objects[0].flicker


def test_json_of_several(results) -> None:
    found = json.loads(comparison_to_json(results, names=["one", "two"]))
    assert [each["name"] for each in found["results"]] == ["one", "two"]
    (change,) = found["differences"]
    assert change["J&F"] == pytest.approx(results[1].scores.jf - results[0].scores.jf)
    assert (change["result"], change["from"], change["verdict"]) == ("two", "one", "too few sequences")


def test_csv_survives_odd_names(results) -> None:
    files = csv_files(results[0])
    assert tuple(files) == csv_names(None)
    rows = list(csv.reader(io.StringIO(files["per-frame_results-all.csv"])))
    assert rows[0] == ["Sequence", "Object", "Frame", "J", "F"]
    assert len(rows) == 1 + 2 * 2 * 6
    assert rows[1][:3] == [ODD, "1", "00001"]
    assert float(rows[1][3]) == pytest.approx(results[0].objects[0].j[0], abs=1e-6)
    assert "\r" not in "".join(files.values())


def test_csv_files_are_named_after_the_subset(tmp_path: Path, results) -> None:
    assert csv_names("val")[0] == "global_results-val.csv"
    assert csv_names("2016/val")[1] == "per-sequence_results-val.csv"
    write_csv(results[0], tmp_path / "new" / "folder")
    paths = [tmp_path / "new" / "folder" / name for name in csv_files(results[0])]
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(p.name for p in paths)


def test_table_names_protocol_and_every_object(results) -> None:
    table = results[0].table()
    assert "davis2017-semi" in table
    assert len([line for line in table.splitlines() if line.startswith((ODD, "plain"))]) == 4
    assert table.splitlines()[-1].startswith("all ")


def test_repr_is_short(results) -> None:
    assert "davis2017-semi: 2 sequences, 4 objects, 12 frames; J&F 0." in repr(results[0])
    assert "object 1: 6 frames; J 0." in repr(results[0].objects[0])
    assert "array" not in repr(results[0].sequences)


def test_columns_line_up() -> None:
    assert columns([("name", "J"), ("a", "0.5")], [("all", "1")]) == [
        "name    J",
        "----  ---",
        "a     0.5",
        "----  ---",
        "all     1",
    ]


def test_comparison_says_that_two_sequences_are_too_few(results) -> None:
    text = comparison_table(results, names=["one", "two"])
    assert re.search(r"two is 0\.\d+ better than one; 2 sequences cannot tell whether by chance", text)


def test_table_as_markdown_has_every_object_in_percent(results) -> None:
    lines = results[0].table("markdown").splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 4 + 1  # header and rule, the objects, all
    assert {line.count(" | ") for line in rows} == {9}
    assert rows[0].startswith("| sequence | object | J&F | J mean | J recall |")
    assert rows[-1].startswith(f"| all | 4 | {100 * results[0].scores.jf:.1f} | {100 * results[0].scores.j.mean:.1f} |")
    assert "in percent" in lines[0]


def test_table_as_latex_escapes_names_and_ends_its_rows(results) -> None:
    lines = results[0].table("latex").splitlines()
    inside = lines[lines.index(r"\toprule") : lines.index(r"\bottomrule")]
    assert lines[0].startswith("% ")
    assert r"\begin{tabular}{lrrrrrrrrr}" in lines
    rows = [line for line in inside if not line.startswith((r"\toprule", r"\midrule"))]
    assert len(rows) == 1 + 4 + 1
    assert all(line.endswith(r" \\") and line.count(" & ") == 9 for line in rows)
    assert r"J\&F" in rows[0]


def test_an_unknown_format_is_refused(results) -> None:
    for make in (results[0].table, lambda how: comparison_table(results, names=["a", "b"], format=how)):
        with pytest.raises(UsageError, match="no table format 'tex'"):
            make("tex")


@pytest.mark.parametrize("how", ["markdown", "latex"])
def test_comparison_for_papers_marks_the_best(results, how: str) -> None:
    bold = {"markdown": "**{}**", "latex": r"\textbf{{{}}}"}[how]
    text = comparison_table(results, names=["a_b", "two"], format=how)
    assert bold.format(f"{100 * results[1].scores.jf:.1f}") in text
    assert bold.format(f"{100 * results[0].scores.jf:.1f}") not in text
    assert r"a\_b" in text
    assert "cannot tell whether by chance" in text
    apart = 100 * abs(results[1].scores.jf - results[0].scores.jf)
    assert f"two is {apart:.1f} points" in text
    arrow = {"markdown": "↓", "latex": r"$\downarrow$"}[how]
    assert [f"{name} {arrow}" in text for name in ("J decay", "F decay", "flicker", "J mean")] == [True] * 3 + [False]


@pytest.mark.parametrize("how", ["markdown", "latex"])
def test_what_all_results_share_is_not_marked(results, how: str) -> None:
    bold = {"markdown": "**", "latex": "textbf"}[how]
    assert bold not in comparison_table([results[0], results[0]], names=["a", "b"], format=how)
    three = comparison_table([results[0], results[1], results[1]], names=["a", "b", "c"], format=how)
    (head, *_) = [line for line in three.splitlines() if line.startswith(("| b |", "b & "))]
    (twin, *_) = [line for line in three.splitlines() if line.startswith(("| c |", "c & "))]
    assert head.count(bold) == twin.count(bold) > 0


class Page(html.parser.HTMLParser):
    """Collects what a page would load, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.images: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attributes) -> None:
        values = dict(attributes)
        if tag == "img":
            self.images.append(values["src"])
        self.links += [values[name] for name in ("href", "xlink:href", "data") if name in values]
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes) -> None:
        self.links += [value for name, value in attributes if name in {"href", "xlink:href"}]

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.text.append(data)


def read(page: str) -> Page:
    parser = Page()
    parser.feed(page)
    assert parser.open == []
    return parser


@pytest.mark.parametrize("count", [1, 2])
def test_page_is_whole_and_loads_nothing(results, count: int) -> None:
    page = html_page(results[:count], names=["<one>", "two"][:count])
    parser = read(page)
    assert parser.links == []
    assert parser.images
    assert all(source.startswith("data:image/webp;base64,") for source in parser.images)
    assert "url(" not in page
    assert "@import" not in page
    assert "<script" not in page
    text = " ".join(parser.text)
    assert ODD in text
    assert "<one>" in text
    assert "davis2017-semi" in text
    assert f"{results[0].scores.jf:.3f}" in text
    assert page.count("<polyline") == 4 * 2 * count


def test_page_of_several_says_what_the_difference_means(results) -> None:
    text = " ".join(read(html_page(results, names=["one", "two"])).text)
    assert "better than one; 2 sequences cannot tell whether by chance" in text


def test_the_baseline_may_be_any_of_them(results) -> None:
    three, names = [results[0], results[1], results[0]], ["a", "b", "c"]
    gain = results[1].scores.jf - results[0].scores.jf
    found = json.loads(comparison_to_json(three, names=names, baseline="b"))
    assert [(each["result"], each["from"]) for each in found["differences"]] == [("a", "b"), ("c", "b")]
    assert [each["J&F"] for each in found["differences"]] == pytest.approx([-gain, -gain])
    rows = [re.split(r"  +", line) for line in comparison_table(three, names=names, baseline="b").splitlines()]
    header, _, a, b, c = next(rows[at : at + 5] for at in range(len(rows)) if rows[at][0] == "result")
    assert "to b" in header
    assert [f"{-gain:+.3f}" in row for row in (a, b, c)] == [True, False, True]
    assert [line for line in comparison_table(three, names=names).splitlines() if "than a" in line]
    text = " ".join(read(html_page(three, names=names, baseline="b")).text)
    assert "from the lowest of b" in text
    assert "a is" in text
    assert "worse than b" in text
    with pytest.raises(UsageError, match="'d' is no result to compare with"):
        comparison_table(three, names=names, baseline="d")


def test_pictures_show_the_annotated_picture(results) -> None:
    import base64

    sources = read(html_page(results[:1], names=["one"])).images
    picture = np.array(Image.open(io.BytesIO(base64.b64decode(sources[0].partition(",")[2]))))
    corner = picture[-5, 5].astype(int)
    assert corner[0] > 2 * corner[1]  # the red of the picture, dimmed


def test_page_is_written_whole(tmp_path: Path, results) -> None:
    path = tmp_path / "report.html"
    write_html(results, path, names=["one", "two"])
    assert read(path.read_text(encoding="utf-8")).images
    assert [entry.name for entry in tmp_path.iterdir() if "partial" in entry.name] == []


def test_a_long_line_keeps_its_dips() -> None:
    values = np.ones(20_000)
    values[12_345] = 0.1
    kept = kept_points(values)
    assert 12_345 in kept
    assert {0, 19_999} <= set(kept)
    assert len(kept) < 400


def test_names_tell_results_apart(tmp_path: Path) -> None:
    assert result_names([tmp_path / "x", tmp_path / "y"]) == ["x", "y"]
    assert result_names([tmp_path / "x" / "masks", tmp_path / "y" / "masks"]) == ["x/masks", "y/masks"]
