"""The weights that travel with the package, as their users meet them."""

import json

import jax
import numpy as np
import pytest

from jaxpose import evaluate
from jaxpose.data import pose_data
from jaxpose.files import resources
from jaxpose.predict import lifting
from jaxpose.tasks import scoring
from jaxpose.weights import pretrained

NAMES = sorted(pretrained.released())
KIND = {name: pretrained.load(name).model["name"] for name in NAMES}
LIFTERS = [name for name in NAMES if KIND[name] in ("gla_gcn", "ray_lifter")]
each_name = pytest.mark.parametrize("name", NAMES)
each_lifter = pytest.mark.parametrize("name", LIFTERS)
# Those that read pictures: see released_pictures_test.py.
OF_POSES = [name for name in NAMES if KIND[name] != "multiview"]
each_of_poses = pytest.mark.parametrize("name", OF_POSES)


def test_every_weights_file_is_listed():
  files = {path.name for path in resources.folder("weights").glob("*.npz")}
  assert files == {entry["file"] for entry in pretrained.released().values()}
  assert files


@each_name
def test_released_weights_say_how_they_were_made(name):
  weights = pretrained.load(name)
  assert {"data", "command", "seed", "steps", "test"} <= set(weights.info)
  assert weights.info["command"].startswith("python -m jaxpose.train --config=configs/")


@each_of_poses
def test_released_weights_know_motion_that_they_have_not_seen(
  name, tiny_data_dir, tmp_path, monkeypatch
):
  # jax 0.10's simulated devices take minutes to share the batches of several views.
  one = jax.devices()[:1]
  monkeypatch.setattr(jax, "devices", lambda: one)
  words = ["--weights", name, "--data", "synthetic_motion", "--split", "test"]
  words += ["--builder_config", "mesh_tiny" if KIND[name] == "glot" else "tiny"]
  evaluate.main([*words, "--data_dir", str(tiny_data_dir), "--out", f"{tmp_path}/new"])
  rows = json.loads((tmp_path / "new" / "scores.json").read_text())
  protocol = next(iter(rows["mean pose"]))
  own = rows[list(rows)[-1]][protocol]["total"]
  assert own < 0.6 * rows["mean pose"][protocol]["total"]


@each_lifter
def test_released_weights_lift_a_clip(name, tiny_data_dir):
  """Bodies and motion that they were not trained on: far better than the mean pose."""
  folder = pose_data.prepare(
    "synthetic_motion", builder_config="tiny", data_dir=tiny_data_dir
  )
  clip = pose_data.load(folder, "test")
  last = int(clip.runs["last"][0]) + 1
  pixels = 500 * (np.asarray(clip.frames["keypoints_2d"][:last]) + 1)
  poses = lifting.lift(
    pixels, image_size=(1000, 1000), weights=name, skeleton=clip.skeleton.name
  )
  truth = scoring.relative_joints(clip)
  error = np.linalg.norm(poses.joints_3d - truth[:last], axis=-1).mean()
  mean = np.linalg.norm(truth.mean(0)[None] - truth[:last], axis=-1).mean()
  assert error < 0.6 * mean


@each_lifter
def test_somebody_small_in_a_wide_picture_is_lifted_alike(name, tiny_data_dir):
  folder = pose_data.prepare(
    "synthetic_motion", builder_config="tiny", data_dir=tiny_data_dir
  )
  clip = pose_data.load(folder, "test")
  points = np.asarray(clip.frames["keypoints_2d"][:40])
  near, far = (
    lifting.lift(
      500 * (size * points + 1),
      image_size=(1000, 1000),
      weights=name,
      focal=1150 * size,
    ).joints_3d
    for size in (1.0, 0.2)
  )
  np.testing.assert_allclose(near, far, atol=1e-3)
