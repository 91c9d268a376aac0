"""J, F, statistics and matching once more, slowly and straight from the formulas, with nothing shared."""

import itertools
import math

import numpy as np


def slow_jaccard(prediction, truth, void):
    both = either = 0
    for y, x in itertools.product(*map(range, truth.shape)):
        if void is not None and void[y, x]:
            continue
        both += bool(prediction[y, x]) and bool(truth[y, x])
        either += bool(prediction[y, x]) or bool(truth[y, x])
    return 1.0 if either == 0 else both / either


def slow_contour(mask):
    height, width = mask.shape

    def differs(y, x, *others):
        return any(bool(mask[y, x]) != bool(mask[other]) for other in others)

    pixels = set()
    for y, x in itertools.product(range(height), range(width)):
        if y == height - 1 and x == width - 1:
            continue
        if y == height - 1:
            on = differs(y, x, (y, x + 1))
        elif x == width - 1:
            on = differs(y, x, (y + 1, x))
        else:
            on = differs(y, x, (y, x + 1), (y + 1, x), (y + 1, x + 1))
        if on:
            pixels.add((y, x))
    return pixels


def slow_boundary_f(prediction, truth, void, threshold):
    if void is not None:
        prediction, truth = np.where(void, 0, prediction), np.where(void, 0, truth)
    radius = (
        threshold if threshold >= 1 else math.ceil(threshold * math.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2))
    )
    mine, theirs = slow_contour(prediction), slow_contour(truth)

    def found(some, others):
        return sum(any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in others) for y, x in some)

    if not mine and not theirs:
        precision = recall = 1.0
    elif not mine:
        precision, recall = 1.0, 0.0
    elif not theirs:
        precision, recall = 0.0, 1.0
    else:
        precision, recall = found(mine, theirs) / len(mine), found(theirs, mine) / len(theirs)
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def slow_statistics(values):
    count = len(values)
    positions = [1 + i * (count - 1) / 4 for i in range(5)]
    ends = [math.floor(position + 0.5) - 1 for position in positions]
    bins = [values[ends[i] : ends[i + 1] + 1] for i in range(4)]
    return (
        math.fsum(values) / count,
        sum(value > 0.5 for value in values) / count,
        math.fsum(bins[0]) / len(bins[0]) - math.fsum(bins[3]) / len(bins[3]),
    )


def slow_matching(scores):
    """Best total over all ways to give each column (object) a row (proposal) of its own."""
    rows, columns = scores.shape
    return max(
        math.fsum(scores[row, column] for column, row in enumerate(choice))
        for choice in itertools.permutations(range(rows), columns)
    )
