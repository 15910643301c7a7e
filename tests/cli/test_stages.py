import pytest
from bedside.cli.stages import StageFailedError, run_stage


def test_a_stage_brings_its_output_time_and_memory():
    stage = run_stage("Version", ["--version"])
    assert stage.output.startswith("bedside ")
    assert stage.command == "bedside --version"
    assert 0 < stage.seconds < 60
    assert 10e6 < stage.peak_bytes < 2e9


def test_a_failing_stage_keeps_its_exit_code(tmp_path):
    with pytest.raises(StageFailedError, match="bedside inspect ended with exit code") as failed:
        run_stage("Inspect", ["inspect", str(tmp_path / "nothing"), "-q"])
    assert failed.value.exit_code in (3, 4)
