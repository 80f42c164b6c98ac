"""GLoT through the whole loop: trained, scored, scored again, used; mixed batches."""

import numpy as np
import pytest

from jaxpose import evaluate
from jaxpose import train
from jaxpose.data import pose_data
from jaxpose.predict import lifting
from jaxpose.train import training_data
from jaxpose.weights import pretrained
from tests import small_runs


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
  folder = tmp_path_factory.mktemp("tensorflow_datasets")
  pose_data.prepare("synthetic_motion", builder_config="mesh_tiny", data_dir=folder)
  return folder


@pytest.fixture(scope="module")
def run(data_dir, tmp_path_factory):
  """The smoke run of the quick start: its folder and its scores."""
  config = small_runs.get_config("glot_quickstart", "smoke")
  config.data.data_dir = str(data_dir)
  workdir = tmp_path_factory.mktemp("run") / "glot"
  return workdir, train.train(config, str(workdir))


def test_a_run_is_scored_beside_its_global_branch_and_the_mean_pose(run):
  workdir, scores = run
  assert {"test/mesh14_p2", "test/mesh_vertices", "validation/mesh14_p2"} <= set(scores)
  assert all(np.isfinite(value) for value in scores.values())
  table = (workdir / "test.md").read_text()
  rows = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
  assert rows == ["mean pose", "global branch alone", "glot_keypoints"]
  assert (workdir / "test.png").exists()
  terms = {key for line in small_runs.metrics(workdir) for key in line}
  assert {"loss/joints_3d", "loss/global_rotations", "loss/velocity_3d"} <= terms


def test_saved_weights_score_as_they_did(run, tmp_path):
  workdir, scores = run
  arguments = [f"--workdir={workdir}", "--step=last", "--protocol=mesh14_p2"]
  evaluate.main([*arguments, f"--out={tmp_path / 'out'}"])
  text = (tmp_path / "out" / "scores.md").read_text()
  assert f"{scores['test/mesh14_p2']:.1f}" in text


def test_a_run_gives_bodies_of_a_clip(run):
  workdir, _ = run
  keypoints = np.random.default_rng(0).uniform(300, 700, (20, 17, 2))
  body = lifting.mesh(keypoints, image_size=(1000, 1000), weights=str(workdir))
  assert body.poses.shape == (20, 72)
  loaded = pretrained.load(workdir)
  assert loaded.input_skeleton.name == "coco17"
  assert loaded.inputs == ("keypoints_crop",)


def mixed(data_dir, **changes):
  config = small_runs.get_config("glot_3dpw", "smoke")
  config.data.data_dir = str(data_dir)
  for key, value in changes.items():
    config.data[key] = value
  return config


def test_batches_are_mixed_as_the_config_says(data_dir):
  config = mixed(data_dir, sampling="windows")
  joined, order = training_data.training_data(config, training_data.loader(config.data))
  assert isinstance(order, pose_data.MixedOrder)
  half = joined.num_frames // 2
  index = order(0)
  assert (index.centre[:5] < half).all()
  assert (index.centre[5:] >= half).all()
  assert len(index.centre) == 8


def test_a_data_set_may_be_used_without_its_bodies(data_dir):
  config = mixed(data_dir, without_smpl=("synthetic_motion/mesh_tiny",))
  joined, _ = training_data.training_data(config, training_data.loader(config.data))
  np.testing.assert_array_equal(joined.runs["has_smpl"], 0)


def test_a_mixture_that_is_no_batch_is_refused(data_dir):
  config = mixed(data_dir, batch_size=9)
  with pytest.raises(
    ValueError, match=r"data.mix with 5 \+ 3 windows, expected data.b"
  ):
    training_data.training_data(config, training_data.loader(config.data))
