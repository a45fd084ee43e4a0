"""The risk-consistent loss (RC)."""

from fgvr.losses.proden import ProdenLoss


class RCLoss(ProdenLoss):
    r"""Risk-consistent loss: each candidate is weighted by its probability, given that the truth is in the set.

    .. math::
        \ell_i = -\sum_{k \in S_i} w_{ik} \log p_{ik}, \qquad
        w_{ik} \leftarrow \frac{p_{ik}}{\sum_{j \in S_i} p_{ij}} \text{ after the optimiser's step}

    The paper's risk has the factor 1/2 in front, which belongs to its sum over all classes and is left out, as in
    public code. The weights start as the candidate strategy's (the paper's are uniform) and come from a second forward
    after the optimiser's step, so that this is :class:`~fgvr.losses.proden.ProdenLoss` with ``update: refresh``; the
    two papers arrive at it by different ways.

    Source: Feng et al., "Provably Consistent Partial-Label Learning", NeurIPS 2020, the risk-consistent (RC) estimator
    with the cross entropy.

    Shapes: ``logits`` ``(B, C)``, candidates ``(B, K)`` -> ``(B,)``. State: the weights, ``(N, K)``.
    """

    def __init__(self) -> None:
        super().__init__(update="refresh")
