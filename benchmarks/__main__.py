"""`make bench`: every benchmark, one after the other, each in a process of its own; a failure of one does not stop the others."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    "startup",
    "architecture",
    "memory",
    "import_prepare",
    "photo",
    "preview",
    "folder",
    "ray_folder",
    "threads",
    "onnx",
    "unet_step",
    "unet_loss",
    "training_loop",
    "metrics",
    "evaluate_photo",
    "output_rules",
    "few_steps",
    "uncertainty",
    "old_photographs",
    "hints",
    "reference",
    "digits",
    "serve",
)


def main() -> int:
    """The number of benchmarks that missed what they must reach."""
    failed = []
    for name in BENCHMARKS:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    print(f"missed: {', '.join(failed) or 'none'}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
