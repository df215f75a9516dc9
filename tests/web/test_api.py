"""The API of a server in a process of its own: what it answers to good and to bad requests."""

import base64
import io
import json
import re
import struct
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

import tinct
from serving import Served, problem_in, serving, until
from tinct.cli.main import main
from tinct.web.client import ServerError

GRAY = Image.fromarray(data.camera()[::8, ::8])
LONG = {"steps": 1000, "draws": 8}  # tenths of a second for every step would be many; each is a millisecond or so


@pytest.fixture(scope="module")
def server(untrained: str) -> Iterator[Served]:
    with serving("--model", untrained, "--max-megapixels", "20") as served:
        yield served


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = "Grandmother", "F. Fotograf"
    GRAY.save(tmp_path / "old.jpg", quality=95, exif=exif)
    return tmp_path / "old.jpg"


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these dimensions and chunks; without any there is no picture in it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, content in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        parts.append(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content)))
    return b"".join(parts)


def form(name: str, content: bytes) -> tuple[str, bytes]:
    """Head and body of a request that colours a file of that name."""
    body = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() + content
    body += b"\r\n--x--\r\n"
    head = "POST /api/v1/colorize HTTP/1.1\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=x"
    return f"{head}\r\nContent-Length: {len(body)}", body


def test_it_is_there_soon_and_says_where(server: Served) -> None:
    assert f"http://127.0.0.1:{server.port}" in server.said
    assert server.client.health() == {"status": "ok", "version": tinct.__version__, "ready": True}
    assert server.seconds_to_health < 10  # 1.7 s where nothing else runs


def test_a_photograph_comes_back_as_tinct_colorize_writes_it(
    server: Served, photo: Path, untrained: str, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit):
        main(["colorize", str(photo), "-o", str(tmp_path / "out"), "--model", untrained, "--seed", "3"])
    answer = server.client.colorize_files([photo], seed=3)
    assert answer.data == (tmp_path / "out" / "old.jpg").read_bytes()
    assert (answer.media_type, answer.name) == ("image/jpeg", "old.jpg")
    assert answer.image.getexif()[0x013B] == "F. Fotograf"


def test_the_client_of_a_few_lines(server: Served, photo: Path) -> None:
    coloured = tinct.Client(server.url).colorize(photo, format="png")
    assert (np.asarray(coloured.convert("L")) == np.asarray(Image.open(photo))).all()
    assert coloured.format == "PNG"


def test_several_come_in_a_zip_that_says_what_went_wrong(server: Served, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    GRAY.save(tmp_path / "b" / "old.jpg")
    (tmp_path / "letter.jpg").write_text("Dear all")
    files = server.client.colorize_files([photo, tmp_path / "b" / "old.jpg", tmp_path / "letter.jpg"]).files
    assert set(files) == {"old.jpg", "old-2.jpg", "manifest.json"}
    entries = json.loads(files["manifest.json"])
    assert [entry["status"] for entry in entries] == ["done", "done", "failed"]
    assert "letter.jpg: not a picture" in entries[2]["error"]


def test_candidates_come_in_a_zip(server: Served, photo: Path) -> None:
    files = server.client.colorize_files([photo], samples=2).files
    names = {"old.jpg", "old.candidate-1.jpg", "old.candidate-2.jpg", "old.sheet.png", "old.uncertainty.png"}
    assert set(files) == names | {"manifest.json"}


def test_hints_are_taken(server: Served, photo: Path) -> None:
    hints = [{"x": 10, "y": 10, "color": "#c02020"}]
    mask = Image.new("RGBA", GRAY.size)
    mask.putpixel((10, 10), (0xC0, 0x20, 0x20, 255))
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    without = server.client.colorize(photo, format="png")
    by_list = server.client.colorize(photo, format="png", hints=hints)
    by_mask = server.client.colorize(photo, format="png", hint_mask=buffer.getvalue())
    assert (np.asarray(by_list) != np.asarray(without)).any()
    assert (np.asarray(by_list) == np.asarray(by_mask)).all()


def test_a_reference_and_a_palette_are_taken(server: Served, photo: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9), "#c02020").save(buffer, "PNG")
    without = server.client.colorize(photo, format="png")
    by_picture = server.client.colorize(photo, format="png", reference=buffer.getvalue())
    by_palette = server.client.colorize(photo, format="png", palette="#c02020")
    assert (np.asarray(by_picture) != np.asarray(without)).any()
    assert np.abs(np.asarray(by_picture, int) - np.asarray(by_palette, int)).max() <= 1  # a mean of 81 or of one
    with pytest.raises(ServerError, match="palette: 'red': expected #rrggbb"):
        server.client.colorize(photo, palette="red")


