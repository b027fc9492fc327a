"""Two components of variance by the method of moments: what differs from window to window, and what lasts.

A deviation that is averaged over L windows has the variance omega^2 / L + tau^2. Looked at over two lengths, the two
are told apart. No distribution is assumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.evidence.special import FloatArray
from analysis.model.learn.residuals import Residuals

SHORT_PART = 5
"""The shorter of the two lengths is a fifth of a segment: eight minutes of forty, so that noise which lasts for some
minutes is in the long-run variance and not between the two."""
CLIP_DEVIATIONS = 5.0
"""A segment whose variance is farther above the median, in robust standard deviations, counts as if it were there."""
BOOTSTRAPS = 200
UPPER_QUANTILE = 0.75


@dataclass(frozen=True)
class Moments:
    """Sums over the cells of one length, (segments, pods).

    In expectation `squares` is omega^2 * `short_lived` + tau^2 * `lasting`, each summed with the same weights.

    Attributes:
        information: sum of factor^2 / (2 variance^2) with the prior's variance: what the squares know of it.
    """

    squares: FloatArray
    short_lived: FloatArray
    lasting: FloatArray
    information: FloatArray


@dataclass(frozen=True)
class Variances:
    """omega^2 and tau^2, with upper bounds of 75 %."""

    omega2: float
    tau2: float
    omega2_upper: float
    tau2_upper: float


def variances(segments: Sequence[Residuals], prior: tuple[float, float], seed: int) -> Variances:
    """Return both variances, the prior's where the history knows little.

    Args:
        segments: pieces of history.
        prior: omega^2 and tau^2 that hold without history.
        seed: of the bootstrap.
    """
    usable = [segment for segment in segments if segment.known.any()]
    if not usable:
        return Variances(*prior, *prior)
    blocks = max(segment.known.shape[1] for segment in usable)
    short = max(blocks // SHORT_PART, 1)
    pods = tuple(sorted({pod for segment in usable for pod in segment.pods}))
    lengths = [_moments(usable, pods, count, prior) for count in (short, blocks)]
    return solved((lengths[0], lengths[1]), prior, seed)


def variance_at(segments: Sequence[Residuals], prior: tuple[float, float], blocks: int) -> tuple[float, float]:
    """Return the variance of deviations averaged over so many blocks, and the windows such a mean is worth.

    Where windows are alike, the variance is omega^2 / windows + tau^2: two of these points give both.
    """
    usable = [segment for segment in segments if segment.known.shape[1] >= blocks]
    pods = tuple(sorted({pod for segment in usable for pod in segment.pods}))
    sums = _clipped(_moments(usable, pods, blocks, prior))
    level, per_window, _ = _level(
        [one.sum(keepdims=True) for one in (sums.squares, sums.short_lived, sums.lasting, sums.information)]
    )
    return level.item(), 1 / max(per_window.item(), 1e-12)


def _moments(segments: Sequence[Residuals], pods: tuple[str, ...], blocks: int, prior: tuple[float, float]) -> Moments:
    place = {pod: column for column, pod in enumerate(pods)}
    sums = np.zeros((4, len(segments), len(pods)))
    for row, segment in enumerate(segments):
        columns = [place[pod] for pod in segment.pods]
        for first in range(0, segment.known.shape[1] - blocks + 1, blocks):
            sums[:, row, columns] += _cell(segment, slice(first, first + blocks), prior)
    return Moments(*sums)


def _cell(segment: Residuals, blocks: slice, prior: tuple[float, float]) -> FloatArray:
    """Return the four sums of one length by pod: means over blocks, weighted by what each block knows."""
    known, sampling = segment.known[:, blocks], segment.sampling[:, blocks]
    # An incident brings many events. Its blocks know more, but never more than the pods' own noise lets them.
    weight = known / (sampling + prior[0] / segment.windows + prior[1])
    whole = np.maximum(weight.sum(axis=1), 1e-100)
    deviation = (weight * segment.deviation[:, blocks]).sum(axis=1) / whole
    noise = (weight**2 * sampling).sum(axis=1) / whole**2
    factor = (weight * segment.factor[:, blocks]).sum(axis=1) / whole
    short_lived = (weight**2).sum(axis=1) / whole**2 / segment.windows
    # A pod that was there for less than half of the time says little about this length.
    enough = known.mean(axis=1) >= 0.5
    sums = cell_sums(deviation**2 - noise, noise, factor, short_lived, prior) * enough
    return np.asarray(sums, dtype=np.float64)


def cell_sums(
    squares: FloatArray, sampling: FloatArray, factor: FloatArray, short_lived: FloatArray, prior: tuple[float, float]
) -> FloatArray:
    """Return (4, pods) weighted sums for `Moments`, each cell by the inverse of its variance under the prior."""
    variance = sampling + factor * (prior[0] * short_lived + prior[1])
    weight = 1 / np.maximum(variance, 1e-300)
    return np.stack(
        [
            weight * squares,
            weight * factor * short_lived,
            weight * factor,
            0.5 * (factor / np.maximum(variance, 1e-300)) ** 2,
        ]
    )


def solved(lengths: tuple[Moments, Moments], prior: tuple[float, float], seed: int) -> Variances:
    """Return the variances from the moments of a short and of a long length."""
    clipped = tuple(_clipped(one) for one in lengths)
    if not clipped[0].squares.size:
        return Variances(*prior, *prior)
    ones = np.ones((1, clipped[0].squares.shape[0])), np.ones((1, clipped[0].squares.shape[1]))
    point = _solution(clipped, *ones, prior)
    drawn = _solution(clipped, *_resampled(clipped[0].squares.shape, seed), prior)
    upper = np.quantile(drawn, UPPER_QUANTILE, axis=1) if drawn.size else point[:, 0]
    return Variances(
        float(point[0, 0]),
        float(point[1, 0]),
        max(float(upper[0]), float(point[0, 0])),
        max(float(upper[1]), float(point[1, 0])),
    )


def _clipped(moments: Moments) -> Moments:
    """Return moments in which no single segment stands for more than an unusual one would."""
    lasting = moments.lasting.sum(axis=1)
    usable = lasting > 0
    if usable.sum() < 3:
        return moments
    ratio = moments.squares.sum(axis=1)[usable] / lasting[usable]
    middle = float(np.median(ratio))
    bound = middle + CLIP_DEVIATIONS * 1.4826 * float(np.median(np.abs(ratio - middle)))
    shrink = np.ones(lasting.size)
    shrink[usable] = np.where(ratio > max(bound, 0.0), max(bound, 0.0) / np.maximum(ratio, 1e-300), 1.0)
    return Moments(moments.squares * shrink[:, None], moments.short_lived, moments.lasting, moments.information)


def _resampled(shape: tuple[int, ...], seed: int) -> tuple[FloatArray, FloatArray]:
    """Draw segments and pods anew, as weights (Owen 2007, the pigeonhole bootstrap).

    Pods of a service are often the same for days: a hundred segments of ten pods know what lasts from ten pods only.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    return (
        random.multinomial(shape[0], np.full(shape[0], 1 / max(shape[0], 1)), BOOTSTRAPS).astype(np.float64),
        random.multinomial(shape[1], np.full(shape[1], 1 / max(shape[1], 1)), BOOTSTRAPS).astype(np.float64),
    )


