"""The teacher on phantoms: learning curve, Dice per organ, the ablation of the paper's Table 3, and SwinUNETR-48.

    python benchmarks/autosam_ablation/ablation.py OUT [--jobs 2] [--seeds 0 1 2] [--rows both no-apg ...]
    python benchmarks/autosam_ablation/ablation.py OUT --sam vit_b --checkpoint sam_vit_b_01ec64.pth --device cuda ...

Finished runs are skipped and interrupted ones gone on with, so the same command may be given again after a Ctrl-C, or
with more seeds. The tables and the picture are written anew after every run. README.md says what is compared how.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from bedside.benchmarks.shared.processes import Experiment
from networks import ROWS, WHOLE
from plan import Plan, load_plan, make_phantoms, save_plan
from report import write_report
from step_cost import measure_steps
from train_and_score import run_folder

_Run = tuple[str, int]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for phantoms, runs, tables")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), help="in this order; else all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each run")
    parser.add_argument("--sam", default="vit_nano", help="vit_nano, vit_b, vit_l, vit_h")
    parser.add_argument("--checkpoint", type=Path, help="SAM's weights for it; else random")
    parser.add_argument("--spacing", type=float, nargs=3, default=[5.0, 5.0, 5.0], metavar="MM")
    parser.add_argument("--patch", type=int, nargs=3, default=[64, 32, 32], metavar="VOXELS", help="x y z")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--steps-per-epoch", type=int, default=10)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--lr", type=float, default=0.002)
    parser.add_argument("--warmup", type=int, default=0)
    parser.add_argument("--positive", type=float, default=0.7)
    parser.add_argument("--plain-crops", action="store_true", help="every organ voxel equally likely, as in the paper")
    parser.add_argument("--validations", type=int, default=5, help="points of the learning curve")
    parser.add_argument("--tolerance", type=float, default=3.0, help="of the NSD, in mm")
    parser.add_argument("--data-seed", type=int, default=30)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", default="32-true", help="32-true, or bf16-mixed on a GPU")
    return parser.parse_args()


def plan_of(arguments: argparse.Namespace) -> Plan:
    x, y, z = arguments.spacing
    width, height, depth = arguments.patch
    return Plan(
        sam=arguments.sam,
        checkpoint=str(arguments.checkpoint.resolve()) if arguments.checkpoint else "",
        spacing=(x, y, z),
        patch=(width, height, depth),
        epochs=arguments.epochs,
        steps_per_epoch=arguments.steps_per_epoch,
        batch=arguments.batch,
        lr=arguments.lr,
        warmup=arguments.warmup,
        positive=arguments.positive,
        balance_classes=not arguments.plain_crops,
        validations=arguments.validations,
        data_seed=arguments.data_seed,
        tolerance_mm=arguments.tolerance,
        device=arguments.device,
        precision=arguments.precision,
        threads=arguments.threads,
    )


class Teachers(Experiment[_Run]):
    """The runs of an output folder."""

    def __init__(self, out: Path) -> None:
        super().__init__(out, Path(__file__).with_name("train_and_score.py"))

    def is_done(self, run: _Run) -> bool:
        """Returns whether a run is scored."""
        return (run_folder(self.out, *run) / "scores.csv").exists()


def main() -> None:
    arguments = parse()
    out: Path = arguments.out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    save_plan(plan_of(arguments), out)
    plan = load_plan(out)
    make_phantoms(out / "data", plan.data_seed)
    costs = out / "step_seconds.json"
    wanted = {WHOLE, *arguments.rows}
    if not costs.exists() or not wanted <= json.loads(costs.read_text()).keys():
        rows = [name for name in ROWS if name in wanted]
        costs.write_text(json.dumps(measure_steps(plan, rows), indent=1))
    # The most expensive row comes last: it can be left out when time is short.
    dearest = "swinunetr48-steps"
    runs = [(name, seed) for seed in arguments.seeds for name in arguments.rows if name != dearest]
    runs += [(name, seed) for seed in arguments.seeds for name in arguments.rows if name == dearest]
    failed = Teachers(out).run_all(
        runs, jobs=arguments.jobs, threads=arguments.threads, ended=lambda: write_report(out)
    )
    write_report(out)
    print((out / "tables.md").read_text())
    if failed:
        raise SystemExit(f"failed: {failed}; see {out / 'logs'}")


if __name__ == "__main__":
    main()
