"""A job that passes through several targets, and what branches off at each.

Members of a family have their decay of the learning rate, the job that grows them has
not. So once a target is reached a copy leaves the job's path and goes through what a
job to this target alone would go through from there, to the bit; and the job grows on
as if nothing had been. The last member is the end of the job's own path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras

from tf_splitting.costs import count_macs, count_params
from tf_splitting.errors import CheckpointError
from tf_splitting.growing.freeing import free_old_functions
from tf_splitting.growing.grow_arguments import GrowArguments
from tf_splitting.growing.grower import reaches
from tf_splitting.growing.rounds import Job
from tf_splitting.jobs import random_state_kept
from tf_splitting.rebuilding import reclassed
from tf_splitting.training import OF_EPOCHS, GrowthHistory, Member


@dataclass(frozen=True)
class Branch:
    """What finishes one member.

    Attributes:
        target: MACs that it may have.
        job: what a job to this target alone would do from there on.
        planned: compute that this is to take, in MACs times passes over the data.
    """

    target: float
    job: Job
    planned: float


@dataclass(kw_only=True)
class Trunk(Job):
    """Grows a family.

    Attributes:
        branches: of the members before the last, in order.
        handed_out: makes of a finished model what the user gets.
        members: what it made of them.
    """

    arguments: GrowArguments
    branches: tuple[Branch, ...]
    handed_out: Callable[[keras.Model], keras.Model]
    members: list[keras.Model] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.later = sum(branch.planned for branch in self.branches)

    def work(self, model: keras.Model) -> keras.Model:
        """See `Job`; at its end the last member is finished too."""
        result = super().work(model)
        path = replace(self.history, members=[])
        rounds, epochs = len(path.rounds), len(path.epochs)
        target = self.arguments.targets[-1]
        member = _member(result, target, path, rounds, epochs)
        self.history.members.append(member)
        self._hand_out(result, member)
        return result

    @property
    def saved(self) -> Path | None:
        """What the job could go on from."""
        # Of the branch that runs, once it has saved; another has saved nothing yet.
        for branch in self.branches[self.state.members :][:1]:
            if branch.job.saved is not None:
                return branch.job.saved
        return super().saved

    def come_back(self, seed: keras.Model) -> None:
        """Reads the members that are finished, from where they were saved.

        Raises:
            CheckpointError: one is gone.
        """
        with random_state_kept():
            for branch, member in zip(self.branches, self.history.members):
                resumed = branch.job.resume(seed)
                if resumed is None:
                    raise CheckpointError(
                        f"The job in {self.saved} has finished the {branch.job.name}, "
                        "but nothing is saved of that any more. Bring its folder back, "
                        "or give another checkpoint_dir to start over."
                    )
                self.later -= branch.planned
                self._hand_out(branch.job.go_on(resumed.model), member)

    def branch_off(self, model: keras.Model) -> None:
        """Finishes the members that the model is large enough for by now.

        Args:
            model: stays as it is.
        """
        while self.state.members < len(self.branches):
            branch = self.branches[self.state.members]
            if self.state.stuck is None and not reaches(model, branch.target):
                return
            with random_state_kept():
                finished = self._finished(branch, model)
                path = branch.job.history
                rounds, epochs = len(self.history.rounds), len(self.history.epochs)
                member = _member(finished, branch.target, path, rounds, epochs)
                member.rounds = path.rounds[rounds:]
                member.epochs = path.epochs[epochs:]
                self.history.members.append(member)
                self._hand_out(finished, member)
            self.state.members += 1
            self.state.stuck = None
            self.save(model)
            free_old_functions()

    def _finished(self, branch: Branch, model: keras.Model) -> keras.Model:
        """The member, from a copy of the model or from where it was saved."""
        job = branch.job
        job.history.fill(replace(self.history, members=[]).to_dict())
        job.history.stopped = self.state.stuck
        job.state = replace(self.state, members=0, stuck=None)
        self.later -= branch.planned
        left = self.schedule.remaining(self.progress(model, final=False))
        job.later = left + self.later
        # A job to this target alone would make no copy.
        with random_state_kept():
            copy = reclassed(model)
        self.history.branch = job.history
        try:
            return job.work(copy)
        finally:
            self.history.branch = None

    def _hand_out(self, model: keras.Model, member: Member) -> None:
        model = self.handed_out(model)
        self.members.append(model)
        if self.arguments.on_member is not None:
            self.arguments.on_member(model, member)


def _member(
    model: keras.Model, target: float, path: GrowthHistory, rounds: int, epochs: int
) -> Member:
    """What there is to say of a member.

    Args:
        model: finished.
        target: that it meets.
        path: what led to it.
        rounds, epochs: how much of that the job goes on from.
    """
    last = path.epochs[-1] if path.epochs else {}
    return Member(
        target_macs=target,
        macs=count_macs(model),
        params=count_params(model),
        round=rounds,
        epoch=epochs,
        compute=path.compute,
        seconds=path.seconds,
        stopped=path.stopped,
        settled=path.settled,
        logs={name: last[name] for name in last if name not in OF_EPOCHS},
    )
