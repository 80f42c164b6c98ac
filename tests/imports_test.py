"""Which package may import which: the order of the packages, and four sentences."""

import ast
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
# A package imports itself and those before it.
ORDER = (
  "config runtime geometry skeletons files motion body formats models data weights "
  "metrics draw tasks detect convert features evaluate train predict predict_multiview"
).split()
# Models know neither data nor files, configs nothing but the base config, builders no
# networks, and the library nothing that lies beside it.
NEVER = {
  "jaxpose/models/": ("jaxpose.data", "jaxpose.files", "jaxpose.config"),
  "jaxpose/data/": ("jaxpose.models", "jaxpose.config", "flax"),
  "jaxpose/": ("datasets", "configs", "tests", "benchmarks", "colab", "tools"),
  "configs/": ("numpy", "jax", *(f"jaxpose.{p}" for p in ORDER[1:])),
  "datasets/": tuple(f"jaxpose.{p}" for p in ORDER[ORDER.index("weights") :]),
}
DRAWN = ("jaxpose.draw.render",)  # builders render people


def imported(source: str) -> set[str]:
  """Absolute names that a file imports, wherever in it: `from a import b` is a.b."""
  names = set()
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and not node.level:
      names |= {f"{node.module}.{alias.name}" for alias in node.names}
  return {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}


def within(name: str, rooms) -> bool:
  return any(name == room or name.startswith(f"{room}.") for room in rooms)


def breaches(root: pathlib.Path) -> list[str]:
  """`file: name` of each import that breaks the order or a sentence."""
  found = []
  for top in ("jaxpose", "configs", "datasets"):
    for file in sorted((root / top).rglob("*.py")):
      path = file.relative_to(root).as_posix()
      if path.endswith("_test.py") or path == "jaxpose/__init__.py":
        continue
      room = path.split("/")[1].removesuffix(".py")
      later = ORDER[ORDER.index(room) + 1 :] if room in ORDER else ()
      wrong = [f"jaxpose.{p}" for p in later if top == "jaxpose"]
      wrong += [
        n for start, never in NEVER.items() if path.startswith(start) for n in never
      ]
      names = sorted(imported(file.read_text()))
      found += [
        f"{path}: {n}" for n in names if within(n, wrong) and not within(n, DRAWN)
      ]
  return found


def test_every_package_keeps_the_order():
  assert breaches(ROOT) == []
  rooms = {p.stem for p in (ROOT / "jaxpose").iterdir() if p.suffix in ("", ".py")}
  assert rooms - {"__init__", "__main__", "__pycache__", "assets"} == set(ORDER)


@pytest.mark.parametrize(
  ("path", "line", "name"),
  [
    ("jaxpose/geometry/new.py", "from jaxpose import body", "jaxpose.body"),
    ("jaxpose/data/new.py", "def f():\n  import flax", "flax"),
    (
      "jaxpose/models/new.py",
      "from jaxpose.files import video_files",
      "jaxpose.files.video_files",
    ),
    ("jaxpose/train/new.py", "import datasets", "datasets"),
    ("configs/new.py", "from jaxpose import train", "jaxpose.train"),
    ("datasets/new/builder.py", "from jaxpose import train", "jaxpose.train"),
  ],
)
def test_a_breach_is_found(tmp_path, path, line, name):
  file = tmp_path / path
  file.parent.mkdir(parents=True)
  file.write_text(f"import os\nfrom . import sibling\n{line}\n")
  assert breaches(tmp_path) == [f"{path}: {name}"]
