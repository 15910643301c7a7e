"""A run that is resumed with other options than it was started with."""

import msgspec
from bedside.training.runs.run import Run


def resumed(tmp_path, config, *, model=None, **recipe):
    """Resumes a run with other options of recipe and model."""
    Run.create(tmp_path / "run", config, resume=False).start()
    given = msgspec.structs.replace(
        config, recipe=msgspec.structs.replace(config.recipe, **recipe), model=model or config.model
    )
    return Run.create(tmp_path / "run", given, resume=True)
