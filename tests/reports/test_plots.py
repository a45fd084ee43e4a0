import re
import xml.etree.ElementTree as ElementTree

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from fgvr.reports import plots
from fgvr.reports.analysis import Calibration, ClassResult
from fgvr.reports.run_files import Curve

CURVES = {"coop": Curve((1, 2, 3), (3.0, 2.0, 1.0)), "coop_single": Curve((1, 2), (3.0, 2.5))}
CLASSES = [ClassResult("A", 4, 0.5, 0.75, "B", 2, 0.5), ClassResult("B", 4, 1.0, 0.5, "B", 4, 0.5)]
DRAWN = {
    "results": lambda note="": plots.result_plot({"cACC": {"zero_shot": 50.0, "coop": 75.0}}, "coop", note),
    "curve": lambda note="": plots.curve_plot("curve", "Training loss", CURVES, {"coop": 0}, note),
    "space": lambda note="": plots.vocabulary_plot([3, 1, 1], [4, 1], note),
    "sizes": lambda note="": plots.set_size_plot([1, 2, 2], [True, False, None], note),
    "classes": lambda note="": plots.class_plot(CLASSES, "coop", "zero_shot", note),
    "change": lambda note="": plots.change_plot(CLASSES, "coop", "zero_shot", note),
    "calibration": lambda note="": plots.calibration_plot(Calibration((0.2, 0.8), (0.1, 0.9), (5, 5)), "coop", note),
}


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("name", DRAWN)
def test_plots_are_elements_of_a_page(name):
    svg = DRAWN[name]()
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("aria-label")
    assert all(id_.startswith(f"{name}-") for id_ in re.findall(r'\bid="([^"]*)"', svg))
    references = re.findall(r'href="#([^"]*)"', svg) + re.findall(r"url\(#([^)]*)\)", svg)
    assert set(references) <= set(re.findall(r'\bid="([^"]*)"', svg))
    assert "<style" not in svg
    assert "<metadata" not in svg
    assert not re.search(r"#0[1-5]0[1-5]0[1-6]", svg), "a colour that follows no theme"
    assert "var(--ink)" in svg
    assert DRAWN[name]() == svg


@pytest.mark.parametrize("name", DRAWN)
def test_a_note_is_in_the_title(name):
    assert "(simulated labels)" in texts(DRAWN[name]("simulated labels"))
    assert "(simulated labels)" not in texts(DRAWN[name]())


def extents(svg):
    """Left and right end of each text that is not turned, and the width of the plot, in points."""
    root = ElementTree.fromstring(svg)
    width = float(root.get("viewBox").split()[2])
    found = []
    for element in root.iter("{http://www.w3.org/2000/svg}text"):
        style = element.get("style")
        turned = re.search(r"rotate\((-?[\d.]+)", element.get("transform", ""))
        if turned and abs(float(turned[1])) > 1:
            continue
        size = float(re.search(r"([\d.]+)px", style)[1])
        font = FontProperties(size=size, weight="bold" if "700" in style or "bold" in style else "normal")
        length, _, _ = TextToPath().get_text_width_height_descent(element.text, font, ismath=False)
        place = re.search(r"translate\((-?[\d.]+)", element.get("transform", ""))
        x = float(place[1]) if place else float(element.get("x"))
        anchor = (re.search(r"text-anchor: (\w+)", style) or [None, "start"])[1]
        left = x - {"start": 0, "middle": length / 2, "end": length}[anchor]
        found.append((element.text, left, left + length))
    return found, width


EDGES = {
    "one photo a name": lambda: plots.vocabulary_plot([1, 1], [1, 1]),
    "few photos a name": lambda: plots.vocabulary_plot([6, 5, 4, 2, 1], [6, 5, 4, 3]),
    "thousands of photos a name": lambda: plots.vocabulary_plot([30000, 200, 1], [30000, 201]),
    "long rows": lambda: plots.change_plot(CLASSES, "a_row_with_a_very_long_name", "another_very_long_name", "note"),
    "many rows": lambda: plots.result_plot(dict.fromkeys(("sACC (mpnet)", "sIOU (split)"), MANY), "row_0"),
}
MANY = {f"row_{number}": 10.0 * number for number in range(7)}


@pytest.mark.parametrize("name", [*DRAWN, *EDGES])
def test_every_text_of_a_plot_is_plain_and_inside_it(name):
    svg = DRAWN[name]("simulated labels") if name in DRAWN else EDGES[name]()
    found, width = extents(svg)
    assert found
    for text, left, right in found:
        assert not re.search(r"[$\\{}]|mathdefault", text), text
        # the browser's font is not quite matplotlib's
        assert left > -0.03 * width, f"{text!r} begins left of the plot"
        assert right < 1.03 * width, f"{text!r} ends {right - width:.0f} points right of the plot"


def test_names_of_rows_are_text():
    rows = ["<b>&", "$x^2$", "\x00\x1b", "鳥", "_hidden", "x" * 99]
    svg = plots.curve_plot("curve", "Loss", dict.fromkeys(rows, CURVES["coop"]), {})
    shown = texts(svg)
    assert {"<b>&", "$x^2$", "\ufffd\ufffd", "鳥"} <= set(shown)
    assert max(map(len, shown)) < 40


def test_a_curve_of_one_epoch_is_a_point():
    assert "1" in texts(plots.curve_plot("curve", "Loss", {"coop": Curve((1,), (2.0,))}, {"coop": 0}))


def test_a_row_has_one_colour_in_all_plots():
    series = plots.series_of(["zero_shot", "coop_single", "coop"], "coop")
    curves = plots.curve_plot("curve", "Loss", CURVES, series)
    bars = plots.result_plot({"cACC": {"zero_shot": 1.0, "coop_single": 2.0, "coop": 3.0}}, "coop")
    assert "var(--series-3)" in curves
    assert "var(--series-2)" not in curves
    assert {"var(--series-1)", "var(--series-2)", "var(--series-3)"} <= set(re.findall(r"var\(--series-\d\)", bars))
