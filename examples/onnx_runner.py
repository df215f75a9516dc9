"""Colours photographs with a model exported by tinct, in onnxruntime, numpy and Pillow alone: without torch, without tinct.

    tinct export onnx --model photo --out photo-onnx
    python onnx_runner.py photo-onnx old.jpg album/ -o coloured

The rule is that of `tinct colorize`, and so is the light: made gray again, a coloured PNG is the photograph. The noise is
numpy's, so that fine colours differ from tinct's for the same seed; --noise FILE.npy takes noise (steps, channels, h, w).
"""

import argparse
import hashlib
import json
import sys
from itertools import pairwise
from math import expm1, log
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image, ImageOps

Array = npt.NDArray[Any]
SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp"}
ORDERS = {"consistency": 0, "ddim": 1, "dpm++2m": 2, "jump": 2}  # samplers: how many estimates a step looks along


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path, help="folder that `tinct export onnx` wrote")
    parser.add_argument("photographs", type=Path, nargs="+", help="files or folders")
    parser.add_argument("-o", "--output", type=Path, default=Path("coloured"), help="folder")
    parser.add_argument("--steps", type=int, help="one of the ladders in the JSON")
    parser.add_argument("--sampler", choices=ORDERS)
    parser.add_argument("--anchor", type=float, help="strength of the mean colour that coarse colours follow; 0 = none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--noise", type=Path, help=".npy with the noise (steps, channels, h, w): of the start, and of each jump"
    )
    options = parser.parse_args()
    colorizer = Colorizer(options.export, options)
    for root in options.photographs:
        files = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES) if root.is_dir() else [root]
        for path in files:
            target = options.output / (path.relative_to(root) if root.is_dir() else path.name)
            target = target if target.suffix.lower() in (".jpg", ".jpeg") else target.with_suffix(".png")
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.stem}.part{target.suffix}")
            gray = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("L"))
            Image.fromarray(colorizer.colour(gray)).save(part, quality=95, subsampling=0)
            part.replace(target)
            print(f"{path} -> {target}")


