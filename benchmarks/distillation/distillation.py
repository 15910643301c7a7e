"""Does distillation pay? Students with few labels, alone and taught, at equal training seconds, on patients.

    python benchmarks/distillation/distillation.py OUT --data DATA --labelled 12 [--seeds 0 1 2] [--jobs 2] [--arms ...]

Finished runs are skipped and interrupted ones gone on with, so the same command may be given again after a Ctrl-C, or
with more seeds, arms or numbers of labels. The tables are written anew after every run. README.md says what is compared
how.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from plan import ARMS, Plan, load_plan, save_plan
from report import write_report
from step_cost import steps_of_arms
from train_run import is_done

_Run = tuple[str, int, int]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for prepared cases, runs, tables")
    parser.add_argument("--data", type=Path, required=True, help="folder with dataset.json and task.toml")
    parser.add_argument("--labelled", type=int, nargs="+", required=True, help="numbers of labelled training cases")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), help="in this order; else all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--student", default="unet-nano")
    parser.add_argument("--teacher", default="unet-nano", help="a student's name, or a teacher family's")
    parser.add_argument("--seconds", type=float, default=1200, help="CPU seconds of a student's training")
    parser.add_argument("--teacher-seconds", type=float, default=1200, help="CPU seconds of a teacher's training")
    parser.add_argument("--imitation", default="mse")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--lr", type=float, default=0.002)
    parser.add_argument("--positive", type=float, default=0.7)
    parser.add_argument("--steps-per-epoch", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each run")
    return parser.parse_args()


def wanted_runs(given: argparse.Namespace) -> list[_Run]:
    """Returns (name, labelled, seed) of every run, teachers before the students that they teach."""
    runs: list[_Run] = []
    teachers = max(ARMS[arm].teachers for arm in given.arms)
    for labelled in given.labelled:
        runs += [("teacher", labelled, seed) for seed in range(teachers)]
        runs += [(arm, labelled, seed) for seed in given.seeds for arm in given.arms]
    return runs


def taught_by(run: _Run) -> list[_Run]:
    name, labelled, _ = run
    return [("teacher", labelled, seed) for seed in range(ARMS[name].teachers)] if name in ARMS else []


def run_all(out: Path, runs: list[_Run], jobs: int, threads: int) -> list[_Run]:
    """Runs the unfinished runs, `jobs` processes at a time; returns those that failed, or whose teachers failed."""
    (out / "logs").mkdir(exist_ok=True)
    waiting = [run for run in runs if not is_done(out, *run)]
    running: dict[_Run, subprocess.Popen[bytes]] = {}
    failed: list[_Run] = []
    program = Path(__file__).with_name("train_run.py")
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    try:
        while waiting or running:
            for run in [run for run in waiting if any(teacher in failed for teacher in taught_by(run))]:
                waiting.remove(run)
                failed.append(run)
            ready = [run for run in waiting if all(is_done(out, *teacher) for teacher in taught_by(run))]
            for run in ready[: jobs - len(running)]:
                waiting.remove(run)
                print(f"{time.strftime('%H:%M:%S')} {run} starts, {len(waiting)} wait", flush=True)
                with (out / "logs" / f"{'_'.join(map(str, run))}.log").open("ab") as log:
                    command = [sys.executable, str(program), str(out), *map(str, run)]
                    running[run] = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            time.sleep(1)
            for run in [run for run, process in running.items() if process.poll() is not None]:
                code = running.pop(run).returncode
                print(f"{time.strftime('%H:%M:%S')} {run} ended with {code}", flush=True)
                if code:
                    failed.append(run)
                write_report(out)
    finally:
        for process in running.values():
            process.terminate()  # it saves a checkpoint
        for process in running.values():
            process.wait()
    return failed


def main() -> None:
    given = parse()
    out: Path = given.out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    plan = Plan(
        data=str(given.data.resolve()),
        **{name: getattr(given, name) for name in Plan.__struct_fields__ if name != "data"},
    )
    save_plan(plan, out)
    if not (out / "steps.json").exists():
        (out / "steps.json").write_text(json.dumps(steps_of_arms(load_plan(out)), indent=1))
    failed = run_all(out, wanted_runs(given), given.jobs, given.threads)
    write_report(out)
    print((out / "tables.md").read_text())
    if failed:
        raise SystemExit(f"failed: {failed}; see {out / 'logs'}")


if __name__ == "__main__":
    main()
