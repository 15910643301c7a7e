import pytest
from bedside.runtime.engine_selection import machine_identity
from bedside.runtime.engine_selection.machine_identity import cpu_identity, device_identity
from bedside.runtime.engines import InferenceDevice


def test_the_cpu_is_the_same_each_time_it_is_asked():
    assert cpu_identity() == cpu_identity() != ""


@pytest.mark.parametrize(
    ("name", "other"),
    [("cpu_identity", lambda: "another"), ("package_version", lambda package: "9.9"), ("__version__", "9.9")],
)
def test_another_cpu_engine_or_bedside_is_another_machine(monkeypatch, name, other):
    before = machine_identity.machine_identity(2)
    assert before == machine_identity.machine_identity(2)
    monkeypatch.setattr(machine_identity, name, other)
    assert machine_identity.machine_identity(2) != before


def test_other_threads_are_another_machine():
    assert machine_identity.machine_identity(2) != machine_identity.machine_identity(4)


def test_a_device_is_its_name_title_and_driver(monkeypatch):
    card = InferenceDevice(name="GPU.1", precisions=("fp32",), title="Arc", software="driver 24.1")
    monkeypatch.setattr(machine_identity, "inference_devices", lambda engine: (card,))
    assert device_identity("openvino", "GPU.1") == "GPU.1, Arc, driver 24.1"
    assert device_identity("openvino", "CPU") == "CPU"
    assert device_identity("openvino", "GPU.2") == "GPU.2"
