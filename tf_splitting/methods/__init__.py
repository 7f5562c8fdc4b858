"""Growth methods, by name: who decides what to split in a round.

In: a `Round`: the model, its graph, a sample, budget and limits.
Out: a `Proposal`: a plan and, where there are any, its scores.
Imports from: training, rebuilding, selecting, estimating, data, tracing, support.
"""

from tf_splitting.methods.base import Method, Proposal, Round
from tf_splitting.methods.candidates import Candidates
from tf_splitting.methods.gradmax import GradMax
from tf_splitting.methods.splitting import Splitting, agreement
from tf_splitting.methods.tiny import Tiny
from tf_splitting.methods.uniform import Uniform

METHODS: dict[str, type] = {
    "candidates": Candidates,
    "gradmax": GradMax,
    "splitting": Splitting,
    "tiny": Tiny,
    "uniform": Uniform,
}

__all__ = [
    "METHODS",
    "Candidates",
    "GradMax",
    "Method",
    "Proposal",
    "Round",
    "Splitting",
    "Tiny",
    "Uniform",
    "agreement",
]
