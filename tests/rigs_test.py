"""Cameras that have nothing in common."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.geometry import cameras
from jaxpose.geometry import rigs


def test_rigs_differ_in_everything_and_fill_their_ranges():
  target = jnp.asarray([[1.0, -2.0, 0.9]] * 500)
  turn, position, focal = map(np.asarray, rigs.draw(jax.random.key(1), target, 4))
  np.testing.assert_allclose(
    turn @ turn.swapaxes(-1, -2), np.tile(np.eye(3), (500, 4, 1, 1)), atol=1e-5
  )
  offset = position - np.asarray(target)[:, None]
  far = np.linalg.norm(offset[..., :2], axis=-1)
  azimuth = np.arctan2(offset[..., 1], offset[..., 0])
  roll = np.degrees(np.arcsin(np.clip(turn[..., 0, 2], -1, 1)))
  for got, (low, high) in (
    (far, rigs.DISTANCE),
    (position[..., 2], rigs.HEIGHT),
    (focal, rigs.FOCAL),
    (azimuth, (-np.pi, np.pi)),
    (roll, (-10, 10)),
  ):
    room = 0.05 * (high - low)
    assert low - 1e-3 <= got.min() < low + room
    assert high - room < got.max() <= high + 1e-3
    # Neither by rig nor by camera are they alike.
    assert got.std(1).min() > 0
    assert got.std(0).min() > 0.2 * got.std()


def test_cameras_look_at_the_person():
  target = jnp.asarray([[1.0, -2.0, 0.9]] * 50)
  turn, position, _ = rigs.draw(jax.random.key(1), target, 4)
  seen = cameras.world_to_camera(
    jnp.tile(target[:, None, None], (1, 4, 1, 1)), turn, position
  )
  assert (np.abs(seen[..., :2]) < 0.35 * seen[..., 2:]).all()
