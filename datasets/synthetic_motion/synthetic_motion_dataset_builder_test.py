"""What the generated motion promises, on the config `tiny`."""

import numpy as np
import pytest

from jaxpose.data import sequences
from jaxpose.skeletons import proportions
from synthetic_motion import body
from synthetic_motion import curves
from synthetic_motion import kinematics
from synthetic_motion import motion
from tests import builder_testing

SKELETON = body.SKELETON
FEET = [SKELETON.index("right_foot"), SKELETON.index("left_foot")]


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
  return builder_testing.build_and_read(
    "synthetic_motion", tmp_path_factory.mktemp("data"), config="tiny"
  )


@pytest.fixture(scope="module")
def clips(splits):
  """{(subject, action): (t, 17, 3)} world joints, once per clip."""
  return {
    (
      builder_testing.text(r, "subject"),
      builder_testing.text(r, "action"),
    ): builder_testing.world_joints(r)
    for records in splits.values()
    for r in records
    if builder_testing.text(r, "camera") == "0"
  }


def _flexion(joints, *names):
  """Degrees that the middle joint is bent, 0 if straight."""
  a, b, c = (joints[:, SKELETON.index(name)] for name in names)
  u, v = b - a, c - b
  cosine = (u * v).sum(-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1)
  return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def _forward(joints):
  """(t, 3) horizontal direction that the pelvis faces."""
  right = joints[:, SKELETON.index("right_hip")] - joints[:, SKELETON.index("left_hip")]
  forward = np.stack([-right[:, 1], right[:, 0], 0 * right[:, 0]], -1)
  return forward / np.linalg.norm(forward, axis=-1, keepdims=True)


def test_records_keep_their_promises_and_splits_share_no_subject(splits):
  assert {k: len(v) for k, v in splits.items()} == {
    "train": 64,
    "validation": 32,
    "test": 32,
  }
  builder_testing.check_splits(splits, SKELETON)


def test_every_subject_does_every_action_before_four_cameras(splits):
  for records in splits.values():
    seen = {}
    for r in records:
      key = builder_testing.text(r, "subject"), builder_testing.text(r, "action")
      seen.setdefault(key, set()).add(builder_testing.text(r, "camera"))
    assert {action for _, action in seen} == set(motion.ACTIONS)
    assert all(cameras == set("0123") for cameras in seen.values())


def test_cameras_of_a_clip_see_the_same_world(splits):
  worlds = {}
  for r in splits["train"]:
    joints = builder_testing.world_joints(r)
    first = worlds.setdefault(builder_testing.text(r, "sequence"), joints)
    np.testing.assert_allclose(joints, first, atol=1e-5)


def test_nearly_all_frames_are_in_view(splits):
  valid = np.concatenate([r["frame_valid"] for s in splits.values() for r in s])
  assert valid.mean() > 0.95


def test_build_does_not_import_tensorflow(tmp_path):
  modules = builder_testing.modules_after_build(
    "synthetic_motion", tmp_path, config="tiny"
  )
  assert "tensorflow_datasets" in modules
  assert "tensorflow" not in modules
  assert "apache_beam" not in modules


def test_same_seed_is_bit_equal_and_another_differs():
  def draw(seed):
    subject = motion.sample_subject(seed, "S01")
    return motion.clip(subject, "walking", seed, (80, 100))

  first = draw(3)
  np.testing.assert_array_equal(first, draw(3))
  other = draw(4)
  n = min(len(first), len(other))
  assert np.abs(first[:n] - other[:n]).max() > 0.05


def test_clips_do_not_depend_on_the_order_they_are_made_in(clips):
  subject = motion.sample_subject(0, "S02")
  alone = motion.clip(subject, "sitting", 0, (80, 100))
  np.testing.assert_allclose(clips["S02", "sitting"], alone, atol=1e-5)


def test_bones_are_rigid(clips):
  for key, joints in clips.items():
    for parent, child in SKELETON.bones:
      length = np.linalg.norm(joints[:, parent] - joints[:, child], axis=-1)
      assert np.ptp(length) < 1e-4, (key, SKELETON.joints[child])


def test_both_sides_of_a_body_are_equally_long(clips):
  for joints in clips.values():
    for part in (("hip", "knee"), ("knee", "foot"), ("elbow", "wrist")):
      right, left = (
        np.linalg.norm(
          joints[0, SKELETON.index(f"{side}_{part[0]}")]
          - joints[0, SKELETON.index(f"{side}_{part[1]}")]
        )
        for side in ("right", "left")
      )
      assert abs(right - left) < 1e-4


