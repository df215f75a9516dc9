"""`tinct export`: models for other runtimes."""

from __future__ import annotations

from pathlib import Path

import click

from tinct import runtimes, zoo
from tinct.cli.common import console


@click.group(context_settings={"max_content_width": 110})
def command() -> None:
    """Write a model for another runtime than torch.

    \b
    tinct export onnx --model photo --out photo-onnx
    """


@command.command(short_help="ONNX graphs and a JSON that says all else.")
@click.option("--model", "name", default="photo", show_default=True, metavar="NAME|FILE", help="See `tinct models`.")
@click.option("--out", required=True, metavar="FOLDER", type=click.Path(path_type=Path), help="Where the export goes.")
@click.option(
    "--precision", default="float32", show_default=True, metavar="NAME",
    help=f"How exactly numbers are kept: {', '.join(runtimes.PRECISIONS)}.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an export that is in FOLDER already.")
def onnx(name: str, out: Path, precision: str, force: bool) -> None:
    """Write encoder and denoiser of a model that colours by diffusion as ONNX, for every size and batch.

    \b
    tinct export onnx --model photo --out photo-onnx
    tinct export onnx --model first --out small --precision float16
    tinct colorize old.jpg --runtime onnx --model photo-onnx

    float16 keeps weights in half the bytes and reckons in float32; int8 has wide convolutions in 8 bit. Each graph is
    checked, and compared with torch at other sizes. examples/onnx_runner.py colours with the folder without torch or tinct.
    """
    runtimes.PRECISIONS[precision]
    runtimes.check_place(out, force=force)
    for record in runtimes.export(zoo.load(name), out, precision=precision):
        if isinstance(record, runtimes.Exported):
            console.print(f"{record.folder}: {record.bytes / 1e6:.1f} MB", markup=False)
            continue
        compared = "not compared with torch: onnxruntime is not installed"
        if record.difference is not None:
            compared = f"differs from torch by {record.difference:.1e} of its largest value"
        console.print(f"{record.name:9} {record.bytes / 1e6:6.2f} MB, {compared}", markup=False)
