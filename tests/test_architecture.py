"""The house's rules, proved from its source: imports point down, without circles; libraries stay where they belong."""

import ast
import subprocess
import sys
import time
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

import tinct

SOURCE = Path(tinct.__file__).parent
FLOORS = [
    {"errors", "registry", "config", "files", "level", "recipes", "devices", "threads", "places"},
    {"diffusion", "nets", "color", "images"},
    {"losses", "metrics", "data"},
    {"families"},
    {"weights"},
    {"zoo", "figures"},
    {"training", "evaluation", "photo", "generation"},
    {"runtimes"},
    {"web", "cluster", "bench"},
    {"cli"},
]
FLOOR = {part: number for number, parts in enumerate(FLOORS) for part in parts}
ONLY_IN = {
    "click": {"cli"},
    "rich": {"cli"},
    "accelerate": {"training"},
    **{name: {"web"} for name in ("fastapi", "starlette", "uvicorn", "h11", "pydantic", "anyio", "python_multipart")},
    "gradio": {"web"},
    "safetensors": {"weights"},
    "ray": {"cluster"},
    "fsspec": {"places"},
    **{name: {"runtimes"} for name in ("onnx", "onnxscript", "onnxruntime")},
}
NEVER = {
    "torchvision",  # its wheel can't be imported beside a CPU build of torch
    "diffusers",  # diffusion here is from scratch
    "timm",
    "transformers",
    "huggingface_hub",
    "lpips",
    "torch_fidelity",
    "pytorch_fid",
    "open_clip",
    "pytest",
}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    names = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = ["tinct", *path.relative_to(SOURCE).with_suffix("").parts]
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


MODULES = modules()


def imports_of(name: str) -> set[str]:
    """What a module imports, anywhere in it: modules of ours by their full name, others by their first part."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute"
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {member if member in MODULES else str(node.module) for member in members}
    return {item if item.split(".")[0] == "tinct" else item.split(".")[0] for item in found}


IMPORTS = {name: imports_of(name) for name in MODULES}


def part_of(module: str) -> str:
    """The part of the house a module belongs to; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def test_every_part_has_its_floor():
    assert {part_of(name) for name in MODULES} - {"", "__main__"} <= FLOOR.keys()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_down(name):
    """To a lower floor, or within the same part; on the ground floor also beside. The package itself gives its version."""
    if part_of(name) in ("", "__main__"):
        return
    for imported in IMPORTS[name]:
        if not imported.startswith("tinct.") or part_of(imported) == part_of(name):
            continue
        here, there = FLOOR[part_of(name)], FLOOR[part_of(imported)]
        assert there < here or there == here == 0, f"{name} (floor {here}) imports {imported} (floor {there})"


def test_there_are_no_circles():
    graph = {name: {item for item in IMPORTS[name] if item in MODULES and item != "tinct"} for name in MODULES}
    assert len(tuple(TopologicalSorter(graph).static_order())) >= len(MODULES) - 1


def test_the_package_itself_imports_nothing_of_ours_when_it_is_loaded():
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    loaded = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in loaded}
    assert names <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_libraries_stay_where_they_belong(name):
    for imported in IMPORTS[name]:
        assert imported not in NEVER, f"{name} imports {imported}"
        if imported in ONLY_IN:
            assert part_of(name) in ONLY_IN[imported], f"{name} imports {imported}"


def test_no_family_is_named_above_the_third_floor():
    own = {name for name in MODULES if name.startswith("tinct.families.")} - {"tinct.families.base"}
    assert own
    for name, imported in IMPORTS.items():
        if part_of(name) not in ("families", ""):
            assert not imported & own, f"{name} names a family"


def test_files_are_short_enough_to_be_read():
    for name, path in MODULES.items():
        assert len(path.read_text(encoding="utf-8").splitlines()) < 300, name


def test_every_module_public_class_and_function_says_what_it_is():
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree) or not tree.body, name
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{name}.{node.name}"


def printed(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout


def test_help_loads_no_torch():
    """Nor anything else that is slow; with a list of the modules that were loaded."""
    script = (
        "import sys\nfrom tinct.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "print('loaded:', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    loaded = set(printed("-c", script).rpartition("loaded:")[2].split())
    assert "tinct" in loaded
    assert "click" in loaded
    assert not loaded & {"torch", "numpy", "PIL", "skimage", "matplotlib", "accelerate", "rich", "scipy", "safetensors"}


def test_help_answers_at_once(capsys):
    """Measured beside a bare interpreter, in turn. The bound is generous, as a busy machine measures it too."""

    def seconds(*arguments: str) -> float:
        started = time.perf_counter()
        printed(*arguments)
        return time.perf_counter() - started

    bare, help_ = [], []
    for _ in range(5):
        bare.append(seconds("-c", "pass"))
        help_.append(seconds("-m", "tinct", "--help"))
    more = median(help_) - median(bare)
    with capsys.disabled():
        print(f"\ntinct --help: {more:.3f} s more than a bare interpreter (median of 5)")
    assert more < 1.0
