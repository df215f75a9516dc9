"""Feature networks: the published key names, the search for weight files, downloads whose hash is enforced."""

import http.server
import pickle
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tinct.errors import UnknownName, WeightsError
from tinct.nets import features
from tinct.nets.features import FEATURES, Downloaded, NotAvailable, Published
from tinct.nets.taps import imagenet_units, squeezenet1_1

NAME = "squeezenet1_1"


@pytest.fixture(autouse=True)
def no_weights_about(monkeypatch, tmp_path):
    monkeypatch.delenv("TINCT_FEATURE_WEIGHTS", raising=False)
    monkeypatch.delenv("TINCT_FEATURE_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def random_state(seed: int = 0) -> dict[str, Tensor]:
    """Weights of SqueezeNet's shapes, with a classifier beside them as in the published file."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {key: tensor.shape for key, tensor in squeezenet1_1().state_dict().items()}
    state = {
        key: torch.randn(shape, generator=generator) / max(1, shape[1:].numel()) ** 0.5 for key, shape in shapes.items()
    }
    return state | {"classifier.1.weight": torch.zeros(10, 512, 1, 1), "classifier.1.bias": torch.zeros(10)}


def saved(path: Path, state: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path


@pytest.fixture
def published(monkeypatch, tmp_path) -> Path:
    """A file with random weights that counts as the published one: its hash is put into the table."""
    path = saved(tmp_path / "origin" / "squeezenet1_1-b8a52dc0.pth", random_state())
    entry = replace(FEATURES[NAME], published=replace(FEATURES[NAME].published, sha256=features.sha256_of(path)))
    monkeypatch.setitem(FEATURES._items, NAME, entry)
    return path


PARAMETERS = {  # of torchvision's squeezenet1_1().features, vgg16().features[:23] and whole, alexnet().features,
    "squeezenet1_1": 722_496,
    "vgg16": 7_635_264,
    "vgg16-relu5_3": 14_714_688,
    "alexnet": 2_469_696,
    "inception-2048": 21_785_568,  # and inception_v3(aux_logits=False) without fc: 23,834,568 - 2,049,000
}


@pytest.mark.parametrize(("name", "count"), PARAMETERS.items())
def test_a_network_has_as_many_weights_as_the_published_one(name, count):
    assert sum(parameter.numel() for parameter in FEATURES[name].build().parameters()) == count


def forward_written_out(state: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """SqueezeNet 1.1 from its tensors alone, after the paper's table and the 1.1 release notes."""

    def conv(key: str, x: Tensor, **options: int) -> Tensor:
        return F.relu(F.conv2d(x, state[f"features.{key}.weight"], state[f"features.{key}.bias"], **options))

    taps = [x := conv("0", x, stride=2)]
    for index in (3, 4, 6, 7, 9, 10, 11, 12):
        if index in (3, 6, 9):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        x = conv(f"{index}.squeeze", x)
        x = torch.cat([conv(f"{index}.expand1x1", x), conv(f"{index}.expand3x3", x, padding=1)], dim=1)
        if index not in (3, 6):
            taps.append(x)
    return taps


def test_squeezenet_is_its_tensors_in_the_published_names(tmp_path):
    state = random_state()
    network = features.load(NAME, saved(tmp_path / "w.pth", state)).network
    x = torch.randn(2, 3, 64, 49, generator=torch.Generator().manual_seed(5))
    outputs, expected = network(x), forward_written_out(state, x)
    assert [tap.shape[1] for tap in outputs] == list(network.channels)
    for ours, theirs in zip(outputs, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("name", "blocks"), [("vgg16", 4), ("vgg16-relu5_3", 5)])
def test_vgg16_is_its_tensors_in_the_published_names(name, blocks, feature_weights):
    """Configuration D written out from the file alone, as far as it is tapped; what the file has beyond is not needed."""
    path = feature_weights / "vgg16-397923af.pth"
    state = {key: tensor.float() for key, tensor in torch.load(path, weights_only=True).items()}
    x = torch.randn(2, 3, 32, 24, generator=torch.Generator().manual_seed(5))
    outputs = features.load(name, path).network(x)
    expected = []
    for block in ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))[:blocks]:
        x = F.max_pool2d(x, 2) if expected else x
        for index in block:
            x = F.relu(F.conv2d(x, state[f"features.{index}.weight"], state[f"features.{index}.bias"], padding=1))
        expected.append(x)
    for ours, theirs in zip(outputs, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_alexnet_is_its_tensors_in_the_published_names(feature_weights):
    """Krizhevsky 2014, section 2, written out from the file alone."""
    path = feature_weights / "alexnet-owt-7be5be79.pth"
    state = {key: tensor.float() for key, tensor in torch.load(path, weights_only=True).items()}
    x = torch.randn(2, 3, 67, 95, generator=torch.Generator().manual_seed(5))
    outputs, expected = features.load("alexnet", path).network(x), []
    for index, stride, padding in ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)):
        x = F.max_pool2d(x, 3, 2) if index in (3, 6) else x
        x = F.relu(F.conv2d(x, state[f"features.{index}.weight"], state[f"features.{index}.bias"], stride, padding))
        expected.append(x)
    for ours, theirs in zip(outputs, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_whole_published_vgg16_is_read_and_another_network_is_not(feature_weights, tmp_path):
    state = torch.load(feature_weights / "vgg16-397923af.pth", weights_only=True)
    whole = saved(tmp_path / "whole.pth", state | {"classifier.0.weight": torch.zeros(1)})
    assert features.load("vgg16", whole).label == "whole.pth, fp16-rounded file given by path (not the published one)"
    with pytest.raises(WeightsError, match=r"not the weights of vgg16: it has features\.30\.weight besides"):
        features.load("vgg16", saved(tmp_path / "odd.pth", state | {"features.30.weight": torch.zeros(1)}))
    with pytest.raises(WeightsError, match=r"not the weights of vgg16: it lacks features\.2\.weight"):
        features.load("vgg16", saved(tmp_path / "squeeze.pth", random_state()))


@pytest.mark.parametrize("name", FEATURES)
def test_the_smallest_picture_a_network_takes_is_as_it_says(name):
    side = FEATURES[name].smallest_side
    network = FEATURES[name].build().eval()
    assert [tap.shape[1] for tap in network(torch.zeros(1, 3, side, side))] == list(network.channels)
    with pytest.raises(RuntimeError):
        network(torch.zeros(1, 3, side - 1, side))


@pytest.mark.parametrize("name", FEATURES)
def test_a_published_file_is_named_by_the_start_of_its_hash(name):
    published = FEATURES[name].published
    assert len(published.sha256) == 64
    assert published.file.endswith(f"-{published.sha256[:8]}.pth")
    assert published.address.endswith(published.file)


def test_imagenet_units_are_those_of_the_published_networks():
    """What torchvision's documentation says of pictures in [0, 1]: mean 0.485, 0.456, 0.406, deviation 0.229, 0.224, 0.225."""
    pictures = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    torch.testing.assert_close(imagenet_units(2 * pictures - 1), (pictures - mean) / deviation)


def test_loaded_networks_are_frozen_and_evaluate(tmp_path):
    network = features.load(NAME, saved(tmp_path / "w.pth", random_state())).network
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def changed(**changes: Tensor) -> dict[str, Tensor]:
    return random_state() | {key.replace("__", "."): tensor for key, tensor in changes.items()}


class Evil:
    """Unpickling it would run code."""

    def __reduce__(self):
        return (print, ("this must not run",))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {key: tensor for key, tensor in random_state().items() if key != "features.9.squeeze.bias"},
            "lacks features.9.squ",
        ),
        (changed(features__13__weight=torch.zeros(1)), "features.13.weight besides"),
        (changed(features__0__weight=torch.zeros(96, 3, 7, 7)), r"\(96, 3, 7, 7\), expected \(64, 3, 3, 3\)"),
        (changed(features__0__bias=torch.full((64,), float("nan"))), "not finite"),
        ({"state_dict": random_state()}, "expected a table of tensors"),
        (torch.zeros(3), "expected a table of tensors"),
        (Evil(), "not a weight file that can be read"),
    ],
)
def test_a_file_of_something_else_is_refused_by_name(state, message, tmp_path, capsys):
    path = saved(tmp_path / "other.pth", state)
    with pytest.raises(WeightsError, match=message) as caught:
        features.load(NAME, path)
    assert str(path) in str(caught.value)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"just text", pickle.dumps([1, 2]), b"PK\x03\x04 torn"])
