"""What docs/benchmarks.md tells, each figure with the command that prints it."""

import os
from pathlib import Path

DATA = Path(os.environ.get("DATA", "data"))  # folder with tiny-imagenet-200.zip: `make bench DATA=...`
WEIGHTS = Path(os.environ.get("TINCT_FEATURE_WEIGHTS", DATA / "weights"))  # of published feature networks
