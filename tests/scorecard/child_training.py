"""Both kinds of trials on a training, in one process that loads torch once and forks for each.

Arguments: folder, trials with SIGKILL, trials with SIGTERM. Prints one JSON object of outcomes each.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import killed_training
import stopped_training

folder, killed, stopped = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
outcomes = {
    "killed": killed_training.trials(folder / "killed", killed, np.random.default_rng(13)),
    "stopped": stopped_training.trials(folder / "stopped", stopped, np.random.default_rng(16)),
}
print(json.dumps(outcomes))
