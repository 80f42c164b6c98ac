"""Other people than those who were captured."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.data import people

H36M = skeletons.get("h36m17")
KEY = jax.random.key(0)
B, T = 256, 27


# Of each joint from its parent: a man who faces +y, z up, arms hanging.
OFFSETS = """
  0 0 0.95   0.1 0 0  0 0 -0.42  0 0 -0.4   -0.1 0 0  0 0 -0.42  0 0 -0.4
  0 0 0.22   0 0 0.28  0 0.13 0.18  0 -0.1 0.13
  -0.18 0 -0.02  0 0 -0.29  0 0 -0.27   0.18 0 -0.02  0 0 -0.29  0 0 -0.27
"""


@pytest.fixture(scope="module")
def joints():
  """(256, 27, 17, 3) metres in the world: a man who walks and swings his arms."""
  offsets = np.asarray(OFFSETS.split(), float).reshape(17, 3)
  clip = []
  for time in np.arange(60) / people.FPS:
    swing = np.zeros(17)  # about x, of the bone that ends in a joint
    for side, sign in (("left", 1), ("right", -1)):
      stride = sign * np.sin(2 * np.pi * time)
      swing[[H36M.index(f"{side}_{j}") for j in ("knee", "foot")]] = 0.5 * stride
      swing[H36M.index(f"{side}_foot")] -= 0.5 + 0.4 * stride
      swing[[H36M.index(f"{side}_{j}") for j in ("elbow", "wrist")]] = -0.4 * stride
      swing[H36M.index(f"{side}_wrist")] += 0.5
    cos, sin, (x, y, z) = np.cos(swing), np.sin(swing), offsets.T
    bones = np.stack([x, cos * y - sin * z, sin * y + cos * z], -1)
    pose = np.zeros((17, 3))
    for j, parent in enumerate(H36M.parents):
      pose[j] = bones[j] + (pose[parent] if parent >= 0 else [0, 1.2 * time, 0])
    clip.append(pose)
  starts = np.arange(B) % (len(clip) - T)
  return jnp.asarray(np.stack([clip[s : s + T] for s in starts]), jnp.float32)


def lengths(joints):
  ends = np.asarray(H36M.bones)
  return np.linalg.norm(joints[:, :, ends[:, 1]] - joints[:, :, ends[:, 0]], axis=-1)


def flexion(joints, top, middle, end):
  a, b, c = (np.asarray(joints[:, :, H36M.index(n)]) for n in (top, middle, end))
  upper, lower = b - a, c - b
  upper /= np.linalg.norm(upper, axis=-1, keepdims=True)
  lower /= np.linalg.norm(lower, axis=-1, keepdims=True)
  return np.degrees(np.arccos(np.clip((upper * lower).sum(-1), -1, 1)))


def test_nothing_changes_by_default(joints):
  made = people.varied(KEY, joints, people.Variety())
  np.testing.assert_array_equal(made, joints)


@pytest.mark.parametrize(
  "change",
  [
    lambda joints: people.turn_joints(KEY, joints, 1.0),
    lambda joints: people.tilt(KEY, joints, 1.0),
    lambda joints: people.rise(KEY, joints, 1.0),
  ],
  ids=["turn_joints", "tilt", "rise"],
)
def test_bones_keep_their_lengths(joints, change):
  before, after = lengths(joints), lengths(change(joints))
  rigid = [c not in (H36M.index("neck"), H36M.index("head")) for _, c in H36M.bones]
  np.testing.assert_allclose(after[..., rigid], before[..., rigid], atol=2e-4)
  assert np.abs(np.asarray(change(joints) - joints)).max() > 0.05


def test_bones_of_a_window_have_one_length_and_both_sides_the_same(joints):
  made = people.resize(KEY, joints, 0.09, 0.07)
  ratio = lengths(made) / lengths(joints)
  np.testing.assert_allclose(ratio, ratio[:, :1] * np.ones((1, T, 1)), rtol=1e-3)
  children = [c for _, c in H36M.bones]
  for left, right in zip(H36M.left, H36M.right, strict=True):
    np.testing.assert_allclose(
      ratio[..., children.index(left)], ratio[..., children.index(right)], rtol=1e-3
    )
  spread = np.log(ratio[:, 0, children.index(H36M.index("left_knee"))]).std()
  assert spread == pytest.approx(np.hypot(0.09, 0.07), rel=0.15)


def test_children_are_small_with_long_trunks_and_large_heads(joints):
  made = people.resize(KEY, joints, 0.0, 0.0, children=1.0)
  ratio = lengths(made)[:, 0] / lengths(joints)[:, 0]
  names = [H36M.joints[c] for _, c in H36M.bones]
  thigh, trunk, head = (
    ratio[:, names.index(n)] for n in ("left_knee", "thorax", "head")
  )
  assert (0.45 < thigh).all()
  assert (thigh < 0.96).all()
  assert (trunk > thigh).all()
  assert (head > trunk).all()


def test_knees_and_elbows_bend_as_they_do(joints):
  made = people.turn_joints(KEY, joints, 1.5)
  for top, middle, end in people._HINGES:
    before, after = flexion(joints, top, middle, end), flexion(made, top, middle, end)
    assert (after <= 151).all()
    assert (after >= np.minimum(before, 2) - 1).all()


def test_added_turns_change_slowly(joints):
  still = jnp.broadcast_to(joints[:, :1], joints.shape)
  made = np.asarray(people.turn_joints(KEY, still, 1.0))
  speed = np.linalg.norm(np.diff(made, axis=1), axis=-1) * people.FPS
  assert np.percentile(speed, 99) < 6  # m/s
  assert speed.max() < 15


def test_upper_bodies_are_those_of_other_windows(joints):
  wide = joints * jnp.where(jnp.arange(B) % 2 == 0, 1.0, 1.2)[:, None, None, None]
  made = people.exchange_upper_bodies(KEY, wide, 1.0)
  names = [H36M.joints[c] for _, c in H36M.bones]
  arm, leg = names.index("left_elbow"), names.index("left_knee")
  before, after = lengths(wide), lengths(made)
  np.testing.assert_allclose(after[..., leg], before[..., leg], atol=1e-4)
  np.testing.assert_allclose(
    after[..., arm], np.roll(before[..., arm], 1, axis=0), atol=1e-4
  )
  # Seen from the pelvis the arms are where they were.
  pelvis, other = (np.asarray(people._pelvis(x)) for x in (made, wide))
  wrist = H36M.index("left_wrist")
  seen, was = (
    np.einsum("btij,btj->bti", frame, np.asarray(x[:, :, wrist] - x[:, :, 0]))
    for frame, x in ((pelvis, made), (other, wide))
  )
  np.testing.assert_allclose(seen, np.roll(was, 1, axis=0), atol=2e-3)


def test_a_share_of_the_windows_is_tilted(joints):
  made = people.tilt(KEY, joints, 0.3)
  moved = np.abs(np.asarray(made - joints)).max((1, 2, 3)) > 1e-4
  assert moved.mean() == pytest.approx(0.3, abs=0.09)
  np.testing.assert_allclose(made[:, :, 0], joints[:, :, 0], atol=1e-6)


def test_who_falls_does_so_as_everything_does(joints):
  still = jnp.broadcast_to(joints[:, :1], joints.shape)
  height = np.asarray(people.rise(KEY, still, 1.0))[:, :, 0, 2]
  acceleration = np.diff(height, 2, axis=1) * people.FPS**2
  falls = acceleration.mean(1) < -5
  assert falls.mean() == pytest.approx(1 / 3, abs=0.1)
  np.testing.assert_allclose(acceleration[falls].mean(1), -9.81, rtol=0.02)
  np.testing.assert_allclose(acceleration[~falls].mean(1), 0, atol=0.2)


def test_gradients_and_numbers_are_finite(joints):
  all_of_it = people.Variety(0.06, 0.06, 0.05, 1.0, 0.3, 0.25, 1.0)
  straight = jnp.zeros_like(joints)  # every bone without length or direction
  for x in (joints, straight):
    assert np.isfinite(people.varied(KEY, x, all_of_it)).all()


def test_other_skeletons_are_refused():
  with pytest.raises(ValueError, match=r"'coco17' with augment.stature, limbs, child"):
    people.require(skeletons.get("coco17"))
