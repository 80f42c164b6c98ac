"""The multi-view network at work: pictures of several cameras to poses in the world.

* `Views` are the cameras that see one person, and `Clip` what they saw: a folder,
  records or arrays made the same thing. Pictures are read a frame at a time.
* The spatial module runs once for each image. Its output for the last frames is kept on
  the device (`Memory`), and windows of frames are related from there, the same for
  clips and for streams.
* `root` and `put_together` go from the network's crops to the recorded pictures, and
  from root-relative poses to the world.
* `MultiviewStream` does it instant by instant, for cameras as they film.
"""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import UInt8
from PIL import Image
from tqdm import tqdm

from jaxpose.data import clip_windows
from jaxpose.data import view_records
from jaxpose.data.view_data import text
from jaxpose.formats import boxes as box_files
from jaxpose.formats import calibration
from jaxpose.formats import recordings
from jaxpose.formats.calibration import Calibrated
from jaxpose.formats.lens import Lens
from jaxpose.formats.view_poses import MultiviewPoses
from jaxpose.geometry import camera_crops
from jaxpose.geometry import cameras
from jaxpose.geometry import triangulation
from jaxpose.geometry.cameras import Camera
from jaxpose.models import multiview
from jaxpose.models.multiview_relations import Cameras
from jaxpose.motion import frame_rates
from jaxpose.predict import lifting
from jaxpose.skeletons import Skeleton
from jaxpose.weights import pretrained


@dataclasses.dataclass(frozen=True, eq=False)
class Views:
  """The cameras of a recording.

  Attributes:
    names: of the cameras.
    image_size: (width, height) of the pictures of each.
    rig: the cameras without distortion, with pictures of that size; None if unknown.
    lenses: from recorded pictures to undistorted ones; None where nothing changes.
  """

  names: tuple[str, ...]
  image_size: tuple[tuple[int, int], ...]
  rig: tuple[Camera, ...] | None = None
  lenses: tuple[Lens, ...] | None = None

  @property
  def rotation(self) -> Float[np.ndarray, "v 3 3"]:
    """World to camera."""
    return np.stack([camera.rotation for camera in self.rig])

  @property
  def position(self) -> Float[np.ndarray, "v 3"]:
    """Of the cameras in the world, metres."""
    return np.stack([camera.position for camera in self.rig])

  def crop_intrinsics(
    self, boxes: Float[np.ndarray, "t v 4"], size: int
  ) -> Float[np.ndarray, "t v 4"]:
    """Of the crops round these boxes, in crop units; a dummy without a rig."""
    if self.rig is None:
      return np.ones_like(boxes)
    own = np.stack([camera.intrinsics for camera in self.rig])
    own = np.broadcast_to(np.float64(own), (*boxes.shape[:2], 9))
    crops = camera_crops.crop_intrinsics(own, np.float64(boxes), size=size)
    return triangulation.unit_intrinsics(crops, size)

  def crop(
    self,
    pictures: Sequence[np.ndarray | None],
    boxes: Float[np.ndarray, "v 4"],
    present: Bool[np.ndarray, " v"],
    size: int,
  ) -> UInt8[np.ndarray, "v {size} {size} 3"]:
    """What the network sees of one frame; black where a view is missing."""
    crops = np.zeros((len(boxes), size, size, 3), np.uint8)
    for v in np.flatnonzero(present):
      picture = pictures[v]
      if self.lenses is not None:
        picture = self.lenses[v].picture(picture)
      picture = Image.fromarray(picture)
      crops[v] = camera_crops.crop_picture(picture, boxes[v], size=size)
    return crops

  def recorded(
    self, points: Float[np.ndarray, "t v j 2"]
  ) -> Float[np.ndarray, "t v j 2"]:
    """Pixels of the recorded pictures of pixels of the undistorted ones."""
    if self.lenses is None:
      return points
    return np.stack(
      [lens.original(points[:, v]) for v, lens in enumerate(self.lenses)], 1
    )


def check_rig(rig: Sequence[Camera], names: Sequence[str]) -> None:
  """ValueError for cameras that cannot be, or whose pictures are distorted."""
  if len(set(names)) < len(names):
    raise ValueError(
      f"got cameras of one name in {', '.join(names)}, expected different ones; give "
      "each Camera its name=."
    )
  for camera in rig:
    parts = dict(
      rotation=((3, 3), camera.rotation),
      position=((3,), camera.position),
      intrinsics=((9,), camera.intrinsics),
    )
    for part, (shape, values) in parts.items():
      if np.shape(values) != shape or not np.isfinite(values).all():
        raise ValueError(
          f"camera {camera.name!r}: got {part} = {np.asarray(values).tolist()}, "
          f"expected finite numbers of shape {shape}; calibrate it again."
        )
    if np.any(camera.intrinsics[4:]):
      raise ValueError(
        f"camera {camera.name!r}: got a lens with distortion, expected undistorted "
        "pictures and zeros in entries 4 to 8 of the intrinsics; a folder or a "
        "calibration file may say a distortion."
      )


