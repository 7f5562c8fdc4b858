"""What a job is about to apply, as a checkpoint's documents and back."""

from __future__ import annotations

import json
from typing import Any

from tf_splitting.estimating import RemovalScores, SplittingScores
from tf_splitting.jobs.checkpoints.checkpoint import Checkpoint
from tf_splitting.methods import Change, ExchangeProposal, Proposal, RemovalProposal
from tf_splitting.selecting import ExchangePlan, RemovalPlan, SplitPlan

_PLAN, _SCORES, _EXCHANGE = "plan.json", "scores.npz", "exchange.json"


def documents_of(proposal: Change | None) -> dict[str, Any]:
    """What says all of it, by the names of files."""
    if proposal is None:
        return {}
    documents: dict[str, Any] = {_PLAN: json.loads(proposal.plan.to_json())}
    if isinstance(proposal, ExchangeProposal):
        about = proposal._asdict()
        del about["plan"]
        documents[_EXCHANGE] = about
    elif proposal.scores is not None:
        documents[_SCORES] = proposal.scores.to_arrays()
    return documents


def proposal_of(checkpoint: Checkpoint) -> Change | None:
    """What a checkpoint's job was about to apply, if anything."""
    if not checkpoint.has(_PLAN):
        return None
    plan = checkpoint.json(_PLAN)
    text = json.dumps(plan)
    if "exchange" in plan:
        about = checkpoint.json(_EXCHANGE)
        return ExchangeProposal(ExchangePlan.from_json(text), **about)
    scores = checkpoint.arrays(_SCORES) if checkpoint.has(_SCORES) else None
    if "removals" in plan:
        found = RemovalScores.from_arrays(scores or {})
        return RemovalProposal(RemovalPlan.from_json(text), found)
    return Proposal(
        SplitPlan.from_json(text),
        None if scores is None else SplittingScores.from_arrays(scores),
    )
