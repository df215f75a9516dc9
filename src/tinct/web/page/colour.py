"""The tab that colours: photographs, hints, candidates, and the result beside what it was made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import skimage
from PIL import Image

from tinct.errors import TinctError
from tinct.images import read
from tinct.photo import Hint, hint
from tinct.web.jobs import Job
from tinct.web.page import EXAMPLES, pictures
from tinct.web.page.desk import Desk, session_of, shown_problem, shown_progress, shown_result
from tinct.web.page.form import Form, model_field
from tinct.web.work import REFERENCE

TITLE = "Colour"
_EXAMPLES = ("camera.png", "rocket.jpg", "coffee.png", "chelsea.png", "astronaut.png")
_FIRST = ("saturation", "seed", "samples", "anchor")


class Tab:
    """The tab's parts, and what they do. A visitor's photograph and result are kept in states of the visit."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.form = Form("colorize", "colour")
        self.photo, self.result = gr.State({}), gr.State({})
        with gr.Row():
            with gr.Column(scale=5):
                self._place_inputs()
            with gr.Column(scale=7):
                self._place_results()
        self._connect()

    def _place_inputs(self) -> None:
        self.files = gr.File(
            label="Photographs", file_count="multiple", type="filepath", elem_id="colour-files", height=140
        )
        self.examples = gr.Gallery(
            examples(self.desk.folder), label="Or one of these", columns=5, height=110, allow_preview=False, object_fit="cover",
            buttons=[], elem_id="colour-examples", interactive=False,
        )  # fmt: skip
        with gr.Row():
            self.begin = gr.Button("Colour", variant="primary", elem_id="colour-begin")
            self.cancel = gr.Button("Cancel", elem_id="colour-cancel")
        names = self.desk.named("colours")
        self.form.place(model=model_field(names, "name of a model that colours", "colour-model"))
        self.form.place(*_FIRST)
        with gr.Accordion("Colours that you know", open=False, elem_id="colour-hints"):
            self._place_hints()
        with gr.Accordion("Colours of another picture", open=False, elem_id="colour-towards"):
            self.reference = gr.File(
                label="A picture in colour", type="filepath", elem_id="colour-reference", height=100
            )
            self.form.place("palette", "reference_strength")
        with gr.Accordion("More options", open=False):
            self.form.place_rest("hints")

    def _place_hints(self) -> None:
        gr.Markdown("Choose a colour, then click on the photograph where it belongs. Each line is x,y,#rrggbb,radius.")
        with gr.Row():
            self.picker = gr.ColorPicker("#c02020", label="Colour of the next hint", elem_id="colour-picker")
            self.radius = gr.Number(8, label="Its radius, px", precision=0, elem_id="colour-radius")
        self.shown = gr.Image(
            label="Photograph", interactive=False, format="jpeg", buttons=[], elem_id="colour-photo", height=320
        )
        self.hints = gr.Textbox("", label="Hints", lines=3, max_lines=8, elem_id="colour-hint-list")
        self.clear = gr.Button("Clear the hints", size="sm", elem_id="colour-clear")

    def _place_results(self) -> None:
        self.status = gr.HTML('<p class="told">Choose a photograph, then Colour.</p>', elem_id="colour-status")
        self.slider = gr.ImageSlider(
            label="Before and after", interactive=False, type="filepath", elem_id="colour-slider", visible=False,
            buttons=["fullscreen"], max_height=900,
        )  # fmt: skip
        self.gallery = gr.Gallery(
            label="All pictures: choose one to compare it", columns=4, allow_preview=False, object_fit="contain", buttons=[],
            elem_id="colour-gallery", visible=False, interactive=False, format="jpeg",
        )  # fmt: skip

    def _connect(self) -> None:
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        self.examples.select(self.take_example, None, self.files, **quiet)
        self.files.change(self.look, self.files, [self.photo, self.shown, self.hints, self.status], **quiet)
        self.shown.select(self.add_hint, [self.picker, self.radius, self.hints, self.photo], self.hints, **quiet)
        self.hints.change(self.mark, [self.hints, self.photo], [self.shown, self.status], **quiet)
        self.clear.click(lambda: "", None, self.hints, **quiet)
        outputs = [self.status, self.slider, self.gallery, self.result]
        self.begin.click(self.colour, [self.files, self.hints, self.reference, *self.form.inputs], outputs, **quiet)
        self.cancel.click(self.desk.leave, None, None, **quiet)
        self.gallery.select(self.choose, self.result, [self.slider, self.status], **quiet)

    def take_example(self, event: gr.SelectData) -> list[str]:
        """The example that was chosen."""
        return [examples(self.desk.folder)[event.index][0]]

    def look(self, files: list[str] | None) -> tuple[Any, ...]:
        """The (first) photograph as it is shown for hints, or what is wrong with it."""
        if not files:
            return {}, None, "", ""
        try:
            limit = self.desk.engine.limits.max_megapixels
            gray = read(Path(files[0]), name=Path(files[0]).name, max_megapixels=limit).first_page().in_8_bit().gray
        except TinctError as error:
            return {}, None, "", shown_problem(error)
        small = Image.fromarray(gray).convert("RGB")
        small.thumbnail((pictures.SIDE, pictures.SIDE))
        height, width = gray.shape
        photo = {"picture": np.asarray(small), "scale": small.width / width, "size": (width, height)}
        return photo, small, "", f'<p class="told">{width} x {height} pixels.</p>'

    def add_hint(self, color: str, radius: float, lines: str, photo: dict[str, Any], event: gr.SelectData) -> str:
        """One more line, for the place that was clicked."""
        if not photo:
            return lines
        x, y = (min(round(at / photo["scale"]), side - 1) for at, side in zip(event.index, photo["size"], strict=True))
        return f"{(lines or '').rstrip()}\n{x},{y},{_hexadecimal(color)},{max(0, radius or 0):g}".lstrip()

    def mark(self, lines: str, photo: dict[str, Any]) -> tuple[Any, Any]:
        """The photograph with the hints on it, or what is wrong with one."""
        if not photo:
            return gr.skip(), gr.skip()
        try:
            return pictures.marked(photo["picture"], _hints(lines), photo["scale"]), gr.skip()
        except TinctError as error:
            return gr.skip(), shown_problem(error)

    def colour(
        self, request: gr.Request, files: list[str] | None, lines: str, reference: str | None, *given: Any
    ) -> Iterator[Any]:
        """The photographs in colour, shown step by step."""
        hidden = gr.update(visible=False)
        yield shown_progress_of_nothing(), hidden, hidden, {}
        try:
            values = self.form.values(given)
            if (lines or "").strip():
                values["hints"] = json.dumps([vars(one) for one in _hints(lines)])
            beside = {REFERENCE: reference} if reference else {}
            job = self.desk.submit(session_of(request), "colorize", values, files or (), beside)
            for record in self.desk.follow(job):
                yield shown_progress(record), gr.skip(), gr.skip(), gr.skip()
            yield self._finished(job)
        except Exception as error:
            yield shown_problem(error), gr.skip(), gr.skip(), gr.skip()

    def _finished(self, job: Job) -> tuple[Any, ...]:
        made = pictures.pictures_of(job)
        gallery: Any = gr.update(visible=False)
        if len(made) > 1:
            shown = [(pictures.small(one.data, 800), one.name) for one in made]
            gallery = gr.update(value=shown, visible=True, selected_index=None)
        slider = gr.update(value=self._pair(job, made[0]), visible=True)
        words = f"{made[0].name}: before and after. The colours are invented: plausible, not true."
        return shown_result(job, words), slider, gallery, {"job": job.id}

    def choose(self, result: dict[str, Any], event: gr.SelectData) -> tuple[Any, Any]:
        """One picture of several beside its photograph."""
        try:
            job = self.desk.engine.job(str(result.get("job")))
            made = pictures.pictures_of(job)[event.index]
            return self._pair(job, made), shown_result(job, f"{made.name}: before and after.")
        except Exception as error:
            return gr.skip(), shown_problem(error)

    def _pair(self, job: Job, made: pictures.Made) -> tuple[str, str]:
        folder = pictures.new_folder(self.desk.folder)
        before = pictures.in_full(job.folder / f"{made.source + 1}.upload", folder, "before")
        return before, pictures.in_full(made.data, folder, "after")


