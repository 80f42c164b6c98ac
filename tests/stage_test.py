import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.draw import stage
from jaxpose.motion import bone_rotations

H36M = skeletons.get("h36m17")
SIZE = (300, 360)


def standing(skeleton=H36M):
  """(j, 3) a T-pose on the floor, z up, facing -y as before a camera."""
  joints = np.zeros((skeleton.num_joints, 3))
  for parent, j in skeleton.bones:
    joints[j] = joints[parent] + 0.24 * bone_rotations.t_pose(skeleton)[j]
  joints = joints @ np.asarray([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]).T
  return joints - [0, 0, joints[:, 2].min()]


def clip(path):
  return standing()[None] + np.concatenate([path, 0 * path[:, :1]], -1)[:, None]


def test_the_eye_is_still_where_the_body_stays_near():
  path = 0.3 * np.random.default_rng(0).uniform(-1, 1, (40, 2))
  views = stage.views(clip(path), SIZE, 25)
  assert len(views) == 40
  assert all((v.position == views[0].position).all() for v in views)


def test_the_eye_goes_along_smoothly_with_a_walk():
  rng = np.random.default_rng(0)
  path = np.linspace([0, 0], [3.0, -4.0], 100) + 0.02 * rng.normal(size=(100, 2))
  views = stage.views(clip(path), SIZE, 25)
  eye = np.stack([v.position for v in views])
  step = np.linalg.norm(np.diff(eye, axis=0), axis=-1)
  assert step.max() < 0.07  # of 0.05 on average; the body's own reach 0.1
  assert step[30:70].min() > 0.03
  pixels, depth = stage.project(clip(path)[50, :1], views[50])
  np.testing.assert_allclose(pixels[0], np.asarray(SIZE) / 2, atol=60)
  assert depth[0] > 2


def test_unknown_joints_do_not_move_the_eye():
  joints = clip(np.zeros((10, 2)))
  expected = stage.views(joints, SIZE, 25)
  joints[3:5] = np.nan
  found = stage.views(joints, SIZE, 25)
  np.testing.assert_allclose(found[3].position, expected[3].position)
  joints[:] = np.nan
  assert np.isfinite(stage.views(joints, SIZE, 25)[0].position).all()


def test_the_whole_body_is_in_the_picture():
  for azimuth in (0.0, 90.0, 200.0):
    view = stage.views(standing()[None], SIZE, 25, azimuth=azimuth)[0]
    pixels, _ = stage.project(standing(), view)
    assert (pixels > 0).all()
    assert (pixels < np.asarray(SIZE)).all()
    assert np.ptp(pixels[:, 1]) > 0.4 * SIZE[1]


def test_up_is_up_and_the_inputs_side_is_azimuth_0():
  view = stage.views(standing()[None], SIZE, 25, azimuth=0.0)[0]
  pixels, _ = stage.project(standing(), view)
  assert pixels[H36M.index("head"), 1] < pixels[H36M.index("left_foot"), 1]
  # It looks along +y: the left hand of a person that faces it is at the right.
  left, right = (pixels[H36M.index(f"{s}_wrist"), 0] for s in ("left", "right"))
  assert left > right


def test_the_floor_has_lines_that_fade_away():
  view = stage.views(standing()[None], SIZE, 25)[0]
  image = stage.floor(view)
  assert image.shape == (SIZE[1], SIZE[0], 3)
  assert (image[:40] == stage.BACKGROUND).all()  # above the horizon
  near, far = image[-120:-60].min(), image[140:170].min()
  assert near < far <= 255


def test_left_is_blue_and_right_is_orange():
  view = stage.views(standing()[None], SIZE, 25, azimuth=0.0)[0]
  image = stage.floor(view)
  stage.body(image, standing(), H36M, view)
  pixels, _ = stage.project(standing(), view)
  for side, strong, weak in (("left", 2, 0), ("right", 0, 2)):
    x, y = np.rint(pixels[H36M.index(f"{side}_elbow")]).astype(int)
    colour = image[y, x].astype(int)
    assert colour[strong] > colour[weak] + 60


def test_near_limbs_cover_far_ones():
  joints = standing()
  back = joints.copy()
  arm = H36M.index("left_elbow"), H36M.index("left_wrist")
  for depth, expected in ((-0.4, 2), (0.4, 0)):  # y: towards the eye, and away
    posed = back.copy()
    posed[arm[0]] = joints[H36M.index("right_hip")] + [0.1, depth, 0]
    posed[arm[1]] = joints[H36M.index("right_knee")] + [-0.1, depth, 0]
    posed[H36M.index("right_knee")] = joints[H36M.index("right_knee")]
    view = stage.views(joints[None], SIZE, 25, azimuth=0.0)[0]
    image = stage.floor(view)
    stage.body(image, posed, H36M, view)
    thigh = joints[[H36M.index("right_hip"), H36M.index("right_knee")]].mean(0)
    low = posed[list(arm)].mean(0)
    place = thigh if expected == 0 else low
    x, y = np.rint(stage.project(place[None], view)[0][0]).astype(int)
    colour = image[y, x].astype(int)
    assert colour.argmax() == expected


def test_bones_with_an_unknown_end_are_left_out():
  view = stage.views(standing()[None], SIZE, 25)[0]
  image = stage.floor(view)
  empty = image.copy()
  stage.body(image, np.full((17, 3), np.nan), H36M, view)
  np.testing.assert_array_equal(image, empty)
  joints = standing()
  joints[H36M.index("left_wrist")] = np.nan
  stage.body(image, joints, H36M, view)
  assert (image != empty).any()


@pytest.mark.parametrize("name", skeletons.SKELETONS)
def test_every_skeleton_has_limbs(name):
  skeleton = skeletons.get(name)
  limbs = stage.limbs(skeleton)
  assert len(limbs) >= skeleton.num_joints - 3
  for limb in limbs:
    sides = {skeleton.joints[j].partition("_")[0] for j in (limb.start, limb.end)}
    if sides == {"left"}:
      assert limb.colour == stage.LEFT
    assert min(limb.radii) > 0


def test_keypoints_without_a_trunk_get_lines_across():
  coco = skeletons.get("coco17")
  lines = {(coco.joints[x.start], coco.joints[x.end]) for x in stage.limbs(coco)}
  assert ("left_hip", "right_hip") in lines
  assert ("left_shoulder", "right_shoulder") in lines
  assert ("nose", "left_shoulder") not in lines
  pairs = {(x.start, x.end) for x in stage.limbs(H36M)}
  assert pairs == set(H36M.bones)


def test_the_eye_steps_back_from_somebody_who_reaches_out_of_the_picture():
  near = clip(np.stack([np.linspace(-0.4, 0.4, 20)] * 2, -1))
  large = near * 1.3
  views = [stage.views(x, SIZE, 25)[0] for x in (near, large)]
  assert np.linalg.norm(views[1].position) > 1.05 * np.linalg.norm(views[0].position)
  pixels, _ = stage.project(large, views[1])
  inside = (pixels > 0) & (pixels < np.asarray(SIZE))
  assert inside.mean() > 0.99
