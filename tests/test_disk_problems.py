import errno

import pytest

from fgvr.disk_problems import disk_problem


@pytest.mark.parametrize(("hidden", "said"), [(False, True), (True, False)])
def test_what_an_error_came_from_counts_unless_it_was_left_out(hidden, said):
    """An error that was raised ``from None`` has another reason."""
    try:
        try:
            raise PermissionError(errno.EACCES, "Permission denied", "/some/file")
        except PermissionError:
            if hidden:
                raise RuntimeError("a mistake in a plugin") from None
            raise RuntimeError("the writer failed")  # noqa: B904
    except RuntimeError as error:
        problem = disk_problem(error)
    assert (problem is not None) == said
