import pytest
from metrics.contract import MetricContract

from fgvr.metrics.siou import SemanticIoU


def slow_iou(preds, target):
    """The formula by loops over lists of words, on names already normalised."""
    total = 0.0
    for predicted, true in zip(preds, target, strict=True):
        both, either = [], []
        for word in predicted.split() + true.split():
            if word not in either:
                either.append(word)
                if word in predicted.split() and word in true.split():
                    both.append(word)
        total += len(both) / len(either) if either else 1.0
    return 100 * total / len(preds)


def stripped(name):
    return "".join(letter.lower() if letter.isalnum() else " " * (letter == " ") for letter in name)


class TestSemanticIoUCased(MetricContract):
    def make(self):
        return SemanticIoU("cased")

    def reference(self, preds, target):
        return slow_iou([stripped(name) for name in preds], [stripped(name) for name in target])


class TestSemanticIoUHyphenSplit(MetricContract):
    def make(self):
        return SemanticIoU("hyphen_split")

    def reference(self, preds, target):
        preds, target = (
            [stripped(name.replace("-", " ").replace("_", " ")) for name in names] for names in (preds, target)
        )
        return slow_iou(preds, target)


@pytest.mark.parametrize(
    ("predicted", "true", "cased", "hyphen_split"),
    [
        ("Red Winged Blackbird", "Red-winged Blackbird", 25, 100),
        ("american bulldog", "american_bulldog", 0, 100),
        ("Black\u2011footed Albatross", "Black-footed Albatross", 100, 100),  # GPT's non-breaking hyphen
        ("Black\u2013footed\u2014Albatross", "Black-footed Albatross", 0, 100),  # en dash, em dash
        ("the Pug, the small dog", "Pug", 25, 25),
        ("", "Pug", 0, 0),
        ("?", "!", 100, 100),
        ("Pug\nBorzoi", "PugBorzoi", 100, 0),  # CaSED drops line breaks without putting a space
        ("Pug\tBorzoi\u3000Beagle", "Pug Borzoi Beagle", 0, 100),
        ("Audi S4/S5", "Audi S4 S5", 25, 100),
        ("Ka\u0308fer", "K\u00e4fer", 0, 100),
    ],
)
def test_hand_computed(predicted, true, cased, hyphen_split):
    assert SemanticIoU("cased")([predicted], [true]) == cased
    assert SemanticIoU("hyphen_split")([predicted], [true]) == hyphen_split


def test_unknown_normalisation():
    with pytest.raises(ValueError, match="hyphen_split"):
        SemanticIoU("lower")
