"""Loads bodies by name or from a file: the free ones, and SMPL's own formats.

The free bodies ship with jaxpose (docs/body.md), packed by tools/bake_body.py. SMPL is
licensed: register at https://smpl.is.tue.mpg.de, for non-commercial research. Its files
are found by gender in a folder, under the names that they have in the wild.
"""

import functools
import os
import pathlib
import re
import zipfile
from collections.abc import Iterable
from collections.abc import Sequence

import numpy as np

from jaxpose.body import PARENTS
from jaxpose.body import Body
from jaxpose.files import smpl_pickle

ASSETS = pathlib.Path(__file__).resolve().parent.parent / "assets"
FREE = {"free": "free_body.npz", "free_small": "free_body_small.npz"}


def load_asset(name: str) -> Body:
  """The free body: "free" (all vertices) or "free_small" (1,500 of them).

  Both have the same betas and the same joints, of all three sets.
  """
  with np.load(ASSETS / FREE[name]) as packed:
    return _unpack({key: packed[key] for key in packed.files})


def _unpack(packed: dict[str, np.ndarray]) -> Body:
  template = packed["template"]
  shape_dirs = packed["shape_dirs"].transpose(2, 1, 0) * packed["shape_scale"]
  weights = np.zeros((len(template), len(packed["joint_template"])), np.float32)
  rows = np.arange(len(template))[:, None]
  weights[rows, packed["weight_joints"].T] = packed["weight_values"].T / np.float32(255)
  joint, vertex = packed["pose_index"]
  pose_dirs = np.zeros((weights.shape[1] - 1, 9, *template.shape), np.float32)
  moved = packed["pose_dirs"].transpose(2, 0, 1) * packed["pose_scale"]
  pose_dirs[joint, :, vertex] = moved
  regressors = {}
  for key, joints in (("extra_regressor", 9), ("h36m_regressor", 17)):
    regressors[key] = np.zeros((joints, len(template)), np.float32)
    regressors[key][tuple(packed[f"{key}_index"])] = packed[f"{key}_value"]
  return Body(
    template=template,
    shape_dirs=shape_dirs.astype(np.float32),
    pose_dirs=pose_dirs.reshape(-1, *template.shape),
    joint_template=packed["joint_template"],
    joint_shape_dirs=packed["joint_shape_dirs"],
    weights=weights,
    faces=packed["faces"].astype(np.int32),
    extra_vertices=packed["extra_vertices"],
    **regressors,
  )


NUM_VERTICES = 6890
NUM_BETAS = 10  # newer files hold 300 components; the networks predict ten
# Nose, eyes, ears, left and right foot (big toe, small toe, heel), fingers from thumb
# to little finger: SMPL's vertices of the 49-joint set, right before left in the face.
_EXTRA_VERTICES = (
  *(332, 6260, 2800, 4071, 583, 3216, 3226, 3387, 6617, 6624, 6787),
  *(2746, 2319, 2445, 2556, 2673, 6191, 5782, 5905, 6016, 6133),
)
_TREE = len(PARENTS)
# Shapes by the names of SMPL's files, and of the package smplx, whose body GLoT's
# checkpoints hold; "m" is the number of vertices.
_SMPL = dict(
  v_template=("m", 3),
  shapedirs=("m", 3, None),
  posedirs=("m", 3, 9 * (_TREE - 1)),
  J_regressor=(_TREE, "m"),
  weights=("m", _TREE),
  f=(None, 3),
)
_SMPLX = dict(
  v_template=("m", 3),
  shapedirs=("m", 3, None),
  posedirs=(9 * (_TREE - 1), "3 m"),
  J_regressor=(_TREE, "m"),
  lbs_weights=("m", _TREE),
  faces_tensor=(None, 3),
  J_regressor_extra=(9, "m"),
)
# basicModel_f_lbs_10_207_0_v1.0.0.pkl, SMPL_NEUTRAL.pkl, SMPL_FEMALE.npz, female.npz
_NAME = re.compile(
  r"(?:basicmodel_|smpl_)?(m|f|n|male|female|neutral)(?:_lbs_.*)?\.(pkl|npz)", re.I
)
_GENDERS = {"m": "male", "f": "female", "n": "neutral"}
_TREES = ("kintree_table", "parents")
_SELECTED = "vertex_joint_selector.extra_joints_idxs"
_WHERE = (
  "get SMPL at https://smpl.is.tue.mpg.de (registration, non-commercial research), or "
  'use the free body "free"'
)


