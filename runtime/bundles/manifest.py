"""The bundle's manifest: the types of `bundle.json`, and its strict decoding."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec

from ..checked_struct import CheckedStruct
from ..errors import BundleError, FieldError
from ..labels.postprocess import Postprocessing
from ..task import Task
from .figures import OverlapPoint, SensitiveLayer, TimedMachine
from .golden_files import Golden
from .locator_entry import LocatorEntry
from .variant import Variant

SCHEMA_VERSION = 8
READABLE_VERSIONS = (1, 2, 3, 4, 5, 6, 7, SCHEMA_VERSION)  # all fields that later versions added have defaults
MANIFEST_NAME = "bundle.json"
CHECKSUM_NAME = "bundle.sha256"  # file with the hash of bundle.json, in the format of `sha256sum -c`
WEIGHTS_NAME = "weights.safetensors"  # the student's own, from which a training may start; for no engine
LEARNED_FROM_NAME = "learned_from.json"  # hashes of the scans that the networks learned from; for no engine
MANIFEST_LIMIT = 1_000_000  # bytes; a manifest has some tens of kilobytes

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # all control characters but tabs and line ends


class FileEntry(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Size in bytes and SHA-256 (64 hexadecimal digits) of one file."""

    size: int
    sha256: str


class TensorSpec(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network's input or output; a string in the shape stands for a free dimension (``"batch"``)."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str = "float32"


class Provenance(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The origin of a model: code, student, teacher and data.

    Attributes:
        code_version: version of bedside that exported it.
        created: date and time, ISO 8601.
        student: registered name of the student.
        teacher: registered name of the teacher; None without distillation.
        lam: λ of the distillation loss; None without distillation.
        data_hash: SHA-256 over the training data's list and files.
        training: fact → value, further facts of the training run.
    """

    code_version: str
    created: str
    student: str
    teacher: str | None = None
    lam: float | None = None
    data_hash: str = ""
    training: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class Manifest(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The contents of a bundle and its intended use.

    Attributes:
        schema_version: 8; 7 where neither the content of the gate cases nor the device of a time is known; 6 where
            neither what a variant invents nor a locator's recall of each organ is known either; 5 where the task has no
            anchor and keeps a scan's centre either; 4 where there is no precision ``"uint8"`` either; 3 where the
            golden patch has no labels; 2 where it has logits in place of probabilities; 1 where the figures of version
            2 are missing as well.
        task: the task, identical to that of the training.
        files: path in the bundle → size and hash, for every file but those named `bundle.…`.
        variants: the model in each engine's form and each precision.
        left_out: variants that failed, with their figures; the bundle holds no file for them.
        sensitive_layers: layers that stay in floating point in each int8 model, the one that cost most first.
        gate_cases: number of labelled scans on which the variants were compared.
        gate_data_hash: SHA-256 over the content of these scans and their label maps; empty where there are none, or
            where it is not known.
        timed_on: the machine that timed the variants; None where none was timed.
        input: the network's input, [batch, 1, D, H, W].
        output: the network's output, [batch, C, D, H, W].
        recommended_overlap: fraction of a window shared with the next, 0 ≤ overlap < 1.
        overlap_reason: how the overlap was chosen, as free text.
        overlap_curve: Dice and time of several overlaps on the gate cases, the smallest overlap first.
        postprocessing: what is removed from every label map; nothing by default.
        golden: the files of the self-test; None where the bundle has none.
        locator: the network that finds the windows with organs; None where the bundle has none.
        locator_left_out: why the locator given at export is not in the bundle; empty otherwise.
        provenance: the origin of the model.
        licence: SPDX identifier or free text.
        intended_use: what the model is for, and what it is not for.
    """

    task: Task
    variants: tuple[Variant, ...]
    input: TensorSpec
    output: TensorSpec
    recommended_overlap: float
    overlap_reason: str
    provenance: Provenance
    licence: str
    intended_use: str
    postprocessing: Postprocessing = Postprocessing()
    golden: Golden | None = None
    locator: LocatorEntry | None = None
    locator_left_out: str = ""
    left_out: tuple[Variant, ...] = ()
    sensitive_layers: tuple[SensitiveLayer, ...] = ()
    gate_cases: int = 0
    gate_data_hash: str = ""
    timed_on: TimedMachine | None = None
    overlap_curve: tuple[OverlapPoint, ...] = ()
    files: dict[str, FileEntry] = msgspec.field(default_factory=dict[str, FileEntry])
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        super().__post_init__()
        patch, classes = self.task.patch.dhw, self.task.num_classes
        if not self.variants:
            raise FieldError("variants: expected at least one")
        names = [variant.name for variant in self.all_variants]
        if len(set(names)) < len(names):
            raise FieldError(f"variants: expected each engine and precision once, got {', '.join(sorted(names))}")
        self.postprocessing.check(self.task.labels)
        if self.locator is not None:
            self.locator.task(self.task)  # refuses a spacing or patch that no task can have
        if not 0 <= self.recommended_overlap < 1:
            raise FieldError(f"recommended_overlap: expected 0 ≤ overlap < 1, got {self.recommended_overlap:g}")
        if self.input.shape[1:] != (1, *patch) or self.output.shape[1:] != (classes, *patch):
            raise FieldError(
                f"input and output shapes {self.input.shape} → {self.output.shape} do not fit the task's "
                f"patch {patch} (D, H, W) and {classes} labels"
            )

    @property
    def total_bytes(self) -> int:
        """Size of all files in ``files``, in bytes."""
        return sum(entry.size for entry in self.files.values())

    @property
    def is_trainable(self) -> bool:
        """Whether the bundle holds the student's weights, from which a training may start."""
        return WEIGHTS_NAME in self.files

    @property
    def records_scans(self) -> bool:
        """Whether the bundle holds the hashes of the scans that its networks learned from."""
        return LEARNED_FROM_NAME in self.files

    @property
    def all_variants(self) -> tuple[Variant, ...]:
        """All variants that were measured: those of the bundle, then those left out."""
        return self.variants + self.left_out

    @property
    def failed(self) -> tuple[Variant, ...]:
        """The variants that failed at the gate, those left out included."""
        return tuple(variant for variant in self.all_variants if variant.passed is False)

    def not_worth(self, variant: Variant) -> str:
        """Returns why a variant is not worth choosing on the device that timed it, as a message; empty if it is.

        Only variants timed on the same device count, for another machine may lack the others. Bundles of earlier
        versions do not tell the devices of their times, which count as one.
        """
        able = (each for each in self.variants if each.passed is not False)
        better = variant.more_exact_and_as_fast(each for each in able if each.timed_device == variant.timed_device)
        if better is None:
            return ""
        times = f"{variant.ms_per_window:.3g} against {better.ms_per_window:.3g} ms per window"
        return f"not worth it: not 5 % faster than {better.name} ({times})"

    def variant_bytes(self, variant: Variant) -> int:
        """Returns the size of a variant's files in bytes, those of its weights included."""
        return self.files[variant.file].size + (0 if variant.weights is None else self.files[variant.weights].size)

    def encoded(self) -> bytes:
        """Returns the bytes of `bundle.json`: indented JSON, UTF-8."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


class _VersionOnly(msgspec.Struct):
    schema_version: int


def decode_manifest(content: bytes) -> Manifest:
    """Decodes and validates the bytes of `bundle.json`.

    Raises:
        BundleError: the file is too large, has another schema version, or invalid fields.
    """
    if len(content) > MANIFEST_LIMIT:
        raise BundleError(f"{MANIFEST_NAME}: expected at most {MANIFEST_LIMIT} bytes, got {len(content)}")
    try:
        version = msgspec.json.decode(content, type=_VersionOnly).schema_version
        if version not in READABLE_VERSIONS:
            raise BundleError(
                f"{MANIFEST_NAME}: schema version {version}, this bedside reads "
                f"{', '.join(map(str, READABLE_VERSIONS))}; "
                f"{'update bedside' if version > SCHEMA_VERSION else 'export the bundle again'}"
            )
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{MANIFEST_NAME} is not valid: {error}") from None
    if any(_CONTROLS.search(text) for text in _texts(msgspec.to_builtins(manifest))):
        raise BundleError(f"{MANIFEST_NAME} is not valid: its texts hold characters that command a terminal")
    return manifest


def _texts(value: Any) -> Iterator[str]:
    """Yields all strings in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(cast("dict[str, Any]", value).items()))
    elif isinstance(value, (list, tuple)):
        for each in cast("Sequence[Any]", value):
            yield from _texts(each)


def checksum_line(manifest: bytes) -> bytes:
    """Returns the content of `bundle.sha256` for the bytes of `bundle.json`; ``sha256sum -c`` reads it."""
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST_NAME}\n".encode()
