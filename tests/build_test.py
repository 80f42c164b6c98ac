"""`datasets/build.py` as a module and as a command."""

import contextlib
import importlib.util
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest
import tensorflow_datasets as tfds

from jaxpose.data import build_jobs
from tests import builder_testing

NAME = "synthetic_motion"


@pytest.fixture(scope="module")
def build():
  return builder_testing.load_build()


@pytest.fixture(scope="module")
def built(build, tmp_path_factory):
  """(data_dir, version_dir) of one build that the tests copy or only read."""
  data_dir = tmp_path_factory.mktemp("data")
  return data_dir, build.build(NAME, data_dir, config="tiny")


@pytest.fixture
def copy(built, tmp_path):
  """A copy of the build that a test may damage."""
  shutil.copytree(built[0], tmp_path / "data")
  return tmp_path / "data", tmp_path / "data" / built[1].relative_to(built[0])


def _stamp(version_dir):
  return {p.name: p.stat().st_mtime_ns for p in version_dir.iterdir()}


def _run(*args, cwd, **environment):
  return subprocess.run(
    [sys.executable, str(builder_testing.DATASETS / "build.py"), *map(str, args)],
    capture_output=True,
    text=True,
    cwd=cwd,
    env={**os.environ, **environment},
  )


def test_build_returns_the_version_folder(built):
  data_dir, version_dir = built
  assert version_dir == pathlib.Path(data_dir) / NAME / "tiny" / "1.1.0"
  info = json.loads((version_dir / "dataset_info.json").read_text())
  assert info["fileFormat"] == "array_record"
  source = tfds.data_source(f"{NAME}/tiny", data_dir=data_dir, split="train")
  assert len(source) == 64


def test_readme_and_citation_are_found(build, built):
  builder = build.builder_cls(NAME)(data_dir=built[0], config="tiny")
  assert builder.info.description.startswith("# synthetic_motion")
  assert "jaxpose_synthetic_motion" in builder.info.citation
  assert builder.pkg_dir_path.name == NAME


def test_second_build_changes_nothing(build, built, capsys):
  data_dir, version_dir = built
  before = _stamp(version_dir)
  assert build.build(NAME, data_dir, config="tiny") == version_dir
  assert _stamp(version_dir) == before
  assert "already built" in capsys.readouterr().out


def test_overwrite_builds_again(build, copy):
  data_dir, version_dir = copy
  before = _stamp(version_dir)
  build.build(NAME, data_dir, config="tiny", overwrite=True)
  after = _stamp(version_dir)
  assert set(after) == set(before)
  assert all(after[name] != before[name] for name in before)


def test_splits_too_large_for_memory_are_sorted_on_disk(
  build, built, tmp_path, monkeypatch
):
  monkeypatch.setattr(build_jobs, "SHUFFLE_MEMORY", 0)
  version_dir = build.build(NAME, tmp_path, config="tiny")
  for file in built[1].glob("*array_record*"):
    assert (version_dir / file.name).read_bytes() == file.read_bytes(), file.name
  assert _stamp(version_dir).keys() == _stamp(built[1]).keys()


@pytest.mark.parametrize("damage", ["no info", "cut info", "no shard", "tfrecord"])
def test_incomplete_folder_is_built_again(build, copy, damage):
  data_dir, version_dir = copy
  info = version_dir / "dataset_info.json"
  if damage == "no info":
    info.unlink()
  elif damage == "cut info":
    info.write_text(info.read_text()[:200])
  elif damage == "no shard":
    next(version_dir.glob("*-test.array_record*")).unlink()
  else:
    info.write_text(info.read_text().replace('"array_record"', '"tfrecord"'))
  build.build(NAME, data_dir, config="tiny")
  builder = tfds.builder_from_directory(version_dir)
  assert {s: i.num_examples for s, i in builder.info.splits.items()} == {
    "train": 64,
    "validation": 32,
    "test": 32,
  }
  assert len(list(builder.as_data_source("test"))) == 32


