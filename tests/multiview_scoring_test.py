import dataclasses
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import evaluate
from jaxpose.data import view_data
from jaxpose.draw import view_draw
from jaxpose.tasks import view_scoring
from jaxpose.tasks import view_tables
from jaxpose.tasks.scoring import Evaluation
from tests import multiview_motion_test as motion

LIFTER = (
  *("keypoints_input", "scores_input", "view_mask"),
  *view_scoring.CAMERAS,
)
WHOLE = ("images", "view_mask", *view_scoring.CAMERAS)
NAMES = ("cmu_p1", "cmu_p2")


class Lifter(nn.Module):
  """Says how many views there are: z of the head, in metres."""

  @nn.compact
  def __call__(self, points, scores, present, *cameras, reference):
    b, _, t, j, _ = points.shape
    count = present.any(2).sum(1).astype(jnp.float32)
    pose = jnp.zeros((b, t, j, 3)).at[:, :, 10, 2].set(count[:, None])
    return dict(
      joints_3d=pose + self.param("bias", nn.initializers.zeros, (1, 1, 1, 1))
    )


class Network(nn.Module):
  """Its 2D poses are the middle of the crop; keeps the first patch of 2 x 2."""

  @property
  def grid(self):
    return 2, 2

  def setup(self):
    self.bias = self.param("bias", nn.initializers.zeros, (1, 1, 1, 1))

  def encode_images(self, images, mask, cameras):
    return dict(kept=jnp.zeros((*mask.shape, 1), jnp.int32))

  def relate(self, encoded, present, cameras, *, reference):
    points = jnp.zeros((*present.shape, 17, 2))
    return dict(keypoints_2d=points, scores=jnp.ones(points.shape[:-1]))

  def lift(self, points, scores, present, cameras, *, reference):
    return dict(joints_3d=jnp.zeros((*points[:, 0].shape[:-1], 3)) + self.bias)


@pytest.fixture(scope="module")
def clips():
  return motion.clips()


def pictured(clips, size=8):
  """The same with grey pictures."""
  found = dict(clips.clips)
  lead = found["view_mask"].shape
  for key in ("keypoints_2d", "intrinsics"):
    found[key] = found[key] * (size / motion.SIZE)
  found["images"] = np.full((*lead, size, size, 3), 90, np.uint8)
  return view_data.MultiviewData(found, clips.sources, clips.skeleton, clips.scale)


def run(module, data, inputs, window=4, detector=False, **options):
  scorer = view_scoring.MultiviewScorer(
    module, lambda *_: data, window=window, inputs=inputs, batch_size=4
  )
  variables = dict(params=dict(bias=np.zeros((1, 1, 1, 1), np.float32)))
  return scorer(variables, Evaluation("test", NAMES, detector=detector), **options)


def test_choices_go_from_single_views_to_all():
  chosen = view_scoring.subsets(3)
  assert chosen == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
  assert view_scoring.subsets(6)[-1] == (0, 1, 2, 3, 4, 5)
  assert {len(choice) for choice in view_scoring.subsets(6)} == {1, 2, 3, 4, 6}


def test_clips_that_are_all_shorter_than_the_window_are_refused(clips):
  longest = int(clips.lengths.max())
  with pytest.raises(ValueError, match=f"expected 1 to {longest}, the length of the"):
    run(Lifter(), clips, LIFTER, window=longest + 1)


def test_each_choice_of_views_is_all_that_the_network_sees(clips):
  scored = run(Lifter(), clips, LIFTER)
  relative = clips.clips["joints_3d"] - clips.clips["joints_3d"][:, :, :1]
  mask = clips.clips["frame_mask"]
  for views, name in ((1, "cmu_p1_1_views"), (2, "cmu_p1_2_views"), (3, "cmu_p1")):
    pose = np.zeros((17, 3))
    pose[10, 2] = views
    error = 1000 * np.linalg.norm(relative - pose, axis=-1).mean(-1)[mask].mean()
    # Views in which a motion is never wholly seen are rare, not absent.
    np.testing.assert_allclose(scored.numbers[name][0], error, rtol=1e-2)
  assert next(iter(scored.numbers)) == "cmu_p1"
  assert scored.numbers["cmu_p2"][1] == "mm"
  assert scored.num_frames == mask.sum()


