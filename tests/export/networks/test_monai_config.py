"""A bundle's configuration is data: references are followed, expressions refused, nothing is executed."""

from __future__ import annotations

import json

import pytest
from bedside.export.networks.monai_config import BundleConfig
from bedside.runtime.errors import InputError


def config(**content) -> BundleConfig:
    return BundleConfig("inference.json", content)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        ("@sizes", [4, 5]),
        ("@sizes#1", 5),
        ("@sizes::0", 4),
        ("@nested#inner", 4),
        ("$@nested#inner", 4),  # an expression that is a reference alone
        ({"a": ["@nested#inner", None]}, {"a": [4, None]}),
        ("user@host", "user@host"),
    ],
)
def test_references_are_followed(value, expected):
    assert config(value=value, sizes=[4, 5], nested={"inner": "@sizes#0"}).plain("value") == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("$__import__('os').system('touch executed')", '"value" is the expression "\\$__import__'),
        ("$1 + 1", "write the value itself there"),
        ({"deep": ["$x"]}, '"value#deep#0" is the expression'),
        ("%other.json#value", "is the expression"),
        ("@nowhere", 'refers to "@nowhere", which is not there'),
        ("@list#7", 'refers to "@list#7"'),
        ("@value", "refers to itself"),
        ("@loop", "refers to itself"),
        ([[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]], "nested too deeply"),
    ],
)
def test_what_is_no_plain_value_is_refused_by_its_place(value, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        config(value=value, list=[1], loop=["@loop"]).plain("value")
    assert not list(tmp_path.iterdir())


def test_references_that_double_at_every_step_are_resolved_in_no_time():
    content = {f"a{step}": [f"@a{step + 1}", f"@a{step + 1}"] for step in range(30)}
    value = config(a30=1, **content).plain("a0")
    for _ in range(30):
        value = value[1]
    assert value == 1


def test_arguments_are_resolved_when_they_are_asked_for():
    inferer = config(
        inferer={"_target_": "monai.inferers.SlidingWindowInferer", "roi_size": "@roi", "device": "$torch.device(0)"},
        roi=[8, 8, 8],
    ).component("inferer")
    assert (inferer.package, inferer.target) == ("monai.inferers", "SlidingWindowInferer")
    assert inferer.get("roi_size") == [8, 8, 8]
    assert inferer.get("overlap", 0.25) == 0.25
    with pytest.raises(InputError, match='"inferer#device" is the expression'):
        inferer.arguments()


@pytest.mark.parametrize(
    "listed", [{"_target_": "Compose", "transforms": "@steps"}, "@steps", {"_target_": "Compose", "transforms": None}]
)
def test_transforms_are_those_of_a_compose_or_a_list_without_the_disabled_ones(listed):
    steps = [{"_target_": "A"}, {"_target_": "B", "_disabled_": True}, {"_target_": "C", "_disabled_": "@off"}]
    found = config(preprocessing=listed, steps=[*steps, "@last"], off=False, last={"_target_": "D"})
    if isinstance(listed, dict) and listed["transforms"] is None:
        with pytest.raises(InputError, match="expected a Compose of transforms"):
            found.transforms("preprocessing")
    else:
        assert [step.target for step in found.transforms("preprocessing")] == ["A", "C", "D"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"channels": 3}, 'expected an object with a "_target_"'),
        ({"_target_": "UNet", "_mode_": "debug"}, 'has "_mode_", which has no translation'),
        ({"_target_": "UNet", "_disabled_": True}, "is disabled"),
        ("$UNet()", "is the expression"),
    ],
)
def test_what_describes_no_object_is_refused(value, message):
    with pytest.raises(InputError, match=message):
        config(network_def=value).component("network_def")


def test_a_missing_key_is_named():
    for read in (config().plain, config().component):
        with pytest.raises(InputError, match='expected "inferer"'):
            read("inferer")


@pytest.mark.parametrize(
    ("name", "text"), [("a.json", '{"x": [1, 2]}'), ("a.yaml", "x: [1, 2]\n"), ("a.yml", "x: [1, 2]")]
)
def test_json_and_yaml_are_read(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert BundleConfig.read(tmp_path / name).plain("x") == [1, 2]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "{"),
        ("a.json", "[1]"),
        ("a.json", "[" * 100_000),
        ("a.yaml", "x: !!python/object:os.system y"),
        ("a.yaml", "x: ["),
    ],
)
def test_a_file_that_holds_no_dictionary_of_data_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=f'"{name}"') as refusal:
        BundleConfig.read(tmp_path / name)
    assert "\n" not in str(refusal.value)


def test_a_file_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "a.json").write_bytes(json.dumps({"x": 1}).encode("utf-16"))
    with pytest.raises(InputError, match=r'"a\.json" cannot be read'):
        BundleConfig.read(tmp_path / "a.json")
