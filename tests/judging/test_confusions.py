import pytest
from judging.judged import NAMES

from fgvr.errors import FgvrError
from fgvr.judging.confusions import read_confusions
from fgvr.records import Prediction
from fgvr.reports.predictions import write_predictions

ROWS = [("Pug", "Boxer"), ("Pug", "Saluki"), ("Pug", "saluki"), ("Pug", "Pug"), ("Boxer", "a cat"), ("Boxer", "Pug")]


def test_confusions_of_a_run_and_of_a_table(tmp_path):
    predictions = [
        Prediction(f"{number}.jpg", "test", true, {"coop": name}, {"coop": 0.5})
        for number, (true, name) in enumerate(ROWS)
    ]
    write_predictions(predictions, tmp_path / "predictions.parquet")
    write_predictions(predictions, tmp_path / "predictions.csv")
    for file in ("predictions.parquet", "predictions.csv"):
        assert read_confusions(tmp_path / file, NAMES) == {0: [4, 1], 1: [0]}


@pytest.mark.parametrize(
    ("text", "said"),
    [("sample_id,name\na,Pug\n", "expected true_name"), ("true_name,name\nPug,Pug\n", "confuses no two classes")],
)
def test_tables_that_say_nothing_are_refused(tmp_path, text, said):
    path = tmp_path / "predictions.csv"
    path.write_text(text)
    with pytest.raises(FgvrError, match=said):
        read_confusions(path, NAMES)
