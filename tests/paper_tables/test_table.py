import csv
import re

import pytest
from paper_tables.conftest import TRUTH, guesses

import fgvr
from fgvr.cli import main
from fgvr.errors import FgvrError
from fgvr.paper_tables.grid import DASH, Cell, Column, Grid, Line
from fgvr.paper_tables.table import FORMATS
from fgvr.tables import read_csv

LAYOUTS = ("plain", "fgvr_table2", "fgvr_table1", "latteclip_table1")


def line_of(text, title):
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {title} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_plain_has_every_row_with_intervals_and_protocol(write_run):
    text = fgvr.table(write_run("a", {"zero_shot": guesses(20), "coop": guesses(4), "labeler": guesses(0)}))
    assert text.splitlines()[0] == "| Row | cACC | sIOU | US\\$ |"
    assert "| *birds* |  |  |  |" in text
    # four photos of forty are wrong under the matching; two names share one word of three
    assert line_of(text, "coop (gpt-x)") == [
        "coop (gpt-x)",
        "**90.0** \\[85.0, 95.0\\]",
        "**93.3** \\[88.3, 98.3\\]",
        "0.50",
    ]
    assert line_of(text, "gpt-x")[1] == "100.0 \\[95.0, 105.0\\]", "asked about every photo: an upper bound"
    assert re.search(r"- birds: split test, 40 photos, 4 classes, photo list [0-9a-f]{8}\.", text)
    assert "McNemar's exact test over photos" in text
    assert "paired bootstrap over photos" in text
    assert "Backbones: lite." in text
    assert "(paper)" not in text


def test_nothing_is_bold_where_it_is_not_significant(write_run):
    text = fgvr.table(write_run("a", {"zero_shot": guesses(6), "coop": guesses(4)}))
    assert "**" not in text
    assert "Nothing is bold: in no column is a row better than every other one" in text
    alone = fgvr.table(write_run("b", {"coop": guesses(4)}))
    assert "Nothing is bold: no two rows could be tested against each other." in alone


def test_the_best_must_win_against_all(write_run):
    text = fgvr.table(write_run("a", {"zero_shot": guesses(30), "near": guesses(5), "coop": guesses(4)}))
    assert "**" not in text


def test_oracles_do_not_compete(write_run):
    path = write_run("a", {"zero_shot": guesses(30), "coop": guesses(10), "flyp": guesses(0)})
    from fgvr.metrics.files import read_metrics, write_metrics

    rows = read_metrics(path / "metrics.json")
    rows["flyp"]["oracle"] = True
    write_metrics(path / "metrics.json", rows)
    text = fgvr.table(path)
    assert line_of(text, "coop (gpt-x)")[1].startswith("**75.0**")
    assert line_of(text, "flyp (gpt-x; oracle)")[1].startswith("100.0")
    assert "oracle: true names were trained on" in text


def test_other_photos_or_splits_are_marked_and_not_compared(write_run):
    paths = [
        write_run("a", {"coop": guesses(4)}),
        write_run("b", {"linear": guesses(30)}, split="val"),
        write_run("c", {"linear2": guesses(30)[:20]}, truth=TRUTH[:20]),
    ]
    text = fgvr.table(paths)
    assert line_of(text, "coop (gpt-x)")[1] == "90.0<sup>a</sup> \\[85.0, 95.0\\]"
    assert line_of(text, "linear (gpt-x)")[1].startswith("25.0<sup>b</sup>")
    assert "<sup>c</sup>" in line_of(text, "linear2 (gpt-x)")[1]
    assert "- a: birds: split test, 40 photos" in text
    assert "- b: birds: split val, 40 photos" in text
    assert "- c: birds: split test, 20 photos" in text
    assert "**" not in text
    assert "<sup>" not in line_of(text, "coop (gpt-x)")[3], "dollars are not scored"