def test_a_file_that_is_no_weight_file_is_refused(content, tmp_path):
    path = tmp_path / "squeezenet1_1.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"squeezenet1_1\.pth"):
        features.load(NAME, path)


def test_the_label_tells_the_published_file_from_others(published, tmp_path):
    assert features.load(NAME, published).label == "squeezenet1_1-b8a52dc0.pth, the published file (hash checked)"
    other = saved(tmp_path / "mine.pth", random_state(seed=1))
    assert features.load(NAME, other).label == "mine.pth, file given by path (not the published one)"
    rounded = {key: tensor.half().float() if tensor.dim() == 4 else tensor for key, tensor in random_state().items()}
    label = features.load(NAME, saved(tmp_path / "small.pth", rounded)).label
    assert label == "small.pth, fp16-rounded file given by path (not the published one)"


def test_a_file_is_looked_for_where_the_user_says_then_in_the_cache(published, tmp_path, monkeypatch):
    assert features.find(NAME) is None
    cached = features.cache_folder() / published.name
    cached.parent.mkdir(parents=True)
    cached.write_bytes(published.read_bytes())
    assert features.cache_folder() == tmp_path / "cache" / "tinct" / "weights"
    assert features.find(NAME) == cached
    assert features.find(NAME, tmp_path) == cached  # a folder without it: the cache serves
    own = saved(tmp_path / "own" / "squeezenet1_1_mine.pth", random_state())
    monkeypatch.setenv("TINCT_FEATURE_WEIGHTS", str(own.parent))
    assert features.find(NAME) == own
    assert features.find(NAME, published) == published
    assert features.find(NAME, published.parent) == published


