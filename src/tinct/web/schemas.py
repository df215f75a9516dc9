"""What the API answers, as FastAPI describes it."""

from __future__ import annotations

import base64
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from tinct.web.jobs import Job, Progress, State
from tinct.web.problems import problem_of


class ProblemDocument(BaseModel):
    """RFC 9457."""

    type: str = Field(description="what kind of problem it is")
    title: str
    status: int
    detail: str = Field(description="what is wrong, what was got, what is allowed")


class ProgressDocument(BaseModel):
    """How far a job is: step `step` of `steps` is done, in walk `walk` on picture `item` of `items`, all counted from 1."""

    item: int
    items: int
    walk: int
    step: int
    steps: int
    preview: str | None = Field(None, description="what it looks like now: a small WebP as a data address")


class ResultDocument(BaseModel):
    """The file that a job made."""

    name: str
    media_type: str
    bytes: int
    notes: list[str]


class JobDocument(BaseModel):
    """A job."""

    id: str
    task: str
    state: State
    cancelling: bool = Field(description="whether it was told to end, which it does between two steps")
    created: datetime
    started: datetime | None
    finished: datetime | None
    progress: ProgressDocument | None
    result: ResultDocument | None
    problem: ProblemDocument | None
    links: dict[str, str]


class ModelDocument(BaseModel):
    """A model that may be asked for by its name."""

    name: str
    default: bool
    family: str | None = None
    colours: bool = False
    generates: bool = False
    classes: int = Field(0, description="of pictures that it makes; 0 = none")
    bundled: bool = False
    licence: str | None = None
    trained_on: str | None = None
    card: str | None = Field(None, description="what it is made of and good for, in Markdown")
    error: str | None = Field(None, description="why it can't be loaded")


class Health(BaseModel):
    """That the server is there."""

    status: str
    version: str
    ready: bool = Field(description="whether its model is loaded; before, requests wait for it")


def job_document(job: Job) -> JobDocument:
    """A job as it is now."""
    state, address = job.state, f"/api/v1/jobs/{job.id}"  # the state first: what belongs to it is set before it
    made = job.result
    result = (
        None
        if made is None
        else ResultDocument(name=made.name, media_type=made.media_type, bytes=made.size, notes=list(made.notes))
    )
    return JobDocument(
        id=job.id, task=job.kind, state=state, cancelling=job.cancelling, created=_time(job.created),
        started=_time(job.started) if job.started else None, finished=_time(job.finished) if job.finished else None,
        progress=progress_document(job.progress, preview=False) if job.progress else None, result=result,
        problem=ProblemDocument(**problem_of(job.error).document) if job.error else None,
        links={"self": address, "events": f"{address}/events", "result": f"{address}/result"},
    )  # fmt: skip


def progress_document(progress: Progress, *, preview: bool = True) -> ProgressDocument:
    """How far a job is, with or without the picture."""
    values: dict[str, Any] = asdict(progress)
    data = values.pop("preview") if preview else None
    values["preview"] = f"data:image/webp;base64,{base64.b64encode(data).decode()}" if data else None
    return ProgressDocument(**values)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
