"""A toy bundle whose locator takes bone, and nothing else, for an organ."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from bedside.runtime import Task, write_manifest
from bedside.runtime.bundles.bundle import Bundle
from bedside.runtime.bundles.locator_entry import LocatorEntry
from bedside.runtime.labels.probabilities import softmax, to_levels

ENTRY = LocatorEntry(
    spacing=(6.0, 6.0, 6.0), patch=(8, 8, 8), threshold=0.5, margin_mm=6.0, golden_labels="locator_golden_labels.npy"
)


def bone_logits(patches):
    """Background 0, organ 40 · (x − 0.9): bone is 1, fat 0.5 and air 0 after normalisation; [N, 2, D, H, W]."""
    return np.concatenate([0 * patches, 40 * patches - 36], axis=1).astype(np.float32)


def bone_model(toy, entry: LocatorEntry = ENTRY) -> bytes:
    weight = np.array([0, 40], np.float32).reshape(2, 1, 1, 1, 1)
    return toy.conv_model(weight, np.array([0, -36], np.float32), entry.patch.dhw)


def write_located_bundle(
    directory: Path, toy, task: Task, entry: LocatorEntry = ENTRY, *, golden_shift: float = 0.0
) -> Path:
    """Writes the toy bundle with a locator; ``golden_shift`` is added to the background's golden logits."""
    toy.write_bundle(directory, task)
    with Bundle.open(directory) as bundle:
        manifest = bundle.manifest
    patch = np.random.default_rng(0).random((1, 1, *entry.patch.dhw), np.float32)
    (directory / entry.file).write_bytes(bone_model(toy, entry))
    np.save(directory / entry.golden_input, patch)
    logits = bone_logits(patch)[0]
    logits[0] += np.float32(golden_shift)
    np.save(directory / entry.golden_output, to_levels(softmax(logits)))
    if entry.golden_labels is not None:
        np.save(directory / entry.golden_labels, logits.argmax(0).astype(np.uint8))
    write_manifest(directory, msgspec.structs.replace(manifest, locator=entry))
    return directory