def test_other_encoders_are_marked(write_run):
    rows = {}
    for number, sha in enumerate(("aaaaaaaa1", "bbbbbbbb2")):
        encoders = {"sacc_all_minilm_l6_v2": {"encoder": "nowhere", "sha256": sha}}
        scoring = {"photos": 40, "classes": 4, "split": "test", "encoders": encoders, "normalise": {"siou": "cased"}}
        rows[f"row{number}"] = {"sacc_all_minilm_l6_v2": 80.0 + number, "cacc": 50.0, "scoring": scoring}
    text = fgvr.table(write_run("a", rows))
    assert line_of(text, "row0 (gpt-x)") == ["row0 (gpt-x)", "80.0<sup>a</sup>", "50.0"]
    assert line_of(text, "row1 (gpt-x)") == ["row1 (gpt-x)", "81.0<sup>b</sup>", "50.0"]
    assert "sACC by nowhere (aaaaaaaa), no list of its photos." in text


def test_an_encoder_that_is_not_here_is_said(write_run):
    path = write_run("a", {"zero_shot": guesses(30), "coop": guesses(4)})
    from fgvr.metrics.files import read_metrics, write_metrics

    rows = read_metrics(path / "metrics.json")
    for number, record in enumerate(rows.values()):
        record["sacc_x"] = 50.0 + 40 * number
        record["scoring"]["encoders"] = {"sacc_x": {"encoder": "nowhere", "sha256": "1"}}
    write_metrics(path / "metrics.json", rows)
    text = fgvr.table(path)
    assert line_of(text, "coop (gpt-x)")[1:3] == ["90.0", "**90.0** \\[85.0, 95.0\\]"]
    assert "sACC by nowhere was not tested: it is not on this machine" in text


def test_figures_that_are_not_of_these_predictions_are_not_tested(write_run):
    path = write_run("a", {"zero_shot": guesses(30), "coop": guesses(4)})
    from fgvr.metrics.files import read_metrics, write_metrics

    rows = read_metrics(path / "metrics.json")
    rows["coop"]["cacc"] = 99.0
    write_metrics(path / "metrics.json", rows)
    text = fgvr.table(path)
    assert line_of(text, "coop (gpt-x)")[1].startswith("99.0 ")
    assert "coop (gpt-x): its predictions do not give its cacc, which was not tested" in text


def test_seeds_become_mean_and_deviation_and_are_tested(write_sweep):
    few = {(sets, seed): 4 + seed + 8 * (sets == "single") for sets in ("knn", "single") for seed in range(3)}
    text = fgvr.table(write_sweep("few", ("candidates",), few))
    assert line_of(text, "coop (gpt-x), candidates=knn")[1] == "87.5 ± 2.5"
    assert line_of(text, "zero_shot (gpt-x)")[1] == "25.0", "one line: it does not depend on candidates"
    assert "±: standard deviation over 3 seeds." in text
    assert "3 seeds cannot give a p-value below 0.25" in text
    assert "**" not in text
    many = {("knn", seed): 4 + seed % 3 for seed in range(7)}
    text = fgvr.table(write_sweep("many", ("candidates",), many))
    assert line_of(text, "coop (gpt-x), candidates=knn")[1].startswith("**")
    assert "cannot give" not in text


def test_a_sweep_over_data_sets_has_them_as_columns(write_sweep):
    options = {"cub": {"reader": "cub200"}, "dogs": {"root": "photos/dogs120"}}
    path = write_sweep("both", ("data",), {("cub", 0): 4, ("dogs", 0): 8}, **options)
    text = fgvr.table(path, layout="fgvr_table2", names={"dogs120": "Dog-120"})
    cells = dict(zip(line_of(text, "Method"), line_of(text, "coop (gpt-x)"), strict=True))
    assert (cells["Bird-200 cACC"], cells["Dog-120 cACC"], cells["Car-196 cACC"]) == ("**90.0**", "**80.0**", DASH)
    assert cells["Average cACC"] == DASH, "not all five were measured"


