"""TFUP: texts, and a cache of unlabelled photos that are typical of each class; nothing is trained."""

from fgvr.methods.closed_form import ClosedFormMethod
from fgvr.methods.feature_cache import FeatureCacheMethod
from fgvr.records import CandidateSets, Vocabulary


class TfupMethod(FeatureCacheMethod, ClosedFormMethod):
    r"""Names photos by texts and by unlabelled photos that were kept for each class; no labeler is asked about photos.

    Training-Free Unsupervised Prompt. For each class, of the support photos that zero-shot takes for it with the most
    confidence, the most typical ones are kept, whether it is their likeliest class or not. A photo f has the logits

    .. math:: s\,f \cdot w_c + \alpha \sum_{q \in c} e^{-\beta (1 - (f \cdot k_q)\,\mathrm{sim}_q)}

    with texts w, the backbone's logit scale s, kept photos k, and sim from 0 to 2 by the divergence of what the texts
    say of q from what they say of f, relative to all kept photos. Class names are the labeler's or given
    (``data.class_names``); true names of photos are not looked at, and neither are photos that are evaluated.
    A labeler is asked for class names alone.

    From the released code (d95d4d3): the cache of int(0.3 N / C) photos, 9 to 16, of N support photos and C classes;
    twice as many confident ones to choose from; the factor 10 in the softmax of divergences; alpha and beta.
    Other than there: the cache is made of support photos (there, except on DomainNet, of the test photos);
    ``floor`` is at most N / C unless it is set; the scale is the backbone's (100 in CLIP); sentences are normalised
    before they are averaged.
    Assumed: where all kept photos diverge alike, or there is one alone, sim is 2 (there, zero is divided by zero).

    Rows: ``zero_shot``, the texts alone, and ``tfup``.

    Args:
        backbone: Image and text tower.
        **kwargs: Arguments of ``FeatureCacheMethod``.

    Raises:
        FgvrError: An option is out of its range.
    """

    row = "tfup"

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Fill the cache, or make room for a checkpoint's."""
        self.build_cache(vocabulary)
