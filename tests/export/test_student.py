import pytest
from bedside.export import ExportedStudent
from bedside.export.student import TrainedStudent
from bedside.runtime.errors import UsageError
from bedside.training.runs.learned_from import LearnedFrom


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "btcv"}, 'task: expected a Task, got "btcv"'),
        ({"student": ""}, 'student: expected a text, got ""'),
        ({"lam": 2}, "lam: expected a number in 0…1, got 2"),
        ({"metrics": 3}, "metrics: expected a Mapping, got 3"),
        ({"postprocessing": "largest"}, 'postprocessing: expected a Postprocessing, got "largest"'),
        ({"licence": ""}, 'licence: expected a text, got ""'),
    ],
)
def test_a_student_refuses_what_it_does_not_accept(toy_student, toy_task, options, message):
    with pytest.raises(UsageError, match=message):
        ExportedStudent(**{"model": toy_student, "task": toy_task, "student": "toy", **options})


def test_whatever_has_the_attributes_of_a_trained_student_can_be_exported(toy_student, toy_task):
    class Loaded:
        model, task, student = toy_student, toy_task, "toy"
        lam, teacher, metrics, licence = 0.5, "big-one", {"dice": "0.5"}, "CC-BY-4.0"
        learned_from = LearnedFrom(data_hash="cd" * 32)

    assert isinstance(Loaded(), TrainedStudent)
    exported = ExportedStudent.of(Loaded())
    assert (exported.model, exported.task, exported.lam) == (toy_student, toy_task, 0.5)
    assert (exported.teacher, exported.learned_from.data_hash, exported.metrics) == (
        "big-one",
        "cd" * 32,
        {"dice": "0.5"},
    )
    assert exported.licence == "CC-BY-4.0"


def test_an_exported_student_stays_as_it_is(toy_trained):
    assert ExportedStudent.of(toy_trained) is toy_trained


def test_a_run_that_lacks_an_attribute_is_refused():
    with pytest.raises(UsageError, match="student: expected what load_student returns, or an ExportedStudent"):
        ExportedStudent.of(object())
