"""The texts of a bundle: its model card and the statement of its licence."""

from __future__ import annotations

from ..runtime.bundles.figures import BorderProbabilities
from ..runtime.bundles.manifest import Manifest
from ..runtime.bundles.variant import Variant
from ..runtime.task import Modality, Task
from .cases import FEWEST_GATE_CASES

SCANS_LEARNED_FROM = "scans_learned_from"
"""The fact, in a bundle's provenance, how many scans the student and what taught it learned from, if all are known."""
_CARE = ("gate", "scans")  # facts that say how far the gate's figures can be trusted, not how the student was trained
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
        ("student", f"{provenance.student}{taught}" + ("" if provenance.lam is None else f", λ = {provenance.lam:g}")),
        ("training data (SHA-256)", provenance.data_hash or "not recorded"),
        *((name.replace("_", " "), value) for name, value in provenance.training.items() if name not in _CARE),
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
        "## Figures\n\nAgainst the torch student, on patches. A bf16 variant is the file of its fp32 or int8 one, "
        "computed in bfloat16.\n\n" + _figures(manifest),
        _gate(manifest),
        _notes(manifest),
        _sensitive_table(manifest),
        _dice_table(manifest),
        _spurious_table(manifest),
        _border_table(manifest),
        _overlap_table(manifest),
        _locator(manifest),
        "## Training data and teacher\n\nThe hash identifies the training data to whoever has them. "
        f"{_seen_by(manifest)}Other figures are of the epoch whose weights these are, Dice on "
        "its validation cases.\n\n" + _table(("fact", "value"), facts),
        "## How to run\n\n    pip install bedside\n    bedside segment BUNDLE -i ct.nii.gz -o labels.nii.gz\n\n"
        "`bedside inspect BUNDLE` shows these figures; `bedside benchmark BUNDLE` measures the machine at hand; "
        "`bedside segment --trust KEY` refuses the bundle unless the owner of that key signed it.",
        "## Limits\n\n" + "\n".join(f"- {limit}" for limit in _limits(manifest)),
        f"## Licence\n\n{manifest.licence}; see `LICENSE`.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _seen_by(manifest: Manifest) -> str:
    if not manifest.records_scans:
        return ""
    known = "" if SCANS_LEARNED_FROM in manifest.provenance.training else " Not every one is recorded."
    return (
        "`bedside dataset seen SCANS --by BUNDLE` says which scans of yours are among those that the network learned "
        f"from, or that chose it.{known} "
    )


def _limits(manifest: Manifest) -> list[str]:
    """Returns what the model cannot do or was not shown to do, one sentence or two each."""
    task, exact = manifest.task, manifest.variants[0]
    limits = [
        "The figures hold for the scans they were measured on. Other scanners, contrast phases, ages and diseases may "
        "give worse results without any sign of it.",
        f"The network sees {task.modality.value} at {' × '.join(f'{step:g}' for step in task.spacing)} mm: smaller "
        f"structures are lost. {_intensities(task)}",
    ]
    if manifest.gate_cases < FEWEST_GATE_CASES:
        limits.append(
            f"Gate cases: {manifest.gate_cases}. Fewer than {FEWEST_GATE_CASES} do not show a small loss of an organ."
        )
    unmeasured = [label for label in task.labels[1:] if label not in exact.dice]
    if unmeasured:
        limits.append(f"Never compared with a person's label map at export: {', '.join(unmeasured)}.")
    borderless = [label for label in task.labels[1:] if label not in exact.borders]
    if exact.parity is not None and borderless:
        limits.append(
            "The student finds these organs in no patch of the comparison, so that no variant's probabilities of them "
            f"were judged: {', '.join(borderless)}."
        )
    if exact.dice:
        worst = min(exact.dice, key=lambda organ: exact.dice[organ])
        limits.append(f"The least accurate organ is {worst}: Dice {exact.dice[worst]:.4f} with {exact.name}.")
    limits.append("No scan data is in the bundle; `golden_input.npy` is synthetic.")
    return limits


def _intensities(task: Task) -> str:
    low, high = task.intensity.clip
    if task.intensity.standardise:
        return "Intensities are standardised by each scan's own mean and standard deviation."
    unit = " HU" if task.modality is Modality.CT else ""
    unit = " percentiles of the body" if task.intensity.clip_percentiles else unit
    return f"Intensities are clipped to {low:g} … {high:g}{unit}."


def _notes(manifest: Manifest) -> str:
    """Returns a line for every variant that failed, was left out, or is not worth it."""
    kept, gone = "run only where asked for by name", "left out of the bundle"
    lines = [
        f"- {variant.name} failed at the gate, {gone if variant in manifest.left_out else kept}: {variant.gate_reason}"
        for variant in manifest.failed
    ]
    lines += [f"- {each.name} is {manifest.not_worth(each)}" for each in manifest.variants if manifest.not_worth(each)]
    return "\n".join(lines)


def _sensitive_table(manifest: Manifest) -> str:
    if not manifest.sensitive_layers:
        return ""
    rows = [(each.precision, each.name, f"{100 * each.price:.0f} %") for each in manifest.sensitive_layers]
    text = (
        "In the int8 models these layers stay in floating point. In int8 each would use so much of the gate's bounds:"
    )
    return f"{text}\n\n" + _table(("model", "layer", "price"), rows)


