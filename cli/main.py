"""The `bedside` command: registers the sub-commands and reports every failure as one line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from typer.core import TyperGroup

from .. import __version__
from ..processes.signals import Terminated, terminate_at_end_of_stdin, unwind_on_sigterm
from ..runtime.errors import ExitCode
from ..runtime.log import log_failure, show_log
from .options.command import LazyCommand
from .options.group import DefaultGroup
from .terminal.failure import failure_of
from .terminal.streams import bound_columns, prepare_streams
from .terminal.usage import usage_message

app = typer.Typer(
    name="bedside",
    help="Train a SAM-based teacher for 3D medical segmentation, distil it into a small student, and run that student "
    "at the point of care. Start with: bedside demo",
    epilog="Research software; not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and the library's log.")] = False,
) -> None:
    """Options that come before the command."""
    if version:
        print(f"bedside {__version__} (research software; not a medical device)")
        raise typer.Exit
    if debug:
        show_log()


COMMANDS = (
    LazyCommand(
        "demo",
        "demo.command:Demo",
        "Show on phantoms that distillation pays: a student with few labels, alone and with a teacher, as a bundle.",
    ),
    LazyCommand(
        "phantom",
        "phantom:Phantom",
        "Write CT-like phantoms with 13 abdominal organs as a Medical-Segmentation-Decathlon data set.",
    ),
    LazyCommand(
        "train-teacher",
        "train_teacher:train_teacher",
        "Train a 3D teacher, around SAM or another network, and leave a run directory that can be resumed.",
    ),
    LazyCommand(
        "distill",
        "distill:distill_command",
        "Train a small student from the truth and from teachers, and leave a run directory that can be resumed.",
    ),
    LazyCommand(
        "export",
        "export:Export",
        "Export a student: ONNX, fp16, int8, OpenVINO, measured against the student, as one verified bundle.",
    ),
    LazyCommand(
        "segment", "segment.command:Segment", "Segment a scan with a bundle; the label map lies on the scan's own grid."
    ),
    LazyCommand(
        "evaluate",
        "evaluate.command:Evaluate",
        "Score label maps against the truth: Dice, normalised surface Dice (NSD) and HD95 per organ.",
    ),
    LazyCommand(
        "node",
        "node:Node",
        "Receive DICOM series by C-STORE, segment them with a bundle by rule, and send the segmentations back.",
    ),
    LazyCommand(
        "serve",
        "serve:Serve",
        "Serve bundles over HTTP: programs send scans and fetch label maps, people look at them on a page.",
    ),
    DefaultGroup(
        "benchmark",
        "benchmark.command:Benchmark",
        "Measure every engine and precision of a bundle on this machine, or compare two such measurements.",
        (
            LazyCommand(
                "compare",
                "benchmark.compare:Compare",
                "Compare two results of `bedside benchmark --json`, of one machine or of two.",
            ),
        ),
    ),
    LazyCommand(
        "plan",
        "plan.command:Plan",
        "Predict the seconds, memory and energy of a scan on a device that need not be there.",
    ),
    DefaultGroup(
        "devices",
        "devices.overview:Devices",
        "Show this machine, its engines and the devices with known figures; measure this machine, or report on it.",
        (
            LazyCommand(
                "list",
                "devices.list:List",
                "List the devices with known figures, for which `bedside plan --device` predicts.",
            ),
            LazyCommand("show", "devices.show:Show", "Show all figures of one device, with their sources."),
            LazyCommand(
                "detect", "devices.detect:Detect", "Show this machine, and the devices that its engines run on."
            ),
            LazyCommand(
                "probe",
                "devices.probe:Probe",
                "Time small layers on this machine, so that `bedside plan --probe` predicts its speed elsewhere.",
            ),
            LazyCommand(
                "report",
                "devices.report:Report",
                "Write what a support engineer needs to know of this machine as one zip, with nothing of a patient "
                "in it.",
            ),
        ),
    ),
    LazyCommand(
        "inspect",
        "inspect.command:Inspect",
        "Show a bundle (task, variants, figures, origin, licence), a run (task, recipe, scores) or DICOM series.",
    ),
)
DATASET_COMMANDS = (
    LazyCommand(
        "check",
        "dataset.check:Check",
        "Name every case that training would refuse, and every one that should be reviewed.",
    ),
    LazyCommand(
        "prepared",
        "dataset.prepared:Prepared",
        "List the cases that trainings have prepared: how many for which task, their size, when they were last used.",
    ),
    LazyCommand(
        "seen",
        "dataset.seen:Seen",
        "Say which scans a network has learned from, or was chosen by: of these its Dice is too high.",
    ),
)
BUNDLE_COMMANDS = (
    LazyCommand(
        "sign",
        "bundle.sign:Sign",
        "Sign a bundle with an Ed25519 key, so that `bedside segment --trust` knows who made it.",
    ),
    LazyCommand("zip", "bundle.zip:Zip", "Zip a bundle reproducibly: the same bundle gives the same bytes."),
    LazyCommand(
        "labels",
        "bundle.labels:Labels",
        "Write a bundle's network as an ONNX that returns labels, for programs that run single windows.",
    ),
)


def command_group() -> TyperGroup:
    """Returns the command line: the commands in the order of the help; each is imported when it is called."""
    group = typer.main.get_group(app)
    dataset = _group("dataset", "Look at a data set before training on it, and at what was prepared.", DATASET_COMMANDS)
    bundle = _group("bundle", "Sign a bundle, zip it, or take out its network for other programs.", BUNDLE_COMMANDS)
    for command in (*COMMANDS, dataset, bundle):
        group.add_command(command)
    return group


def _group(name: str, summary: str, commands: Sequence[LazyCommand]) -> TyperGroup:
    return TyperGroup(
        name=name,
        help=summary,
        commands={command.name or "": command for command in commands},
        no_args_is_help=True,
    )


# Some releases of typer contain a copy of click: its base error is found through an error that typer exports.
_CLICK_ERROR: type[Exception] = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def run(arguments: Sequence[str], *, reports_signals: bool = True) -> int:
    """Runs one command line.

    Args:
        arguments: the command-line arguments after ``bedside``.
        reports_signals: whether SIGTERM gets a line on stderr too.

    Returns:
        The exit code (see `ExitCode`). Failures are one line on stderr; ``--debug`` adds the traceback.
    """
    debug = "--debug" in arguments
    try:
        outcome = command_group().main(list(arguments), prog_name="bedside", standalone_mode=False)
        sys.stdout.flush()  # an unwritable stdout raises here, not when the interpreter exits
        if outcome == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt  # some releases of typer catch it and silently return this code
        return outcome if isinstance(outcome, int) else ExitCode.OK
    except (KeyboardInterrupt, typer.Abort) as error:
        return _fail("interrupted; nothing half-written", ExitCode.INTERRUPTED, error, debug)
    except Terminated as error:
        if not reports_signals:
            return ExitCode.TERMINATED
        return _fail("terminated; nothing half-written", ExitCode.TERMINATED, error, debug)
    except _CLICK_ERROR as error:
        return _fail(usage_message(error, arguments), ExitCode.USAGE, error, debug)
    except Exception as error:
        failure = failure_of(error)
        _note(arguments, error, failure.code)
        return _fail(failure.message, failure.code, error, debug)


def _note(arguments: Sequence[str], error: Exception, code: ExitCode) -> None:
    """Keeps a failure, without its message and arguments, for `bedside devices report`."""
    from ..runtime.recent_failures import note_failure

    known = {*(command.name for command in COMMANDS), "dataset", "bundle"}
    note_failure(next((word for word in arguments[:2] if word in known), ""), error, int(code))


def _fail(message: str, code: ExitCode, error: BaseException, debug: bool) -> int:
    if debug:
        show_log()  # the parser may have failed before --debug took effect
        log_failure("the command failed", error)
    # A file name in the message may hold terminal control characters or reverse the text direction.
    line = "".join(sign if sign.isprintable() else "?" for sign in " ".join(message.split()))
    print(f"bedside: error: {line}", file=sys.stderr, flush=True)
    return int(code)


def main() -> NoReturn:
    """Entry point of the ``bedside`` command."""
    _prepare()
    sys.exit(run(sys.argv[1:]))


def child_main() -> NoReturn:
    """Entry point of a command that another command runs and ends; it ends too where that command was killed."""
    _prepare()
    terminate_at_end_of_stdin()
    sys.exit(run(sys.argv[1:], reports_signals=False))


def _prepare() -> None:
    prepare_streams()
    bound_columns()
    unwind_on_sigterm()
