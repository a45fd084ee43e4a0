"""ReCLIP's pseudo-labels: class names spread from text features to photos over the graph of nearest features."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fgvr.candidates.features import unit
from fgvr.candidates.propagation import conjugate_gradients, normalised_graph
from fgvr.candidates.search import EXACT_BELOW, search

_BLOCK_VALUES = 2**24
"""Nodes times classes that are solved for at a time: five float32 arrays of 64 MB each."""
_TOLERANCE = 1e-6
_MANY_CLASSES = 500
_CUT_DIM = 250


def projection(class_features: NDArray[np.float32], cut_dim: int | None = None) -> NDArray[np.float32]:
    r"""An orthonormal basis of what tells the classes apart in their text features.

    .. math:: W = U \Sigma V^\top, \qquad P = [u_2, \dots, u_{\text{cut}}]

    The columns of W are the text features. The first direction is what all of them have in common ("a photo of a");
    what is outside their span is of photos alone. ReCLIP projects by :math:`P P^\top`; coordinates :math:`P^\top x`
    have the same cosines and are fewer. Directions of no size, which equal texts leave behind, are left out.

    Args:
        class_features: Text features, shape ``(C, D)``.
        cut_dim: Directions up to which P goes, the dropped first one counted. All of them if not given, but 250 of more
            than 500 classes.

    Returns:
        Shape ``(D, R)``, R at most ``cut_dim - 1``; 0 where all texts are one.

    Example:
        >>> texts = np.array([[0.8, 0.6, 0.0], [0.8, -0.6, 0.0]], dtype=np.float32)
        >>> np.abs(projection(texts)).round(3).ravel().tolist()
        [0.0, 1.0, 0.0]
    """
    if cut_dim is None:
        cut_dim = _CUT_DIM if len(class_features) > _MANY_CLASSES else len(class_features)
    directions, sizes, _ = np.linalg.svd(class_features.T.astype(np.float64), full_matrices=False)
    rank = int((sizes > sizes[0] * max(class_features.shape) * np.finfo(np.float32).eps).sum())
    basis: NDArray[np.float32] = directions[:, 1 : min(rank, cut_dim)].astype(np.float32)
    return basis


def propagate(
    class_features: NDArray[np.float32],
    image_features: NDArray[np.float32],
    basis: NDArray[np.float32] | None,
    k: int = 20,
    alpha: float = 0.99,
    cg_steps: int = 20,
    exact_below: int = EXACT_BELOW,
) -> NDArray[np.int64]:
    r"""The class that reaches each text and each photo best.

    Nodes are the C texts and the N photos, projected to ``basis`` and normalised. :math:`A_{ij} = (\cos_{ij} + 1) / 2`
    where j is among the k nearest nodes of i, else 0; :math:`W = (A + A^\top) / 2`, D its row sums,
    :math:`S = D^{-1/2} W D^{-1/2}`, and for each class c

    .. math:: (I - \alpha S) z_c = e_c

    where :math:`e_c` is 1 at the text of class c, else 0. Solved by conjugate gradients from zero, a block of classes
    at a time: never an array of all nodes by all nodes, or by all classes.

    Args:
        class_features: Text features, L2-normalised, shape ``(C, D)``.
        image_features: L2-normalised, shape ``(N, D)``.
        basis: See :func:`projection`, shape ``(D, R)``, R at least 1; nothing is projected if ``None``.
        k: Neighbours of each node, itself not counted.
        alpha: How far names travel, above 0 and below 1.
        cg_steps: Most steps of conjugate gradients. A name comes no further than as many edges.
        exact_below: Most nodes for the exact search of neighbours.

    Returns:
        Class indices, shape ``(C + N,)``: first of the texts, then of the photos. Of equal shares the lower class; -1
        where no name arrives.

    Example:
        >>> texts = np.array([[0.8, 0.6, 0.0], [0.8, -0.6, 0.0]], dtype=np.float32)
        >>> images = np.array([[0.0, 0.1, 1.0], [0.0, -0.2, 1.0], [0.0, 0.3, 1.0]], dtype=np.float32)
        >>> propagate(texts, images, projection(texts), k=1).tolist()
        [0, 1, 0, 1, 0]
    """
    nodes = np.concatenate([class_features, image_features])
    if basis is not None:
        nodes = unit(nodes @ basis)
    found = search(nodes, np.arange(len(nodes)), k + 1, exact_below)  # each node itself comes first
    graph = normalised_graph(found.images[:, 1:], (1 + found.similarity[:, 1:]) / 2)
    classes, count = len(class_features), len(nodes)
    rows = np.arange(count)
    best, labels = np.zeros(count, dtype=np.float32), np.full(count, -1, dtype=np.int64)
    width = max(_BLOCK_VALUES // count, 1)
    for start in range(0, classes, width):
        stop = min(start + width, classes)
        given = np.zeros((count, stop - start), dtype=np.float32)
        given[rows[start:stop], rows[: stop - start]] = 1
        shares, _ = conjugate_gradients(graph, given, alpha, cg_steps, _TOLERANCE)
        top = shares.argmax(axis=1)
        share = shares[rows, top]
        labels = np.where(share > best, start + top, labels)
        best = np.maximum(share, best)
    return labels


def centroids(
    class_features: NDArray[np.float32], image_features: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The normalised mean of the texts and photos with each label; a class without any keeps its text feature.

    Args:
        class_features: Shape ``(C, D)``.
        image_features: Shape ``(N, D)``.
        labels: Of the texts, then of the photos, -1 for none, shape ``(C + N,)``.

    Returns:
        float32, shape ``(C, D)``.

    Example:
        >>> texts = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
        >>> images = np.array([[0.6, 0.8]], dtype=np.float32)
        >>> print(centroids(texts, images, np.array([0, -1, 0])).round(2))
        [[0.89 0.45]
         [0.   1.  ]]
    """
    classes = len(class_features)
    sums = np.zeros(class_features.shape)
    for features, given in ((class_features, labels[:classes]), (image_features, labels[classes:])):
        labelled = np.flatnonzero(given >= 0)
        ones = np.ones(len(labelled), dtype=np.float64)
        members = sparse.csr_matrix((ones, (given[labelled], labelled)), shape=(classes, len(features)))
        sums += members @ features
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    means: NDArray[np.float32] = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), class_features).astype(
        np.float32
    )
    return means