def _figures(manifest: Manifest) -> str:
    rows: list[tuple[str, ...]] = []
    for variant in manifest.all_variants:
        parity = variant.parity
        rows.append(
            (
                variant.name,
                "–" if variant in manifest.left_out else f"{manifest.variant_bytes(variant) / 1e6:.1f}",
                f"{100 * parity.label_agreement:.2f} %" if parity else "–",
                f"{parity.max_abs_probability:.4f}" if parity else "–",
                f"{parity.mean_abs_probability:.6f}" if parity else "–",
            )
        )
    return _table(("variant", "MB", "same label", "largest probability difference", "mean difference"), rows)


def _gate(manifest: Manifest) -> str:
    rows: list[tuple[str, ...]] = []
    for variant in manifest.all_variants:
        dice, borders = variant.mean_dice, list(variant.borders.values())
        rows.append(
            (
                variant.name,
                f"{dice:.4f}" if dice is not None else "–",
                str(variant.dice_drop or "–"),
                f"{max(border.difference for border in borders):.4f}" if borders else "–",
                f"{max(border.confidence_shift for border in borders):.4f}" if borders else "–",
                variant.window_time,
                variant.verdict,
            )
        )
    training = manifest.provenance.training
    care = "; ".join(training[name] for name in _CARE if name in training)
    head = ("variant", "mean Dice", "Dice lost (95 % interval)", "mean Δp near borders", "shift of confidence")
    cases, timed_on = manifest.gate_cases, manifest.timed_on
    text = f"Gate cases: {cases}, segmented through the whole runtime. Of |Δp| and the shift: the worst organ's."
    if timed_on is not None:
        text += f" Times are of {timed_on.cpu}, CPU threads: {timed_on.threads}, unless they name another device; "
        text += "they say nothing about other machines."
    if care:
        text += f"\n\n**Read the figures with care:** {care}."
    return f"## Gate\n\n{text}\n\n" + _table((*head, "ms per window", "gate"), rows)


def _dice_table(manifest: Manifest) -> str:
    measured = [variant for variant in manifest.all_variants if variant.dice]
    if not measured:
        return "No gate cases were given: Dice was not measured."
    organs = [label for label in manifest.task.labels if label in measured[0].dice]
    rows = [(organ, *(_dice_and_drop(variant, organ) for variant in measured)) for organ in organs]
    text = "Dice, and in brackets what was lost against fp32 with the same engine, with its 95 % interval:"
    return f"{text}\n\n" + _table(("organ", *(variant.name for variant in measured)), rows)


def _dice_and_drop(variant: Variant, organ: str) -> str:
    drop = variant.organ_drops.get(organ)
    return f"{variant.dice[organ]:.4f}" + (f" [{drop}]" if drop else "")


def _spurious_table(manifest: Manifest) -> str:
    measured = [variant for variant in manifest.all_variants if variant.spurious]
    if not measured:
        return ""
    organs = [label for label in manifest.task.labels if label in measured[0].spurious]
    rows = [
        (
            organ,
            str(measured[0].spurious[organ].cases),
            *(f"{each.spurious[organ].excess_ml:+.3g}" for each in measured),
        )
        for organ in organs
    ]
    text = "Organs in gate cases that lack them: what is found more than fp32 finds there, in ml, in the worst case:"
    return f"{text}\n\n" + _table(("organ", "cases without it", *(variant.name for variant in measured)), rows)


def _border_table(manifest: Manifest) -> str:
    measured = [variant for variant in manifest.all_variants if variant.borders]
    if not measured:
        return ""
    organs = [label for label in manifest.task.labels if label in measured[0].borders]
    rows = [(organ, *(_border(variant.borders.get(organ)) for variant in measured)) for organ in organs]
    text = (
        "Probabilities within two voxels of an organ's border: mean |Δp| against the student / shift of confidence / "
        "expected calibration error against the true labels:"
    )
    return f"{text}\n\n" + _table(("organ", *(variant.name for variant in measured)), rows)


def _border(border: BorderProbabilities | None) -> str:
    if border is None:
        return "–"
    error = "–" if border.confidence_error is None else f"{border.confidence_error:.4f}"
    return f"{border.difference:.4f} / {border.confidence_shift:.4f} / {error}"


def _overlap_table(manifest: Manifest) -> str:
    if not manifest.overlap_curve:
        return ""
    rows = [
        (f"{point.overlap:g}", f"{point.mean_dice:.4f}", f"{point.windows:.3g}", f"{point.seconds:.3g}")
        for point in manifest.overlap_curve
    ]
    head = ("overlap", "mean Dice", "windows per case", "seconds per case")
    return "Overlap of windows, on the gate cases:\n\n" + _table(head, rows)


def _locator(manifest: Manifest) -> str:
    locator = manifest.locator
    if locator is None:
        return f"## Locator\n\nLeft out: {manifest.locator_left_out}." if manifest.locator_left_out else ""
    spacing = " × ".join(f"{step:g}" for step in locator.spacing)
    measured = ""
    if locator.windows_saved is not None:
        worst = max(locator.dice_loss.values(), default=0.0)
        measured = (
            f" Probability and distance were fitted to the {locator.cases} gate cases. With those that the other "
            f"cases choose, it saved {100 * locator.windows_saved:.0f} % of a case's windows; no organ lost more than "
            f"{max(worst, 0.0):.4f} Dice."
        )
    if locator.organ_recall:
        organ = min(locator.organ_recall, key=lambda each: locator.organ_recall[each])
        measured += f" The organ it finds least of by itself is {organ}: {100 * locator.organ_recall[organ]:.0f} %."
    return (
        f"## Locator\n\nA small network ({locator.network or 'not named'}) at {spacing} mm finds the organs first; "
        f"windows more than {locator.margin_mm:g} mm from voxels with an organ's probability of "
        f"{locator.threshold:g} are left out.{measured} `bedside segment --no-locator` runs all windows."
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
