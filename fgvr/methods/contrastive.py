"""The symmetric contrastive loss of CLIP, and rows of all processes with their gradients."""

from torch import Tensor


def gather_rows(rows: Tensor) -> Tensor:
    """The rows of all processes, one process after the other, differentiable; ``rows`` itself where there is one.

    Processes may have different numbers of rows. Where every process computes the same loss from what it gathers, the
    gradients that DDP averages are those of one process with all rows.

    Args:
        rows: Shape ``(B, ...)``.
    """
    raise NotImplementedError


def contrastive_loss(image_features: Tensor, text_features: Tensor, scale: Tensor) -> Tensor:
    r"""Cross entropy of each photo against all texts, plus that of each text against all photos.

    .. math:: -\frac{1}{N} \sum_i \log \frac{e^{s f_i t_i}}{\sum_j e^{s f_i t_j}}
              -\frac{1}{N} \sum_i \log \frac{e^{s f_i t_i}}{\sum_j e^{s f_j t_i}}

    LatteCLIP's equation 3; CLIP and FLYP take half of it.

    Args:
        image_features: Shape ``(N, D)``, float32.
        text_features: Row i belongs to photo i, shape ``(N, D)``, float32. Need not be of unit length.
        scale: Factor s on the products.

    Returns:
        A scalar.
    """
    raise NotImplementedError
