"""SPIN's checkpoint, which the user brings: feature network and start of a regressor.

Kolotouros et al., "Learning to Reconstruct 3D Human Pose and Shape via Model-Fitting in
the Loop", ICCV 2019. GLoT's features and the first weights of its global regressor are
taken from it. Nothing in the file is executed, and torch is not needed.
"""

import functools
import hashlib
import os
import pathlib

import jax
import numpy as np

from jaxpose import convert
from jaxpose.convert import resnet_torch
from jaxpose.features import extract
from jaxpose.files import torch_file
from jaxpose.geometry import crops

FILES = ("spin_model_checkpoint.pth.tar", "model_checkpoint.pt")
WHERE = (
  "SPIN's checkpoint is not part of jaxpose: get model_checkpoint.pt by the script "
  "fetch_data.sh of github.com/nkolot/SPIN, or spin_model_checkpoint.pth.tar by "
  "prepare_data.sh of github.com/mkocabas/VIBE; SPIN's code is under the BSD 3-clause "
  "licence, but its weights were trained with SMPL and on research data such as "
  "Human3.6M, whose non-commercial terms stay"
)


def find(path: str | os.PathLike) -> pathlib.Path:
  """The checkpoint's file: `path`, or one of `FILES` in that folder.

  Raises:
    FileNotFoundError: it is not there, with where to get it.
  """
  path = pathlib.Path(path).expanduser()
  tried = [path / name for name in FILES] if path.is_dir() else [path]
  for file in tried:
    if file.is_file():
      return file
  names = f" (neither {' nor '.join(FILES)} in it)" if path.is_dir() else ""
  raise FileNotFoundError(f"no weights at {path}{names}. {WHERE}.")


def read_network(
  path: str | os.PathLike, *, dtype: str = "float32"
) -> tuple[extract.Network, str]:
  """The compiled-to-be network, uint8 crops to features, and the file's SHA-256.

  Args:
    path: SPIN's or HMR's PyTorch file, or the folder in which it lies.
    dtype: of the computation; the features are float32.

  Raises:
    FileNotFoundError: no checkpoint there.
    ValueError: the file cannot be read or holds another network.
  """
  file = find(path)
  state_dict = torch_file.find_state_dict(torch_file.load(file))
  module, variables = convert.from_torch("spin_resnet50", state_dict, dtype=dtype)
  if module.num_features != 2048:
    raise ValueError(
      f"{file}: got a network of {module.num_features} features, expected the "
      "2048 of a ResNet-50."
    )

  @jax.jit
  def apply(variables, images):
    return module.apply(variables, crops.normalize(images))["features"]

  with file.open("rb") as stream:
    digest = hashlib.file_digest(stream, "sha256").hexdigest()
  return functools.partial(apply, variables), digest


def read_regressor(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """The regressor's tensors in a checkpoint; see `resnet_torch.spin_regressor`.

  Raises:
    FileNotFoundError: no checkpoint there.
    ValueError: the file cannot be read or has no regressor.
  """
  state_dict = torch_file.find_state_dict(torch_file.load(find(path)))
  return resnet_torch.spin_regressor(state_dict)


def start_regressor(
  variables: dict, path: str | os.PathLike, *, name: str = "global_regressor"
) -> dict:
  """Variables of a `models.glot.Glot` with SPIN's regressor in them, as GLoT starts.

  Args:
    variables: "params" and "constants" of the network.
    path: see `find`.
    name: of the regressor among the parameters.

  Raises:
    FileNotFoundError: no checkpoint there.
    ValueError: the regressor is missing or of another size.
  """
  tensors = read_regressor(path)
  layers = dict(hidden="fc1", pose_6d="decpose", betas="decshape", camera="deccam")
  means = dict(pose_6d="init_pose", betas="init_shape", camera="init_cam")
  params = {
    layer: dict(kernel=tensors[f"{torch}.weight"].T, bias=tensors[f"{torch}.bias"])
    for layer, torch in layers.items()
  }
  constants = {key: tensors[torch].reshape(-1) for key, torch in means.items()}
  for old, new in (
    (variables["params"][name], params),
    (variables["constants"], constants),
  ):
    shapes = jax.tree.map(lambda x, y: (np.shape(x), np.shape(y)), old, new)
    for have, given in jax.tree.leaves(shapes, is_leaf=lambda x: isinstance(x, tuple)):
      if have != given:
        raise ValueError(
          f"{path}: got an array of {given} in SPIN's regressor, expected {have}; set "
          "feat_dim=2048 and regressor_hidden=1024 in config.model."
        )
  return variables | dict(
    params=variables["params"] | {name: params}, constants=constants
  )
