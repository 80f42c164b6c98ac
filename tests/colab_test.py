"""The notebook runs from its first to its last cell, and is kept without outputs."""

import ast
import importlib.metadata
import importlib.util
import pathlib
import re
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from jaxpose.weights import pretrained

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture
def notebook():
  return nbformat.read(ROOT / "colab" / "quickstart.ipynb", as_version=4)


def _code(notebook) -> dict[str, str]:
  return {c.id: c.source for c in notebook.cells if c.cell_type == "code"}


def test_the_notebook_is_valid_and_stripped(notebook):
  nbformat.validate(notebook)
  for cell in notebook.cells:
    if cell.cell_type == "code":
      assert cell.outputs == []
      assert cell.execution_count is None
    assert cell.metadata == {}
  assert set(notebook.metadata) == {"kernelspec", "language_info", "colab"}


def test_the_notebook_defines_nothing_to_import(notebook):
  for source in _code(notebook).values():
    tree = ast.parse(re.sub(r"(?m)^!.*$", "", source))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    assert not [node for node in ast.walk(tree) if isinstance(node, kinds)]


def test_the_notebook_runs(notebook, tmp_path, monkeypatch):
  monkeypatch.setenv("JAXPOSE_SMOKE", "1")
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
  monkeypatch.setenv("PYTHONPATH", str(ROOT))
  monkeypatch.setenv("XLA_FLAGS", "")
  for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
    (tmp_path / name).mkdir()
    monkeypatch.setenv(name, str(tmp_path / name))
  here = tmp_path / "here"
  here.mkdir()
  NotebookClient(
    notebook, timeout=300, resources={"metadata": {"path": str(here)}}
  ).execute()

  outputs = {c.id: c.outputs for c in notebook.cells if c.cell_type == "code"}
  text = {
    name: "".join(o.get("text", "") for o in items) for name, items in outputs.items()
  }
  assert "CpuDevice" in text["devices"] or "cpu" in text["devices"].lower()
  for name in ("train", "score"):
    assert "linear lifter, 1 frame" in text[name], text[name]
  assert "image/png" in outputs["draw"][-1].data
  assert "image/gif" in outputs["animate"][-1].data

  run = here / "runs" / "quickstart"
  assert (run / "test.md").is_file()
  assert pretrained.load(run).window == 3
  assert (here / "lifted.gif").read_bytes().startswith(b"GIF")
  assert re.search(r"\(\d+, 17, 3\)", text["lift"])
  assert "No keypoint was missing." in text["lift"]
  assert {p.name for p in here.iterdir()} == {"runs", "lifted.gif"}


def _install(notebook, monkeypatch, where) -> list[list[str]]:
  """Runs the install cell as if jaxpose were missing; the commands it gives."""
  commands = []
  monkeypatch.chdir(where)
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  monkeypatch.setattr(subprocess, "run", lambda c, check: commands.append(c))
  exec(_code(notebook)["install"], {})
  return commands


def test_the_install_keeps_the_jax_that_is_there(notebook, tmp_path, monkeypatch):
  (tmp_path / "pyproject.toml").touch()
  (tmp_path / "colab").mkdir()
  monkeypatch.delenv("JAXPOSE_SOURCE", raising=False)
  (command,) = _install(notebook, monkeypatch, tmp_path / "colab")
  assert command[:5] == [sys.executable, "-m", "pip", "install", "-q"]
  assert command[5:] == ["..", "-c", "constraints.txt"]
  kept = pathlib.Path("constraints.txt").read_text().split()
  for name in ("jax", "jaxlib", "numpy"):
    assert f"{name}=={importlib.metadata.version(name)}" in kept
  assert not [line for line in kept if line.startswith(("jaxpose", "jaxtyping"))]


def test_the_install_outside_a_checkout_asks_for_a_source(
  notebook, tmp_path, monkeypatch
):
  (tmp_path / "colab").mkdir()
  monkeypatch.delenv("JAXPOSE_SOURCE", raising=False)
  with pytest.raises(FileNotFoundError, match="Set SOURCE above: this notebook lies"):
    _install(notebook, monkeypatch, tmp_path / "colab")
  monkeypatch.setenv("JAXPOSE_SOURCE", "jaxpose.whl")
  (command,) = _install(notebook, monkeypatch, tmp_path / "colab")
  assert command[5] == "jaxpose.whl"