def test_bodies_differ_in_size():
  bodies = [motion.sample_subject(0, f"S{i:02d}").body for i in range(1, 31)]
  heights = np.array([b.height for b in bodies])
  assert heights.min() >= 1.5
  assert heights.max() <= 1.95
  assert np.ptp(heights) > 0.3
  legs = np.array([b.leg / b.height for b in bodies])
  assert 0.44 < legs.min() < legs.max() < 0.54


def test_bodies_have_the_proportions_of_people(clips):
  for key, joints in clips.items():
    assert not proportions.unusual(joints, SKELETON.name), key
  found = []
  for i in range(1, 201):
    offsets = motion.sample_subject(0, f"S{i:02d}").body.offsets()
    rest = np.zeros_like(offsets)
    for parent, joint in SKELETON.bones:  # parents come first
      rest[joint] = rest[parent] + offsets[joint]
    assert not proportions.unusual(rest[None], SKELETON.name), i
    found.append(list(proportions.measure(rest[None], SKELETON.name).values()))
    shoulders = rest[[SKELETON.index(f"{s}_shoulder") for s in ("left", "right")]]
    np.testing.assert_allclose(rest[SKELETON.index("thorax")], shoulders.mean(0))
  # Near the means of captured people; hips a little wider, as in Human3.6M.
  means = (0.61, 0.32, 0.34, 0.43, 0.25)
  np.testing.assert_allclose(np.mean(found, 0), means, atol=0.01)


@pytest.mark.parametrize("side", ["right", "left"])
def test_knees_and_elbows_stay_in_human_range(clips, side):
  for key, joints in clips.items():
    knee = _flexion(joints, f"{side}_hip", f"{side}_knee", f"{side}_foot")
    elbow = _flexion(joints, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
    assert knee.min() > 1.5, key
    assert knee.max() < 150.5, key
    assert elbow.min() > 3.5, key
    assert elbow.max() < 145.5, key


@pytest.mark.parametrize("side", ["right", "left"])
def test_knees_bend_forward(clips, side):
  for key, joints in clips.items():
    hip, knee, foot = (
      joints[:, SKELETON.index(f"{side}_{name}")] for name in ("hip", "knee", "foot")
    )
    # In the plane of the leg the knee lies in front of the line from hip to ankle.
    right = np.cross(_forward(joints), [0, 0, 1.0])
    ahead = (np.cross(right, foot - hip) * (knee - hip)).sum(-1)
    assert (ahead > 0).all(), key


@pytest.mark.parametrize("side", ["right", "left"])
def test_hips_stay_in_human_range(clips, side):
  for key, joints in clips.items():
    hip, knee = (joints[:, SKELETON.index(f"{side}_{n}")] for n in ("hip", "knee"))
    spine = joints[:, SKELETON.index("spine")] - joints[:, SKELETON.index("hip")]
    thigh = knee - hip
    forward = (thigh * _forward(joints)).sum(-1)
    flexion = np.degrees(
      np.arctan2(forward, -thigh[:, 2])
      + np.arctan2((spine * _forward(joints)).sum(-1), spine[:, 2])
    )
    assert flexion.min() > -45, key
    assert flexion.max() < 145, key


def test_heads_are_up_and_feet_over_the_floor(clips):
  for key, joints in clips.items():
    assert joints[..., 2].min() > 0.04, key
    assert joints[:, FEET, 2].min() < 0.12, key
    assert (joints[:, SKELETON.index("head"), 2] > 0.6).all(), key


def test_standing_feet_do_not_slide(clips):
  for key, joints in clips.items():
    feet = joints[:, FEET]
    down = feet[..., 2] < feet[..., 2].min(0) + 0.004
    # Judged away from landing and lift-off, where the foot rolls.
    inside = down[:-4] & down[1:-3] & down[2:-2] & down[3:-1] & down[4:]
    speed = np.linalg.norm(np.diff(feet[..., :2], axis=0), axis=-1) * curves.FPS
    standing = speed[2:-1][inside] if inside.any() else np.zeros(1)
    assert inside.any(), key
    assert np.percentile(standing, 95) < 0.2, key


def test_motion_is_smooth(clips):
  for key, joints in clips.items():
    second = np.diff(joints, 2, axis=0) * curves.FPS**2
    acceleration = np.linalg.norm(second, axis=-1)
    # Kicks and foot strikes reach some 200 m/s2; the trunk never does.
    assert acceleration.max() < 300, key
    trunk = acceleration[:, [SKELETON.root, SKELETON.index("thorax")]]
    assert trunk.max() < 90, key
    assert np.median(acceleration) < 12, key


def test_nobody_stands_still_and_nobody_teleports(clips):
  for key, joints in clips.items():
    relative = joints - joints[:, :1]
    assert relative.std(0).max() > 0.05, key
    speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1) * curves.FPS
    assert speed[:, SKELETON.root].max() < 4.5, key
    assert speed.max() < 20, key


