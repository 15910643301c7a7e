"""The texts of a bundle: its model card and the statement of its licence."""

from __future__ import annotations

from ..runtime.bundles.manifest import Manifest

_NOTICE = """Licensed under the Apache License, Version 2.0 (the "License"); you may not use this model except in
compliance with the License. You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, the model is distributed on an "AS IS" BASIS, WITHOUT
WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language governing
permissions and limitations under the License.
"""


def licence_text(licence: str) -> str:
    """Returns the content of a bundle's `LICENSE`: a statement, since an installed wheel has no source tree."""
    if licence == "Apache-2.0":
        return f"SPDX-License-Identifier: Apache-2.0\n\n{_NOTICE}"
    return f"This model is provided under: {licence}\n"


def model_card(manifest: Manifest) -> str:
    """Returns the content of a bundle's `README.md`, in Markdown.

    Args:
        manifest: the manifest, complete with the sizes of the models.
    """
    task, provenance = manifest.task, manifest.provenance
    spacing, patch = (" × ".join(f"{value:g}" for value in triple) for triple in (task.spacing, task.patch))
    taught = f", distilled from {provenance.teacher}" if provenance.teacher else ""
    if not taught and provenance.lam is not None:  # of a network that bedside did not train, nothing is known
        taught = ", trained without a teacher"
    facts = [
        ("student", f"{provenance.student}{taught}" + (f", λ = {provenance.lam:g}" if provenance.lam else "")),
        ("training data (SHA-256)", provenance.data_hash or "not recorded"),
        *((name.replace("_", " "), value) for name, value in provenance.training.items()),
        ("exported", f"{provenance.created} by bedside {provenance.code_version}"),
    ]
    sections = [
        f"# {task.name}: {task.modality.value} segmentation",
        f"{task.anatomy or 'Segmentation'}. **Research software; not a medical device.**",
        f"## Intended use\n\n{manifest.intended_use}",
        f"## What it takes and gives\n\nA {task.modality.value} scan (NIfTI) in; a label map on the scan's own grid "
        f"out. The network works at {spacing} mm ({task.orientation}) in windows of {patch} voxels (x, y, z); "
        f"recommended overlap {manifest.recommended_overlap:g}: {manifest.overlap_reason}",
        f"Labels: {', '.join(f'{index} {name}' for index, name in enumerate(task.labels))}.",
        f"Post-processing of every label map, unless the caller wants another: {manifest.postprocessing}.",
        "## Figures\n\nAgainst the torch student, on patches; Dice on the gate cases, through the whole runtime. "
        "A bf16 variant is the file of its fp32 or int8 one, computed in bfloat16.\n\n" + _figures(manifest),
        _failures(manifest),
        _dice_table(manifest),
        "## Where it comes from\n\n" + _table(("fact", "value"), facts),
        "## How to run\n\n    pip install bedside\n    bedside segment BUNDLE -i ct.nii.gz -o labels.nii.gz\n\n"
        "`bedside inspect BUNDLE` shows these figures; `bedside benchmark BUNDLE` measures the machine at hand.",
        "## Limits\n\nThe figures hold for the scans they were measured on. Other scanners, contrast phases, ages and "
        "diseases may give worse results without any sign of it. No scan data is in the bundle; `golden_input.npy` is "
        "synthetic.",
        f"## Licence\n\n{manifest.licence}; see `LICENSE`.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _failures(manifest: Manifest) -> str:
    if not manifest.failed:
        return ""
    lines = [f"- {variant.name}: {variant.gate_reason}" for variant in manifest.failed]
    return "Failed at the gate, and taken only where asked for by name:\n\n" + "\n".join(lines)


def _figures(manifest: Manifest) -> str:
    rows: list[tuple[str, ...]] = []
    for variant in manifest.variants:
        parity, dice = variant.parity, variant.mean_dice
        rows.append(
            (
                variant.name,
                f"{manifest.variant_bytes(variant) / 1e6:.1f}",
                f"{100 * parity.label_agreement:.2f} %" if parity else "–",
                f"{parity.max_abs_probability:.4f}" if parity else "–",
                f"{parity.mean_abs_probability:.6f}" if parity else "–",
                f"{dice:.4f}" if dice is not None else "–",
                variant.verdict,
            )
        )
    head = ("variant", "MB", "same label", "largest probability difference", "mean difference", "mean Dice", "gate")
    return _table(head, rows)


def _dice_table(manifest: Manifest) -> str:
    measured = [variant for variant in manifest.variants if variant.dice]
    if not measured:
        return "No gate cases were given: Dice was not measured."
    head = ("organ", *(variant.name for variant in measured))
    organs = [label for label in manifest.task.labels if label in measured[0].dice]
    return _table(head, [(organ, *(f"{variant.dice[organ]:.4f}" for variant in measured)) for organ in organs])


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
