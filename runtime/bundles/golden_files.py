"""A manifest's entry of the self-test: the files of the golden patch."""

from __future__ import annotations

from ..checked_struct import CheckedStruct


class Golden(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The self-test: a patch, and the torch student's probabilities and labels for it.

    Attributes:
        input: path of the ``.npy`` file with the patch, [1, 1, D, H, W] float16, normalised.
        output: path of the ``.npy`` file with the probabilities, [C, D, H, W] uint8, 255 for 1. Bundles of schema
            versions 1 and 2 hold the patch as float32 and the logits, [1, C, D, H, W] float32, instead.
        labels: path of the ``.npy`` file with the labels, [D, H, W] uint8, or uint16 for more than 256 classes; rounded
            probabilities do not tell them where classes are about equally probable. None up to schema version 3.
    """

    input: str = "golden_input.npy"
    output: str = "golden_output.npy"
    labels: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Paths in the bundle of all its files."""
        return (self.input, self.output) if self.labels is None else (self.input, self.output, self.labels)


GOLDEN_FILES = Golden(labels="golden_labels.npy")  # of the bundles written now
