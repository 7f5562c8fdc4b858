"""Growth methods, by name: who decides what to split in a round.

In: a `Round`: the model, its graph, a sample, budget and limits.
Out: a `Proposal`: a plan and, where there are any, its scores.
Imports from: selecting, estimating, data, tracing, support.
"""

from tf_splitting.methods.base import Method, Proposal, Round
from tf_splitting.methods.splitting import Splitting, agreement
from tf_splitting.methods.uniform import Uniform

METHODS = {"splitting": Splitting, "uniform": Uniform}

__all__ = [
    "METHODS",
    "Method",
    "Proposal",
    "Round",
    "Splitting",
    "Uniform",
    "agreement",
]