def test_the_cache_is_in_the_home_folder_without_xdg(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert features.cache_folder() == tmp_path / ".cache" / "tinct" / "weights"


def test_the_published_name_comes_first_and_two_others_are_ambiguous(tmp_path):
    first = saved(tmp_path / "squeezenet1_1_a.pth", random_state())
    assert features.find(NAME, tmp_path) == first
    saved(tmp_path / "squeezenet1_1_b.pth", random_state())
    with pytest.raises(WeightsError, match=r"squeezenet1_1_a\.pth, squeezenet1_1_b\.pth.*Name the file"):
        features.find(NAME, tmp_path)
    standard = saved(tmp_path / FEATURES[NAME].published.file, random_state())
    assert features.find(NAME, tmp_path) == standard


def test_a_file_that_is_named_after_another_network_is_not_taken_for_this_one(tmp_path, monkeypatch):
    monkeypatch.setitem(FEATURES._items, "othernet", replace(FEATURES[NAME], patterns=("othernet*.pth",)))
    other = saved(tmp_path / "othernet-1234.pth", random_state())
    assert features.find("othernet", other) == other
    assert features.find(NAME, other) is None


def test_a_file_whose_name_says_nothing_is_known_by_what_is_in_it(tmp_path):
    path = saved(tmp_path / "mine.pth", random_state())
    assert [name for name in FEATURES if features.find(name, path)] == [NAME]
    strange = saved(tmp_path / "strange.pth", {"a": torch.zeros(1)})
    with pytest.raises(WeightsError, match=r"strange\.pth: not the weights of alexnet: it lacks features\.0\.weight"):
        features.load("alexnet", features.find("alexnet", strange))


def test_a_place_that_does_not_exist_and_an_unknown_network_are_errors(tmp_path):
    with pytest.raises(WeightsError, match="no such folder or file of feature weights"):
        features.find(NAME, tmp_path / "nowhere")
    with pytest.raises(UnknownName, match="Did you mean 'squeezenet1_1'"):
        features.find("squeezenet11")


def test_a_damaged_cached_file_is_an_error_that_names_it(published):
    cached = features.cache_folder() / published.name
    cached.parent.mkdir(parents=True)
    cached.write_bytes(published.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"b8a52dc0\.pth: damaged .* Delete it"):
        features.find(NAME)


@dataclass
class Server:
    """A web server on this machine: what it holds, how it misbehaves, what it was asked for."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    breaks_off_after: int | None = None
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    here = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked.append(self.path)
            content = here.files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write((content or b"")[: here.breaks_off_after])

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        here.address = f"http://127.0.0.1:{httpd.server_address[1]}"
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield here
        httpd.shutdown()


def test_a_download_reports_its_bytes_and_lands_in_the_cache(published, server, monkeypatch):
    content = published.read_bytes()
    server.files[f"/models/{published.name}"] = content
    monkeypatch.setenv("TINCT_FEATURE_ADDRESS", f"{server.address}/models/")
    records = list(features.download(FEATURES[NAME].published))
    assert records[-1] == Downloaded(published.name, len(content), len(content))
    assert [record.done for record in records] == sorted({record.done for record in records})
    assert len(records) > 2
    found = features.find(NAME)
    assert found == features.cache_folder() / published.name
    assert features.load(NAME, found).label.endswith("the published file (hash checked)")


def test_the_published_address_is_used_without_a_mirror(published, server, tmp_path):
    server.files["/somewhere/else.pth"] = published.read_bytes()
    entry = replace(FEATURES[NAME].published, address=f"{server.address}/somewhere/else.pth")
    list(features.download(entry, tmp_path / "here"))
    assert server.asked == ["/somewhere/else.pth"]
    assert (tmp_path / "here" / published.name).read_bytes() == published.read_bytes()


@pytest.mark.parametrize("fault", ["another file", "breaks off", "not there", "no server"])
def test_a_download_that_is_not_the_published_file_leaves_nothing(fault, published, server, tmp_path):
    content = published.read_bytes()
    server.files["/w.pth"] = b"\0" + content[1:] if fault == "another file" else content
    server.breaks_off_after = 1000 if fault == "breaks off" else None
    address = {"not there": f"{server.address}/x.pth", "no server": "http://127.0.0.1:9/w.pth"}.get(
        fault, f"{server.address}/w.pth"
    )
    entry = Published("w.pth", features.sha256_of(published), address)
    with pytest.raises(NotAvailable, match=r"127\.0\.0\.1"):
        list(features.download(entry, tmp_path / "here"))
    assert not list((tmp_path / "here").iterdir())


def test_a_download_that_is_given_up_leaves_nothing(published, server, tmp_path):
    server.files["/w.pth"] = published.read_bytes()
    going = features.download(Published("w.pth", "0" * 64, f"{server.address}/w.pth"), tmp_path / "here")
    assert next(going).done > 0
    going.close()
    assert not list((tmp_path / "here").iterdir())


def test_a_network_is_obtained_where_it_lies_else_downloaded_else_its_absence_is_said(published, server, monkeypatch):
    def obtained() -> tuple[list[Downloaded], Path]:
        going, records = features.obtain(NAME), []
        while True:
            try:
                records.append(next(going))
            except StopIteration as done:
                return records, done.value

    monkeypatch.setenv("TINCT_FEATURE_ADDRESS", "http://127.0.0.1:9/")
    with pytest.raises(NotAvailable) as caught:
        obtained()
    for part in (FEATURES[NAME].published.file, FEATURES[NAME].published.address, "TINCT_FEATURE_WEIGHTS"):
        assert part in str(caught.value)
    server.files[f"/{published.name}"] = published.read_bytes()
    monkeypatch.setenv("TINCT_FEATURE_ADDRESS", server.address)
    records, path = obtained()
    assert records
    assert path == features.cache_folder() / published.name
    assert obtained() == ([], path)
    monkeypatch.setenv("TINCT_FEATURE_WEIGHTS", str(published))
    assert obtained() == ([], published)
