"""How far a growing job is, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

TRAINING, ESTIMATED = "training", "estimated"


@dataclass
class JobState:
    """What a job that resumes has to know besides its model and its history.

    Attributes:
        round: splits that are done.
        phase: "training", or "estimated" once a plan to split by is there.
        epoch: epochs that are done, counted through the job.
        batch: batches of the epoch that runs that are done.
        first_epoch: number of the phase's first epoch.
        position: batches that were trained on before it, where phases are laid out in
            batches.
        length: epochs of the phase, once it has begun.
        steps: batches in each of them; None: as many as the data has.
        ended: whether a callback has ended the phase early.
        peak: learning rate that the final phase decays from, once it has begun.
        spent: seconds spent in the epoch that runs.
        estimating, estimated: seconds and training compute that proposals took, if no
            round's record has them.
        measuring: seconds that measuring on the sample took, likewise.
        before: loss and metrics on the sample before the split that is proposed.
        newcomers: by space, how many of its last neurons the last round has added.
        members: of a family, those that have been finished.
        stuck: why growth cannot come nearer to the next one's target, if it cannot.
    """

    round: int = 0
    phase: str = TRAINING
    epoch: int = 0
    batch: int = 0
    first_epoch: int = 0
    position: int = 0
    length: int | None = None
    steps: int | None = None
    ended: bool = False
    peak: float | None = None
    spent: float = 0.0
    estimating: float = 0.0
    estimated: float = 0.0
    measuring: float = 0.0
    before: dict[str, float] | None = None
    newcomers: dict[str, int] = field(default_factory=dict)
    members: int = 0
    stuck: str | None = None

    def next_phase(self, split: bool) -> JobState:
        """The state at the start of the phase that follows."""
        return JobState(
            self.round + split,
            epoch=self.epoch,
            first_epoch=self.epoch,
            position=self.position
            + (self.epoch - self.first_epoch) * (self.steps or 0),
            estimating=0.0 if split else self.estimating,
            estimated=0.0 if split else self.estimated,
            measuring=0.0 if split else self.measuring,
            newcomers=self.newcomers,
            members=self.members,
            stuck=self.stuck,
        )
