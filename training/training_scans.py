"""The scans of a training with the hashes of their files: what a run records of its data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ..runtime.task import Task
from .data.case_cache import case_key
from .data.case_digest import CaseDigest, data_hash, digest_cases
from .data.dataset import Case, Dataset
from .data.seen_scans import warn_of_seen_scans
from .data.unlabelled import without_copies
from .job import TrainingJob
from .runs.learned_from import LearnedFrom
from .runs.run_config import Distillation, ModelConfig, RunConfig


@dataclass(frozen=True)
class TrainingScans:
    """The scans of a training, with the hashes of their files.

    Attributes:
        dataset: the data set.
        listed: its training and validation cases, each once.
        digests: their hashes.
        unlabelled: its scans without labels that the training learns from; none is a copy of another scan here.
        unlabelled_digests: their hashes.
    """

    dataset: Dataset
    listed: Sequence[Case]
    digests: Sequence[CaseDigest]
    unlabelled: Sequence[Case]
    unlabelled_digests: Sequence[CaseDigest]

    @classmethod
    def hashed(
        cls, dataset: Dataset, listed: Sequence[Case], unlabelled: Sequence[Case], threads: int
    ) -> TrainingScans:
        """Hashes the files, and leaves out scans without labels that are copies.

        Raises:
            InputError: a file cannot be read.
        """
        digests, unlabelled_digests = digest_cases(listed, threads), digest_cases(unlabelled, threads)
        images = frozenset(digest.image for digest in digests)
        return cls(dataset, listed, digests, *without_copies(unlabelled, unlabelled_digests, images))

    def warn_of_seen(self, earlier: Sequence[LearnedFrom]) -> None:
        """Warns of scans that the training, or what it builds on, learned from and that are scored too."""
        listed = [*zip(self.listed, self.digests, strict=True)]
        unlabelled = [*zip(self.unlabelled, self.unlabelled_digests, strict=True)]
        seen = frozenset[str]().union(*(each.scans | each.validation_scans for each in earlier))
        warn_of_seen_scans(self.dataset, listed, unlabelled, seen)

    def config(self, job: TrainingJob, model: ModelConfig, distillation: Distillation | None) -> RunConfig:
        """Returns the configuration of a run that learns from these scans.

        Args:
            job: gives task and recipe.
            model: configuration of the network.
            distillation: teacher and loss weight of a student; None for a teacher.
        """
        halves = self._hash_of(self.dataset.training), self._hash_of(self.dataset.validation)
        return RunConfig(
            model=model,
            task=job.task,
            recipe=job.recipe,
            dataset=self.dataset.name,
            data_hash=data_hash(self.listed, self.digests),
            fold=self.dataset.fold,
            split_hash=hashlib.sha256("\n".join(halves).encode()).hexdigest(),
            validation_hash=halves[1],
            unlabelled_hash=data_hash(self.unlabelled, self.unlabelled_digests) if self.unlabelled else "",
            distillation=distillation,
        )

    def keys(self, task: Task) -> list[str]:
        """Returns the keys of the prepared cases."""
        return [case_key(digest, task) for digest in (*self.digests, *self.unlabelled_digests)]

    def learned_from(self, earlier: Sequence[LearnedFrom]) -> LearnedFrom:
        """Returns the scans of the training, and those that its teachers and earlier weights had learned from.

        Likewise the validation scans.
        """
        images = self._images
        own = {images[case.name] for case in self.dataset.training}
        own |= {digest.image for digest in self.unlabelled_digests}
        return LearnedFrom(
            scans=frozenset(own).union(*(each.scans for each in earlier)),
            knows_all=all(each.knows_all for each in earlier),
            validation_scans=self.validation_images.union(*(each.validation_scans for each in earlier)),
        )

    @property
    def validation_images(self) -> frozenset[str]:
        """SHA-256 of the validation cases' image files."""
        images = self._images
        return frozenset(images[case.name] for case in self.dataset.validation)

    @property
    def _images(self) -> dict[str, str]:
        """Name of a case → SHA-256 of its image file."""
        return {case.name: digest.image for case, digest in zip(self.listed, self.digests, strict=True)}

    def _hash_of(self, cases: Sequence[Case]) -> str:
        """Returns a SHA-256 over the content of some of the cases with labels."""
        by_name = {case.name: (case, digest) for case, digest in zip(self.listed, self.digests, strict=True)}
        half = [by_name[case.name] for case in cases]
        return data_hash([case for case, _ in half], [digest for _, digest in half])
