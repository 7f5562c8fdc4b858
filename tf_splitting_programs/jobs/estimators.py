"""The estimator that the flags describe."""

from tf_splitting import Exact, Rayleigh
from tf_splitting.estimating import Estimator
from tf_splitting_programs.flags import estimating


def chosen() -> Estimator:
    """The object behind `--estimator` and `--passes`."""
    passes = estimating.PASSES.value
    if estimating.ESTIMATOR.value == "exact":
        return Exact()
    solver = "rmsprop" if estimating.ESTIMATOR.value == "rmsprop" else "lobpcg"
    return Rayleigh(solver=solver, passes=passes)