def check_size(camera: Camera, size: tuple[int, int]) -> None:
  """ValueError unless pictures of that size are the camera's."""
  if tuple(camera.image_size) != tuple(size):
    raise ValueError(
      f"camera {camera.name!r}: got pictures of {size[0]} x {size[1]} pixels, expected "
      f"the calibrated {camera.image_size[0]} x {camera.image_size[1]}."
    )


def checked_boxes(
  boxes: Any, whole: Float[np.ndarray, "t v 4"]
) -> tuple[Float[np.ndarray, "t v 4"], Bool[np.ndarray, "t v"]]:
  """Boxes and where there are any; NaN is none, and None the whole picture."""
  if boxes is None:
    return whole, np.ones(whole.shape[:2], bool)
  boxes = np.asarray(boxes, np.float32)
  if boxes.shape != whole.shape:
    raise ValueError(
      f"got boxes of shape {boxes.shape}, expected {whole.shape}: (cx, cy, w, h) in "
      "pixels for each frame and view, NaN where the person is not seen."
    )
  present = ~np.isnan(boxes).any(-1)
  if not (np.isfinite(boxes) & (boxes[..., 2:] > 0).all(-1, keepdims=True))[
    present
  ].all():
    raise ValueError(
      "got a box without area, expected finite cx, cy and positive w, h, and NaN where "
      "the person is not seen."
    )
  return np.where(present[..., None], boxes, whole), present


_ROUNDS = 10
_LEAST = 0.01  # metres; smaller misfits all count fully
_NEAR = 0.1  # metres before a camera
_DISAGREE = 0.1  # of the box: farther joints are worth a warning


def root(
  joints: Float[np.ndarray, "t j 3"],
  rays: Float[np.ndarray, "t v j 2"],
  weights: Float[np.ndarray, "t v j"],
  rotation: Float[np.ndarray, "v 3 3"],
  position: Float[np.ndarray, "v 3"],
) -> Float[np.ndarray, "t 3"]:
  """Where poses stand in the world: what the rays of all views agree on best.

  The direct linear transform of `triangulation.triangulate` for a whole pose: each
  joint in each view gives two linear equations, weighted by its confidence, and the
  only unknown is the translation. Ten rounds of reweighting by Cauchy's function of the
  misfit in metres, in units of its median, keep a wrong joint or view from counting
  much. One view suffices; the distance then rests on the size of the predicted body.

  Args:
    joints: relative to the root, world axes, metres; NaN where unknown.
    rays: see `triangulation.crop_rays`.
    weights: confidences; 0 where a view is missing.
    rotation: world to camera.
    position: of the cameras, metres.

  Returns:
    Metres; NaN where no view is left, or where the place is not before most of them.
  """
  known = np.isfinite(joints).all(-1)[:, None] & np.isfinite(rays).all(-1)
  known = known & (weights > 0)
  weight = np.where(known, np.float64(weights), 0)
  u = np.where(known[..., None], np.float64(rays), 0)
  point = np.where(known[..., None], np.float64(np.nan_to_num(joints))[:, None], 0)
  turn = np.float64(rotation)[None, :, None]
  # (t, v, j, 2, 3): u times the third row less the first two.
  rows = u[..., None] * turn[..., 2:, :] - turn[..., :2, :]
  offset = np.float64(position)[None, :, None] - point
  right = np.einsum("tvjkc,tvjc->tvjk", rows, offset)
  found = _solve(rows, right, weight)
  for _ in range(_ROUNDS):
    misfit = np.einsum("tvjkc,tc->tvjk", rows, np.nan_to_num(found)) - right
    misfit = np.linalg.norm(misfit, axis=-1)
    unit = _median(misfit, known)
    unit = np.maximum(unit, _LEAST)[:, None, None]
    found = _solve(rows, right, weight / (1 + (misfit / unit) ** 2))
  depth = np.einsum("vc,tvc->tv", turn[0, :, 0, 2], found[:, None] - position[None])
  seen = known.any(-1)
  before = (seen & (depth > _NEAR)).sum(1)
  return np.where((2 * before > seen.sum(1))[:, None], found, np.nan)