def _solution(
    lengths: tuple[Moments, ...], segments: FloatArray, pods: FloatArray, prior: tuple[float, float]
) -> FloatArray:
    """Return (2, draws): omega^2 and tau^2, each drawn to the prior by what the history knows of it."""
    short, long = (
        [np.einsum("bs,sp,bp->b", segments, one, pods) for one in (m.squares, m.short_lived, m.lasting, m.information)]
        for m in lengths
    )
    (level_short, time_short, error_short), (level_long, time_long, error_long) = _level(short), _level(long)
    apart = np.maximum(time_short - time_long, 1e-6)
    omega2 = np.clip(
        (level_short - level_long) / apart, 0.0, np.maximum(level_short, 0.0) / np.maximum(time_short, 1e-12)
    )
    omega2_error = (error_short + error_long) / apart**2
    omega2 = _drawn_to(prior[0], omega2, omega2_error)
    tau2 = np.maximum(level_long - omega2 * time_long, 0.0)
    tau2 = _drawn_to(prior[1], tau2, error_long + time_long**2 * omega2_error)
    return np.stack([omega2, tau2])


def _level(sums: list[FloatArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the variance at one length, the time's part in it, and the square of its standard error."""
    squares, short_lived, lasting, information = sums
    whole = np.maximum(lasting, 1e-300)
    return squares / whole, short_lived / whole, 1 / np.maximum(information, 1e-12)


def _drawn_to(prior: float, found: FloatArray, error: FloatArray) -> FloatArray:
    trust = prior**2 / (prior**2 + error)
    return np.asarray(trust * found + (1 - trust) * prior, dtype=np.float64)