def test_the_papers_figures_are_beside_ours(write_run):
    path = write_run("a", {"zero_shot": guesses(30), "coop": guesses(4), "labeler": guesses(1)}, reader="cub200")
    text = fgvr.table(path, layout="fgvr_table2")
    lines = text.splitlines()
    assert lines[0].startswith("| Method | Bird-200 sACC | Bird-200 cACC | Bird-200 sIOU | Car-196 sACC")
    assert line_of(text, "FineR (paper)")[1:4] == ["69.5", "51.1", "-"]
    assert line_of(text, "Ours (GPT-4o) (paper)")[-2:] == ["63.5(+5.4)", "44.4(+6.5)"]
    assert line_of(text, "coop (gpt-x)")[:5] == ["coop (gpt-x)", DASH, "**90.0**", "**93.3**", DASH]
    order = [lines.index(line) for line in lines if line.startswith(("| *", "| gpt-x", "| zero", "| coop"))]
    assert order == sorted(order)
    sections = [line for line in lines if line.startswith(("| *", "| gpt-x", "| zero", "| coop"))]
    assert [line.split("|")[1].strip() for line in sections] == [
        *("*labeler asked about every photo*", "gpt-x", "*earlier methods*"),
        *("*zero-shot CLIP*", "zero\\_shot (gpt-x)".replace("\\", ""), "*label-free adaptation*", "coop (gpt-x)"),
    ]
    assert "as printed in Fine-Grained Visual Recognition in the Age of Multimodal LLMs" in text


def test_hours_and_dollars(write_run):
    path = write_run("a", {"zero_shot": guesses(30), "coop": guesses(4), "labeler": guesses(1)})
    text = fgvr.table(path, layout="fgvr_table1")
    assert line_of(text, "Ours (GPT-4o) (paper)") == ["Ours (GPT-4o) (paper)", "0.6", "0.03", DASH, DASH, "\\~ 1"]
    assert line_of(text, "gpt-x, birds") == ["gpt-x, birds", DASH, "0.02", DASH, DASH, "0.50"]
    assert line_of(text, "zero_shot (gpt-x), birds") == ["zero_shot (gpt-x), birds", DASH, "0.01", "0.02", DASH, "0.50"]
    assert line_of(text, "coop (gpt-x), birds") == ["coop (gpt-x), birds", DASH, DASH, "0.02", "0.01", "0.50"]


def test_top_1_accuracy(write_run):
    scoring = {"photos": 10, "classes": 2, "split": "test", "encoders": {}, "normalise": {}}
    names = ("eurosat", "sun397", "food101", "flowers102", "dtd", "fgvc_aircraft", "oxford_pets", "stanford_cars")
    from fgvr.registry import DATASETS

    paths = [
        write_run(
            name,
            {"latteclip": {"accuracy": 50.0 + n, "scoring": scoring}},
            reader=DATASETS[name],
            class_names="dataset",
        )
        for n, name in enumerate((*names, "ucf101", "caltech101"))
    ]
    text = fgvr.table([*paths, write_run("open", {"coop": guesses(4)})], layout="latteclip_table1")
    assert line_of(text, "latteclip (closed)")[:3] == ["latteclip (closed)", "54.50", "50.00"]
    assert line_of(text, "LATTECLIP (ours) (paper)")[1:3] == ["72.23", "80.27"]
    assert "Left out, because the layout has no column for them: coop (gpt-x)." in text
    with pytest.raises(FgvrError, match="None of the 1 row has a figure of the layout latteclip_table1"):
        fgvr.table(paths[0].parent / "open", layout="latteclip_table1")


def test_judged_labelers_are_in_no_table_of_found_names(write_run):
    record = {"accuracy": 70.0, "outside": 10.0, "protocol": "cw_plus", "encoder": "MiniLM", "cost_usd": 0.1}
    judged = write_run("judge", {"cw_plus": record})
    run = write_run("a", {"coop": guesses(4)})
    text = fgvr.table([run, judged])
    cells = dict(zip(line_of(text, "Row"), line_of(text, "cw_plus (gpt-x; cw_plus)"), strict=True))
    assert (cells["accuracy"], cells["outside"]) == ("70.0", "10.0")
    assert "protocol cw_plus, encoder MiniLM" in text
    text = fgvr.table([run, judged], layout="fgvr_table2")
    assert "Left out, because the layout has no column for them: cw_plus (gpt-x; cw_plus)." in text
    assert "| cw_plus" not in text


def test_marks_and_names_of_who_named(write_run):
    path = write_run(
        "a",
        {"class_means": guesses(4), "class_means_fused_transductive": guesses(2)},
        transductive=True,
        model="fieldguide (simulated)",
    )
    text = fgvr.table(path)
    assert "| class_means (fieldguide) |" in text
    assert "| class_means_fused_transductive (fieldguide; transductive) |" in text
    assert "| class_means (fixed) |" in fgvr.table(write_run("b", {"class_means": guesses(4)}, model=""))
    given = write_run("c", {"class_means": guesses(4)}, class_names="dataset")
    assert "| class_means |" in fgvr.table(given), "nobody was asked for the names"


