"""Where people are filmed: a room or a place outdoors, with light and things in it."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from jaxpose.draw import render
from jaxpose.geometry import cameras

from . import photographs
from . import textures
from .things import Things

_UP = np.array([0.0, 0.0, 1.0])
SHADOW_PIXELS = 192


@dataclasses.dataclass(frozen=True)
class Scene:
  """What does not move in a clip. World metres, the floor at z = 0.

  Attributes:
    light: unit vector to the lamp.
    ambient: strength of the light from above.
    direct: strength of the lamp.
    floor: its texture.
    wall: texture of the walls, or None outdoors.
    room: half width, half depth and height.
    turn: radians of the room about z.
    panels: (n, 8) doors, windows and pictures: wall, left, right, low, high, colour.
    sky: (3, 3) colours of the zenith, the horizon and what stands on it; indoors of the
      ceiling.
    clouds: noise tile.
    things: furniture, or None.
    backdrop: (h, w, 3) photograph on the walls, outdoors behind the horizon, or None.
    ground: the same on the floor.
    scale: metres that the photograph on the floor is wide, and the one on the walls;
      outdoors the latter are as many sixths of a radian.
  """

  light: np.ndarray
  ambient: float
  direct: float
  floor: textures.Texture
  wall: textures.Texture | None
  room: np.ndarray
  turn: float
  panels: np.ndarray
  sky: np.ndarray
  clouds: np.ndarray
  things: Things | None
  backdrop: np.ndarray | None = None
  ground: np.ndarray | None = None
  scale: tuple[float, float] = (3.0, 6.0)


def sample(
  rng: np.random.Generator,
  reach: float,
  things: Things | None,
  *,
  highest: float = 0.0,
  files: Sequence[pathlib.Path] = (),
) -> Scene:
  """A random place.

  Args:
    rng: source of the draws.
    reach: metres from the middle to the farthest camera; walls are behind it.
    things: furniture in it.
    highest: metres of the highest camera; ceilings are above it.
    files: photographs, which then are on two walls of three and on every third floor.
  """
  azimuth, height = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(35, 80))
  light = np.array(
    [np.cos(height) * np.cos(azimuth), np.cos(height) * np.sin(azimuth), np.sin(height)]
  )
  outdoors = rng.random() < 0.3
  if outdoors:
    sky = np.stack(
      [
        np.array([0.35, 0.55, 0.85]) * rng.uniform(0.7, 1.1),
        np.array([0.8, 0.85, 0.9]) * rng.uniform(0.8, 1.05),
        textures.color(rng, (0.1, 0.5), (0.2, 0.5)),
      ]
    )
  else:
    sky = np.tile(textures.color(rng, (0, 0.1), (0.75, 0.95)), (3, 1))
  panels = []
  for _ in range(0 if outdoors else rng.integers(3, 9)):
    left, low = rng.uniform(-6, 5), rng.uniform(0.4, 1.6)
    shade = textures.color(rng, (0, 0.7), (0.15, 1.0))
    high = low + rng.uniform(0.4, 1.4)
    if rng.random() < 0.3:
      low, high = 0.0, 2.05  # a door
    panels.append([rng.integers(4), left, left + rng.uniform(0.5, 1.8), low, high])
    panels[-1] += list(shade)
  place = Scene(
    light,
    float(rng.uniform(0.55, 0.75)),
    float(rng.uniform(0.4, 0.8)),
    textures.sample(rng, saturation=(0, 0.4), value=(0.3, 0.85)),
    None if outdoors else textures.sample(rng, saturation=(0, 0.4), value=(0.4, 0.95)),
    np.array([*rng.uniform(reach + 0.3, reach + 2.5, 2), rng.uniform(2.7, 4.5)]),
    float(rng.uniform(0, np.pi)),
    np.array(panels).reshape(-1, 8),
    sky.astype(np.float32),
    textures.sample_noise(rng),
    things,
  )
  place.room[2] = max(place.room[2], highest + 0.3)
  if not files:
    return place
  chosen = dict(scale=(float(rng.uniform(1.5, 5)), float(rng.uniform(3, 9))))
  for name, share in (("backdrop", 2 / 3), ("ground", 1 / 3)):
    if rng.random() < share:
      chosen[name] = photographs.sample(rng, files)
  return dataclasses.replace(place, **chosen)


def film(scene: Scene, rig, samples: int):
  """The still scene as every camera sees it, and where on the floor its samples lie.

  Args:
    scene: the place.
    rig: `jaxpose.geometry.cameras.Camera`s with images of one size.
    samples: of the rasteriser.

  Returns:
    A layer of `len(rig)` images, and (v, y, x, 2) floor places in metres, NaN where
    something else is seen.
  """
  layers, floors = [], []
  for camera in rig:
    color, depth, floor = _surroundings(scene, camera, samples)
    layer = render.Layer(color[None], depth[None])
    if scene.things is not None:
      points = cameras.world_to_camera(
        scene.things.vertices, camera.rotation, camera.position
      )
      lit = shade(scene, scene.things.normals, scene.things.colors)
      front = render.rasterize(
        points[None],
        scene.things.faces,
        lit[None],
        camera.intrinsics[None],
        camera.image_size,
        samples=samples,
      )
      hidden = front.depth[0] <= depth
      floor = np.where(hidden[..., None], np.float32(np.nan), floor)
      layer = render.over(front, layer)
    layers.append(layer)
    floors.append(floor)
  color, depth = (np.concatenate(x) for x in zip(*layers, strict=True))
  return render.Layer(color, depth), np.stack(floors)


def shade(scene: Scene, normals, colors):
  """Colours of surfaces in the light of the scene."""
  return render.shade(
    normals, colors, scene.light, up=_UP, ambient=scene.ambient, direct=scene.direct
  ).astype(np.float32)


def shadow_camera(scene: Scene, centre, radius: float) -> cameras.Camera:
  """The lamp as a camera far away, whose image holds a ball of that radius."""
  position = centre + 200 * radius * scene.light
  focal = 200 * SHADOW_PIXELS / 2
  middle = (SHADOW_PIXELS - 1) / 2
  return cameras.Camera(
    cameras.look_at(position, centre),
    position,
    np.array([focal, focal, middle, middle, 0, 0, 0, 0, 0]),
    (SHADOW_PIXELS, SHADOW_PIXELS),
  )


def shadow_places(lamp: cameras.Camera, floors: np.ndarray) -> np.ndarray:
  """Index of each floor sample in the lamp's image; its last for those outside."""
  # So far away, the lamp sees the floor by an affine map.
  corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
  corners = cameras.world_to_camera(corners, lamp.rotation, lamp.position)
  origin, right, ahead = cameras.project(corners, lamp.intrinsics).astype(np.float32)
  x, y = floors[..., 0], floors[..., 1]
  column, row = (
    origin[k] + (right - origin)[k] * x + (ahead - origin)[k] * y + 0.5 for k in (0, 1)
  )
  last = SHADOW_PIXELS - 1
  inside = (column >= 0) & (column < last) & (row >= 0) & (row < last)  # not where NaN
  column, row = (np.where(inside, at, last).astype(np.int32) for at in (column, row))
  return row * SHADOW_PIXELS + column


