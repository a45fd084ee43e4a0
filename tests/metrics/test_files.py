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
        ('{"coop": {"intervals": 4}}', "intervals of row 'coop' is 4; expected another kind of value"),
        (
            '{"coop": {"intervals": {"cacc": [4]}}}',
            "expected an object of pairs of finite numbers, each of which rises",
        ),
        ('{"coop": {"intervals": {"cacc": [5, 4]}}}', "each of which rises"),
        ('{"coop": {"intervals": {"cacc": [4, 1e999]}}}', "finite numbers"),
        ('{"coop": {"intervals": {"cacc": [4, "5"]}}}', "finite numbers"),
        ('{"coop": {"against": {"row": "zero_shot"}}}', "expected an object with row, tests"),
        ('{"coop": {"against": {"row": "a", "tests": {"cacc": {"test": "mcnemar", "p": 1}}}}}', "with row, tests"),
        ('{"coop": {"nmi": "high"}}', "nmi of row 'coop' is 'high'; expected a finite number"),
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


def test_intervals_and_tests_come_back(tmp_path):
    test = {"test": "mcnemar", "difference": 1.5, "low": -0.5, "high": 3.0, "p": 0.1, "p_holm": 0.2}
    row = {"cacc": 50.0, "intervals": {"cacc": [47.0, 53.0]}, "against": {"row": "a", "tests": {"cacc": test}}}
    write_metrics(tmp_path / "metrics.json", {"coop": row})
    assert read_metrics(tmp_path / "metrics.json") == {"coop": row}
