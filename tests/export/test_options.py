import pytest
from bedside.export import ExportCases, ExportOptions
from bedside.runtime.errors import UsageError
from bedside.runtime.task_presets import PRESETS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": 3}, "dataset: expected a path"),
        ({"gate_cases": -1}, "gate_cases: expected a whole number from 0 up, got -1"),
        ({"cases": 3}, "cases: expected an ExportCases, got 3"),
        ({"dataset": "data", "cases": ExportCases()}, "cases: expected None beside a dataset, got both"),
        ({"precisions": "fp32"}, 'precisions: expected a list of names, got "fp32"'),
        ({"precisions": ["fp8"]}, "precision: expected some of fp32, fp16, int8, uint8, int8-fp16, got fp8"),
        ({"precisions": ["BF16"]}, "int8-fp16, got bf16; engines compute bf16 from fp32"),
        ({"precisions": ["int8-bf16"]}, "got int8-bf16; engines compute int8-bf16 from int8"),
        ({"precisions": []}, "precision: expected some of fp32, fp16, int8, uint8, int8-fp16, got none"),
        ({"precisions": ["int8"]}, "int8 is calibrated on scans"),
        ({"overlap": "half"}, 'overlap: expected 0 ≤ overlap < 1, got "half"'),
        ({"int8_search": -1}, "int8_search: expected seconds from 0 up, got -1"),
        ({"int8_search": "long"}, 'int8_search: expected seconds from 0 up, got "long"'),
        ({"precisions": ["int8-fp16"]}, "int8 is calibrated on scans"),
        ({"precisions": ["uint8"]}, "int8 is calibrated on scans"),
        ({"patches": 0}, "patches: expected a whole number from 1 up, got 0"),
        ({"keep_failed": 1}, "keep_failed: expected True or False, got 1"),
        ({"page": 3}, "page: expected a path"),
        ({"threads": 1.5}, "threads: expected a whole number from 1 to 1024, got 1.5"),
        ({"force": "yes"}, 'force: expected True or False, got "yes"'),
        ({"postprocessing": {}}, "postprocessing: expected a Postprocessing, got a dict"),
        ({"licence": 3}, "licence: expected a text, got 3"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        ExportOptions(**{"precisions": ["fp32"], **options})


def test_fp32_is_always_among_the_models():
    cases = ExportCases(calibration=["scan.nii"])
    assert ExportOptions(precisions=["int8"], cases=cases).model_precisions == ("fp32", "int8")
    assert ExportOptions(precisions=["fp32"]).model_precisions == ("fp32",)


def test_precisions_are_named_in_upper_or_lower_case():
    options = ExportOptions(precisions=["FP16", "Int8-FP16"], cases=ExportCases(calibration=["scan.nii"]))
    assert options.model_precisions == ("fp32", "fp16", "int8-fp16")
    assert (options.fp16, options.int8, options.uint8) == (True, True, False)


def test_without_a_data_set_the_cases_are_those_of_the_caller_or_none():
    cases = ExportCases(calibration=["scan.nii"])
    assert ExportOptions(cases=cases).chosen_cases(PRESETS["btcv"]) is cases
    assert ExportOptions(precisions=["fp32"]).chosen_cases(PRESETS["btcv"]) == ExportCases()
