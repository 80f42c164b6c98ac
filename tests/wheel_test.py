"""The wheel: what it holds, and the quick start from it in an empty directory."""

import ast
import email
import importlib.machinery
import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from jaxpose.weights import pretrained

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUNDLED = "jaxpose/_bundled"


def _run(*command, cwd, **environment):
  """A command's stdout; what it printed is shown if it fails."""
  done = subprocess.run(
    [sys.executable, *map(str, command)],
    capture_output=True,
    text=True,
    cwd=cwd,
    env={**os.environ, **environment},
    stdin=subprocess.DEVNULL,
    timeout=300,
  )
  assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
  return done.stdout


def _build(source, out) -> pathlib.Path:
  offline = ("--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir")
  _run("-m", "pip", "wheel", source, *offline, f"--wheel-dir={out}", cwd=out)
  (wheel,) = pathlib.Path(out).glob("*.whl")
  return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
  """Built from the checkout, without network."""
  return _build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
  """A folder of installed packages that holds the wheel and nothing else."""
  folder = tmp_path_factory.mktemp("target") / "site"
  options = ("--no-deps", "--no-index", "--no-compile", f"--target={folder}")
  _run("-m", "pip", "install", wheel, *options, cwd=wheel.parent)
  return folder.resolve()


def test_the_wheel_holds_the_package_and_the_folders_once(wheel):
  names = zipfile.ZipFile(wheel).namelist()
  tops = {name.split("/")[0] for name in names}
  assert tops == {"jaxpose", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}
  assert len(names) == len(set(names))
  junk = ("_test.py", ".pyc", "/dummy.py", "/dummy_data/", "/conftest.py")
  assert not [name for name in names if any(part in name for part in junk)]
  for expected in (
    "configs/quickstart.py",
    "datasets/build.py",
    "datasets/cmu_mocap/cmu_mocap_dataset_builder.py",
    "datasets/synthetic_motion/README.md",
    "datasets/synthetic_motion/CITATIONS.bib",
    "weights/README.md",
  ):
    assert f"{BUNDLED}/{expected}" in names
  assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)


def test_every_file_of_the_folders_is_in_the_wheel_as_it_is(wheel):
  archive = zipfile.ZipFile(wheel)
  for folder in ("configs", "weights"):
    for path in (ROOT / folder).rglob("*"):
      if path.is_file() and "__pycache__" not in path.parts:
        name = f"{BUNDLED}/{path.relative_to(ROOT).as_posix()}"
        assert archive.read(name) == path.read_bytes()


def test_every_package_that_is_imported_is_declared(wheel):
  archive = zipfile.ZipFile(wheel)
  metadata = next(n for n in archive.namelist() if n.endswith("dist-info/METADATA"))
  needs = email.message_from_bytes(archive.read(metadata)).get_all("Requires-Dist")
  used = [n for n in needs if not re.search(r"extra == .test", n)]
  declared = {re.match(r"[\w.-]+", n)[0].lower() for n in used}
  assert "jax" in declared
  origin = importlib.metadata.packages_distributions()
  for name in archive.namelist():
    if not name.endswith(".py"):
      continue
    for node in ast.walk(ast.parse(archive.read(name))):
      modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
      if isinstance(node, ast.ImportFrom) and not node.level:
        modules.append(node.module)
      for top in {module.partition(".")[0] for module in modules}:
        if top not in sys.stdlib_module_names | {"jaxpose"}:
          sources = {s.lower().replace("_", "-") for s in origin.get(top, [top])}
          assert sources & declared, f"{name} imports {top}, which nothing declares"


def test_a_wheel_from_the_source_distribution_is_the_same(wheel, tmp_path):
  _run("-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
  (sdist,) = tmp_path.glob("*.tar.gz")
  shutil.unpack_archive(sdist, tmp_path / "source", filter="data")
  (source,) = (tmp_path / "source").iterdir()
  assert (source / "tests" / "wheel_test.py").is_file()
  assert _build(source, tmp_path).read_bytes() == wheel.read_bytes()


def test_an_editable_install_copies_nothing(tmp_path):
  _run("-m", "hatchling", "build", "-t", "wheel:editable", "-d", tmp_path, cwd=ROOT)
  archive = zipfile.ZipFile(next(tmp_path.glob("*.whl")))
  paths = [name for name in archive.namelist() if ".dist-info/" not in name]
  assert paths == ["_jaxpose.pth"]
  assert archive.read("_jaxpose.pth").decode().strip() == str(ROOT)


@pytest.mark.parametrize("name", ["configs", "datasets", "weights", "tests"])
def test_no_top_level_package_but_jaxpose_is_installed(site, name):
  assert importlib.machinery.PathFinder.find_spec("jaxpose", [str(site)])
  assert importlib.machinery.PathFinder.find_spec(name, [str(site)]) is None


def test_the_quick_start_runs_from_the_wheel_in_an_empty_directory(site, tmp_path):
  here, data_dir = tmp_path / "empty", tmp_path / "data"
  here.mkdir()
  environment = dict(PYTHONPATH=str(site), TFDS_DATA_DIR=str(data_dir), XLA_FLAGS="")
  out = _run(
    *("-m", "jaxpose.train", "--config=quickstart:smoke"), cwd=here, **environment
  )
  (run,) = (here / "runs").iterdir()
  assert run.name.startswith("quickstart-")
  assert f"run: {run.relative_to(here)}" in out
  assert list(here.iterdir()) == [here / "runs"]
  table = (run / "test.md").read_text()
  assert all(row in table for row in ("mean pose", "linear lifter, 1 frame", "s_agcn"))
  assert (run / "test.png").read_bytes().startswith(b"\x89PNG")
  assert json.loads((run / "config.json").read_text())["total_steps"] == 4
  assert list(run.glob("**/events.out.tfevents.*"))
  assert (data_dir / "synthetic_motion" / "tiny").is_dir()

  facts = json.loads(
    _run("-c", _FACTS, str(run), cwd=here, **environment).splitlines()[-1]
  )
  inside = str(site / "jaxpose")
  assert facts["package"] == str(site / "jaxpose" / "__init__.py")
  assert all(path.startswith(inside) for path in facts["folders"])
  assert {"cmu_mocap", "synthetic_motion"} <= set(facts["builders"])
  assert facts["released"] == sorted(pretrained.released())
  assert facts["loaded"] == len(facts["released"]) + 1


# What a user of the installed package sees: its folders, builders and weights.
_FACTS = """
import json, sys
import jaxpose
from jaxpose.files import resources
from jaxpose.weights import pretrained
folders = [str(resources.folder(n)) for n in ("configs", "datasets", "weights")]
builders = [p.name for p in resources.folder("datasets").iterdir() if p.is_dir()]
released = sorted(pretrained.released())
loaded = [pretrained.load(name) for name in [*released, sys.argv[1]]]
print(json.dumps(dict(
  package=jaxpose.__file__,
  folders=folders,
  builders=builders,
  released=released,
  loaded=len(loaded),
)))
"""
