"""Growth methods, by name: who decides what to split in a round.

In: a `Round`: the model, its graph, a sample, budget and limits.
Out: a `Proposal`: a plan and, where there are any, its scores.
Imports from: training, rebuilding, selecting, estimating, data, tracing, support.
"""

from tf_splitting.methods.base import (
    Change,
    ExchangeProposal,
    Method,
    Proposal,
    RemovalProposal,
    Round,
)
from tf_splitting.methods.candidates import Candidates
from tf_splitting.methods.firefly import Firefly
from tf_splitting.methods.gradmax import GradMax
from tf_splitting.methods.signed import Signed
from tf_splitting.methods.splitting import Splitting, agreement
from tf_splitting.methods.tiny import Tiny
from tf_splitting.methods.uniform import Uniform

METHODS: dict[str, type] = {
    "candidates": Candidates,
    "firefly": Firefly,
    "gradmax": GradMax,
    "signed": Signed,
    "splitting": Splitting,
    "tiny": Tiny,
    "uniform": Uniform,
}

__all__ = [
    "METHODS",
    "Candidates",
    "Change",
    "ExchangeProposal",
    "Firefly",
    "GradMax",
    "Method",
    "Proposal",
    "RemovalProposal",
    "Round",
    "Signed",
    "Splitting",
    "Tiny",
    "Uniform",
    "agreement",
]
