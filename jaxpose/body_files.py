"""Bodies by name or from a file: the free ones, and SMPL's own formats.

SMPL is licensed: it can be had, after registration and for non-commercial research, at
https://smpl.is.tue.mpg.de. The free bodies come with jaxpose, see docs/body.md.
"""

import functools
import os
import pathlib
import zipfile

import numpy as np

from jaxpose import body_asset
from jaxpose import smpl_pickle
from jaxpose.body import PARENTS
from jaxpose.body import Body

NUM_VERTICES = 6890
NUM_BETAS = 10  # newer files hold 300 components; the networks predict ten
# Nose, eyes, ears, left and right foot (big toe, small toe, heel), fingers from thumb
# to little finger: SMPL's vertices of the 49-joint set, right before left in the face.
_EXTRA_VERTICES = (
  *(332, 6260, 2800, 4071, 583, 3216, 3226, 3387, 6617, 6624, 6787),
  *(2746, 2319, 2445, 2556, 2673, 6191, 5782, 5905, 6016, 6133),
)
_SHAPES = dict(
  v_template=(NUM_VERTICES, 3),
  shapedirs=(NUM_VERTICES, 3, None),
  posedirs=(NUM_VERTICES, 3, 9 * (len(PARENTS) - 1)),
  J_regressor=(len(PARENTS), NUM_VERTICES),
  weights=(NUM_VERTICES, len(PARENTS)),
  f=(None, 3),
)
_WHERE = (
  "get SMPL at https://smpl.is.tue.mpg.de (registration, non-commercial research), or "
  'use the free body "free"'
)


def load(name_or_path: str | os.PathLike) -> Body:
  """A body by name, or from a file in one of SMPL's formats.

  Args:
    name_or_path: "free" or "free_small", which come with jaxpose; or the path of a
      SMPL file, .pkl as distributed or .npz with the same keys. J_regressor_extra.npy
      (needed) and J_regressor_h36m.npy (for 14 joints) lie beside it or in the folder
      that the environment variable JAXPOSE_SMPL_DIR names.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is not SMPL with 24 joints and 6,890 vertices.
  """
  return _load(os.fspath(name_or_path), os.environ.get("JAXPOSE_SMPL_DIR", ""))


@functools.cache
def _load(name: str, folder: str) -> Body:
  if name in body_asset.FREE:
    return body_asset.load(name)
  path = pathlib.Path(name).expanduser()
  if not path.is_file():
    raise FileNotFoundError(
      f"got the body {name!r}, expected {', '.join(map(repr, body_asset.FREE))} or the "
      f"path of a file that exists; {_WHERE}."
    )
  try:
    return _from_arrays(_read(path), *_regressors([path.parent, folder]))
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from error


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
  if path.suffix == ".pkl":
    return smpl_pickle.read(path.read_bytes())
  if path.suffix != ".npz":
    raise ValueError(
      f"got the ending {path.suffix!r}, expected .pkl or .npz; {_WHERE}."
    )
  try:
    with np.load(path, allow_pickle=False) as data:
      return {key: data[key] for key in (*_SHAPES, "kintree_table") if key in data}
  except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
    raise ValueError(
      "truncated or damaged, or not plain arrays; copy or download it again."
    ) from error


def _regressors(folders) -> tuple[np.ndarray, np.ndarray | None]:
  """The nine extra joints' regressor, and Human3.6M's or None."""
  found = []
  for name, rows in (("J_regressor_extra", 9), ("J_regressor_h36m", 17)):
    paths = [pathlib.Path(folder) / f"{name}.npy" for folder in folders if folder]
    path = next((p for p in paths if p.is_file()), None)
    if path is None and rows == 9:
      raise FileNotFoundError(
        f"got no {name}.npy in {paths[0].parent}, expected it beside SMPL's file or in "
        "the folder JAXPOSE_SMPL_DIR; it comes with the data of SPIN and VIBE."
      )
    regressor = None if path is None else np.load(path, allow_pickle=False)
    if regressor is not None and regressor.shape != (rows, NUM_VERTICES):
      raise ValueError(
        f"got a {name}.npy of shape {regressor.shape}, expected "
        f"{(rows, NUM_VERTICES)}; copy it again."
      )
    found.append(None if regressor is None else np.asarray(regressor, np.float32))
  return found[0], found[1]


def _checked(arrays: dict[str, object]) -> dict[str, np.ndarray]:
  """The arrays that a body needs, if they are SMPL's."""
  checked = {}
  for key, expected in _SHAPES.items():
    array = arrays.get(key)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
      raise ValueError(
        f"got no array {key!r}, expected SMPL's {', '.join(_SHAPES)}; {_WHERE}."
      )
    fits = len(array.shape) == len(expected) and all(
      e in (None, n) for n, e in zip(array.shape, expected, strict=True)
    )
    if not fits:
      sizes = ", ".join("any" if e is None else str(e) for e in expected)
      raise ValueError(
        f"got {key!r} of shape {array.shape}, expected ({sizes}) of SMPL with 24 "
        "joints; SMPL-H and SMPL-X are other bodies, load SMPL's own file."
      )
    checked[key] = array
  if checked["shapedirs"].shape[2] < NUM_BETAS:
    raise ValueError(
      f"got {checked['shapedirs'].shape[2]} shape components, expected at least "
      f"{NUM_BETAS}; load a file with more."
    )
  faces = checked["f"]
  if faces.size and not 0 <= faces.min() <= faces.max() < NUM_VERTICES:
    raise ValueError(
      f"got faces with vertices {faces.min()} to {faces.max()}, expected 0 to "
      f"{NUM_VERTICES - 1}; copy or download it again."
    )
  tree = arrays.get("kintree_table")
  if isinstance(tree, np.ndarray):
    parents = tuple(int(p) for p in np.atleast_2d(tree)[0, 1:])
    if parents != PARENTS[1:]:
      raise ValueError(
        f"got a tree of {len(parents) + 1} joints that is not SMPL's, expected SMPL's "
        "24; load SMPL's own file."
      )
  return checked


def _from_arrays(arrays, extra_regressor, h36m_regressor) -> Body:
  arrays = _checked(arrays)
  regressor = arrays["J_regressor"].astype(np.float64)
  shape_dirs = arrays["shapedirs"][..., :NUM_BETAS]
  return Body(
    template=arrays["v_template"].astype(np.float32),
    shape_dirs=shape_dirs.astype(np.float32),
    pose_dirs=np.moveaxis(arrays["posedirs"], -1, 0).astype(np.float32, order="C"),
    joint_template=(regressor @ arrays["v_template"]).astype(np.float32),
    joint_shape_dirs=np.tensordot(regressor, shape_dirs, 1).astype(np.float32),
    weights=arrays["weights"].astype(np.float32),
    faces=arrays["f"].astype(np.int32),
    extra_vertices=np.asarray(_EXTRA_VERTICES, np.int32),
    extra_regressor=extra_regressor,
    h36m_regressor=h36m_regressor,
  )