def test_a_lifter_stands_beside_triangulation_and_the_mean_pose(clips):
  scored = run(Lifter(), clips, LIFTER, label="ours", baselines="train")
  assert list(scored.rows) == ["mean pose", "DLT on the same 2D", "ours"]
  dlt, mean = scored.rows["DLT on the same 2D"], scored.rows["mean pose"]
  assert "cmu_p1_1_views" not in dlt
  assert dlt["cmu_p1"] < dlt["cmu_p1_2_views"]
  assert dlt["cmu_p1"] < 0.5 * mean["cmu_p1"]
  lines = scored.table().splitlines()
  assert "3D MPJPE, 1 view (mm)" in lines[0]
  assert lines[3].split("|")[2].strip() == "-"  # DLT of a single view
  assert "2D (px)" not in lines[0]


def test_a_detectors_errors_are_seen_by_all_and_come_from_other_cameras(clips):
  exact, found = (
    run(Lifter(), clips, LIFTER, label="ours", baselines="train", detector=detector)
    for detector in (False, True)
  )
  robust = "RANSAC on the same 2D"
  assert list(found.rows) == ["mean pose", "DLT on the same 2D", robust, "ours"]
  mean = found.rows["mean pose"]
  assert mean == exact.rows["mean pose"]
  wrong, right = (rows["DLT on the same 2D"] for rows in (found.rows, exact.rows))
  # Other places of joints alone are some centimetres.
  assert right["cmu_p1"] + 15 < wrong["cmu_p1"]
  # With three views, two that agree by chance outvote the third: not always better.
  assert 0 < found.rows[robust]["cmu_p1"] != wrong["cmu_p1"]
  assert "cmu_p1_1_views" not in found.rows[robust]
  assert "2D with a detector's errors, from a new rig" in found.setting
  assert run(Lifter(), clips, LIFTER, detector=True).numbers == found.numbers


def test_2d_errors_are_in_pixels_of_the_image_and_shares_of_the_box(clips, tmp_path):
  data = pictured(clips)
  scored = run(Network(), data, WHOLE, label="ours", baselines="train")
  row = scored.rows["ours"]
  known = data.clips["keypoints_valid"]
  middle = np.linalg.norm(data.clips["keypoints_2d"] - 4, axis=-1)
  side = data.clips["boxes"][..., 2:].max(-1)[..., None]
  share = middle / 8 * data.scale
  np.testing.assert_allclose(row["keypoints_box"], 100 * share[known].mean(), rtol=1e-4)
  np.testing.assert_allclose(
    row["keypoints_px"], (share * side)[known].mean(), rtol=1e-4
  )
  corner = (data.clips["keypoints_2d"] < 4).all(-1)
  np.testing.assert_allclose(
    row["kept_recall"], 100 * corner[data.clips["visible"]].mean(), atol=0.1
  )
  mean = scored.rows["mean pose"]
  assert mean["keypoints_box"] < row["keypoints_box"]
  assert "lifter on noisy true 2D" in scored.rows
  view_draw.comparison(tmp_path / "p.png", scored, "title", columns=2)
  assert (tmp_path / "p.png").stat().st_size > 5000


def test_no_cameras_means_poses_in_the_axes_of_the_first_view(clips):
  class Reference(nn.Module):
    """The world's z axis as the reference view sees it is up, never sideways."""

    @nn.compact
    def __call__(self, points, scores, present, *cameras, reference):
      assert all(camera is None for camera in cameras)
      b, _, t, j, _ = points.shape
      self.param("bias", nn.initializers.zeros, (1, 1, 1, 1))
      return dict(joints_3d=jnp.zeros((b, t, j, 3)).at[:, :, 10, 1].set(-1.0))

  out = run(Reference(), clips, LIFTER[:3]).predicted["joints_3d"]
  head = out[clips.clips["frame_mask"]][:, 10]
  np.testing.assert_allclose(np.linalg.norm(head, axis=-1), 1, rtol=1e-5)
  assert (head[:, 2] > 0.9).all()  # level cameras: down is -z


def test_recall_of_nothing_visible_is_whole(clips):
  data = pictured(clips)
  data.clips["visible"] = np.zeros_like(data.clips["visible"])
  truth = view_tables.truth(data, data.clips["frame_mask"])
  kept = np.zeros((*data.clips["view_mask"].shape, 1), np.int32)
  assert view_tables.kept_recall(truth, kept, (2, 2)) == 1.0


def test_dropped_patches_are_dimmed():
  image = np.full((4, 4, 3), 100, np.uint8)
  made = view_draw.kept_picture(image, np.asarray([0, 3]), (2, 2))
  assert (made[:2, :2] == 100).all()
  assert (made[2:, 2:] == 100).all()
  assert made[:2, 2:].max() < 50


