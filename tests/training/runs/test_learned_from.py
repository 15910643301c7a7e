"""A run keeps what it learned from; runs that predate this say less."""

import msgspec
import pytest
import torch
from bedside.runtime.bundles.bundle import Bundle
from bedside.runtime.bundles.manifest_writer import write_manifest
from bedside.runtime.errors import BundleError, InputError
from bedside.training.loop.checkpoint import save_weights
from bedside.training.runs.best_weights import BestWeights, ClassOffsetsRecord
from bedside.training.runs.learned_from import LearnedFrom
from bedside.training.runs.run import Run

SCANS = frozenset({"ab" * 32, "cd" * 32})


@pytest.fixture
def run(tmp_path, config):
    made = Run.create(tmp_path / "run", config, resume=False)
    made.start()
    return made


@pytest.mark.parametrize("knows_all", [True, False])
def test_a_run_keeps_its_scans(run, knows_all):
    validated = frozenset({"ef" * 32})
    LearnedFrom(scans=SCANS, knows_all=knows_all, validation_scans=validated).keep(run)
    kept = LearnedFrom.of_run(Run.open(run.path))
    assert (kept.scans, kept.knows_all, kept.validation_scans) == (SCANS, knows_all, validated)
    assert (kept.dataset, kept.data_hash) == (run.config.dataset, run.config.data_hash)


def test_a_run_without_a_record_knows_its_data_set_alone(run):
    found = LearnedFrom.of_run(run)
    assert found == LearnedFrom(run.config.dataset, run.config.data_hash, run.config.validation_hash)
    assert not found.knows_all


def test_a_record_of_before_validation_scans_were_kept_does_not_know_all(run):
    (run.path / "learned_from.json").write_text('{"sha256": [], "complete": true}')
    found = LearnedFrom.of_run(run)
    assert (found.knows_all, found.validation_scans) == (False, frozenset())


@pytest.mark.parametrize(("with_offsets", "has"), [(None, False), (0.5, False), (0.6, True)])
def test_a_run_knows_whether_its_class_offsets_were_fitted_to_the_validation_cases(run, with_offsets, has):
    """A search that finds none that raise the Dice keeps the Dice."""
    save_weights(run.best, torch.nn.Linear(1, 1), about=BestWeights(0, 0.5, ClassOffsetsRecord(1, with_offsets)))
    assert LearnedFrom.of_run(run).class_offsets is has


def test_a_resumed_run_keeps_the_record_that_it_began_with(run):
    LearnedFrom(scans=SCANS, knows_all=True).keep(run)
    LearnedFrom(scans=frozenset(), knows_all=False).keep(run)
    assert LearnedFrom.of_run(run).scans == SCANS


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sha256": 3, "complete": true}', '{"sha256": []}'])
def test_a_record_that_cannot_be_read_is_refused(run, content):
    (run.path / "learned_from.json").write_text(content)
    with pytest.raises(InputError, match=r'learned_from.json in "run" cannot be read: .*; restore it from a backup'):
        LearnedFrom.of_run(run)


def test_two_networks_together_know_all_only_if_both_do():
    one, other = (LearnedFrom("toy", scans=frozenset({scan}), knows_all=True) for scan in SCANS)
    assert one.joined(other) == LearnedFrom("toy", scans=SCANS, knows_all=True)
    assert not one.joined(LearnedFrom("another", knows_all=False)).knows_all


@pytest.fixture
def recorded(bundle_path):
    """Returns a bundle with some content in place of its record."""

    def write(content: bytes) -> Bundle:
        with Bundle.open(bundle_path) as before:
            manifest = before.manifest
        (bundle_path / "learned_from.json").write_bytes(content)
        write_manifest(bundle_path, manifest)
        return Bundle.open(bundle_path)

    return write


def test_a_bundle_tells_what_a_run_would(recorded, run, tmp_path):
    LearnedFrom(scans=SCANS, validation_scans=frozenset({"ef" * 32}), knows_all=True).save(tmp_path)
    with recorded((tmp_path / "learned_from.json").read_bytes()) as bundle:
        found = LearnedFrom.of_bundle(bundle)
        assert LearnedFrom.of(bundle.path) == found
    assert (found.scans, found.validation_scans, found.knows_all) == (SCANS, {"ef" * 32}, True)
    assert LearnedFrom.of(run.path) == LearnedFrom.of_run(run)


@pytest.mark.parametrize("content", [b"", b"\xff", b'{"sha256": 3, "complete": true}', b'{"x": ' + b"[" * 100_000])
def test_a_bundle_whose_record_is_something_else_is_refused(recorded, content):
    with recorded(content) as bundle, pytest.raises(BundleError, match=r"learned_from\.json is not valid: .*; export"):
        LearnedFrom.of_bundle(bundle)


def test_a_bundle_without_a_record_knows_its_data_hash_alone(bundle_path):
    with Bundle.open(bundle_path) as bundle:
        manifest = bundle.manifest
    provenance = msgspec.structs.replace(manifest.provenance, data_hash="ab" * 32)
    write_manifest(bundle_path, msgspec.structs.replace(manifest, provenance=provenance))
    assert LearnedFrom.of(bundle_path) == LearnedFrom(data_hash="ab" * 32)
