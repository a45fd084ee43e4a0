import pytest

from fgvr.errors import FgvrError
from fgvr.metrics.files import read_metrics, write_metrics

ROWS = {
    "zero_shot": {
        "cacc": 41.5,
        "siou": 30.0,
        "seconds": 2.5,
        "cost_usd": None,
        "scoring": {"photos": 960, "encoders": {}},
    },
    "coop": {"cacc": 50.0, "siou": 33.0, "seconds": 60.0, "cost_usd": 0.4, "scoring": {"photos": 960, "encoders": {}}},
}


def test_round_trip_keeps_rows_and_their_order(tmp_path):
    path = tmp_path / "run" / "metrics.json"
    write_metrics(path, ROWS)
    assert read_metrics(path) == ROWS
    assert list(read_metrics(path)) == ["zero_shot", "coop"]
    assert [entry.name for entry in path.parent.iterdir()] == ["metrics.json"]


def test_the_key_of_before_is_read(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text('{"coop": {"cacc": 50.0, "ruler": {"photos": 960}}}')
    assert read_metrics(path) == {"coop": {"cacc": 50.0, "scoring": {"photos": 960}}}


def test_a_figure_that_is_no_number_leaves_the_old_file(tmp_path):
    path = tmp_path / "metrics.json"
    write_metrics(path, ROWS)
    with pytest.raises(FgvrError, match="cacc of row 'coop' is nan"):
        write_metrics(path, {"coop": {"cacc": float("nan")}})
    assert read_metrics(path) == ROWS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"coop": {"cacc": 4', "is not JSON"),
        ("[1]", "holds a list"),
        ('{"coop": 4}', "row 'coop' is 4"),
        ("{}", "has no row"),
        ("[" * 100_000, "is not JSON"),
        ('{"coop": {"cacc": NaN}}', "it holds NaN"),
        ('{"coop": {"cacc": 1e999}}', "cacc of row 'coop' is inf"),
        ('{"coop": {"cacc": [4]}, "zero_shot": {"cacc": 4}}', r"cacc of row 'coop' is \[4\]; expected a finite number"),
        (
            '{"coop": {"fusion": {"visual": "ridge"}}}',
            "fusion of row 'coop' is .*; expected an object with visual",
        ),
        ('{"coop": {"candidates": 4}}', "candidates of row 'coop' is 4"),
    ],
)
def test_broken_file(tmp_path, text, message):
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with pytest.raises(FgvrError, match=message) as error:
        read_metrics(path)
    assert "\n" not in str(error.value)


def test_missing_file(tmp_path):
    with pytest.raises(FgvrError, match="is missing"):
        read_metrics(tmp_path / "metrics.json")
