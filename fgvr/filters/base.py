"""The contract of a filter: the only file that the author of one must read."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from fgvr.errors import FgvrError


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """What M models say of N photos that nobody has labelled.

    Attributes:
        labels: The class that each model gives each photo, int64, shape ``(M, N)``.
        confidence: Log-odds of that class against all others, float32, shape ``(M, N)``; as the logit of a probability
            it keeps its order where the probability rounds to 1.
        margins: Of model j about the label of model m: the logit of its positive prompt minus that of its negative
            one, whose sigmoid is how likely the label is clean, float32, shape ``(M, M, N)`` by (j, m, photo).
            ``None`` for models without negative prompts.
        view_labels: The class that each model gives another, augmented view of the photo, int64, shape ``(M, N)``.
            ``None`` where there is none.
    """

    labels: Tensor
    confidence: Tensor
    margins: Tensor | None = None
    view_labels: Tensor | None = None

    def required_margins(self, filter_name: str) -> Tensor:
        """``margins``.

        Raises:
            FgvrError: There are none.
        """
        if self.margins is None:
            raise FgvrError(
                f"The filter {filter_name} compares positive with negative prompts, and these models have no negative "
                "ones: choose another filter, or the method coft."
            )
        return self.margins


class Filter(ABC):
    """Tells which pseudo-labels are likely right, by what the models say and by nothing else.

    The same doubt that a filter keeps photos by also orders them, so that the most doubtful ones can be asked about.
    It reads no features, no pixels and no true names, and learns nothing: equal input gives equal output. What the
    models say of no photos (N = 0) is filtered like anything else. ``fgvr.testing.filters.check_filter`` checks it.

    Raises:
        FgvrError: From either function: the filter needs what these models do not give.
    """

    needs_views: bool = False
    """Whether it compares labels with those of other views, which are then computed; of the class or the object."""

    @abstractmethod
    def keep(self, said: PseudoLabels) -> Tensor:
        """Which photos each model may learn its own label of, bool, shape ``(M, N)``.

        A label that rests on a number that is not one (NaN) is not kept.

        Args:
            said: Of all photos, on the CPU.
        """

    @abstractmethod
    def doubt(self, said: PseudoLabels) -> Tensor:
        """How doubtful each photo's label is, higher for more, float32, shape ``(N,)``; comparable within a call.

        Infinite where it rests on NaN, and never NaN itself.

        Args:
            said: As for ``keep``.
        """
