"""The options of a sweep over λ."""

import pytest
from bedside.cli.options.hardware import HardwareOptions
from bedside.cli.options.sweep import SweepOptions, check_not_launched
from bedside.runtime.errors import UsageError

ONE_DEVICE = HardwareOptions()


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in ("WORLD_SIZE", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)


def test_lambdas_are_numbers_with_commas():
    assert SweepOptions(sweep_lambda="0, 0.5,1").lambdas(None, ONE_DEVICE) == (0.0, 0.5, 1.0)
    assert SweepOptions().lambdas(0.5, ONE_DEVICE) == ()


def test_seeds_are_counted_from_the_seed():
    assert list(SweepOptions(seeds=2).numbered(7)) == [7, 8]
    assert list(SweepOptions().numbered(0)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "lam", "message"),
    [
        ({"sweep_lambda": "0.5,2"}, None, 'expected numbers from 0 to 1 with commas, such as 0,0.5,1, got "0.5,2"'),
        ({"sweep_lambda": ""}, None, 'expected numbers from 0 to 1 with commas, such as 0,0.5,1, got ""'),
        ({"sweep_lambda": "0.5,"}, None, "expected numbers from 0 to 1"),
        ({"sweep_lambda": "nan"}, None, "expected numbers from 0 to 1"),
        ({"sweep_lambda": "half"}, None, "expected numbers from 0 to 1"),
        ({"sweep_lambda": "0.5,0.50"}, None, 'expected every λ once, got "0.5,0.50"'),
        ({"sweep_lambda": "0.5,1"}, 0.5, "--lambda trains one student, --sweep-lambda one per λ"),
        ({"seeds": 3}, None, "--seeds goes with --sweep-lambda"),
        ({"jobs": 2}, None, "--jobs goes with --sweep-lambda"),
    ],
)
def test_bad_values_are_refused(options, lam, message):
    with pytest.raises(UsageError, match=message):
        SweepOptions(**options).lambdas(lam, ONE_DEVICE)


def test_several_devices_for_one_training_are_refused():
    sweep = SweepOptions(sweep_lambda="1")
    assert sweep.lambdas(None, HardwareOptions(devices=1, nodes=1)) == (1.0,)
    with pytest.raises(UsageError, match="a sweep trains on one device in each process"):
        sweep.lambdas(None, HardwareOptions(devices=2))


def test_a_sweep_is_started_once_also_where_slurm_has_room_for_more(monkeypatch):
    for name, value in {"SLURM_NTASKS": "4", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "bash"}.items():
        monkeypatch.setenv(name, value)  # as in `salloc -n 4`
    check_not_launched()
    monkeypatch.setenv("SLURM_JOB_NAME", "sweep")  # as in `srun -n 4`
    with pytest.raises(UsageError, match="start it once, not 4 times by SLURM; --jobs"):
        check_not_launched()