def _median(values, known) -> np.ndarray:
  """(t,) of those known; infinite where none is."""
  values = np.where(known, values, np.inf).reshape(len(values), -1)
  at = np.maximum((known.reshape(len(values), -1).sum(1) - 1) // 2, 0)
  return np.take_along_axis(np.sort(values, 1), at[:, None], 1)[:, 0]


def _solve(rows, right, weight) -> np.ndarray:
  """(t, 3) least squares; NaN where there is not one solution."""
  square = np.einsum("tvj,tvjkc,tvjkd->tcd", weight, rows, rows)
  vector = np.einsum("tvj,tvjkc,tvjk->tc", weight, rows, right)
  values = np.linalg.eigvalsh(square)
  usable = values[:, 0] > 1e-8 * np.maximum(values[:, 2], 1e-12)
  square = np.where(usable[:, None, None], square, np.eye(3)[None])
  found = np.linalg.solve(square, vector[..., None])[..., 0]
  return np.where(usable[:, None], found, np.nan)


def put_together(
  views: Views,
  boxes: Float[np.ndarray, "t v 4"],
  present: Bool[np.ndarray, "t v"],
  found: dict[str, np.ndarray],
  *,
  size: int,
  skeleton: Skeleton,
  turned: bool,
  reference: int,
  fps: float,
) -> MultiviewPoses:
  """The result, from what the network says of crops.

  Args:
    views: the cameras.
    boxes: that were cropped.
    present: views that showed something.
    found: keypoints_2d (t, v, j, 2) crop units, scores (t, v, j), and, of a network
      with a 3D stage of its own, joints_3d (t, j, 3).
    size: pixels of a crop.
    skeleton: of the joints.
    turned: whether joints_3d are in the axes of the reference view.
    reference: index of that view.
    fps: frames per second.
  """
  points = np.float64(found["keypoints_2d"])
  scores = np.where(present[..., None], np.float32(found["scores"]), np.float32(0))
  t, _, j, _ = points.shape
  origin, calibrated = skeleton.root, views.rig is not None
  lines = []
  place = np.full((t, 3), np.nan)
  valid = present.any(1)
  if calibrated:
    rays = triangulation.crop_rays(points, views.crop_intrinsics(boxes, size))
    rotation, position = np.float64(views.rotation), np.float64(views.position)
  if "joints_3d" in found:
    joints = np.float64(found["joints_3d"])
    joints = joints - joints[:, origin : origin + 1]
    if turned:
      valid = valid & present[:, reference]
    if calibrated:
      if turned:
        joints = joints @ rotation[reference]
      place = root(joints, rays, np.float64(scores), rotation, position)
  elif calibrated:
    world, known = triangulation.triangulate(
      rays, rotation[None], position[None], np.float64(scores)
    )
    world = np.where(known[..., None], world, np.nan)
    place = world[:, origin]
    joints = world - place[:, None]
    valid = np.isfinite(joints).all((1, 2))
    lines.append("The network has no 3D stage: 3D joints are triangulated 2D joints.")
  else:
    joints, valid = np.full((t, j, 3), np.nan), np.zeros(t, bool)
    lines.append("The network has no 3D stage and there is no calibration: 2D alone.")
  if not calibrated and "joints_3d" in found:
    lines.append(
      "There is no calibration: 3D joints are relative to the root, in the axes of the "
      f"camera {views.names[reference]!r}; where the person stands is not known."
    )
  pixels = camera_crops.uncrop_points(
    (points + 1) * (size / 2), np.float64(boxes), size=size
  )
  if calibrated:
    lines += _agreement(views, boxes, present, pixels, joints + place[:, None])
  pixels = np.where(present[..., None, None], views.recorded(pixels), np.nan)
  return MultiviewPoses(
    keypoints_2d=np.float32(pixels),
    scores=scores,
    present=present,
    joints_3d=np.float32(joints),
    root_3d=np.float32(place),
    valid=valid,
    skeleton=skeleton,
    cameras=views.names,
    axes="world" if calibrated else f"camera {views.names[reference]}",
    fps=fps,
    report="\n".join([*_missing(views, present), *lines]),
  )


def _missing(views: Views, present) -> list[str]:
  lines = [f"{len(present)} frames of {len(views.names)} views."]
  for v, name in enumerate(views.names):
    if not present[:, v].all():
      lines.append(f"Camera {name!r} is missing in {(~present[:, v]).sum()} frames.")
  if not present.any(1).all():
    lines.append(f"In {(~present.any(1)).sum()} frames nobody is seen by any camera.")
  return lines


def _agreement(views: Views, boxes, present, pixels, world) -> list[str]:
  """How far the 3D joints, projected, are from the 2D joints."""
  shares, each = [], []
  for v, camera in enumerate(views.rig):
    seen = present[:, v, None] & np.isfinite(world).all(-1)
    if not seen.any():
      continue
    inside = cameras.world_to_camera(
      np.nan_to_num(world), np.float64(camera.rotation), np.float64(camera.position)
    )
    again = cameras.project(inside, np.float64(camera.intrinsics))
    error = np.linalg.norm(again - pixels[:, v], axis=-1)
    each.append(f"{camera.name} {np.median(error[seen]):.1f}")
    side = np.broadcast_to(boxes[:, v, 2:].max(-1)[:, None], error.shape)
    shares.append((error / side)[seen])
  if not each:
    return ["The poses could not be placed in the world."]
  line = "3D joints projected lie beside the 2D joints by, median pixels by camera: "
  lines = [line + ", ".join(each) + "."]
  share = np.median(np.concatenate(shares))
  if share > _DISAGREE:
    lines.append(
      f"That is {share:.0%} of the box, which is much: check that the calibration's "
      "cameras, unit and image size fit, that the videos start together, and the boxes."
    )
  return lines


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
  """A recording.

  Attributes:
    views: its cameras.
    boxes: of the person in the undistorted pictures, (cx, cy, w, h), pixels.
    present: whether the view shows the person.
    fps: frames per second; 0 if unknown.
    read: frames to give, (t,) bool, to their recorded RGB pictures of all views.
  """

  views: Views
  boxes: Float[np.ndarray, "t v 4"]
  present: Bool[np.ndarray, "t v"]
  fps: float
  read: Callable[[np.ndarray], Iterator[list[np.ndarray]]]

  def __len__(self) -> int:
    return len(self.boxes)


def read_clip(source: Any, *, cameras=None, boxes=None, fps=None, views=None) -> Clip:
  """The recording that a source holds; arguments as of `predict.multiview`.

  Raises:
    ValueError: something is missing or does not fit.
    FileNotFoundError: no such folder.
    ImportError: a video is given and the package that decodes them is not installed.
  """
  folder = isinstance(source, (str, os.PathLike))
  records = isinstance(source, dict) or (
    isinstance(source, (list, tuple)) and source and isinstance(source[0], dict)
  )
  given = dict(cameras=cameras, boxes=boxes, fps=fps)
  if folder or records:
    extra = [name for name, value in given.items() if value is not None]
    if extra:
      raise ValueError(
        f"got {extra[0]}= with {'a folder' if folder else 'records'}, expected it with "
        "arrays; a folder or record says that itself, see docs/multiview.md."
      )
  if not folder and views is not None:
    raise ValueError(
      "got views= without a folder, expected it with one; choose before."
    )
  if folder:
    return _folder(pathlib.Path(source).expanduser(), views)
  if records:
    return _records([source] if isinstance(source, dict) else list(source))
  return _arrays(source, **given)


def _folder(folder: pathlib.Path, names) -> Clip:
  if not folder.is_dir():
    raise FileNotFoundError(
      f"{folder}: no such folder; expected one with a calibration and a video or a "
      "folder of pictures for each camera, see docs/multiview.md."
    )
  calibrated = bool(calibration.candidates(folder))
  views, count = recordings.open_views(folder, None, names, calibrated=calibrated)
  found = [recordings.boxes(view, count) for view in views]
  boxes, present = (np.stack(x, 1) for x in zip(*found, strict=True))
  lenses = tuple(view.lens for view in views)
  rig = tuple(lens.camera for lens in lenses)
  known = Views(
    tuple(camera.name for camera in rig),
    tuple(view.source.image_size for view in views),
    rig if calibrated else None,
    lenses if calibrated else None,
  )

  def read(wanted):
    return recordings.pictures(views, count, wanted)

  return Clip(known, np.float32(boxes), present, float(views[0].source.fps), read)


def _records(records: list[dict]) -> Clip:
  """Clips of one recording, one after the other; see `view_records`."""
  first = records[0]
  names = tuple(text(name) for name in first["cameras"])
  sizes = tuple((int(w), int(h)) for w, h in first["image_size"])
  fixed = ("intrinsics", "camera_rotation", "camera_position")
  for record in records[1:]:
    same = [np.array_equal(record[key], first[key]) for key in fixed]
    if not all(same):
      raise ValueError(
        f"got the record {text(record['sequence'])!r} of other cameras than "
        f"{text(first['sequence'])!r}, expected clips of one recording; call once for "
        "each."
      )
  rig = tuple(
    Camera(*(np.asarray(part, np.float64) for part in parts), size, name)
    for *parts, size, name in zip(
      first["camera_rotation"],
      first["camera_position"],
      first["intrinsics"],
      sizes,
      names,
      strict=True,
    )
  )
  check_rig(rig, names)
  encoded = [image for record in records for image in record["images"]]
  boxes = np.concatenate([np.asarray(r["boxes"], np.float32) for r in records])
  present = np.concatenate([np.asarray(r["view_valid"], bool) for r in records])
  whole = [box_files.whole_frame(len(boxes), size).boxes for size in sizes]
  boxes = np.where(present[..., None], boxes, np.stack(whole, 1))

  def read(wanted):
    for frame in np.flatnonzero(wanted):
      part = encoded[frame * len(rig) : (frame + 1) * len(rig)]
      yield [np.asarray(view_records.decode(image)) for image in part]

  return Clip(Views(names, sizes, rig), boxes, present, float(first["fps"]), read)


def _arrays(images, *, cameras, boxes, fps) -> Clip:
  want = "expected (frames, views, height, width, 3) uint8, or one array for each view"
  if isinstance(images, np.ndarray):
    if images.ndim != 5:
      raise ValueError(f"got images of shape {images.shape}, {want}.")
    images = list(np.moveaxis(images, 1, 0))
  if not isinstance(images, (list, tuple)) or not len(images):
    raise ValueError(f"got images of type {type(images).__name__}, {want}.")
  arrays = [np.asarray(part) for part in images]
  shapes = [part.shape for part in arrays]
  for part in arrays:
    if part.dtype != np.uint8 or part.ndim != 4 or part.shape[-1] != 3:
      raise ValueError(
        f"got a view of shape {part.shape} and type {part.dtype}, {want}."
      )
  if len({shape[0] for shape in shapes}) > 1 or not shapes[0][0]:
    counts = ", ".join(str(shape[0]) for shape in shapes)
    raise ValueError(f"got views of {counts} frames, expected the same, at least one.")
  t, v = shapes[0][0], len(arrays)
  sizes = tuple((shape[2], shape[1]) for shape in shapes)
  names = tuple(str(i) for i in range(v))
  if cameras is not None:
    cameras = tuple(cameras)
    names = tuple(camera.name for camera in cameras)
    if len(cameras) != v:
      raise ValueError(
        f"got {len(cameras)} cameras for {v} views, expected one for each; None for "
        "all where there is no calibration."
      )
    check_rig(cameras, names)
    for camera, size in zip(cameras, sizes, strict=True):
      check_size(camera, size)
  found = [box_files.whole_frame(t, size).boxes for size in sizes]
  whole = np.stack(found, 1)
  boxes, present = checked_boxes(boxes, whole)

  def read(wanted):
    for frame in np.flatnonzero(wanted):
      yield [part[frame] for part in arrays]

  return Clip(
    Views(names, sizes, cameras), boxes, present, frame_rates.checked(fps) or 0.0, read
  )


CAMERAS = ("camera_rotation", "camera_position", "crop_intrinsics")
_TOKENS = ("frame", "queries", "local", "places")


@dataclasses.dataclass(frozen=True, eq=False)
class Setup:
  """The network.

  Attributes:
    model: the weights.
    variables: of the module, on the device.
    size: pixels of a crop.
    calibrated: whether it reads cameras.
  """

  model: pretrained.Pretrained
  variables: Any
  size: int
  calibrated: bool

  @property
  def window(self) -> int:
    """Frames that it sees at a time."""
    return self.model.window

  def ratio(self, fps: float) -> float:
    """Of the rates, see `frame_rates`; 0 frames per second are not known."""
    return frame_rates.ratio(fps, self.model.fps)

  def span(self, ratio: float) -> int:
    """Frames of the input from the first to the last that a window may need."""
    return int(np.ceil(np.round((self.window - 1) * ratio, 6))) + 1

  @property
  def lifts(self) -> bool:
    """Whether it has a 3D stage with parameters."""
    return self.model.module.lifter in ("fused", "poseformer")

  @property
  def turned(self) -> bool:
    """Whether its 3D poses are in the axes of the reference view, as for scores."""
    return not self.calibrated


def network_setup(weights: Any) -> Setup:
  """The network of weights, checked.

  Raises:
    ValueError: it is none that looks at several views.
    FileNotFoundError: no such weights.
  """
  model = lifting.loaded(weights)
  if not isinstance(model.module, multiview.MultiView):
    hint = "jaxpose.predict.lift and jaxpose.predict.mesh take those of other models"
    if model.model["name"] == "multiview_lifter":
      hint = "a lifter alone reads 2D poses, not pictures"
    raise ValueError(
      f"got weights of the model {model.model['name']!r}, expected those of "
      f"'multiview'; {hint}."
    )
  known = ("images", "view_mask", *CAMERAS)
  if model.inputs not in (known[:2], known):
    raise ValueError(
      f"got a network with the inputs {', '.join(model.inputs)}, expected "
      f"{', '.join(known[:2])}, or these with {', '.join(CAMERAS)}."
    )
  size = int(model.info.get("crop_size", model.module.image_size))
  variables = jax.device_put(model.variables)
  return Setup(model, variables, size, model.inputs == known)


def require_rig(setup: Setup, views: Views) -> None:
  """ValueError for a recording without calibration and a network that reads it."""
  if setup.calibrated and views.rig is None:
    raise ValueError(
      "got a recording without calibration and weights that read cameras, expected "
      "calibration.toml, calibration.json, or intri.yml with extri.yml beside the "
      "videos (for arrays: cameras=); calibrate, or take weights of a network without "
      "cameras (inputs images and view_mask)."
    )


def reference_index(views: Views, reference: str | None) -> int:
  """Of the named view; the first for None."""
  if reference is None:
    return 0
  if reference not in views.names:
    raise ValueError(
      f"got the reference {reference!r}, expected one of {', '.join(views.names)}."
    )
  return views.names.index(reference)


class Memory(NamedTuple):
  """What is known of the last frames; axes (v, l, ...), the newest last.

  Attributes:
    tokens: of each image.
    present: whether there was one.
    intrinsics: of its crop.
  """

  tokens: dict[str, jax.Array]
  present: jax.Array
  intrinsics: jax.Array


def empty(setup: Setup, views: int, length: int) -> Memory:
  """A memory of nothing."""
  module, size = setup.model.module, setup.size
  shape = jax.ShapeDtypeStruct
  example = Memory(
    {},
    shape((views, 1), bool),
    shape((views, 1, 4), jnp.float32),
  )
  images = shape((views, 1, size, size, 3), jnp.uint8)
  rig = (shape((views, 3, 3), jnp.float32), shape((views, 3), jnp.float32))
  tokens = jax.eval_shape(
    functools.partial(_encode, module),
    setup.variables,
    images,
    example.present,
    example.intrinsics,
    rig if setup.calibrated else None,
  )
  return jax.tree.map(
    lambda a: jnp.zeros((views, length, *a.shape[2:]), a.dtype),
    example._replace(tokens=tokens),
  )


def _encode(module, variables, images, present, intrinsics, rig):
  cameras = None
  if rig is not None:
    cameras = Cameras(rig[0][None], rig[1][None], intrinsics[None])
  out = module.apply(
    variables, images[None], present[None], cameras, method="encode_images"
  )
  return {key: out[key][0] for key in _TOKENS if key in out}


# Keyed by the module's fields, not its variables: weights of one architecture share it.
@functools.lru_cache(maxsize=8)
def _programs(module, lifts: bool):
  """Two programs: `remember` new frames, and `relate` windows of the memory."""

  @jax.jit
  def remember(variables, memory, images, present, intrinsics, rig):
    tokens = _encode(module, variables, images, present, intrinsics, rig)
    new = Memory(tokens, present, intrinsics)
    count = images.shape[1]
    return jax.tree.map(lambda a, b: jnp.concatenate([a[:, count:], b], 1), memory, new)

  @jax.jit
  def relate(variables, memory, at, rig, reference):
    length, b = memory.present.shape[1], len(at)
    inside = (at >= 0) & (at < length)
    at = jnp.clip(at, 0, length - 1)
    taken = jax.tree.map(lambda a: jnp.moveaxis(a[:, at], 0, 1), memory)
    present = taken.present & inside[:, None]
    reference = jnp.full(b, reference)
    cameras = None
    if rig is not None:
      rig = [jnp.broadcast_to(a[None], (b, *a.shape)) for a in rig]
      cameras = Cameras(*rig, taken.intrinsics)
    out = module.apply(
      variables, taken.tokens, present, cameras, reference=reference, method="relate"
    )
    found = {key: out[key] for key in ("keypoints_2d", "scores")}
    found = {key: jnp.moveaxis(a, 1, 2) for key, a in found.items()}  # (b, t, v, ...)
    if lifts:
      args = out["keypoints_2d"], out["scores"], present, cameras
      pose = module.apply(variables, *args, reference=reference, method="lift")
      found["joints_3d"] = pose["joints_3d"]
    return found

  return remember, relate


def rig_of(setup: Setup, views: Views):
  """Rotations and positions for the network; None where it reads none."""
  if not setup.calibrated:
    return None
  return jnp.float32(views.rotation), jnp.float32(views.position)


def remember(
  setup: Setup,
  memory: Memory,
  images: UInt8[np.ndarray, "v t s s 3"],
  present: Bool[np.ndarray, "v t"],
  intrinsics: Float[np.ndarray, "v t 4"],
  rig,
) -> Memory:
  """The memory with these frames at its end, and as many fewer at its beginning."""
  program, _ = _programs(setup.model.module, setup.lifts)
  return program(setup.variables, memory, images, present, np.float32(intrinsics), rig)


def relate(
  setup: Setup, memory: Memory, at: Int[np.ndarray, "b t"], rig, reference: int
) -> dict[str, np.ndarray]:
  """What the network says of windows that hold these places of the memory.

  Places outside of the memory count as missing.

  Returns:
    keypoints_2d: (b, t, v, j, 2) crop units; scores: (b, t, v, j); and of a network
    with a 3D stage joints_3d: (b, t, j, 3).
  """
  _, program = _programs(setup.model.module, setup.lifts)
  out = program(setup.variables, memory, np.int32(at), rig, reference)
  return {key: np.asarray(array) for key, array in out.items()}


def run(
  setup: Setup, clip: Clip, batch_size: int, reference: int, progress: str | None
) -> dict[str, np.ndarray]:
  """What the network says of each frame; (t, ...), see `relate`.

  At most `batch_size` frames of pictures, and a window more of tokens, are in memory.
  """
  t, v = clip.present.shape
  size, ratio = setup.size, setup.ratio(clip.fps)
  chunk = min(batch_size, 1 << (t - 1).bit_length())
  causal = setup.model.module.causal
  windows = clip_windows.plan(t, setup.window, causal, ratio)
  at = frame_rates.nearest(windows.at)
  newest = np.arange(t) if causal else np.minimum(at[:, -1], t - 1)
  group = newest // chunk
  most = int(np.bincount(group).max())
  rig = rig_of(setup, clip.views)
  intrinsics = clip.views.crop_intrinsics(clip.boxes, size)
  memory = empty(setup, v, setup.span(ratio) - 1 + chunk)
  pictures = clip.read(np.ones(t, bool))
  found: dict[str, np.ndarray] = {}
  with tqdm(total=t, desc=progress, unit="frame", disable=not progress) as bar:
    for number in range(-(-t // chunk)):
      frames = np.arange(number * chunk, min((number + 1) * chunk, t))
      images = np.zeros((v, chunk, size, size, 3), np.uint8)
      present = np.zeros((v, chunk), bool)
      cameras = np.ones((v, chunk, 4))  # finite where the clip has ended
      for i, frame in enumerate(frames):
        boxes, there = clip.boxes[frame], clip.present[frame]
        images[:, i] = clip.views.crop(next(pictures), boxes, there, size)
        present[:, i] = there
        cameras[:, i] = intrinsics[frame]
      memory = remember(setup, memory, images, present, cameras, rig)
      mine = np.flatnonzero(group == number)
      if len(mine):
        padded = np.append(mine, np.repeat(mine[-1:], most - len(mine)))
        oldest = (number + 1) * chunk - memory.present.shape[1]
        out = relate(setup, memory, at[padded] - oldest, rig, reference)
        asked = np.flatnonzero(np.isin(windows.window, mine))
        place = np.searchsorted(mine, windows.window[asked])
        for key, array in out.items():
          if key not in found:
            found[key] = np.zeros((t, *array.shape[2:]), array.dtype)
          found[key][asked] = array[place, windows.row[asked]]
      bar.update(len(frames))
  return found


class MultiviewStream:
  """`predict.multiview` for one instant at a time, without delay.

  stream = MultiviewStream("weights.npz", cameras="calibration.toml")
  for pictures in capture:  # one for each camera, None where there is none
    pose = stream.push(pictures)  # MultiviewPoses of one frame

  For networks with `causal=True`. The result of a frame is that of the window of T
  frames which ends with it, T the window of the weights: the network's last row for
  frames i - T + 1 to i, and row i of a window that begins with the stream while i < T.
  `predict.multiview` gives the same for causal networks, but for rounding. Each image
  is encoded once; of the last T frames their tokens are kept, so memory does not grow.
  """

  def __init__(
    self,
    weights: Any,
    *,
    cameras: Sequence[Camera] | str | os.PathLike | None = None,
    views: Sequence[str] | None = None,
    unit: str = "m",
    up: str = "z",
    reference: str | None = None,
    fps: Any = None,
  ):
    """Compiles the network for one instant.

    Args:
      weights: of a causal multi-view network: a released name or a path, or what
        `pretrained.load` returned.
      cameras: calibrated ones without distortion, or a calibration file (see
        docs/multiview.md), whose distortion is undone; None: not calibrated.
      views: names of the cameras, in the order of the pictures: those of the file to
        take; needed without a calibration.
      unit: of length in a file: "m", "cm" or "mm".
      up: axis of the file's world that points up: "z", "-z", "y" or "-y".
      reference: see `predict.multiview`.
      fps: frames per second, see `predict.multiview`.

    Raises:
      ValueError: the network is of another kind, or the cameras do not fit.
      FileNotFoundError: no such weights or no such file.
    """
    self._setup = network_setup(weights)
    if not self._setup.model.module.causal:
      raise ValueError(
        "got weights of a network that looks ahead, expected one with causal=True; "
        "predict.multiview takes this one, or train with --config.model.causal=True."
      )
    self._fps = frame_rates.checked(fps) or 0.0
    self._ratio = self._setup.ratio(self._fps)
    self._calibrated, self._views = _views(cameras, views, unit, up)
    require_rig(self._setup, self._views)
    self._reference = reference_index(self._views, reference)
    self._rig = rig_of(self._setup, self._views)
    count = len(self._views.names)
    self._sizes: list[tuple[int, int] | None] = [None] * count
    self.reset()
    self._step([None] * count, np.ones((count, 4), np.float32), np.zeros(count, bool))
    self.reset()

  @property
  def window(self) -> int:
    """Frames that the network remembers, the one just pushed included."""
    return self._setup.span(self._ratio)

  def reset(self) -> None:
    """Forgets what was pushed; the next push begins another recording."""
    views = len(self._views.names)
    self._memory = empty(self._setup, views, self.window)
    self._pushed = 0

  def push(
    self, pictures: Sequence[np.ndarray | None], *, boxes: Any = None
  ) -> MultiviewPoses:
    """Takes an instant; gives its poses, arrays with one frame.

    Args:
      pictures: (height, width, 3) uint8 RGB of each view; None where there is none.
      boxes: (views, 4) of the person, (cx, cy, w, h) pixels, NaN where not seen; None:
        the whole pictures.

    Raises:
      ValueError: a picture or box is not what it should be.
    """
    names = self._views.names
    if len(pictures) != len(names):
      raise ValueError(
        f"got {len(pictures)} pictures, expected {len(names)}, one for each of the "
        f"views {', '.join(names)}; None for a view that is missing."
      )
    for v, picture in enumerate(pictures):
      if picture is not None:
        self._fit(v, np.asarray(picture))
    sizes = [size or (2, 2) for size in self._sizes]
    whole = np.stack([box_files.whole_frame(1, size).boxes for size in sizes], 1)
    if boxes is not None:
      boxes = np.asarray(boxes, np.float32)[None]
    found, seen = checked_boxes(boxes, whole)
    found, seen = found[0], seen[0]
    seen = seen & np.asarray([picture is not None for picture in pictures])
    found = np.where(seen[:, None], found, whole[0])
    if self._views.lenses is not None:
      found = np.stack(
        [lens.box(box) for lens, box in zip(self._views.lenses, found, strict=True)]
      )
    return self._step(list(pictures), np.float32(found), seen)

  def _fit(self, v: int, picture: np.ndarray) -> None:
    """Sees that a picture is one of this view, whose size the first one decides."""
    name = self._views.names[v]
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
      raise ValueError(
        f"view {name!r}: got a picture of shape {picture.shape} and type "
        f"{picture.dtype}, expected (height, width, 3) uint8, RGB."
      )
    size = picture.shape[1], picture.shape[0]
    if self._sizes[v] == size:
      return
    if self._sizes[v] is not None:
      raise ValueError(
        f"view {name!r}: got a picture of {size[0]} x {size[1]} pixels, expected "
        f"{self._sizes[v][0]} x {self._sizes[v][1]} as before; make a new stream."
      )
    if self._calibrated is not None:
      camera = recordings.resized("stream", self._calibrated[v], size)
      lenses = list(self._views.lenses)
      lenses[v] = Lens(camera, size, max(size))
      rig = tuple(lens.camera for lens in lenses)
      self._views = dataclasses.replace(self._views, rig=rig, lenses=tuple(lenses))
    elif self._views.rig is not None:
      check_size(self._views.rig[v], size)
    self._sizes[v] = size

  def _step(self, pictures, boxes, seen) -> MultiviewPoses:
    setup, views = self._setup, self._views
    images = views.crop(pictures, boxes, seen, setup.size)[:, None]
    intrinsics = views.crop_intrinsics(boxes[None], setup.size)[0][:, None]
    self._memory = remember(
      setup, self._memory, images, seen[:, None], intrinsics, self._rig
    )
    self._pushed = min(self._pushed + 1, self.window)
    # The memory ends with this frame; before it is full, the stream begins within it.
    before = np.round((self._pushed - 1) / self._ratio, 6)
    row = min(setup.window - 1, int(before))
    at = self.window - 1 + (np.arange(setup.window) - row) * self._ratio
    at = frame_rates.nearest(at)[None]
    out = relate(setup, self._memory, at, self._rig, self._reference)
    return put_together(
      views,
      boxes[None],
      seen[None],
      {key: array[:, row] for key, array in out.items()},
      size=setup.size,
      skeleton=setup.model.skeleton,
      turned=setup.turned,
      reference=self._reference,
      fps=self._fps,
    )


def _views(cameras, names, unit, up) -> tuple[list[Calibrated] | None, Views]:
  """What a file says of its cameras, and the views."""
  if isinstance(cameras, (str, os.PathLike)):
    path = pathlib.Path(cameras).expanduser()
    found = {c.name: c for c in calibration.read(path, unit=unit, up=up)}
    names = tuple(found if names is None else names)
    strangers = [name for name in names if name not in found]
    if strangers or not names:
      raise ValueError(
        f"{path}: got the views {', '.join(names) or 'none'}, expected some of its "
        f"cameras, {', '.join(found)}."
      )
    rig = [found[name] for name in names]
    # Until the first pictures come; their sizes may be others.
    sizes = [camera.size or tuple(_guess(camera)) for camera in rig]
    lenses = tuple(Lens(c, size, max(size)) for c, size in zip(rig, sizes, strict=True))
    cameras = tuple(lens.camera for lens in lenses)
    return rig, Views(names, tuple(sizes), cameras, lenses)
  if cameras is not None:
    rig = tuple(cameras)
    own = tuple(camera.name for camera in rig)
    if not rig or names is not None:
      raise ValueError(
        f"got {len(rig)} cameras and views={names}, expected at least one camera, and "
        "views with a calibration file or without cameras."
      )
    check_rig(rig, own)
    return None, Views(own, tuple(camera.image_size for camera in rig), rig)
  if not names:
    raise ValueError(
      "got neither cameras nor views, expected a calibration, or the names of the "
      "views where there is none."
    )
  return None, Views(tuple(names), ((2, 2),) * len(names))


def _guess(camera: Calibrated) -> list[int]:
  return [max(int(2 * c), 2) for c in camera.matrix[:2, 2]]