def build(desk: Desk) -> None:
    """Places the tab."""
    Tab(desk)


def examples(folder: Path) -> list[tuple[str, str]]:
    """Photographs that scikit-image brings, in gray, with their names; made when they are first asked for."""
    source, made = Path(skimage.__file__).parent / "data", list[tuple[str, str]]()
    (folder / EXAMPLES).mkdir(exist_ok=True)
    for name in _EXAMPLES:
        path = folder / EXAMPLES / f"{Path(name).stem}.jpg"
        if not path.exists():
            Image.fromarray(read(source / name).in_8_bit().gray).save(path, "JPEG", quality=95)
        made.append((str(path), path.stem))
    return made


def shown_progress_of_nothing() -> str:
    """What is shown until the job is taken."""
    return '<p role="status">Sending.</p>'


def _hints(lines: str) -> list[Hint]:
    return [hint(line) for line in (lines or "").splitlines() if line.strip()]


def _hexadecimal(color: str) -> str:
    """What a colour picker says, #rrggbb or rgba(r, g, b, a), as #rrggbb."""
    if color.startswith("rgb"):
        numbers = color[color.index("(") + 1 : color.rindex(")")].split(",")[:3]
        return "#" + "".join(f"{round(float(number)):02x}" for number in numbers)
    return color[:7]
