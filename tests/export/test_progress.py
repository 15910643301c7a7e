from bedside.export.progress import ExportSteps


def test_steps_are_counted_up_to_the_total_with_notes_between():
    seen = []
    steps = ExportSteps(2, lambda *step: seen.append(step))
    steps.remark("before")
    steps.begin("fp32")
    steps.remark("slow")
    steps.begin("int8")
    steps.finish()
    assert seen == [(0, 2, "before"), (0, 2, "fp32"), (0, 2, "slow"), (1, 2, "int8"), (2, 2, "done")]


def test_a_step_too_many_does_not_pass_the_total():
    seen = []
    steps = ExportSteps(1, lambda *step: seen.append(step))
    steps.begin("one")
    steps.begin("two")
    assert seen == [(0, 1, "one"), (0, 1, "two")]


def test_nobody_needs_to_listen():
    steps = ExportSteps(1, None)
    steps.begin("one")
    steps.remark("note")
    steps.finish()
