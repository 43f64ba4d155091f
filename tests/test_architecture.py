"""Which part of the package may import which, and what starting it may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "jdnet_jax"

# What each part may import of the package, besides itself.
MAY_IMPORT = {
    "models": set(),
    "ssim": set(),
    "losses": {"ssim"},
    "metrics": {"ssim"},
    "data": {"pictures"},
    "pictures": set(),
    "programs": set(),
    "orbax_tools": set(),
    "weights": {"models", "orbax_tools"},
    "environment": set(),
    "training": {
        "compiled",
        "data",
        "environment",
        "heap",
        "leaving",
        "losses",
        "metrics",
        "models",
        "orbax_tools",
        "pretrained",
        "weights",
    },
    "interop": {"models"},
    "published": {"data"},
    "pretrained": {"models", "orbax_tools", "training", "weights"},
    "compiled": {"heap"},
    "heap": set(),
    "leaving": set(),
    "tiles": set(),
    "memory": {"models"},
    "kept_room": set(),
    "restore": {"compiled", "kept_room", "memory", "models", "pretrained", "tiles"},
    "evaluation": {
        "data",
        "environment",
        "memory",
        "metrics",
        "models",
        "pretrained",
        "published",
        "restore",
        "weights",
    },
    "derain_plan": {"pictures"},
    "ahead": set(),
    "derain_batch": {"ahead", "derain_plan", "pictures"},
    "derain_files": {
        "compiled",
        "derain_batch",
        "derain_plan",
        "pictures",
        "pretrained",
        "restore",
    },
    "export_weights": {"models", "pretrained", "weights"},
    "import_authors": {"interop", "models", "weights"},
    "export_authors": {"interop", "models", "pretrained"},
    "check_data": {"data"},
    "reproduce": {"data", "evaluation", "pretrained", "published", "training", "weights"},
}
# These stand on nothing, and every part may use them.
TOOLS = {"messages", "paths", "whole_files"}
EVERYTHING = {"__init__", "__main__", "cli"}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    """The parts of the package that a file imports, anywhere in it."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    names = {m.split(".")[1] for m in modules if m.startswith("jdnet_jax.")}
    return {n for n in names if (PACKAGE / n).is_dir() or (PACKAGE / f"{n}.py").is_file()}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_parts_import_only_what_they_stand_on(path):
    part = part_of(path)
    if part not in EVERYTHING:
        allowed = MAY_IMPORT[part] | TOOLS if part not in TOOLS else set()
        assert imported_parts(path) - {part} <= allowed


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_nothing_imports_configs_and_only_the_step_knows_pmap(path):
    text = path.read_text()
    assert "import configs" not in text
    assert "from configs" not in text
    assert "jax.pmap(" not in text or path.name == "step.py"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_data_and_pictures_do_without_jax(path):
    if part_of(path) in ("data", "pictures", "derain_plan", "derain_batch"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            assert not [n for n in names if n.split(".")[0] in ("jax", "flax", "tensorflow")]


@pytest.mark.parametrize("module", ["jdnet_jax", "jdnet_jax.cli", "jdnet_jax.pictures"])
def test_import_is_light(module):
    code = f"import sys, {module}; assert not {{'jax', 'flax', 'grain'}} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)


def test_training_loads_no_tensorflow():
    code = (
        "import sys, jdnet_jax.training, jdnet_jax.evaluation.command;"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)


def test_evaluating_loads_no_training():
    code = (
        "import sys, jdnet_jax.evaluation.command;"
        "assert not {'jdnet_jax.training', 'tensorboardX', 'orbax'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)


def test_deraining_loads_nothing_that_trains():
    code = (
        "import sys, jdnet_jax; jdnet_jax.Restorer.from_pretrained('small');"
        "assert not {'grain', 'orbax', 'tensorflow_datasets'} & sys.modules.keys();"
        "assert 'jdnet_jax.training' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)