def test_failed_build_leaves_nothing_that_looks_complete(build, tmp_path, monkeypatch):
  cls = build.builder_cls(NAME)
  generate = cls._generate_examples

  def fail(self, first, count):
    if first > 40:
      raise RuntimeError("power cut")
    yield from generate(self, first, count)

  monkeypatch.setattr(cls, "_generate_examples", fail)
  with pytest.raises(RuntimeError, match="power cut"):
    build.build(NAME, tmp_path, config="tiny")
  version_dir = tmp_path / NAME / "tiny" / "1.1.0"
  assert not version_dir.exists()
  monkeypatch.undo()
  assert build.build(NAME, tmp_path, config="tiny") == version_dir
  assert len(tfds.builder_from_directory(version_dir).as_data_source("train")) == 64


def test_old_leftovers_of_interrupted_builds_are_removed(build, tmp_path):
  parent = tmp_path / NAME / "tiny"
  for name, age in (
    ("incomplete.OLD111_1.1.0", 3 * 86400),
    ("incomplete.NEW222_1.1.0", 0),
  ):
    (parent / name).mkdir(parents=True)
    (parent / name / "half").write_text("")
    os.utime(parent / name, (time.time() - age,) * 2)
  build.build(NAME, tmp_path, config="tiny")
  assert not (parent / "incomplete.OLD111_1.1.0").exists()
  assert (parent / "incomplete.NEW222_1.1.0").exists()  # perhaps still being written


def test_unknown_name_is_refused_with_near_names(build, tmp_path):
  with pytest.raises(ValueError, match=r"nearest: synthetic_motion.*; known: "):
    build.build("sintetic_motion", tmp_path)


def test_unknown_config_is_refused(build, tmp_path):
  with pytest.raises(ValueError, match="has no config 'huge'; known: default, tiny"):
    build.build(NAME, tmp_path, config="huge")


def test_missing_manual_dir_is_refused(build, tmp_path):
  with pytest.raises(FileNotFoundError, match="which is not a folder; point it at"):
    build.build(NAME, tmp_path, manual_dir=tmp_path / "nowhere")


def test_missing_raw_files_are_told_as_the_builder_says(build, tmp_path, monkeypatch):
  cls = build.builder_cls(NAME)
  monkeypatch.setattr(cls, "MANUAL_DOWNLOAD_INSTRUCTIONS", "Put takes.npz there.")
  monkeypatch.setattr(
    cls, "_split_generators", lambda self, dl: {"train": iter([dl.manual_dir])}
  )
  with pytest.raises(FileNotFoundError, match=r"(?s)Manual directory.*Put takes.npz"):
    build.build(NAME, tmp_path, config="tiny")


def test_names_are_the_folders_with_a_builder(build):
  assert NAME in build.names()
  for name in build.names():
    assert (builder_testing.DATASETS / name / f"{name}_dataset_builder.py").is_file()


def test_default_data_dir_is_that_of_tfds(build, monkeypatch):
  monkeypatch.setenv("TFDS_DATA_DIR", "elsewhere")
  assert build.default_data_dir() == "elsewhere"
  monkeypatch.delenv("TFDS_DATA_DIR")
  assert build.default_data_dir() == "~/tensorflow_datasets"


def test_no_module_called_datasets_is_imported(tmp_path):
  modules = builder_testing.modules_after_build(NAME, tmp_path, config="tiny")
  assert "datasets" not in modules


def test_builds_from_a_copy_of_the_folder_elsewhere(build, tmp_path):
  # As in an installed wheel, where this folder lies under another name.
  ignore = shutil.ignore_patterns("__pycache__")
  place = tmp_path / "_bundled" / "datasets"
  shutil.copytree(builder_testing.DATASETS, place, ignore=ignore)
  code = (
    "import importlib.util as u;"
    f"s = u.spec_from_file_location('b', {str(place / 'build.py')!r});"
    "b = u.module_from_spec(s); s.loader.exec_module(b);"
    f"print(b.build({NAME!r}, 'out', config='tiny'))"
  )
  root = str(builder_testing.DATASETS.parent)
  env = {**os.environ, "PYTHONPATH": root}
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=env
  )
  assert done.returncode == 0, done.stderr
  info = json.loads(
    (tmp_path / "out" / NAME / "tiny" / "1.1.0" / "dataset_info.json").read_text()
  )
  assert "jaxpose_synthetic_motion" in info["citation"]


