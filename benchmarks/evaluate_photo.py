"""The bundled model on the validation pictures: its table beside the baselines, and whether it does what it must.

    python -m benchmarks.evaluate_photo [--model NAME] [--data ZIP] [--feature-weights DIR|FILE]

The validation pictures are val_0 ... val_499 of Tiny ImageNet with a spread above 4 levels. First the pictures and the
extractor are checked against figures measured before by other code; then the model is measured by `tinct evaluate`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage.color import lab2rgb, rgb2lab

from benchmarks.validation import INSIDE, measures_of, parsed, parser, validation, verdict
from tinct.cli.main import main as tinct
from tinct.color import rgb_to_cbcr
from tinct.evaluation import Protocol, Row, Table, evaluate
from tinct.images import Samples
from tinct.metrics import Measure

# Measured by other code on the same 482 pictures: gray as L* of Lab, and the pictures' own mean chroma.
BEFORE = {
    "pictures": 482, "truth colourfulness": 41.7, "L* psnr": 22.43, "L* de2000": 11.92, "L* lpips-squeeze": 0.1999,
    "mean psnr": 23.13, "mean de2000": 11.95, "mean lpips-squeeze": 0.1817, "mean colourfulness": 6.6,
}  # fmt: skip
CLOSE = 0.006  # of the value: what rounding leaves of it


def main() -> int:
    """Runs both parts; the exit code is 1 when a figure or the model is not what it must be."""
    arguments = parser(__doc__, feature_weights=True)
    arguments.add_argument("--seeds", type=int, default=2)
    options = parsed(arguments)
    checked = _check_reference(options.data, options.feature_weights)
    return 0 if _check_model(options) and checked else 1


def _check_reference(data: Path, feature_weights: Path) -> bool:
    """Prints each figure beside the one measured before; whether all agree."""
    truths = [*validation(data)]
    measures = measures_of(["psnr", "de2000", "lpips-squeeze", "colourfulness"], feature_weights)
    cb, cr = torch.stack([rgb_to_cbcr(_tensor(rgb).float()).mean(dim=(0, 2, 3)) for rgb in truths]).mean(dim=0).tolist()
    rows = _rows(truths, measures, Protocol(mean_cbcr=(cb, cr)))
    got = {"pictures": float(len(truths)), "truth colourfulness": rows["truth"].cells["colourfulness"].mean}
    got |= {f"mean {name}": cell.mean for name, cell in rows["mean chroma"].cells.items()}
    for measure in measures:
        values = [measure(_tensor(rgb), _tensor(_lightness(rgb))).item() for rgb in truths]
        got[f"L* {measure.name}"] = float(np.mean(values))
    for name, before in BEFORE.items():
        print(f"{name:24} {got[name]:10.4f}   before {before:g}" if name in got else f"{name}: not measured")
    return all(abs(got[name] - before) <= CLOSE * before for name, before in BEFORE.items() if name in got)


def _rows(truths: list[Samples], measures: tuple[Measure, ...], protocol: Protocol) -> dict[str, Row]:
    """The rows of a table that has no model: in its place gray is passed through."""

    def gray(grays: list[Samples], seeds: list[int]) -> list[Samples]:
        return [np.repeat(plane[..., None], 3, axis=2) for plane in grays]

    records = evaluate(((str(index), rgb) for index, rgb in enumerate(truths)), gray, measures, protocol)
    table = [record for record in records if isinstance(record, Table)][-1]
    return {row.name: row for row in table.rows}


def _lightness(rgb: Samples) -> Samples:
    """The gray that has the picture's L*: not its luma, which is what tinct keeps."""
    lab = rgb2lab(rgb)
    lab[..., 1:] = 0
    result: Samples = np.rint(lab2rgb(lab) * 255).astype(np.uint8)
    return result


def _tensor(rgb: Samples) -> torch.Tensor:
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].contiguous()


def _check_model(options: argparse.Namespace) -> bool:
    """Prints the table of `tinct evaluate`, then whether the model does what it must."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "evaluation.json"
        arguments = ["--model", options.model, "--images", options.data, "--inside", INSIDE, "--first", 500]
        arguments += ["--seeds", options.seeds, "--feature-weights", options.feature_weights, "--json", path]
        try:
            tinct(["evaluate", *map(str, arguments)])
        except SystemExit as ended:
            if ended.code:
                return False
        figures = json.loads(path.read_text(encoding="utf-8"))
    rows = {row["name"]: row for row in figures["rows"]}
    model = rows[figures["model"]]
    return verdict(_verdicts(rows, model, figures))


def _verdicts(rows: dict[str, Any], model: dict[str, Any], figures: dict[str, Any]) -> list[tuple[str, bool]]:
    def mean(row: dict[str, Any], metric: str) -> float:
        return float(row["cells"][metric]["mean"]) if metric in row["cells"] else float("nan")

    ours = mean(model, "lpips-squeeze")
    wanted = [
        (f"LPIPS-squeeze {ours:.3f} below that of {name}, {mean(rows[name], 'lpips-squeeze'):.3f}",
         ours < mean(rows[name], "lpips-squeeze"))
        for name in ("gray", "mean chroma")
    ]  # fmt: skip
    colours, truth = mean(model, "colourfulness"), mean(rows["truth"], "colourfulness")
    wanted.append((f"colourfulness {colours:.1f} above half of the truth's {truth:.1f}", colours > truth / 2))
    wanted.append((f"largest luma error {model['luma_error']} is 0", model["luma_error"] == 0))
    if differ := figures["samples_differ"]:
        wanted.append((f"samples differ, by {differ['mean']:.2f} CIEDE2000 in the mean", differ["mean"] > 0.5))
    return wanted


if __name__ == "__main__":
    sys.exit(main())