def load(name_or_path: str | os.PathLike) -> Body:
  """A body by name, or from a file in one of SMPL's formats.

  Args:
    name_or_path: "free" or "free_small", which come with jaxpose; "smpl", the neutral
      SMPL in the folder that the environment variable JAXPOSE_SMPL_DIR names; or the
      path of a SMPL file, .pkl as distributed or .npz with the same keys, or of the
      body.npz that `jaxpose.convert --extract_body` writes. J_regressor_extra.npy
      (needed by SMPL's own files) and J_regressor_h36m.npy (for 14 joints) lie beside
      it or in that folder.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is not SMPL with its 24 joints and, if its own, 6,890 vertices.
  """
  return _load(os.fspath(name_or_path), os.environ.get("JAXPOSE_SMPL_DIR", ""))


@functools.cache
def _load(name: str, folder: str) -> Body:
  if name in FREE:
    return load_asset(name)
  path = _neutral(folder) if name == "smpl" else pathlib.Path(name).expanduser()
  if not path.is_file():
    raise FileNotFoundError(
      f"got the body {name!r}, expected {', '.join(map(repr, FREE))}, "
      f"'smpl' or the path of a file that exists; {_WHERE}."
    )
  try:
    return _from_arrays(_read(path), [path.parent, folder])
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from error


def by_gender(folder: str | os.PathLike) -> dict[str, pathlib.Path]:
  """SMPL's files in a folder, under the names they have in the wild, by gender.

  Keys are among "male", "female" and "neutral"; of several files the first counts.
  """
  found: dict[str, pathlib.Path] = {}
  for path in sorted(pathlib.Path(folder).expanduser().iterdir()):
    match = _NAME.fullmatch(path.name)
    if match:
      gender = _GENDERS.get(match[1].lower(), match[1].lower())
      found.setdefault(gender, path)
  return found


def _neutral(folder: str) -> pathlib.Path:
  """The neutral SMPL in a folder."""
  there = bool(folder) and pathlib.Path(folder).expanduser().is_dir()
  path = by_gender(folder).get("neutral") if there else None
  if path is None:
    where = f"the folder {folder}" if there else "no folder"
    raise FileNotFoundError(
      f"got the body 'smpl' with {where} in JAXPOSE_SMPL_DIR, expected a folder with "
      f"one of SMPL_NEUTRAL.npz, SMPL_NEUTRAL.pkl or basicmodel_neutral_lbs_*.pkl; "
      f"{_WHERE}."
    )
  return path


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
  if path.suffix == ".pkl":
    return smpl_pickle.read(path.read_bytes())
  if path.suffix != ".npz":
    raise ValueError(
      f"got the ending {path.suffix!r}, expected .pkl or .npz; {_WHERE}."
    )
  try:
    with np.load(path, allow_pickle=False) as data:
      keys = {*_SMPL, *_SMPLX, *_TREES, _SELECTED}
      return {key: data[key] for key in keys if key in data}
  except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
    raise ValueError(
      "truncated or damaged, or not plain arrays; copy or download it again."
    ) from error


def _regressor(name: str, rows: int, m: int, folders) -> np.ndarray | None:
  """The regressor NAME.npy of the first folder that has it, or None."""
  paths = [pathlib.Path(folder) / f"{name}.npy" for folder in folders if folder]
  path = next((p for p in paths if p.is_file()), None)
  if path is None:
    return None
  regressor = np.load(path, allow_pickle=False)
  if regressor.shape != (rows, m):
    raise ValueError(
      f"got a {name}.npy of shape {regressor.shape}, expected {(rows, m)}; copy it "
      "again."
    )
  return regressor.astype(np.float32)


def _checked(arrays: dict, shapes: dict, m: int) -> dict[str, np.ndarray]:
  """The arrays of these names, if they have these shapes with `m` vertices."""
  checked = {}
  for key, shape in shapes.items():
    array = arrays.get(key)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
      raise ValueError(
        f"got no array {key!r}, expected SMPL's {', '.join(shapes)}; {_WHERE}."
      )
    expected = [{"m": m, "3 m": 3 * m}.get(size, size) for size in shape]
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
  return checked