def test_command_builds_and_says_so(tmp_path):
  done = _run(NAME, "--config=tiny", cwd=tmp_path, TFDS_DATA_DIR=str(tmp_path / "d"))
  assert done.returncode == 0, done.stderr
  assert "records: train 64, validation 32, test 32" in done.stdout
  assert "Generating" in done.stderr  # the progress bar
  assert (tmp_path / "d" / NAME / "tiny" / "1.1.0" / "features.json").is_file()


def test_command_refuses_an_unknown_name_in_one_line(tmp_path):
  done = _run("syntetic", f"--data_dir={tmp_path}", cwd=tmp_path)
  assert done.returncode == 2
  assert done.stderr.count("\n") == 1
  assert "unknown dataset 'syntetic'; nearest: synthetic_motion" in done.stderr


def test_command_tells_other_mistakes_in_one_line(build, tmp_path):
  for argument in ("--config=huge", f"--manual_dir={tmp_path / 'nowhere'}"):
    error = io.StringIO()
    with contextlib.redirect_stderr(error):
      assert build.main([NAME, f"--data_dir={tmp_path}", argument]) == 1
    assert error.getvalue().count("\n") == 1
    assert NAME in error.getvalue()


def test_beam_options_without_beam_are_refused(build, capsys):
  with pytest.raises(SystemExit):
    build.main([NAME, "--beam_options=--runner=DirectRunner"])
  assert "got --beam_options without --beam, expected both" in capsys.readouterr().err


def test_beam_that_is_not_installed_is_told(build, tmp_path, monkeypatch):
  find = importlib.util.find_spec
  monkeypatch.setattr(
    importlib.util, "find_spec", lambda n: None if n == "apache_beam" else find(n)
  )
  error = io.StringIO()
  with contextlib.redirect_stderr(error):
    assert build.main([NAME, f"--data_dir={tmp_path}", "--beam"]) == 1
  assert "which is not installed; pip install 'jaxpose[beam]'" in error.getvalue()


def test_beam_is_refused_where_it_has_nothing_to_do(build, tmp_path, monkeypatch):
  # Beam itself is never asked: the builder has no jobs for it.
  monkeypatch.setattr(build, "_beam_options", lambda flags: object())
  error = io.StringIO()
  with contextlib.redirect_stderr(error):
    arguments = [NAME, f"--data_dir={tmp_path}", "--config=tiny", "--beam"]
    assert build.main(arguments) == 1
  told = error.getvalue().splitlines()[-1]
  assert told.startswith(f"dataset '{NAME}/tiny/1.1.0': got --beam, expected a builder")
  assert told.endswith("is built in one process; leave --beam away.")
  assert not list(tmp_path.rglob("dataset_info.json"))


def test_a_build_without_processes_is_refused(build, tmp_path):
  error = io.StringIO()
  with contextlib.redirect_stderr(error):
    assert build.main([NAME, f"--data_dir={tmp_path}", "--processes=0"]) == 1
  assert error.getvalue() == "got 0 processes, expected at least 1.\n"


def test_ctrl_c_is_told_in_one_line(build, tmp_path, monkeypatch):
  def stop(*args, **kwargs):
    raise KeyboardInterrupt

  monkeypatch.setattr(build, "build", stop)
  error = io.StringIO()
  with contextlib.redirect_stderr(error):
    assert build.main([NAME, f"--data_dir={tmp_path}"]) == 130
  assert error.getvalue() == f"{NAME}: interrupted; the same command builds the rest.\n"
