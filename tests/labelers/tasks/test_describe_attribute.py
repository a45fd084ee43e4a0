import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.describe_attribute import DescribeAttributeTask
from fgvr.testing.tasks import check_task


def test_an_attribute_is_asked_for():
    task = DescribeAttributeTask("bird", "tail shape")
    check_task(task)
    assert "of the bird in this photo in a short phrase: tail shape." in task.prompt()
    assert task.topic() == "attribute: tail shape"
    assert task.read("**Forked**, with\nwhite edges.").names == ("Forked, with white edges.",)


def test_without_one_it_is_a_description():
    task = DescribeAttributeTask("bird")
    assert task.prompt() == "Describe what can be seen of the bird in this photo, in two or three sentences."
    assert task.topic() == "description"
    assert task.read("").flag == "empty"


@pytest.mark.parametrize(("category", "attribute"), [("", None), ("bird", " "), ("bird", "x" * 101)])
def test_blank_and_long_words_are_refused(category, attribute):
    with pytest.raises(FgvrError, match=r"data\.labeler\.task\."):
        DescribeAttributeTask(category, attribute)
