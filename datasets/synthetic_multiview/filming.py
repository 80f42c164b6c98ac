"""A clip of a moving person as several cameras see it: pictures and labels."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxpose.draw import render
from jaxpose.geometry import cameras

from . import outfits
from . import person
from . import scene as scenes
from . import things

SAMPLES = 2
# Metres that the surface may lie in front of a joint that still counts as seen: the
# body's radius there, and what bent limbs add.
_RADIUS = dict(hip=0.18, spine=0.16, thorax=0.15, neck=0.14, head=0.15)
_RADIUS |= {f"{s}_hip": 0.16 for s in ("right", "left")}
_RADIUS |= {f"{s}_knee": 0.095 for s in ("right", "left")}
_RADIUS |= {f"{s}_foot": 0.09 for s in ("right", "left")}
_RADIUS |= {f"{s}_shoulder": 0.12 for s in ("right", "left")}
_RADIUS |= {f"{s}_elbow": 0.08 for s in ("right", "left")}
_RADIUS |= {f"{s}_wrist": 0.07 for s in ("right", "left")}
RADIUS = np.array([_RADIUS[name] for name in person.SKELETON.joints])


class Actor(NamedTuple):
  """A person and what they do.

  Attributes:
    joints: (t, 17, 3) world metres.
    figure: of the person.
    colors: of the mesh's vertices.
  """

  joints: np.ndarray
  figure: person.Figure
  colors: np.ndarray


class Clip(NamedTuple):
  """What was filmed.

  Attributes:
    images: (t, v, h, w, 3) uint8.
    boxes: (t, v, 4) of the first actor's surface inside the image: cx, cy, w, h.
    keypoints_2d: (t, v, j, 2) pixels.
    visible: (t, v, j) in the image and not behind anything.
  """

  images: np.ndarray
  boxes: np.ndarray
  keypoints_2d: np.ndarray
  visible: np.ndarray


def stand_in(
  rng: np.random.Generator, joints: np.ndarray, other: np.ndarray
) -> np.ndarray | None:
  """Joints of a second person, turned and moved to where there is room, or None.

  Args:
    rng: source of the draws.
    joints: (t, 17, 3) of the first person, world metres.
    other: (t, 17, 3) of the second.
  """
  for _ in range(6):
    azimuth, turn = rng.uniform(0, 2 * np.pi, 2)
    c, s = np.cos(turn), np.sin(turn)
    turned = (other - other[:, :1].mean(0)) @ np.array(
      [[c, s, 0], [-s, c, 0], [0, 0, 1]]
    )
    aside = rng.uniform(0.7, 1.9) * np.array([np.cos(azimuth), np.sin(azimuth), 0])
    moved = turned + joints[:, :1].mean(0) + aside
    moved[..., 2] = other[..., 2]
    gap = np.linalg.norm(joints[:, :, None, :2] - moved[:, None, :, :2], axis=-1)
    if gap.min() > 0.3:
      return moved
  return None


def sample_actor(
  rng: np.random.Generator, joints, height: float, *, captured: bool = False
) -> Actor:
  """Dresses a person of a height in metres for a clip.

  Args:
    rng: source of the draws.
    joints: (t, 17, 3) world metres.
    height: of the person.
    captured: joints 9 and 10 are those of captured motion (see `person.Figure`), and
      shirts tell nothing of front and back.
  """
  figure = outfits.sample_figure(rng, height)
  if captured:
    figure = dataclasses.replace(figure, nose=True)
  return Actor(joints, figure, outfits.sample_colors(rng, fronts=not captured))


def sample_rig(
  rng: np.random.Generator, joints: np.ndarray, count: int, size: int
) -> list[cameras.Camera]:
  """Cameras round a clip, each zoomed so that the person fills its square image.

  Azimuths are evenly spaced but for 20 degrees, from a random start; distance 3.2 to
  5.5 m, height 0.7 to 2.6 m, roll of a few degrees. The farthest joint of the clip lies
  at 72 to 95 % of the way to the image's edge; of one camera in ten at 100 to 130 %, so
  that it cuts the person.

  Args:
    rng: source of the draws.
    joints: (t, 17, 3) world metres.
    count: cameras.
    size: pixels of the images.
  """
  target = (joints.min((0, 1)) + joints.max((0, 1))) / 2
  start = rng.uniform(0, 2 * np.pi)
  rig = []
  for i in range(count):
    azimuth = start + 2 * np.pi * i / count + np.radians(rng.uniform(-20, 20))
    distance = rng.uniform(3.2, 5.5)
    position = target + distance * np.array([np.cos(azimuth), np.sin(azimuth), 0])
    position[2] = rng.uniform(0.7, 2.6)
    aim = target + rng.normal(0, [0.06, 0.06, 0.04])
    roll = np.radians(np.clip(rng.normal(0, 1.5), -4, 4))
    fill = rng.uniform(1.0, 1.3) if rng.random() < 0.1 else rng.uniform(0.72, 0.95)
    rig.append(_camera(rng, joints, position, aim, roll, fill, size, str(i)))
  return rig


def _camera(rng, joints, position, aim, roll, fill, size, name):
  """A camera that looks at `aim`, its farthest joint at `fill` of the half picture."""
  c, s = np.cos(roll), np.sin(roll)
  turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
  rotation = turn @ cameras.look_at(position, aim)
  seen = cameras.world_to_camera(joints.reshape(-1, 3), rotation, position)
  # A hand's or a shoe's length beyond the joints.
  widest = ((np.abs(seen[:, :2]) + 0.1) / seen[:, 2:]).max()
  focal = fill * size / 2 / widest
  middle = (size - 1) / 2 + rng.normal(0, 0.01 * size, 2)
  intrinsics = np.array([focal, focal, *middle, 0, 0, 0, 0, 0])
  # What is written is what was drawn: rounded once, here.
  return cameras.Camera(
    rotation.astype(np.float32).astype(np.float64),
    position.astype(np.float32).astype(np.float64),
    intrinsics.astype(np.float32).astype(np.float64),
    (size, size),
    name,
  )


def sample_wide_rig(
  rng: np.random.Generator, joints: np.ndarray, count: int, size: int
) -> list[cameras.Camera]:
  """As `sample_rig`, of cameras in more places.

  Half of the rigs go round the person, but for 30 degrees, in the others each camera
  stands anywhere; distance 2.2 to 9 m, height 0.3 to 3.6 m. One camera in three is
  rolled by up to 30 degrees, the others by a few. The farthest joint lies at 60 to 97 %
  of the way to the edge; of one camera in eight at 100 to 135 %.
  """
  target = (joints.min((0, 1)) + joints.max((0, 1))) / 2
  start, around = rng.uniform(0, 2 * np.pi), rng.random() < 0.5
  rig = []
  for i in range(count):
    azimuth = start + 2 * np.pi * i / count + np.radians(rng.uniform(-30, 30))
    if not around:
      azimuth = rng.uniform(0, 2 * np.pi)
    distance = np.exp(rng.uniform(*np.log([2.2, 9.0])))
    position = target + distance * np.array([np.cos(azimuth), np.sin(azimuth), 0])
    position[2] = rng.uniform(0.3, 3.6)
    aim = target + rng.normal(0, [0.1, 0.1, 0.08])
    roll = np.radians(np.clip(rng.normal(0, 3), -8, 8))
    if rng.random() < 1 / 3:
      roll = np.radians(rng.uniform(-30, 30))
    fill = rng.uniform(1.0, 1.35) if rng.random() < 1 / 8 else rng.uniform(0.6, 0.97)
    rig.append(_camera(rng, joints, position, aim, roll, fill, size, str(i)))
  return rig


def sample_scene(
  rng: np.random.Generator,
  actors: list[Actor],
  rig,
  sits: bool,
  *,
  files: Sequence[pathlib.Path] | None = None,
) -> scenes.Scene:
  """A place for these people, with up to three things and a stool for who sits.

  Args:
    rng: source of the draws.
    actors: who is there.
    rig: the cameras.
    sits: the first actor does.
    files: photographs for backdrops, of rigs that may be near and high; None otherwise.
  """
  busy = np.concatenate([a.joints[..., :2].reshape(-1, 2) for a in actors])
  more = {}
  if files is not None:  # nothing stands on a camera, and no ceiling is below one
    more = dict(files=files, highest=max(camera.position[2] for camera in rig))
    busy = np.concatenate([busy, *(camera.position[None, :2] for camera in rig)])
  found = things.sample(rng, busy, int(rng.integers(0, 4)))
  root = actors[0].joints[:, 0]
  low = root[:, 2].argmin()
  if sits and root[low, 2] < 0.36 * actors[0].figure.height:
    seat = root[low] - [0, 0, 0.1 * actors[0].figure.height / 1.7]
    found.append(things.stool(seat, rng))
  reach = max(np.abs(camera.position[:2]).max() for camera in rig) * np.sqrt(2)
  return scenes.sample(rng, float(reach), things.join(found), **more)


def film(rng: np.random.Generator, actors: list[Actor], rig, scene) -> Clip:
  """Films actors; the labels are the first one's.

  Args:
    rng: of the lenses: exposure, tint, noise.
    actors: who is there; all have as many frames.
    rig: cameras with images of one square size.
    scene: where they are.
  """
  meshes = [person.mesh(actor.joints, actor.figure) for actor in actors]
  points, normals = (np.concatenate(x, 1) for x in zip(*meshes, strict=True))
  colors = np.concatenate([actor.colors for actor in actors])
  faces = np.concatenate(
    [person.FACES + i * person.NUM_VERTICES for i in range(len(actors))]
  )
  lit = scenes.shade(scene, normals, colors)
  still, floors = scenes.film(scene, rig, SAMPLES)
  shadows, places = _shadows(scene, points, faces, floors)

  joints = actors[0].joints
  t, size = len(joints), rig[0].image_size[0]
  images = np.empty((t, len(rig), size, size, 3), np.uint8)
  labels = []
  for v, camera in enumerate(rig):
    seen = cameras.world_to_camera(points, camera.rotation[None], camera.position[None])
    people = render.rasterize(
      seen,
      faces,
      lit,
      np.tile(camera.intrinsics, (t, 1)),
      camera.image_size,
      samples=SAMPLES,
    )
    dark = np.take(shadows, places[v], axis=1)[..., None]
    nearer = people.depth <= still.depth[v]
    color = np.where(nearer[..., None], people.color, still.color[v] * dark)
    images[:, v] = _develop(rng, render.resolve(color, SAMPLES))
    depth = np.minimum(people.depth, still.depth[v])
    body = seen[:, : person.NUM_VERTICES]
    labels.append(_labels(joints, body, camera, depth, actors[0].figure))
  boxes, keypoints, visible = (np.stack(x, 1) for x in zip(*labels, strict=True))
  return Clip(images, boxes, keypoints, visible)


def _shadows(scene, points, faces, floors):
  """(t, pixels) brightness of the lamp's pixels, and each floor sample's pixel."""
  centre = (points.min((0, 1)) + points.max((0, 1))) / 2
  radius = 0.5 * float(np.linalg.norm(np.ptp(points, (0, 1))))
  lamp = scenes.shadow_camera(scene, centre, radius + 0.6)
  meshes = [(points, faces)]
  if scene.things is not None:
    meshes.append((scene.things.vertices[None], scene.things.faces))
  lit = np.float32(1)
  for vertices, triangles in meshes:
    seen = cameras.world_to_camera(vertices, lamp.rotation[None], lamp.position[None])
    layer = render.rasterize(
      seen,
      triangles,
      np.ones_like(seen),
      np.tile(lamp.intrinsics, (len(seen), 1)),
      lamp.image_size,
      samples=1,
    )
    lit = lit * np.isinf(layer.depth).astype(np.float32)
  for axis in (1, 2):  # soft edges
    lit = (np.roll(lit, 1, axis) + lit + np.roll(lit, -1, axis)) / np.float32(3)
  shade = 0.9 * scene.direct * scene.light[2]
  shade /= scene.ambient + scene.direct * scene.light[2]
  bright = (1 - np.float32(shade) * (1 - lit)).reshape(len(points), -1)
  bright[:, -1] = 1
  return bright, scenes.shadow_places(lamp, floors)


def _develop(rng, images):
  """uint8 pictures of a camera with its own exposure, tint, contrast and noise."""
  gain = rng.uniform(0.85, 1.25) * rng.normal(1, 0.03, 3)
  images = images * gain.astype(np.float32)
  contrast = np.float32(rng.uniform(0.85, 1.15))
  images = 0.5 + contrast * (images - 0.5)
  noise = np.float32(rng.uniform(0.0, 0.025))
  images += noise * rng.standard_normal(images.shape, np.float32)
  return (255 * np.clip(images, 0, 1) + 0.5).astype(np.uint8)


def _labels(joints, body, camera, depth, figure):
  """Boxes (t, 4), keypoints (t, j, 2), visible (t, j) of one camera."""
  width, height = camera.image_size
  outline = cameras.project(body, camera.intrinsics[None])
  edge = np.array([width - 0.5, height - 0.5])
  low = np.clip(outline.min(1), -0.5, edge)
  high = np.clip(outline.max(1), -0.5, edge)
  boxes = np.concatenate([(low + high) / 2, np.maximum(high - low, 1)], -1)
  seen = cameras.world_to_camera(joints, camera.rotation[None], camera.position[None])
  pixels = cameras.project(seen, camera.intrinsics[None])
  inside = ((pixels >= -0.5) & (pixels < edge)).all(-1) & (seen[..., 2] > render.NEAR)
  sample = np.where(inside[..., None], (pixels + 0.5) * SAMPLES, 0).astype(np.int64)
  frame = np.arange(len(joints))[:, None]
  surface = depth[frame, sample[..., 1], sample[..., 0]]
  size = figure.height / 1.7 * figure.girth
  visible = inside & (surface > seen[..., 2] - RADIUS * size)
  return boxes.astype(np.float32), pixels.astype(np.float32), visible
