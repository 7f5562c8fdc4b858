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
from tf_splitting.growing.grower import reaches
from tf_splitting.growing.rounds import Job
from tf_splitting.jobs import get_random_state, set_random_state
from tf_splitting.layers import is_splittable, to_plain
from tf_splitting.rebuilding import copied
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
        target: MACs of the last member.
        branches: of the members before it, in order.
        split_untrainable: as its arguments'.
        on_member: told of each, as soon as it is finished.
        members: finished models.
    """

    target: float
    branches: tuple[Branch, ...]
    split_untrainable: bool
    on_member: Callable[[keras.Model, Member], object] | None
    members: list[keras.Model] = field(default_factory=list)
    _running: Job | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.later = sum(branch.planned for branch in self.branches)

    def work(self, model: keras.Model) -> keras.Model:
        """See `Job`; at its end the last member is finished too."""
        result = super().work(model)
        path = replace(self.history, members=[])
        rounds, epochs = len(path.rounds), len(path.epochs)
        member = _member(result, self.target, path, rounds, epochs)
        self.history.members.append(member)
        self._hand_out(result, member)
        return result

    @property
    def saved(self) -> Path | None:
        """What the job could go on from."""
        running = self._running
        found = None if running is None else running.saved
        return super().saved if found is None else found

    def come_back(self, seed: keras.Model) -> None:
        """Reads the members that are finished, from where they were saved.

        Raises:
            CheckpointError: one is gone.
        """
        # Making models draws seeds.
        state = get_random_state()
        for branch, member in zip(self.branches, self.history.members):
            resumed = branch.job.resume(seed)
            if resumed is None:
                raise CheckpointError(
                    f"The job in {self.saved} has finished the {branch.job.name}, but "
                    "nothing is saved of that any more. Bring its folder back, or give "
                    "another checkpoint_dir to start over."
                )
            self.later -= branch.planned
            self._hand_out(branch.job.go_on(resumed.model), member)
        set_random_state(state)

    def branch_off(self, model: keras.Model) -> None:
        """Finishes the members that the model is large enough for by now.

        Args:
            model: stays as it is.
        """
        while self.state.members < len(self.branches):
            branch = self.branches[self.state.members]
            if self.state.stuck is None and not reaches(model, branch.target):
                return
            state = get_random_state()
            finished = self._finished(branch, model)
            path = branch.job.history
            rounds, epochs = len(self.history.rounds), len(self.history.epochs)
            member = _member(finished, branch.target, path, rounds, epochs)
            member.rounds = path.rounds[rounds:]
            member.epochs = path.epochs[epochs:]
            self.history.members.append(member)
            self._hand_out(finished, member)
            set_random_state(state)
            self.state.members += 1
            self.state.stuck = None
            self.save(model)
            free_old_functions()

    def _finished(self, branch: Branch, model: keras.Model) -> keras.Model:
        """The member, from a copy of the model or from where it was saved."""
        job, state = branch.job, get_random_state()
        job.history.fill(replace(self.history, members=[]).to_dict())
        job.history.stopped = self.state.stuck
        job.state = replace(self.state, members=0, stuck=None)
        self.later -= branch.planned
        job.later = self._left(model) + self.later
        copy = copied(model, split_untrainable=self.split_untrainable)
        # Making it has drawn seeds, which a job to this target alone would not.
        set_random_state(state)
        self.history.branch, self._running = job.history, job
        try:
            finished = job.work(copy)
        finally:
            self.history.branch = None
        self._running = None
        return finished

    def _left(self, model: keras.Model) -> float:
        """Compute that is planned for the rest of the job's own path."""
        recorder, state = self.recorder, self.state
        recorder.round, recorder.final = state.round, False
        recorder.macs, recorder.estimated = count_macs(model), state.estimated
        return self.schedule.remaining(recorder.progress(state.epoch))

    def _hand_out(self, model: keras.Model, member: Member) -> None:
        if is_splittable(model):
            model = to_plain(model)
        self.members.append(model)
        if self.on_member is not None:
            self.on_member(model, member)


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
