"""Released weights that read pictures, on people that they have not seen."""

import jax
import numpy as np
import pytest

from jaxpose import predict
from jaxpose import tasks
from jaxpose.tasks import scoring
from jaxpose.weights import pretrained
from tests import builder_testing

NAME = "mpstrt-small"
TAKES = builder_testing.DATASETS / "cmu_mocap" / "dummy_data"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Eight rendered clips of made-up takes, in the form of cmu_mocap."""
  where, build = tmp_path_factory.mktemp("data"), builder_testing.load_build().build
  build("cmu_mocap", where, manual_dir=TAKES)
  return build("synthetic_multiview", where, config="cmu_tiny")


@pytest.fixture(scope="module")
def weights():
  return pretrained.load(NAME)


def test_weights_of_pictures_know_people_that_they_have_not_seen(
  folder, weights, monkeypatch
):
  # jax 0.10's simulated devices take minutes to share the batches of several views.
  one = jax.devices()[:1]
  monkeypatch.setattr(jax, "devices", lambda: one)
  scorer = tasks.VIEWS.scorer(
    weights.module,
    lambda split: tasks.load(folder, split, window=4, crop_size=64),
    window=4,
    inputs=weights.inputs,
  )
  evaluation = scoring.Evaluation("test", protocols=("cmu_p1",))
  scored = scorer(weights.variables, evaluation, label="own", baselines="train")
  own, mean = scored.rows["own"], scored.rows["mean pose"]
  assert own["keypoints_box"] < 0.8 * mean["keypoints_box"]


def test_a_record_is_predicted(folder, weights):
  import tensorflow_datasets as tfds

  record = tfds.builder_from_directory(folder).as_data_source("test")[0]
  poses = predict.multiview(record, weights=weights)
  truth = np.asarray(record["joints_3d"])
  error = np.linalg.norm(poses.joints_3d_world - truth, axis=-1)
  assert np.median(error) < 0.25
  away = np.linalg.norm(poses.keypoints_2d - record["keypoints_2d"], axis=-1)
  assert np.median(away[record["visible"]]) < 0.1 * record["image_size"][0, 0]
