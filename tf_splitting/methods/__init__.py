"""Growth methods, by name."""

from tf_splitting.methods.base import Method, Proposal, Round
from tf_splitting.methods.splitting import Splitting
from tf_splitting.methods.uniform import Uniform

METHODS = {"splitting": Splitting, "uniform": Uniform}

__all__ = ["METHODS", "Method", "Proposal", "Round", "Splitting", "Uniform"]