def _surroundings(scene, camera, samples):
  """Floor, walls and sky along the rays of a camera."""
  width, height = camera.image_size
  fx, fy, cx, cy = camera.intrinsics[:4]
  x = ((np.arange(width * samples) + 0.5) / samples - 0.5 - cx) / fx
  y = ((np.arange(height * samples) + 0.5) / samples - 0.5 - cy) / fy
  rays = np.stack(np.broadcast_arrays(x, y[:, None], np.ones(())), -1)
  rays = (rays.reshape(-1, 3) @ camera.rotation).astype(np.float32)
  c, s = np.cos(scene.turn), np.sin(scene.turn)
  turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
  start = (turn @ camera.position).astype(np.float32)
  rays = rays @ turn.T.astype(np.float32)
  n = len(rays)
  with np.errstate(divide="ignore", invalid="ignore"):
    reach = np.full((n, 4), np.inf, np.float32)  # floor, ceiling, two walls
    reach[:, 0] = np.where(rays[:, 2] < 0, -start[2] / rays[:, 2], np.inf)
    if scene.wall is not None:
      room = scene.room.astype(np.float32)
      up = np.where(rays[:, 2] > 0, (room[2] - start[2]) / rays[:, 2], np.inf)
      reach[:, 1] = up
      for k in (0, 1):
        reach[:, 2 + k] = (np.sign(rays[:, k]) * room[k] - start[k]) / rays[:, k]
  which = reach.argmin(1)
  depth = reach[np.arange(n), which]
  at = start + rays * np.where(np.isfinite(depth), depth, 0)[:, None]
  color = np.zeros((n, 3), np.float32)
  on_floor = (which == 0) & np.isfinite(depth)
  places = at[on_floor]
  glow = scene.ambient + scene.direct * scene.light[2]
  if scene.ground is None:
    paint = textures.paint(scene.floor, places[:, 0], places[:, 1])
  else:
    paint = _photograph(scene.ground, scene.scale[0], places[:, 0], places[:, 1])
  color[on_floor] = glow * paint
  if scene.wall is None:
    _outdoors(scene, color, rays, depth, on_floor)
  else:
    _walls(scene, color, at, rays, which)
  floor = np.where(on_floor[:, None], at @ turn, np.float32(np.nan))[:, :2]
  shape = (height * samples, width * samples)
  depth = np.minimum(depth, 1e4).reshape(shape)
  return color.reshape(*shape, 3), depth, floor.reshape(*shape, 2).astype(np.float32)


