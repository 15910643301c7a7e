"""An export keeps to its CPU threads wherever it computes."""

from __future__ import annotations

import onnxruntime
import pytest
import torch
from bedside.export import ExportCases, ExportOptions, export_bundle, golden, reference
from bedside.export.threads import quantizer_threads, torch_threads
from bedside.runtime.engines import default_threads


@pytest.fixture(autouse=True)
def three_threads():
    """Lets torch have three threads, more than the exports of the tests are given."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_an_export_gives_torch_and_every_session_its_threads_and_no_more(toy_trained, toy_case, tmp_path, monkeypatch):
    of_torch, of_sessions = [], []
    logits, session = reference.student_logits, onnxruntime.InferenceSession

    def student_logits(*given):
        of_torch.append(torch.get_num_threads())
        return logits(*given)

    class Session(session):
        def __init__(self, model, sess_options=None, **others):
            of_sessions.append(sess_options.intra_op_num_threads)
            super().__init__(model, sess_options, **others)

    for module in (reference, golden):
        monkeypatch.setattr(module, "student_logits", student_logits)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    cases = ExportCases(calibration=[toy_case[0]])
    options = ExportOptions(precisions=["int8", "uint8"], cases=cases, patches=2, threads=1, int8_search=0)
    export_bundle(toy_trained, tmp_path / "b.bedside", options)
    assert set(of_torch) == {1}
    assert set(of_sessions) == {1}
    assert torch.get_num_threads() == 3


def test_without_a_number_torch_keeps_its_own_and_quantizers_get_those_of_the_process():
    with torch_threads(None), quantizer_threads(None):
        assert torch.get_num_threads() == 3
        assert onnxruntime.SessionOptions().intra_op_num_threads == default_threads()


def test_after_an_error_both_are_as_before():
    with pytest.raises(KeyError), torch_threads(1), quantizer_threads(1):
        raise KeyError
    assert torch.get_num_threads() == 3
    assert onnxruntime.SessionOptions().intra_op_num_threads == 0