def test_equal_titles_are_told_apart_and_equal_rows_are_one(write_run):
    first = write_run("first/0", {"zero_shot": guesses(30), "coop": guesses(4)})
    second = write_run("second/0", {"zero_shot": guesses(30), "coop": guesses(6)})
    text = fgvr.table([first, second])
    assert "| coop (gpt-x), from first/0 |" in text
    assert "| coop (gpt-x), from second/0 |" in text
    assert text.count("| zero_shot (gpt-x)") == 1
    assert "There once, because all figures are equal: zero_shot (gpt-x) in first/0, second/0." in text
    assert "There once" not in fgvr.table(first)
    more = [write_run(f"{number}/0", {"zero_shot": guesses(30)}) for number in range(3)]
    said = "zero_shot (gpt-x) in first/0, second/0, 0/0 and 2 more."
    for form in ("md", "html", "latex"):
        text = fgvr.table([first, second, *more], format=form)
        assert said.replace("_", r"\_" if form == "latex" else "_") in text
    for again in (first, first.parent):
        with pytest.raises(FgvrError, match="is there twice"):
            fgvr.table([first, again])


def test_data_sets_and_rows_are_renamed(write_run):
    path = write_run("a", {"coop": guesses(4)})
    text = fgvr.table(path, names={"birds": "Bird-200", "coop (gpt-x)": "Ours"}, layout="fgvr_table2")
    assert line_of(text, "Ours")[2] == "90.0"
    with pytest.raises(
        FgvrError, match="names has 'bird', which is no data set and no row of the table; those are: 'bi"
    ):
        fgvr.table(path, names={"bird": "x"})


def test_what_cannot_be_a_table_is_said(write_run, tmp_path):
    path = write_run("a", {"coop": guesses(4)})
    with pytest.raises(FgvrError, match="layout is 'x'; expected one of plain, fgvr_table2"):
        fgvr.table(path, layout="x")
    with pytest.raises(FgvrError, match="format is 'pdf'; expected one of md, latex, csv, html"):
        fgvr.table(path, format="pdf")
    with pytest.raises(FgvrError, match="No runs are given"):
        fgvr.table([])
    with pytest.raises(FgvrError, match="There is no run"):
        fgvr.table(tmp_path / "b")
    (path / "metrics.json").unlink()
    with pytest.raises(FgvrError, match=r"has no metrics\.json yet"):
        fgvr.table(path)


def test_a_damaged_file_is_refused(write_run):
    path = write_run("a", {"coop": guesses(4)})
    (path / "metrics.json").write_text("{}")
    with pytest.raises(FgvrError, match="is damaged, or was changed"):
        fgvr.table(path)


HOSTILE = "<b>&|$x$_y_ %#{}~^\\`*\x1b[2J\u202e=1"


@pytest.fixture
def hostile(write_run):
    dataset = f"{{class_path: fgvr.datasets.manifest.ManifestDataset, init_args: {{root: {HOSTILE_YAML}}}}}"
    return write_run(
        "a",
        {"=cmd|'x'!A1<script>alert(1)</script>": {"cacc": 50.0, "scoring": {"split": "a_b&%"}}},
        text=f"data: {{dataset: {dataset}}}",
        model=HOSTILE,
    )


HOSTILE_YAML = '"r/<i>&|$x$_y_%#{}~^\\\\`*\\e[2J"'


@pytest.mark.parametrize("layout", LAYOUTS[:3])
@pytest.mark.parametrize("form", FORMATS)
def test_names_from_outside_are_escaped(hostile, layout, form):
    text = fgvr.table(hostile, layout=layout, format=form)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", text)
    if form == "html":
        assert "<script" not in text
        assert "<b>&" not in text
        assert "<i>" not in text
    if form == "md":
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")}
        assert len(widths) == 1
        assert "<script" not in re.sub(r"\\.", "", text)
    if form == "latex":
        assert_compiles(text)
    if form == "csv":
        assert not any(cell.startswith("=") for row in csv.reader(text.splitlines()) for cell in row)