def without_3d(data):
  clips = dict(data.clips)
  clips["joints_valid"] = np.zeros_like(clips["joints_valid"])
  clips["joints_3d"] = np.zeros_like(clips["joints_3d"])
  return dataclasses.replace(data, clips=clips)


def test_without_3d_the_pictures_are_scored_alone_and_it_is_said(clips, tmp_path):
  whole = run(Network(), pictured(clips), WHOLE, label="ours", baselines="train")
  data = without_3d(pictured(clips))
  scored = run(Network(), data, WHOLE, label="ours", baselines="train")
  assert list(scored.rows) == [
    "mean pose",
    "ours",
  ]  # triangulation has no 2D of its own
  kept = [name for name in whole.rows["ours"] if not name.startswith("cmu")]
  assert scored.rows["ours"] == {name: whole.rows["ours"][name] for name in kept}
  assert scored.table().endswith(
    "2D only: no frame of this split has a whole 3D pose, so 3D is not scored."
  )
  assert scored.results["ours"] == {}
  scored.draw(tmp_path / "p.png", title="2D")
  assert (tmp_path / "p.png").stat().st_size > 5000
  text = evaluate.report_text(scored, Evaluation("test", NAMES), "mine")
  assert "2D (px)" in text
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(view_draw, "comparison", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
      evaluate.write_report(tmp_path / "o", scored, Evaluation("test"), "mine")
  # What is cut short has no scores, and can be written again.
  folder = evaluate.write_report(tmp_path / "o", scored, Evaluation("test"), "mine")
  assert "keypoints_px" in json.loads((folder / "scores.json").read_text())["ours"]


def test_without_2d_the_poses_are_scored_alone_and_it_is_said(clips):
  data = pictured(clips)
  for key in ("keypoints_valid", "visible"):
    data.clips[key] = np.zeros_like(data.clips[key])
  scored = run(Network(), data, WHOLE, label="ours")
  assert set(scored.rows["ours"]) == {
    *("cmu_p1", "cmu_p1_1_views", "cmu_p1_2_views", "cmu_p2")
  }
  assert "Not scored in the pictures: this split has no joints" in scored.table()


def test_what_knows_nothing_to_compare_with_is_refused(clips):
  with pytest.raises(
    ValueError, match=r"got clips without a whole 3D pose, expected .*"
  ):
    run(Lifter(), without_3d(clips), LIFTER)
  data = without_3d(pictured(clips))
  data.clips["keypoints_valid"] = np.zeros_like(data.clips["keypoints_valid"])
  message = (
    "split 'test': got clips without a whole 3D pose or a 2D joint, expected some"
  )
  with pytest.raises(ValueError, match=message):
    run(Network(), data, WHOLE)


@pytest.mark.parametrize("options", [dict(flip=True), dict(every=2)])
def test_averaging_and_strides_are_refused(clips, options):
  scorer = view_scoring.MultiviewScorer(
    Lifter(), lambda *_: clips, window=4, inputs=LIFTER
  )
  with pytest.raises(ValueError, match="expected False and 1: clips of several views"):
    scorer({}, Evaluation("test", ("cmu_p1",), **options))


@pytest.mark.parametrize("lacking", ["cameras", "lifter"])
def test_a_detector_is_refused_where_other_cameras_cannot_be_told(clips, lacking):
  module = Network() if lacking == "lifter" else Lifter()
  inputs = LIFTER[:3] if lacking == "cameras" else LIFTER
  scorer = view_scoring.MultiviewScorer(
    module, lambda *_: clips, window=4, inputs=inputs
  )
  with pytest.raises(ValueError, match="got detector=True, expected False: of several"):
    scorer({}, Evaluation("test", ("cmu_p1",), detector=True))


def test_devices_share_a_batch(clips):
  mesh = jax.sharding.Mesh(np.asarray(jax.devices()), ("data",))
  scorer = view_scoring.MultiviewScorer(
    Lifter(), lambda *_: clips, window=4, inputs=LIFTER, mesh=mesh, batch_size=4
  )
  variables = dict(params=dict(bias=np.zeros((1, 1, 1, 1), np.float32)))
  scored = scorer(variables, Evaluation("test", NAMES))
  one = run(Lifter(), clips, LIFTER)
  assert scored.numbers["cmu_p1"][0] == pytest.approx(one.numbers["cmu_p1"][0])
