"""Estimators of splitting indices and directions."""

from tf_splitting.estimators.base import Eigenpairs, Estimator
from tf_splitting.estimators.exact import Exact
from tf_splitting.estimators.problem import SplittingProblem
from tf_splitting.estimators.rayleigh import Rayleigh

__all__ = ["Eigenpairs", "Estimator", "Exact", "Rayleigh", "SplittingProblem"]