def assert_compiles(text):
    """Braces match, every special character is escaped, and each line has as many cells as columns."""
    bare = re.sub(r"\\[\\&%$#_{}]", lambda found: "\n" if found[0] == r"\\" else "", text)
    bare = "\n".join(line for line in bare.splitlines() if not line.startswith("%"))
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert not re.search(r"[%#_~^]", bare)
    assert bare.replace(r"$\pm$", "").count("$") == 0
    columns = len(re.search(r"\\begin\{tabular\}\{l(r+)\}", text)[1])
    for line in text.splitlines():
        if line.endswith(r"\\") and r"\multicolumn" not in line:
            assert len(re.findall(r"(?<!\\)&", line)) == columns
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 1


def test_latex_has_groups_and_bold(write_run):
    text = fgvr.table(
        write_run("a", {"zero_shot": guesses(30), "coop": guesses(4)}, reader="cub200"), "fgvr_table2", "latex"
    )
    assert_compiles(text)
    assert r"\multicolumn{3}{c}{Bird-200}" in text
    assert r"\cmidrule(lr){2-4}" in text
    assert r"coop (gpt-x) & -- & \textbf{90.0} & \textbf{93.3} & --" in text
    assert "{[}\\textdagger{}] GPT-4o (paper)" in text, "after a line break, a bracket would be an argument"


def test_csv_has_numbers_in_full(write_run, tmp_path):
    path = write_run("a", {"zero_shot": guesses(30), "coop": guesses(4)})
    (tmp_path / "t.csv").write_text(fgvr.table(path, format="csv"))
    rows = read_csv(tmp_path / "t.csv").rows
    coop = rows[1].cells
    assert (coop["row"], coop["cACC"], coop["cACC low"], coop["sIOU"]) == ("coop (gpt-x)", "90.0", "85.0", "93.3333")
    assert coop["significantly best in"] == "cACC; sIOU"
    assert [row.cells["section"] for row in rows][-2:] == ["note", "note"]


def test_marks_of_every_kind_of_cell():
    cells = (Cell("1.0", "[0, 2]", "a", True, {"mean": 1.0, "low": 0.0}), Cell())
    grid = Grid("About.", "Row", (Column("D", "x"), Column("E", "y")), (Line("", "r", cells),), ("a: note.",))
    assert f"| r | **1.0**<sup>a</sup> \\[0, 2\\] | {DASH} |" in FORMATS["md"](grid)
    assert r"r & \textbf{1.0}\textsuperscript{a} {\scriptsize {[}0, 2]} & -- \\" in FORMATS["latex"](grid)
    assert "<b>1.0</b><sup>a</sup><small>[0, 2]</small>" in FORMATS["html"](grid)
    assert ",r,run,1.0,0.0,,D x,D x: a\n" in FORMATS["csv"](grid)


def test_the_command_prints_or_writes(write_run, tmp_path, capsys):
    path = str(write_run("a", {"coop": guesses(4)}))
    assert main(["table", path]) == 0
    assert capsys.readouterr().out == fgvr.table(path)
    for name, begins in (("t.md", "| Row"), ("t.tex", "% "), ("t.html", "<!DOCTYPE"), ("t.csv", "\ufeffsection,row,")):
        assert main(["table", path, "--output", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text().startswith(begins)
        assert capsys.readouterr().out.strip().endswith(name)
    assert main(["table", path, "--names", "birds=B=C", "--names", "coop (gpt-x)=Ours", "--format", "latex"]) == 2
    assert main(["table", path, "--names", "birds=B", "--names", "coop (gpt-x)=Ours", "--format", "latex"]) == 0
    assert "Ours & 90.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "required: RUN"),
        (["x", "--output", "t.pdf"], "end it with .md, .tex, .csv, .html, .htm, or give --format"),
        (["x", "--names", "dogs"], "expected OLD=NEW"),
        (["x", "--layout", "plane"], "layout is 'plane'"),
        (["no_such_run"], "There is no run 'no_such_run'"),
        (["x", "--lay", "plain"], "To see its options: fgvr table --help"),
    ],
)
def test_mistakes_are_explained(args, message, capsys):
    assert main(["table", *args]) == 2
    assert message in capsys.readouterr().err
