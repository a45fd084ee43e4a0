import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fgvr.errors import FgvrError
from fgvr.reports.run_files import mask_secrets, read_curves, read_run, simulates


def write_log(logs, version, text):
    path = logs / f"version_{version}" / "metrics.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_logs_of_a_resumed_run_are_joined(tmp_path):
    write_log(tmp_path, 0, "epoch,step,train/loss,val/cacc\n0,2,3.0,\n0,2,,40\n1,5,2.0,\n2,8,9.0,\n")
    write_log(tmp_path, 1, "epoch,step,train/loss\n2,8,1.5\n3,11,1.0\n")
    write_log(tmp_path, 10, "epoch,step,train/loss\n4,14,0.5\n")
    curves = read_curves(tmp_path)
    assert curves["train/loss"].epochs == (1, 2, 3, 4, 5)
    assert curves["train/loss"].values == (3.0, 2.0, 1.5, 1.0, 0.5)
    assert curves["val/cacc"].values == (40.0,)


def test_a_log_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path):
    write_log(tmp_path, 0, "epoch,step,train/loss\n0,2,3.0\n1,5,nan\n2,8,1.")
    write_log(tmp_path, 1, "")
    write_log(tmp_path, "x", "epoch,step,train/loss\n0,2,3.0\n")
    assert read_curves(tmp_path)["train/loss"].values == (3.0, 1.0)
    assert read_curves(tmp_path / "nowhere") == {}


def test_curves_of_compared_rows_are_read_too(run):
    write_log(run.folder.path / "compare" / "coop_single" / "logs", 0, "epoch,step,train/loss\n0,2,5.0\n")
    curves = read_run(run.folder).curves
    assert curves[""]["train/loss"].values == (3.5, 2.5)
    assert curves["coop_single"]["train/loss"].values == (5.0,)


def test_the_own_row_is_the_last_that_is_not_the_labelers(run):
    files = read_run(run.folder)
    assert files.own_row == "coop"
    (run.folder.path / "checksums.txt").unlink()
    run.folder.metrics.write_text('{"zero_shot": {}, "coop_single": {}, "coop_knn": {}, "labeler": {}}')
    assert read_run(run.folder).own_row == "coop_knn"
    run.folder.metrics.unlink()
    assert read_run(run.folder).own_row == "coop"


def test_a_row_may_have_no_scores_and_no_names(run):
    table = pq.read_table(run.folder.predictions)
    rows = table.num_rows
    table = table.append_column("labeler_name", pa.array([None] * rows, pa.string()))
    table = table.append_column("labeler_score", pa.array([None] * rows, pa.float32()))
    table = table.append_column("other_name", pa.array(["x"] * rows))
    pq.write_table(table, run.folder.predictions)
    (run.folder.path / "checksums.txt").unlink()
    predicted = read_run(run.folder).predictions.rows
    assert predicted["labeler"].names == ("",) * rows
    assert all(math.isnan(score) for score in (*predicted["labeler"].scores, *predicted["other"].scores))
    assert list(predicted) == ["zero_shot", "coop", "labeler", "other"]


def test_predictions_of_another_form_are_refused(run):
    pq.write_table(pa.table({"sample_id": ["a"]}), run.folder.predictions)
    (run.folder.path / "checksums.txt").unlink()
    with pytest.raises(FgvrError, match=r"predictions\.parquet has columns sample_id; it needs"):
        read_run(run.folder)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("fgvr.labelers.fieldguide.FieldguideLabeler", True),
        ("fgvr.labelers.recorded.RecordedLabeler", False),
        ("fieldguide", True),
        ("no_such_package.Labeler", False),
        ("fgvr.labelers.recorded.Gone", False),
        ("Labeler", False),
    ],
)
def test_the_labeler_says_whether_it_simulates(path, answer):
    assert simulates({"data": {"labeler": {"class_path": path}}}) is answer
    for who in ("labeler", "group_labeler"):
        assert simulates({"data": {"labeler": None, "describe": {who: {"class_path": path}}}}) is answer
    assert simulates({}) is False


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# x\na: 1  # y\n", "# x\na: 1  # y\n"),
        ('clientSecret: "a b"  # y\nb: c\n', "clientSecret: '***'  # y\nb: c\n"),
        ("api_key: |\n  a\n  b\nc: d\n", "api_key: '***'\nc: d\n"),
        ("a:\n  PASSWORD: 1234\n  b: c", "a:\n  PASSWORD: '***'\n  b: c"),
        ("secrets: [a, {b: c}]\n", "secrets: ['***', {b: '***'}]\n"),
        ("- {token: a}\n- b\n", "- {token: '***'}\n- b\n"),
        ("max_tokens: 300\napi_key: null\nkey: a\n", "max_tokens: 300\napi_key: null\nkey: a\n"),
        ("a: &a {b: c}\ntoken: *a\n", "a: &a {b: '***'}\ntoken: *a\n"),
        ("", ""),
    ],
)
def test_secrets_are_masked_and_the_rest_stays(text, shown):
    assert mask_secrets(text) == shown


def test_the_parsed_configuration_is_whole(run):
    run.folder.config.write_text("api_key: abc\n")
    files = read_run(run.folder)
    assert (files.config_text, files.config) == ("api_key: '***'\n", {"api_key": "abc"})