def _require_vertices(indices: np.ndarray, what: str, m: int) -> None:
  if indices.size and not 0 <= indices.min() <= indices.max() < m:
    raise ValueError(
      f"got {what} with vertices {indices.min()} to {indices.max()}, expected 0 to "
      f"{m - 1}; copy or download it again."
    )


def _require_tree(arrays: dict) -> None:
  for key in _TREES:
    tree = arrays.get(key)
    if isinstance(tree, np.ndarray):
      parents = tuple(int(p) for p in np.atleast_2d(tree)[0, 1:])
      if parents != PARENTS[1:]:
        raise ValueError(
          f"got a tree of {len(parents) + 1} joints that is not SMPL's, expected "
          "SMPL's 24; load SMPL's own file."
        )


def _from_arrays(arrays: dict, folders) -> Body:
  if "lbs_weights" in arrays:
    m = len(np.atleast_1d(arrays.get("v_template", ())))
    selected = {_SELECTED: (len(_EXTRA_VERTICES),)} if _SELECTED in arrays else {}
    checked = _checked(arrays, _SMPLX | selected, m)
    pose_dirs = checked["posedirs"].reshape(-1, m, 3)
    weights, faces = checked["lbs_weights"], checked["faces_tensor"]
    extra_vertices = arrays.get(_SELECTED, np.asarray(_EXTRA_VERTICES))
    extra_regressor = checked["J_regressor_extra"].astype(np.float32)
  else:
    m = NUM_VERTICES
    checked = _checked(arrays, _SMPL, m)
    pose_dirs = np.moveaxis(checked["posedirs"], -1, 0)
    weights, faces = checked["weights"], checked["f"]
    extra_vertices = np.asarray(_EXTRA_VERTICES)
    extra_regressor = _regressor("J_regressor_extra", 9, m, folders)
    if extra_regressor is None:
      raise FileNotFoundError(
        f"got no J_regressor_extra.npy in {folders[0]}, expected it beside SMPL's file "
        "or in the folder JAXPOSE_SMPL_DIR; it comes with the data of SPIN and VIBE."
      )
  _require_vertices(faces, "faces", m)
  _require_vertices(extra_vertices, "selected joints", m)
  _require_tree(arrays)
  regressor = checked["J_regressor"].astype(np.float64)
  shape_dirs = checked["shapedirs"][..., :NUM_BETAS]
  return Body(
    template=checked["v_template"].astype(np.float32),
    shape_dirs=shape_dirs.astype(np.float32),
    pose_dirs=pose_dirs.astype(np.float32, order="C"),
    joint_template=(regressor @ checked["v_template"]).astype(np.float32),
    joint_shape_dirs=np.tensordot(regressor, shape_dirs, 1).astype(np.float32),
    weights=weights.astype(np.float32),
    faces=faces.astype(np.int32),
    extra_vertices=extra_vertices.astype(np.int32),
    extra_regressor=extra_regressor,
    h36m_regressor=_regressor("J_regressor_h36m", 17, m, folders),
  )


def smpl_folders(manual_dir: str | os.PathLike) -> list[pathlib.Path]:
  """Where bodies may lie: a folder `smpl` of the raw files, or JAXPOSE_SMPL_DIR."""
  named = os.environ.get("JAXPOSE_SMPL_DIR")
  found = [pathlib.Path(manual_dir) / "smpl", *([pathlib.Path(named)] if named else [])]
  return [folder for folder in found if folder.is_dir()]


def load_folder(
  places: Iterable[pathlib.Path], genders: Sequence[str]
) -> dict[str, Body] | None:
  """The body of each gender ("male", "female"), or None if no place has any of them.

  Raises:
    ValueError: only some are there, or a file is not SMPL.
    FileNotFoundError: J_regressor_extra.npy is missing.
  """
  for place in places:
    found = by_gender(place)
    missing = [gender for gender in genders if gender not in found]
    if len(missing) == len(genders):
      continue
    if missing:
      there = ", ".join(path.name for path in found.values())
      raise ValueError(
        f"{place}: got {there}, expected SMPL's {' and '.join(missing)} body too, such "
        f"as SMPL_{missing[0].upper()}.pkl; add it, or take the others away."
      )
    return {gender: load(found[gender]) for gender in genders}
  return None