def test_digits_are_made(server: Served) -> None:
    (one,) = server.client.generate(model="digits", steps=1, label=7)
    first, second = server.client.generate(2, steps=1, label=7)
    assert one.size == (28, 28)
    assert (np.asarray(one) == np.asarray(first)).all()
    assert (np.asarray(one) != np.asarray(second)).any()
    (sheet,) = server.client.generate(2, steps=1, sheet=True)
    assert sheet.width > 2 * 28


def test_a_job_tells_its_steps_with_previews_and_keeps_its_result(server: Served, photo: Path) -> None:
    job = server.client.submit([photo], steps=5, seed=3)
    events = list(job)
    steps = [event for event in events if event["event"] == "progress"]
    assert [(event["item"], event["walk"], event["step"], event["steps"]) for event in steps] == [
        (1, 1, step, 5) for step in range(1, 6)
    ]
    preview = Image.open(io.BytesIO(base64.b64decode(steps[-1]["preview"].partition(",")[2])))
    assert (preview.format, preview.size) == ("WEBP", GRAY.size)
    assert events[-1]["event"] == events[-1]["state"] == "done"
    assert events[-1]["result"]["bytes"] == len(job.answer().data)
    assert job.answer().data == server.client.colorize_files([photo], steps=5, seed=3).data
    assert job.status()["state"] == "done"
    late = server.raw(f"GET /api/v1/jobs/{job.id}/events HTTP/1.1\r\nConnection: close\r\nLast-Event-ID: 6").decode()
    assert re.findall(r"^event: (\w+)", late, re.M) == ["progress", "done"]
    job.cancel()
    with pytest.raises(ServerError, match="no job") as refused:
        job.status()
    assert (refused.value.status, refused.value.kind) == (404, "no-such-job")


def test_a_job_of_digits_shows_them_at_every_step(server: Served) -> None:
    job = server.client.submit(task="generate", count=4, steps=3)
    previews = [event["preview"] for event in job if event["event"] == "progress"]
    assert len(set(previews)) == 3
    shown = Image.open(io.BytesIO(base64.b64decode(previews[-1].partition(",")[2])))
    assert shown.size == (56, 56)
    assert len(job.answer().files) == 4


def test_cancelling_ends_a_job_between_two_steps(server: Served, photo: Path) -> None:
    job = server.client.submit([photo], **LONG)
    seen = []
    for event in job:
        seen.append(event)
        if len(seen) == 5:
            job.cancel()
    assert seen[-1]["event"] == "cancelled"
    assert seen[-1]["progress"]["step"] < 900
    with pytest.raises(ServerError) as refused:
        job.answer()
    assert (refused.value.status, refused.value.kind) == (410, "cancelled")


def test_a_job_has_no_result_before_it_ends(server: Served, photo: Path) -> None:
    job = server.client.submit([photo], **LONG)
    status, problem, headers = problem_in(server.raw(f"GET /api/v1/jobs/{job.id}/result HTTP/1.1\r\nConnection: close"))
    assert (status, headers["retry-after"]) == (409, "1")
    assert "#not-finished" in problem["type"]
    job.cancel()


def test_a_client_that_goes_takes_its_job_along(server: Served, photo: Path) -> None:
    ended = 'tinct_jobs_total{state="cancelled"}'
    until(lambda: server.metric("tinct_jobs_running") == 0)
    before = server.metric(ended)
    head, body = form("old.jpg", photo.read_bytes())
    steps = b'--x\r\nContent-Disposition: form-data; name="steps"\r\n\r\n1000\r\n'
    draws = b'--x\r\nContent-Disposition: form-data; name="draws"\r\n\r\n64\r\n'
    head = re.sub(r"\d+$", str(len(steps + draws + body)), head)
    with server.connect() as connection:
        connection.sendall(server.headed(head) + steps + draws + body)
        until(lambda: server.metric("tinct_jobs_running") == 1)
    until(lambda: server.metric("tinct_jobs_running") == 0, seconds=5)
    assert server.metric(ended) == before + 1
    assert server.metric("tinct_jobs_waiting") == 0