class Colorizer:
    """The graphs of an export, and what its JSON says."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        about = json.loads((folder / "colorizer.json").read_text(encoding="utf-8"))
        if (about["format"], about["version"]) != ("tinct-onnx", 4) or about["colour"]["cbcr"] is None:
            sys.exit(f"{folder}: this runner knows exports of format tinct-onnx 4 with colour in ycbcr or rgb")
        self.encoder, self.denoiser = (self._session(folder, about["files"][part]) for part in ("encoder", "denoiser"))
        self.about, self.picture, self.walk, self.options = about, about["picture"], about["walk"], options
        steps = options.steps or self.walk["steps"]
        usual = "jump" if steps <= self.walk["jumps"] else self.walk["sampler"]
        if (sampler := options.sampler or usual) not in ORDERS:
            sys.exit(f"sampler {sampler}: this runner knows --sampler {' or '.join(ORDERS)}")
        ladders = self.walk["ladders"][self.walk["spacings"].get(sampler, self.walk["spacing"])]
        if str(steps) not in ladders:
            sys.exit(f"--steps {steps}: there are ladders of {', '.join(ladders)} steps")
        self.ladder, self.sampler, self.order = ladders[str(steps)], sampler, ORDERS[sampler]

    def _session(self, folder: Path, file: dict[str, Any]) -> Any:
        data = (folder / file["file"]).read_bytes()
        if hashlib.sha256(data).hexdigest() != file["sha256"]:
            sys.exit(f"{folder / file['file']}: damaged: its checksum is not that of the JSON")
        return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])

    def colour(self, gray: Array) -> Array:
        """The photograph (H, W) in colour, (H, W, 3) of the same luma."""
        multiple, (height, width) = self.picture["multiple"], gray.shape
        short = multiple * max(1, round(self.picture["size"] / multiple))
        aspect = min(self.picture["longest"], max(gray.shape) / min(gray.shape))
        long = multiple * round(short * aspect / multiple)
        inside = border(gray, self.picture["border"])
        seen = reduced(unframed(gray, inside), (short, long) if height <= width else (long, short))
        matrix, offset = (np.asarray(self.about["colour"]["cbcr"][key], np.float32) for key in ("matrix", "offset"))
        chroma = np.einsum("ij,jhw->ihw", matrix, self.sampled(seen)) + offset[:, None, None]
        full = [Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC) for plane in chroma]
        return composed(gray, *(np.asarray(plane) * inside[0][:, None] * inside[1] for plane in full))

    def sampled(self, seen: Array) -> Array:
        """x_0 (C, h, w) for what the model sees, (H, W) in levels: down the ladder from noise around the mean colour."""
        encoded = self.encoder.run(None, {"gray": (seen / np.float32(127.5) - 1)[None, None]})
        mean = None if (place := self.about["encoder"]["mean"]) is None else encoded[place]
        features = {f"feature_{number}": value for number, value in enumerate(encoded)}
        wanted, limit = {given.name for given in self.denoiser.get_inputs()}, self.about["colour"]["limit"]
        h, w = (side // self.picture["reduction"] for side in seen.shape)
        small = seen.reshape(h, -1, w, self.picture["reduction"]).mean((1, 3))
        gain, offset = (np.asarray(self.about["colour"]["neutral"][key], np.float32) for key in ("gain", "offset"))
        neutral = (gain[:, None, None] * small + offset[:, None, None])[None]  # what colourless is
        strength = self.walk["anchor"] if self.options.anchor is None else self.options.anchor
        cells = [max(1, round(self.walk["coarse_cells"] * side / min(h, w))) for side in (h, w)]
        rows, columns = (cubic(side, count) @ pooling(side, count) for side, count in zip((h, w), cells, strict=True))

        def denoised(x: Array, level: list[float], jump: int = 0) -> Array:
            (_, alpha, sigma), named = level, dict(zip(("t", "alpha", "sigma", "jump"), (*level, jump), strict=True))
            given = {"x_t": x, **{name: np.full(1, part, np.float32) for name, part in named.items()}, **features}
            said = self.denoiser.run(None, {name: given[name] for name in wanted})[0]
            means = {"x0": said, "eps": (x - sigma * said) / alpha, "v": alpha * x - sigma * said}
            return np.asarray(means[self.walk["target"]].clip(-limit, limit))

        if mean is not None:
            mean = (mean + denoised(self.walk["mean_level"][1] * mean, self.walk["mean_level"])) / 2
        goal = neutral + strength * (mean - neutral) if strength and mean is not None else None

        def guided(x_0: Array) -> Array:  # coarse colours are those of the goal
            return x_0 if goal is None else (x_0 + rows @ (goal - x_0) @ columns.T).clip(-limit, limit)

        start = guided(np.zeros_like(neutral) if mean is None else mean)
        rng = np.random.default_rng(self.options.seed)
        drawn = rng.standard_normal((len(self.ladder) - 1, *start.shape), np.float32)
        if self.options.noise:
            drawn = np.load(self.options.noise)[:, None]
        x, before, last = self.ladder[0][1] * start + self.ladder[0][2] * drawn[0], None, 0.0
        for step, (level, (_, alpha, sigma)) in enumerate(pairwise(self.ladder), 1):
            jump = self.sampler == "consistency" or (self.sampler == "jump" and sigma == 0)
            x_0 = guided(denoised(x, level, int(jump)))
            if sigma > 0 and self.order == 0:  # to the end at once, and noise anew
                x = alpha * x_0 + sigma * drawn[step]
            elif sigma > 0:  # DPM-Solver++ 2M, or with the last estimate alone DDIM
                h = log(level[2] / level[1]) - log(sigma / alpha)
                line = x_0 if before is None or self.order == 1 else x_0 + h / (2 * last) * (x_0 - before)
                x, before, last = sigma / level[2] * x - alpha * expm1(-h) * line, x_0, h
        result: Array = x_0[0]
        return result


def pooling(long: int, short: int) -> Array:
    """Means over `short` cells, as a matrix (short, long)."""
    places, cells = np.arange(long), np.arange(short)[:, None]
    within = (places >= cells * long // short) & (places < -(-(cells + 1) * long // short))
    return np.asarray(within / within.sum(axis=1, keepdims=True), np.float32)


def cubic(long: int, short: int) -> Array:
    """Cubic convolution with a = -0.75 and the ends repeated, as a matrix (long, short)."""
    matrix, places = np.zeros((long, short), np.float32), (np.arange(long) + 0.5) * short / long - 0.5
    for cell in range(-2, short + 2):
        d = np.abs(places - cell)
        far = np.where(d < 2, -0.75 * (d**3 - 5 * d**2 + 8 * d - 4), 0)
        matrix[:, min(max(cell, 0), short - 1)] += np.where(d <= 1, 1.25 * d**3 - 2.25 * d**2 + 1, far)
    return matrix


def reduced(gray: Array, shape: tuple[int, int]) -> Array:
    """(h, w) in levels: by averages over whole factors, then by bicubic."""
    down, across = (max(1, side // (3 * wanted)) for side, wanted in zip(gray.shape, shape, strict=True))
    image = Image.fromarray(gray.astype(np.float32)).reduce((across, down))
    box = (0.0, 0.0, gray.shape[1] / across, gray.shape[0] / down)
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BICUBIC, box)).clip(0, 255)


def border(gray: Array, rule: dict[str, float]) -> tuple[Array, Array]:
    """How far each row (H,) and each column (W,) lies inside a plain border around the picture: 0 in it, 1 in the picture."""
    small = np.asarray(Image.fromarray(gray).reduce(max(1, min(gray.shape) // int(rule["detail"]))), np.float32)
    level = float(np.median(np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])))
    alike = np.abs(small - level) <= rule["alike"]
    ends = []
    for axis in (0, 1):
        (lines,) = np.nonzero(alike.mean(axis=1 - axis) < rule["plain"])
        ends.append((int(lines[0]), int(lines[-1]) + 1) if len(lines) else (0, 0))
    (top, bottom), (left, right) = ends
    widths = [(first, side - last, side) for (first, last), side in zip(ends, small.shape, strict=True)]
    sound = all(1 <= width <= rule["widest"] * side for *both, side in widths for width in both)
    if sound and not rule["dark"] < level < rule["bright"]:
        within = alike[top:bottom, left:right]
        deep = 1 + min(within.shape) // 100
        if all(
            edge.mean() <= 1 - rule["edge"] for part in (within, within.T) for edge in (part[deep], part[-1 - deep])
        ):
            pairs = zip(ends, small.shape, gray.shape, strict=True)
            rows, columns = (ramp(*pair, short, long) for pair, short, long in pairs)
            return rows, columns
    return np.ones(gray.shape[0], np.float32), np.ones(gray.shape[1], np.float32)


def ramp(first: int, last: int, short: int, long: int) -> Array:
    """0 outside first..last of `short` lines, 1 from a line further in, as seen at `long` lines."""
    places = (np.arange(long, dtype=np.float32) + 0.5) * (short / long)
    return np.asarray(np.minimum(places - first, last - places).clip(0, 1))


def unframed(gray: Array, inside: tuple[Array, Array]) -> Array:
    """The picture mirrored over its border."""
    (top, bottom), (left, right) = ((part == 1).nonzero()[0][[0, -1]] for part in inside)
    widths = ((top, len(gray) - 1 - bottom), (left, gray.shape[1] - 1 - right))
    return np.pad(gray[top : bottom + 1, left : right + 1], widths, mode="symmetric")


def composed(gray: Array, cb: Array, cr: Array) -> Array:
    """RGB whose luma, as Pillow reckons it, is the gray at every pixel: chroma shrunk into the gamut, green solved for."""
    y = gray.astype(np.float32)
    offsets = np.stack([1.402 * cr, -0.344136286 * cb - 0.714136286 * cr, 1.772 * cb])
    above, below = offsets.max(0).clip(1e-6, None), -offsets.min(0).clip(None, -1e-6)
    shrink = np.minimum((255 - y) / above, y / below).clip(None, 1)
    red, blue = ((y + shrink * offsets[part]).round().clip(0, 255).astype(np.int32) for part in (0, 2))
    green = ((gray.astype(np.int32) << 16) - 19595 * red - 7471 * blue + 19235) // 38470
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


if __name__ == "__main__":
    main()
