"""How long a function takes on a batch."""

import time
from collections.abc import Callable

import numpy as np

SECONDS = 3.0
FEWEST, MOST = 5, 50


def median_milliseconds(
    function: Callable[[np.ndarray], np.ndarray], batch: np.ndarray
) -> float:
    """Median milliseconds per example of some seconds' calls on one batch.

    The first calls, which trace and warm up, do not count.
    """
    for _ in range(3):
        function(batch)
    taken: list[float] = []
    while len(taken) < FEWEST or (sum(taken) < SECONDS and len(taken) < MOST):
        start = time.perf_counter()
        function(batch)
        taken.append(time.perf_counter() - start)
    return 1e3 * float(np.median(taken)) / len(batch)