def test_a_client_that_goes_while_it_sends_leaves_nothing(server: Served) -> None:
    kept = server.metric("tinct_jobs_kept")
    with server.connect() as connection:
        connection.sendall(server.headed(form("old.jpg", bytes(1000))[0]) + b"--x\r\n")
    assert server.metric("tinct_jobs_kept") == kept


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("letter.txt", b"Dear all, " * 40, "not a picture"),
        ("empty.jpg", b"", "empty"),
        ("huge.png", png(60_000, 60_000), "3600 megapixels; the limit is 20"),
        ("bomb.png", png(30_000, 30_000, (b"IDAT", zlib.compress(bytes(30_001 * 1000)))), "900 megapixels"),
        ("text.png", png(8, 8, (b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000)))), "damaged"),
        ("cut.png", png(64, 64, (b"IDAT", zlib.compress(bytes(100)))), "damaged"),
    ],
)
def test_what_is_no_picture_is_refused(server: Served, name: str, content: bytes, says: str) -> None:
    status, problem, _ = problem_in(server.raw(*form(name, content)))
    assert status == problem["status"] == 422
    assert says in problem["detail"]
    assert problem["detail"].startswith(f"{name}: ")


def test_pictures_in_colour_are_left_alone_unless_forced(server: Served, tmp_path: Path) -> None:
    Image.fromarray(data.astronaut()[::8, ::8]).save(tmp_path / "new.png")
    with pytest.raises(ServerError, match=r"new.png: in colour already; force=true") as refused:
        server.client.colorize(tmp_path / "new.png")
    assert refused.value.status == 422
    assert server.client.colorize(tmp_path / "new.png", force=True).size == (64, 64)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../../etc/passwd.png", "passwd.png"),
        ("C:\\\\Windows\\\\system.png", "system.png"),
        ("/etc/shadow", "shadow.png"),
        ("..", "photograph.png"),
        ("con.png", "_con.png"),
        (f"{'n' * 300}.png", f"{'n' * 80}.png"),
    ],
)
def test_a_path_in_a_name_is_no_path(server: Served, sent: str, kept: str) -> None:
    buffer = io.BytesIO()
    GRAY.save(buffer, "PNG")
    answer = server.raw(*form(sent, buffer.getvalue()))
    assert answer.startswith(b"HTTP/1.1 200")
    assert f'filename="{kept}"'.encode() in answer


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"model": "tyni"}, "unknown-name", "unknown model 'tyni'. Did you mean 'tiny'?"),
        ({"model": "/etc/passwd.safetensors"}, "unknown-name", "unknown model"),
        ({"sampels": 3}, "unknown-name", "unknown option 'sampels'. Did you mean 'samples'?"),
        ({"steps": 0}, "wrong-option", "steps = 0: must be at least 1"),
        ({"sampler": "dimm"}, "unknown-name", "Did you mean 'ddim'?"),
        ({"hints": "[{"}, "wrong-option", "hints: not JSON"),
        ({"hints": '[{"x": 1000, "y": 1, "color": "#ff0000"}]'}, "wrong-option", "outside the photograph"),
        ({"preview": True, "steps": 3}, "wrong-option", "a preview is the mean colour"),
        ({"seed": "blue"}, "wrong-option", "seed = 'blue': expected a whole number"),
        ({"model": "digits"}, "wrong-option", "does not colour"),
    ],
)
def test_a_wrong_option_is_said(server: Served, photo: Path, options: dict[str, object], kind: str, says: str) -> None:
    with pytest.raises(ServerError) as refused:
        server.client.colorize(photo, **options)
    assert (refused.value.status, refused.value.kind) == (422, kind)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("head", "body", "status", "says"),
    [
        ("GET /nowhere HTTP/1.1", b"", 404, "Not Found"),
        ("DELETE /api/v1/models HTTP/1.1", b"", 405, "Method Not Allowed"),
        ("POST /api/v1/jobs/none HTTP/1.1", b"", 405, "Method Not Allowed"),
        ("GET /api/v1/jobs/none HTTP/1.1", b"", 404, "no job 'none'"),
        ("POST /api/v1/colorize HTTP/1.1", b"", 422, "no photograph"),
        ("POST /api/v1/generate HTTP/1.1\r\nContent-Type: text/xml", b"<a/>", 415, "text/xml"),
        ("POST /api/v1/generate HTTP/1.1\r\nContent-Type: application/json", b"[1", 422, "not JSON"),
        ("POST /api/v1/generate HTTP/1.1\r\nContent-Type: application/json", b"[1]", 422, "object"),
        ("POST /api/v1/generate HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded", b"seed=1&seed=2", 422, "twice"),
        ("POST /api/v1/jobs HTTP/1.1\r\nContent-Type: application/json", b'{"task": "generat"}', 422, "'generate'"),
        ("POST /api/v1/colorize HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x", b"--x\r\nrub", 422, "no photograph"),
        ("POST /api/v1/colorize HTTP/1.1\r\nContent-Type: multipart/form-data", b"--x\r\nrubbish", 400, "boundary"),
        ("GET /healthz HTTP/1.1\r\nHost: evil.example", b"", 403, "this machine alone"),
        ("GET /healthz HTTP/1.1\r\nOrigin: http://evil.example", b"", 403, "other sites"),
    ],
)  # fmt: skip
def test_every_error_is_a_problem_document(server: Served, head: str, body: bytes, status: int, says: str) -> None:
    answer = server.raw(f"{head}\r\nConnection: close\r\nContent-Length: {len(body)}", body)
    found, problem, headers = problem_in(answer)
    assert found == problem["status"] == status
    assert says in problem["detail"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers.get("allow") == {405: "DELETE, GET" if "jobs" in head else "GET"}.get(status)
    assert not any(name.startswith("access-control") for name in headers)


def test_a_form_may_be_json(server: Served) -> None:
    body = json.dumps({"count": 1, "steps": 1, "label": None}).encode()
    head = f"POST /api/v1/generate HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    assert server.raw(head, body).startswith(b"HTTP/1.1 200")


def test_models_are_listed(server: Served) -> None:
    models = {model["name"]: model for model in server.client.models()}
    assert models["tiny"]["default"]
    assert models["photo"]["colours"]
    assert models["photo"]["card"].startswith("# photo")
    assert models["digits"]["generates"]
    assert models["digits"]["classes"] == 10


def test_the_document_has_every_option_and_the_page_loads_nothing(server: Served) -> None:
    document = json.loads(server.get("/api/v1/openapi.json"))
    colorize = document["paths"]["/api/v1/colorize"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert colorize["properties"]["saturation"] == {
        "type": "number", "description": "strength of the colours: 0 none, 1 the model's own",
        "minimum": 0.0, "maximum": 4.0, "default": 1.0,
    }  # fmt: skip
    assert "dpm++2m" in colorize["properties"]["sampler"]["enum"]
    page = server.get("/api/v1/docs")
    assert "<code>saturation</code>" in page
    assert not re.search(r"(src=|https?://|@import|url\()", page)


def test_metrics_count_what_was_asked(server: Served) -> None:
    label = 'tinct_requests_total{method="GET",route="/healthz",status="200"}'
    before = server.metric(label)
    server.client.health()
    assert server.metric(label) == before + 1
    assert server.metric("process_resident_memory_bytes") > 1e7


def test_zip_members_never_leave_the_folder(server: Served) -> None:
    buffer = io.BytesIO()
    GRAY.save(buffer, "PNG")
    head, body = form("../a.png", buffer.getvalue())
    second = body.replace(b"--x--\r\n", b"") + body
    answer = server.raw(re.sub(r"\d+$", str(len(second)), head), second)
    archive = zipfile.ZipFile(io.BytesIO(answer.partition(b"\r\n\r\n")[2]))
    assert archive.namelist() == ["a.png", "a-2.png", "manifest.json"]


def test_names_of_other_scripts_come_back(server: Served, tmp_path: Path) -> None:
    GRAY.save(tmp_path / "Großmutter à Łódź.png")
    head, body = form("Großmutter à Łódź.png", (tmp_path / "Großmutter à Łódź.png").read_bytes())
    answer = server.raw(head, body)
    assert urllib.parse.quote("Großmutter_à_Łódź.png").encode() in answer