def _walls(scene, color, at, rays, which):
  for k in (0, 1):
    chosen = np.flatnonzero(which == 2 + k)
    if not len(chosen):
      continue
    side = np.sign(rays[chosen, k])
    along, high = side * at[chosen, 1 - k], at[chosen, 2]
    if scene.backdrop is None:
      paint = textures.paint(scene.wall, along + 3 * k + side, high)
    else:
      paint = _photograph(scene.backdrop, scene.scale[1], along + 3 * k + side, high)
    for wall, left, right, low, top, *shade in scene.panels:
      inside = (along > left) & (along < right) & (high > low) & (high < top)
      paint[inside & (wall == 2 * k + (side > 0))] = shade
    skirting = high < 0.1
    paint[skirting] *= 0.6
    normal = np.zeros((len(chosen), 3))
    normal[:, k] = -side
    color[chosen] = _wall_light(scene, normal) * paint
  above = which == 1
  color[above] = scene.sky[0] * (scene.ambient + 0.3)


def _photograph(picture, width, along, high):
  """(n, 3) colours of a photograph `width` metres wide that stands on the floor."""
  height = width * picture.shape[0] / picture.shape[1]
  return photographs.look_up(picture, along / width, 1 - high / height)


def _wall_light(scene, normal):
  """(n, 1) brightness; the lamp of a room is softer on its walls."""
  lamp = 0.6 * scene.direct * np.maximum(normal @ scene.light, 0)
  return (1.1 * scene.ambient + 0.1 + lamp)[:, None].astype(np.float32)


def _outdoors(scene, color, rays, depth, on_floor):
  zenith, horizon, skyline = scene.sky
  length = np.linalg.norm(rays, axis=-1)
  slope = rays[:, 2] / length
  azimuth = np.arctan2(rays[:, 1], rays[:, 0]) * (
    64 / (2 * np.pi)
  )  # once round the tile
  above = np.flatnonzero(~on_floor)
  high = np.clip(slope[above] * 2.5, 0, 1)[:, None]
  sky = (1 - high) * horizon + high * zenith
  cloud = textures.look_up(scene.clouds, azimuth[above], slope[above] * 64)
  sky = sky + 0.04 * cloud[:, None]
  roof = textures.look_up(scene.clouds, azimuth[above], np.zeros(len(above)))
  sky[slope[above] < 0.05 + 0.04 * roof] = skyline
  if scene.backdrop is not None:
    turn = azimuth[above] * (2 * np.pi / 64) * 6
    sky = _photograph(scene.backdrop, scene.scale[1], turn, 6 * slope[above])
  color[above] = sky
  haze = 1 - np.exp(-np.where(on_floor, depth, 0) / 60)[:, None]
  color[on_floor] += (haze * (horizon - color))[on_floor]