def test_jumps_leave_the_floor_on_a_parabola():
  found = 0
  for i in range(1, 9):
    subject = motion.sample_subject(0, f"S{i:02d}")
    joints = motion.clip(subject, "jumping", 0, (105, 145))
    both = joints[:, FEET, 2].min(1) - joints[:, FEET, 2].min()
    flight = both > 0.13  # more than raised heels
    if flight.sum() < 5:
      continue
    found += 1
    height = joints[:, SKELETON.root, 2]
    fall = np.diff(height, 2) * curves.FPS**2
    inside = flight[:-2] & flight[1:-1] & flight[2:]
    assert abs(np.median(fall[inside]) + 9.81) < 1.5
  assert found >= 6


def test_arms_swing_against_the_legs():
  right, left = SKELETON.index("right_wrist"), SKELETON.index("left_wrist")
  for i in range(1, 7):
    subject = motion.sample_subject(0, f"S{i:02d}")
    rng = np.random.default_rng(i)
    track = motion._one(rng, subject.body, subject.style, "walking", 0.0, 120)
    joints = kinematics.solve(track, subject.body).joints
    forward = _forward(joints)
    legs = ((joints[:, FEET[0]] - joints[:, FEET[1]]) * forward).sum(-1)
    arms = ((joints[:, right] - joints[:, left]) * forward).sum(-1)
    assert np.corrcoef(legs, arms)[0, 1] < -0.6


def test_sitting_reaches_a_chair():
  for i in range(1, 9):
    subject = motion.sample_subject(0, f"S{i:02d}")
    joints = motion.clip(subject, "sitting", 0, (105, 145))
    low = joints[:, SKELETON.root, 2].argmin()
    pose = joints[low]
    thighs = pose[SKELETON.index("right_knee")] - pose[SKELETON.index("right_hip")]
    assert 0.4 < pose[SKELETON.root, 2] < 0.66
    assert abs(thighs[2]) < 0.25  # nearly level
    trunk = pose[SKELETON.index("thorax")] - pose[SKELETON.root]
    assert trunk[2] > 0.85 * np.linalg.norm(trunk)  # upright


def test_unknown_action_is_refused():
  subject = motion.sample_subject(0, "S01")
  with pytest.raises(ValueError, match="got action 'flying', expected one of walking"):
    motion.clip(subject, "flying", 0, (80, 100))


def test_clips_too_short_for_an_action_are_refused():
  subject = motion.sample_subject(0, "S01")
  with pytest.raises(ValueError, match=r"got frames=\(10, 100\), expected"):
    motion.clip(subject, "walking", 0, (10, 100))


def test_two_bones_reach_their_target():
  rng = np.random.default_rng(0)
  vector = rng.normal(size=(50, 3))
  vector *= rng.uniform(0.3, 0.8, (50, 1)) / np.linalg.norm(vector, axis=1)[:, None]
  limits = body.LIMITS["knee"]
  hinge = np.tile([1.0, 0, 0], (50, 1))
  upper, flexion = kinematics.two_bones(vector, hinge, 0.45, 0.42, -1, limits, 0.99)
  lower = upper @ curves.rotation([-flexion], "x")
  end = upper @ np.array([0, 0, -0.45]) + lower @ np.array([0, 0, -0.42])
  np.testing.assert_allclose(end, vector, atol=1e-9)


def test_smooth_lower_never_exceeds_its_input():
  x = np.random.default_rng(0).normal(size=200)
  assert (curves.smooth_lower(x, 4) <= x + 1e-12).all()


def test_hermite_passes_its_keys():
  times, values = [0.0, 0.5, 2.0], [1.0, -1.0, 3.0]
  out = curves.hermite(np.array([-1.0, 0.0, 0.5, 2.0, 3.0]), times, values)
  np.testing.assert_allclose(out, [1.0, 1.0, -1.0, 3.0, 3.0], atol=1e-12)


def test_features_are_those_of_all_sequence_datasets(splits):
  for records in splits.values():
    for r in records[:4]:
      assert set(r) == set(sequences.features(SKELETON))
