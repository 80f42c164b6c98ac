import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.data import transforms
from jaxpose.geometry import cameras

H36M = skeletons.get("h36m17")
KEY = jax.random.key(0)


def array(*shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def person(b=64, t=27, seed=0):
  """World joints of something person-sized that wanders about; (b, t, 17, 3)."""
  rng = np.random.default_rng(seed)
  body = rng.uniform([-0.4, -0.4, -0.9], [0.4, 0.4, 0.9], size=(b, 1, 17, 3))
  body[:, :, 0] = 0
  path = (
    rng.uniform(-2, 2, size=(b, 1, 1, 3))
    + rng.normal(size=(b, 1, 1, 3)) * 0.5 * (np.linspace(-1, 1, t)[:, None, None])
  )
  path[..., 2] = 0.95
  return jnp.asarray(body + path, jnp.float32)


@pytest.mark.parametrize("name", list(skeletons.SKELETONS))
def test_flip_twice_is_nothing(name):
  skeleton = skeletons.get(name)
  x = array(2, 3, skeleton.num_joints, 3)
  once = transforms.flip(x, skeleton)
  np.testing.assert_array_equal(transforms.flip(once, skeleton), x)
  np.testing.assert_array_equal(transforms.flip(np.asarray(x), skeleton), once)


def test_flip_negates_x_and_swaps_left_and_right():
  x = np.asarray(array(17, 2))
  flipped = transforms.flip(x, H36M)
  left, right = H36M.index("left_wrist"), H36M.index("right_wrist")
  np.testing.assert_array_equal(flipped[left], x[right] * [-1, 1])
  np.testing.assert_array_equal(flipped[0], x[0] * [-1, 1])


def test_flipped_camera_sees_the_flipped_scene(golden):
  data = np.load(golden / "camera_h36m_S9_cam1.npz")
  intrinsics = data["intrinsic"].astype(np.float64)
  intrinsics[2] = 0.05
  points = data["camera"].astype(np.float64)
  seen = cameras.project(points, intrinsics[None])
  mirrored = transforms.flip_camera_intrinsics(intrinsics)
  np.testing.assert_array_equal(mirrored[[2, 7]], -intrinsics[[2, 7]])
  again = cameras.project(transforms.flip(points, H36M), mirrored[None])
  np.testing.assert_allclose(again, transforms.flip(seen, H36M), atol=1e-12)
  batched = transforms.flip_camera_intrinsics(jnp.asarray(intrinsics)[None])
  np.testing.assert_allclose(batched[0], mirrored, rtol=1e-6)


def test_rotate_scale_equals_the_published_jitter(golden):
  data = np.load(golden / "label_jitter.npz")
  pose = np.broadcast_to(data["pose"], (9, 17, 3))
  angle, scale = data["angle_deg_scale"].T
  out = transforms.rotate_scale_xy(pose, angle, scale)
  np.testing.assert_allclose(out, data["out"], atol=1e-6)
  on_jax = transforms.rotate_scale_xy(*map(jnp.asarray, (pose, angle, scale)))
  np.testing.assert_allclose(on_jax, data["out"], atol=1e-6)


def test_label_jitter_draws_one_of_nine_per_window(golden):
  data = np.load(golden / "label_jitter.npz")
  windows = jnp.broadcast_to(data["pose"], (900, 2, 17, 3))
  out = np.asarray(jax.jit(transforms.label_jitter)(KEY, windows))
  np.testing.assert_array_equal(out[:, 0], out[:, 1])
  distance = np.abs(out[:, None, 0] - data["out"]).max((-1, -2))
  assert distance.min(1).max() < 1e-5
  counts = np.bincount(distance.argmin(1), minlength=9)
  assert (counts > 60).all()
  assert (counts < 150).all()


def film(world, **kw):
  run = jax.jit(lambda k, x: transforms.virtual_camera(k, x, **kw))
  return map(np.asarray, run(KEY, world)[:2])


def distances(pose):
  return np.linalg.norm(pose[..., :, None, :] - pose[..., None, :, :], axis=-1)


@pytest.mark.parametrize("wide", [False, True])
def test_virtual_camera_moves_the_body_rigidly(wide):
  world = person()
  _, joints = film(world, wide=wide)
  points = joints.reshape(64, -1, 3)[:, ::20]
  expected = np.asarray(world).reshape(64, -1, 3)[:, ::20]
  np.testing.assert_allclose(distances(points), distances(expected), atol=1e-4)
  # And never mirrors it.
  aligned = geometry.procrustes_align(points, expected)
  np.testing.assert_allclose(aligned, expected, atol=1e-4)


def test_virtual_camera_projects_what_it_returns():
  keypoints, joints = film(person())
  rays = joints[..., :2] / joints[..., 2:]
  per_window = (keypoints * rays).sum((1, 2, 3)) / (rays * rays).sum((1, 2, 3))
  assert (per_window > 2.2 - 1e-3).all()
  assert (per_window < 2.4 + 1e-3).all()
  expected = per_window[:, None, None, None] * rays
  np.testing.assert_allclose(keypoints, expected, atol=1e-4)


def test_virtual_cameras_are_level_and_in_the_ranges():
  world = person(b=256, t=1)
  # Three extra points show where the world's axes went.
  axes = world[:, :, :1] + jnp.concatenate([jnp.zeros((1, 3)), jnp.eye(3)])[None, None]
  keypoints, joints = film(jnp.concatenate([world, axes], 2))
  frame = joints[:, 0, 17:]
  rotation = np.swapaxes(frame[:, 1:] - frame[:, :1], 1, 2)
  np.testing.assert_allclose(rotation[:, 0, 2], 0, atol=1e-4)
  assert (rotation[:, 1, 2] < 0).all()
  position = np.asarray(axes[:, 0, 0]) - np.einsum("bij,bi->bj", rotation, frame[:, 0])
  assert (position[:, 2] > 1.2 - 1e-3).all()
  assert (position[:, 2] < 1.8 + 1e-3).all()
  away = position[:, :2] - np.asarray(world[:, :, 0, :2].mean(1))
  distance = np.linalg.norm(away, axis=-1)
  assert distance.min() > 4.5 - 1e-3
  assert distance.max() < 6.5 + 1e-3
  assert distance.std() > 0.4
  quadrant = np.bincount(
    (np.arctan2(away[:, 1], away[:, 0]) // (np.pi / 2)).astype(int) + 2
  )
  assert (quadrant > 35).all()
  assert np.abs(keypoints[:, :, 0, 0]).max() > 0.4
  assert np.abs(keypoints[:, :, :17]).max() < 1


def test_wide_cameras_look_down_and_up_from_near_and_far():
  world = person(b=256, t=1)
  up = world[:, :, :1] + jnp.asarray([0.0, 0.0, 1.0])[None, None, None]
  keypoints, joints = film(jnp.concatenate([world, up], 2), wide=True)
  distance = np.linalg.norm(joints[:, 0, 0], axis=-1)
  assert np.quantile(distance, 0.1) < 3
  assert np.quantile(distance, 0.9) > 7
  vertical = joints[:, 0, -1] - joints[:, 0, 0]
  pitch = np.degrees(np.arcsin(-vertical[:, 2]))  # above 0 where it looks down
  assert pitch.min() < -5
  assert pitch.max() > 30
  roll = np.degrees(np.arctan2(vertical[:, 0], -vertical[:, 1]))
  assert 3 < roll.std() < 10
  focal = np.asarray(cameras.fit_focal(keypoints, joints))
  assert focal.max() > 3 * focal.min()
  rays = joints[..., :2] / joints[..., 2:]
  np.testing.assert_allclose(keypoints, focal[:, None, None, None] * rays, atol=1e-3)


def test_without_offset_the_person_is_centred():
  keypoints, _ = film(person(t=1), max_offset=0.0)
  np.testing.assert_allclose(keypoints[:, 0, 0], 0, atol=1e-4)


@pytest.mark.parametrize("wide", [False, True])
def test_a_fast_window_stays_in_front_of_the_camera(wide):
  world = person(b=128, t=81) + 10 * jnp.linspace(-1, 1, 81)[None, :, None, None]
  _, joints = film(world, wide=wide)
  assert joints[..., 2].min() > 1 - 1e-3


def test_virtual_camera_accepts_camera_frame_joints():
  world = person(b=8)
  ring = cameras.camera_ring(np.random.default_rng(0), np.asarray([0, 0, 0.9]), 8)
  rotation = jnp.stack([c.rotation for c in ring])
  position = jnp.stack([c.position for c in ring])
  seen = cameras.world_to_camera(world.reshape(8, -1, 3), rotation, position)
  from_camera = transforms.virtual_camera(
    KEY, seen.reshape(world.shape), rotation, position
  )
  from_world = transforms.virtual_camera(KEY, world)
  for a, b in zip(from_camera[:2], from_world[:2], strict=True):
    np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("from_camera", [False, True])
def test_virtual_camera_says_how_it_turned_the_joints(from_camera, wide):
  given, camera = person(b=8), ()
  if from_camera:
    ring = cameras.camera_ring(np.random.default_rng(0), np.asarray([0, 0, 0.9]), 8)
    camera = (
      jnp.stack([c.rotation for c in ring]),
      jnp.stack([c.position for c in ring]),
    )
    flat = cameras.world_to_camera(given.reshape(8, -1, 3), *camera)
    given = flat.reshape(given.shape)
  _, joints, turn = transforms.virtual_camera(KEY, given, *camera, wide=wide)
  bones = given[:, :, 1:] - given[:, :, :1]
  turned = jnp.einsum("bij,btkj->btki", turn, bones)
  np.testing.assert_allclose(turned, joints[:, :, 1:] - joints[:, :, :1], atol=1e-4)


def test_half_a_camera_is_refused():
  with pytest.raises(
    ValueError, match="got one of rotation and position, expected both"
  ):
    transforms.virtual_camera(KEY, person(b=1), jnp.eye(3)[None])
