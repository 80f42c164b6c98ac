"""Builds a dataset into a scratch folder and reads it back, without TensorFlow."""

import contextlib
import importlib.util
import io
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import tensorflow_datasets as tfds

from jaxpose import skeletons
from jaxpose.data import sequences
from jaxpose.geometry import cameras

DATASETS = pathlib.Path(__file__).resolve().parent.parent / "datasets"


def load_build():
  """`datasets/build.py`, loaded by path as `jaxpose.data.pose_data` does."""
  name = "jaxpose_build_under_test"
  if name not in sys.modules:
    spec = importlib.util.spec_from_file_location(name, DATASETS / "build.py")
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
  return sys.modules[name]


def build_and_read(
  builder_name: str, data_dir, manual_dir=None, **builder_kwargs
) -> dict[str, list[dict]]:
  """All records of every split of a fresh build.

  Args:
    builder_name: folder under `datasets/`.
    data_dir: an empty scratch folder.
    manual_dir: raw files, or None.
    **builder_kwargs: of `datasets/build.py`'s `build`, such as `config`.
  """
  version_dir = load_build().build(
    builder_name, data_dir, manual_dir=manual_dir, **builder_kwargs
  )
  builder = tfds.builder_from_directory(version_dir)
  splits = {name: list(builder.as_data_source(name)) for name in builder.info.splits}
  for name, records in splits.items():
    expected = builder.info.splits[name].num_examples
    assert len(records) == expected, f"{name}: read {len(records)} of {expected}"
  return splits


class Malicious:
  """Makes a folder where a pickle of it is loaded."""

  def __init__(self, made: pathlib.Path):
    self.made = str(made)

  def __reduce__(self):
    return os.mkdir, (self.made,)


def refused(
  builder_name: str, tmp_path: pathlib.Path, message: str, **builder_kwargs
) -> None:
  """Asserts that a build of `tmp_path / "raw"` is refused in one sentence.

  Args:
    builder_name: folder under `datasets/`.
    tmp_path: nothing must be built in its folder "out".
    message: pattern of the sentence.
    **builder_kwargs: of `datasets/build.py`'s `build`, such as `config`.
  """
  out, error = tmp_path / "out", io.StringIO()
  arguments = [f"--{key}={value}" for key, value in builder_kwargs.items()]
  arguments += [f"--data_dir={out}", f"--manual_dir={tmp_path / 'raw'}"]
  with contextlib.redirect_stderr(error):
    assert load_build().main([builder_name, *arguments]) == 1
  *_, told = error.getvalue().splitlines()  # after the progress bars
  assert re.search(message, told), told
  assert not list(out.rglob("dataset_info.json"))


def text(record: dict, key: str) -> str:
  """A text feature as `str`."""
  value = record[key]
  return value.decode() if isinstance(value, bytes) else str(value)


def check_record(record: dict, skeleton: skeletons.Skeleton) -> None:
  """Asserts the promises of `sequences.features` for one record."""
  joints, pixels = record["joints_3d"], record["keypoints_2d"]
  frames = len(joints)
  assert set(sequences.features(skeleton)) <= set(record)
  assert text(record, "skeleton") == skeleton.name
  assert joints.shape == (frames, skeleton.num_joints, 3)
  assert joints.dtype == np.float32
  assert pixels.shape == (frames, skeleton.num_joints, 2)
  assert pixels.dtype == np.float32
  assert record["frame_valid"].shape == (frames,)
  assert record["frame_valid"].dtype == np.bool_
  assert np.isfinite(joints).all()
  assert np.isfinite(pixels).all()
  rotation = record["camera_rotation"]
  np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-5)
  assert np.linalg.det(rotation) > 0
  again = cameras.project(joints, record["intrinsics"])
  np.testing.assert_allclose(again, pixels, atol=0.02)  # pixels, float32
  size = tuple(int(x) for x in record["image_size"])
  honest = cameras.in_view(joints, pixels, size).all(-1)
  np.testing.assert_array_equal(honest, record["frame_valid"])
  assert float(record["fps"]) > 0


def check_splits(splits: dict[str, list[dict]], skeleton: skeletons.Skeleton) -> None:
  """Asserts that records keep their promises and that splits share no subject."""
  subjects = {}
  for split, records in splits.items():
    assert records, f"split {split!r} is empty"
    for record in records:
      check_record(record, skeleton)
      subject = text(record, "subject")
      assert subjects.setdefault(subject, split) == split, subject


def world_joints(record: dict) -> np.ndarray:
  """(t, j, 3) metres in the world, float64."""
  return cameras.camera_to_world(
    record["joints_3d"].astype(np.float64),
    record["camera_rotation"].astype(np.float64),
    record["camera_position"].astype(np.float64),
  )


def modules_after_build(
  builder_name: str, data_dir, manual_dir=None, **builder_kwargs
) -> set[str]:
  """Top-level modules that a build in a fresh process has imported."""
  arguments = dict(builder_kwargs)
  if manual_dir is not None:
    arguments["manual_dir"] = str(manual_dir)
  code = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("b", {str(DATASETS / "build.py")!r})
b = importlib.util.module_from_spec(spec)
spec.loader.exec_module(b)
b.build({builder_name!r}, {str(data_dir)!r}, **{arguments!r})
print("MODULES", *{{name.partition(".")[0] for name in sys.modules}})
"""
  out = subprocess.run(
    [sys.executable, "-c", code],
    capture_output=True,
    text=True,
    check=True,
    cwd=str(DATASETS.parent),
  ).stdout
  line = next(x for x in out.splitlines() if x.startswith("MODULES"))
  return set(line.split()[1:])
