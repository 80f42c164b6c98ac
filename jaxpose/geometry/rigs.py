"""Random cameras around a person: rigs of several cameras, or one.

The rings of cameras that motion datasets are stored with are all alike. These differ in
everything that a calibration contains: position, distance, height, direction, roll and
focal length.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxpose.geometry import Array
from jaxpose.geometry import cameras

DISTANCE = (1.6, 10.0)  # metres on the ground, log-uniform
HEIGHT = (0.2, 4.5)  # metres above the ground
ASIDE = 0.15  # of the distance: how far beside the person a camera looks, at most
ROLL = np.radians(10)  # at most
FOCAL = (0.6, 2.2)  # over the width of the image, log-uniform


def draw(
  key: Array, target: Float[Array, "b 3"], views: int
) -> tuple[Float[Array, "b v 3 3"], Float[Array, "b v 3"], Float[Array, "b v"]]:
  """Rotations, positions and focal lengths over the image's width, all independent.

  Args:
    key: JAX random key.
    target: where the person is, metres, floor at z = 0.
    views: cameras of each rig.
  """
  shape = (len(target), views)
  keys = jax.random.split(key, 6)

  def uniform(i, low, high, *more):
    return jax.random.uniform(keys[i], (*shape, *more), minval=low, maxval=high)

  azimuth = uniform(0, 0, 2 * np.pi)
  distance = jnp.exp(uniform(1, *np.log(DISTANCE)))
  person = jnp.broadcast_to(target[:, None], (*shape, 3))
  ground = jnp.stack([jnp.cos(azimuth), jnp.sin(azimuth)], -1) * distance[..., None]
  position = jnp.concatenate(
    [person[..., :2] + ground, uniform(2, *HEIGHT)[..., None]], -1
  )
  aside = uniform(3, -1, 1, 3) * (ASIDE * distance)[..., None]
  view = cameras.look_at(position, person + aside)
  roll = uniform(4, -ROLL, ROLL)
  cos, sin, zero, one = jnp.cos(roll), jnp.sin(roll), 0 * roll, 1 + 0 * roll
  turn = jnp.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], -1)
  focal = jnp.exp(uniform(5, *np.log(FOCAL)))
  return turn.reshape(*shape, 3, 3) @ view, position, focal
