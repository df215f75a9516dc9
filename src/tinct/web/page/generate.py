"""The tab that makes pictures from noise, and shows how each became what it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
from PIL import Image

from tinct.web.jobs import Job
from tinct.web.page import pictures
from tinct.web.page.desk import Desk, image, session_of, shown_problem, shown_progress, shown_result
from tinct.web.page.form import Form, model_field, option_info

TITLE = "Generate"
_FIRST = ("count", "seed", "steps")
_LARGEST = 8  # times a small picture is enlarged


def build(desk: Desk) -> None:
    """Places the tab."""
    form, names = Form("generate", "generate"), desk.named("generates")
    frames = gr.State([])
    with gr.Row():
        with gr.Column(scale=5):
            model = model_field(names, "name of a model that makes pictures", "generate-model")
            label = gr.Dropdown(
                _labels(desk, names),
                value="",
                label="Class",
                info=option_info(form.options, "label"),
                elem_id="generate-label",
            )
            form.place(model=model, label=label)
            form.place(*_FIRST)
            with gr.Accordion("More options", open=False):
                form.place_rest()
            with gr.Row():
                begin = gr.Button("Make pictures", variant="primary", elem_id="generate-begin")
                cancel = gr.Button("Cancel", elem_id="generate-cancel")
        with gr.Column(scale=7):
            status = gr.HTML('<p class="told">Noise becomes pictures, step by step.</p>', elem_id="generate-status")
            walk = gr.Slider(
                1, 2, value=1, step=1, label="Step of the walk from noise", visible=False, elem_id="generate-walk"
            )
            seen = gr.HTML("", elem_id="generate-seen")
            gallery = gr.Gallery(
                label="Pictures", columns=4, object_fit="contain", buttons=[], interactive=False, format="png", visible=False,
                elem_id="generate-gallery", elem_classes="digits",
            )  # fmt: skip

    def make(request: gr.Request, *given: Any) -> Iterator[Any]:
        """The pictures; while they are made, each step."""
        steps: list[bytes] = []
        yield '<p role="status">Sending.</p>', gr.update(visible=False), "", gr.update(visible=False), []
        try:
            job = desk.submit(session_of(request), "generate", form.values(given))
            for record in desk.follow(job):
                if record.state == "running" and record.progress and record.progress.preview:
                    steps.append(record.progress.preview)
                yield shown_progress(record, small=True), *[gr.skip()] * 4
            yield _finished(job, steps)
        except Exception as error:
            yield shown_problem(error), *[gr.skip()] * 4

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    begin.click(make, form.inputs, [status, walk, seen, gallery, frames], **quiet)
    cancel.click(desk.leave, None, None, **quiet)
    walk.change(_at, [walk, frames], seen, **quiet)
    model.change(lambda name: gr.update(choices=_labels(desk, [name]), value=""), model, label, **quiet)


def _labels(desk: Desk, names: list[str]) -> list[tuple[str, str]]:
    """The classes of the (first) model, and any."""
    found = [told["classes"] for told in desk.models.described() if told["name"] in names[:1]]
    return [("any", ""), *((str(label), str(label)) for label in range(found[0] if found else 0))]


def _finished(job: Job, steps: list[bytes]) -> tuple[Any, ...]:
    shown = [(_enlarged(pictures.small(one.data)), one.name) for one in pictures.pictures_of(job)]
    last = len(steps)
    slider = gr.update(maximum=max(2, last), value=last, visible=last > 1)
    return shown_result(job, "Made from noise."), slider, _at(last, steps), gr.update(value=shown, visible=True), steps


def _at(step: int, frames: list[bytes]) -> str:
    """The pictures as they were after a step."""
    if not 1 <= step <= len(frames):
        return ""
    return f'<div class="progress">{image(frames[step - 1], f"after step {step} of {len(frames)}", small=True)}</div>'


def _enlarged(picture: Image.Image) -> Image.Image:
    times = max(1, min(_LARGEST, 512 // max(picture.size)))
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
