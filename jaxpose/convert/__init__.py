"""Weights of the authors' PyTorch models, to ours and back, without torch.

Run: python -m jaxpose.convert --model=gla_gcn --torch=FILE.bin --out=DIR

Sizes are read off the tensors. What is not in the files is said by options: of
gla_gcn the skeleton graph and the temporal strides (--graph, --filter_widths and
--variant), of glot the numbers of attention heads (--heads, --local_heads). Nothing in
the file is executed. DIR is then accepted as weights by `jaxpose.predict`,
`jaxpose.evaluate` and `--config.init_from=` of `jaxpose.train`.

A GLoT file carries the SMPL body that it was trained with; --extract_body writes it as
DIR/body.npz, which stays under SMPL's licence.
"""

import argparse
import difflib
import hashlib
import json
import pathlib
import re
import sys
from collections.abc import Mapping
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jaxpose import models
from jaxpose.convert import gla_gcn_torch
from jaxpose.convert import glot_torch
from jaxpose.convert import resnet_torch
from jaxpose.files import torch_file
from jaxpose.weights import pretrained

# Model -> Python module with its `fields`, `read`, `write` and, where it gives joints,
# `INPUTS` and `skeleton_name`.
LAYOUTS = {
  "gla_gcn": gla_gcn_torch,
  "glot": glot_torch,
  "spin_resnet50": resnet_torch,
}
CONFIG_FILE = "config.json"
BODY_FILE = "body.npz"


def from_torch(
  model: str, state_dict: Mapping[str, np.ndarray], **options
) -> tuple[nn.Module, dict]:
  """The module and its variables (JAX arrays) that a PyTorch state dict holds.

  Args:
    model: key of `LAYOUTS`.
    state_dict: names, with or without `module.`, to arrays.
    **options: what is not in the tensors: `variant`, and any field of the model, such
      as `graph`, `filter_widths` or `dtype`.

  Raises:
    ValueError: unknown model, variant or field, with the nearest names; or tensors
      that do not fit.
  """
  layout = _layout(model)
  weights = torch_file.find_state_dict(state_dict)
  module = models.build(model, **layout.fields(weights, **options))
  return module, jax.tree.map(jnp.asarray, layout.read(module, weights))


def to_torch(model: str, module: nn.Module, variables: Mapping) -> dict:
  """The original's state dict (NumPy, names without `module.`); undoes `from_torch`.

  Batch counters are not kept here and come out as 0.
  """
  return _layout(model).write(module, variables)


def _layout(model: str):
  if model not in LAYOUTS:
    near = ", ".join(difflib.get_close_matches(model, LAYOUTS, 3, 0.0))
    raise ValueError(f"no PyTorch layout of the model {model!r}; nearest: {near}.")
  return LAYOUTS[model]


def convert_file(
  model: str,
  torch_path: pathlib.Path,
  out: pathlib.Path,
  *,
  info: Mapping[str, str] | None = None,
  extract_body: bool = False,
  **options,
) -> tuple[pretrained.Pretrained, list[str]]:
  """Converts a file into the folder `out`; also returns hints for the user.

  With `extract_body` the SMPL body in the file is written there too, as `BODY_FILE`.

  Raises:
    ValueError: the file cannot be read, does not fit, or has no body to extract.
    FileExistsError: there are weights or a run in `out`; nothing is overwritten.
  """
  layout = _layout(model)
  if not hasattr(layout, "skeleton_name"):
    raise ValueError(
      f"got the model {model!r}, which gives features and no joints, expected one of "
      "pose; its checkpoint needs no conversion: python -m jaxpose.features --weights="
      "FILE reads it."
    )
  if out.exists() and not out.is_dir():
    raise FileExistsError(f"{out} is a file, expected a folder, which may be absent.")
  written = [pretrained.FILE, CONFIG_FILE] + [BODY_FILE] * extract_body
  for path in (out / name for name in written):
    if path.exists():
      raise FileExistsError(
        f"{path} exists and is never overwritten; choose another folder for --out."
      )
  checkpoint = torch_file.load(torch_path)
  weights = torch_file.find_state_dict(checkpoint)
  fields = layout.fields(weights, **options)
  module = models.build(model, **fields)
  body = _body_arrays(model, weights) if extract_body else None
  source = dict(
    converted_from=torch_path.name,
    sha256=hashlib.sha256(torch_path.read_bytes()).hexdigest(),
  )
  epoch = checkpoint.get("epoch") if isinstance(checkpoint, Mapping) else None
  if isinstance(epoch, int):
    source["epoch"] = epoch
  result = pretrained.make(
    dict(name=model, **fields),
    layout.read(module, weights),
    skeleton=layout.skeleton_name(module),
    window=module.receptive_field,
    inputs=layout.INPUTS,
    info={**source, **(info or {})},
  )
  pretrained.save(out / pretrained.FILE, result)
  with (out / CONFIG_FILE).open("x") as file:
    json.dump(pretrained.describe(result), file, indent=2)
    file.write("\n")
  if body is not None:
    with (out / BODY_FILE).open("xb") as file:
      np.savez_compressed(file, **body)
  return result, HINTS[model](torch_path.name, module, options)


def _body_arrays(model: str, weights: Mapping) -> dict[str, np.ndarray]:
  if model != "glot":
    raise ValueError(
      f"got --extract_body for the model {model!r}, expected 'glot': other models' "
      "files carry no body; leave it out."
    )
  return glot_torch.body_arrays(weights)


def summary(weights: pretrained.Pretrained) -> str:
  """One line on what the weights are."""
  flat = traverse_util.flatten_dict(weights.variables["params"])
  eats, gives = weights.input_skeleton, weights.skeleton
  width, name = weights.module.width, weights.model["name"]
  if name == "glot":
    sizes = (
      f"width {width}, features of {weights.module.feat_dim} channels in, SMPL "
      f"parameters and {gives.num_joints} joints ({gives.name}) out"
    )
  else:
    sizes = (
      f"graph {weights.module.graph}, width {width}, {eats.num_joints} joints in "
      f"({eats.name}), {gives.num_joints} out ({gives.name})"
    )
  return (
    f"{name} {weights.model['variant']}: {sizes}, receptive field {weights.window} "
    f"frames, {sum(array.size for array in flat.values()):,} parameters"
  )


# 96_cpn_ft_h36m_dbb_243_supervised.bin, 96_gt_27_supervised_epoch_819.bin
_FILE_NAME = re.compile(r"\d+_.+_(?P<frames>\d+)_supervised")


def _gla_gcn_hints(file_name: str, module: nn.Module, options: Mapping) -> list[str]:
  """What the tensors leave open and the name of the authors' file may tell."""
  lines = []
  name = _FILE_NAME.match(file_name)
  if name and int(name["frames"]) != module.receptive_field:
    lines.append(
      f"warning: the file name {file_name!r} says {name['frames']} frames, but "
      f"filter_widths {module.filter_widths} see {module.receptive_field}; the widths "
      "are not in the file, set --filter_widths."
    )
  if module.num_joints == 15 and options.get("variant") is None:
    lines.append(
      "note: 15 joints, taken for the HumanEva network for ground-truth keypoints; the "
      "one for detected (COCO, Mask R-CNN) keypoints has the same tensors: if it is "
      "that, convert with --variant=s_agcn_humaneva_mrcnn."
    )
  if module.graph == "h36m" and options.get("graph") is None:
    lines.append(
      "note: the graph is not in the file, taken for h36m; weights saved before March "
      "2022 may need --graph=h36m_legacy_2021. Score both if unsure."
    )
  return lines


def _glot_hints(file_name: str, module: nn.Module, options: Mapping) -> list[str]:
  del file_name
  if {"heads", "local_heads"} <= options.keys():
    return []
  return [
    f"note: the numbers of attention heads are not in the file, taken for heads "
    f"{module.heads} and local_heads {module.local_heads}, as published; a network "
    "trained with others needs --heads and --local_heads."
  ]


# What to tell the user of (file name, module, given options).
HINTS = {"gla_gcn": _gla_gcn_hints, "glot": _glot_hints}


def _widths(text: str) -> tuple[int, ...]:
  try:
    return tuple(int(word) for word in text.split(","))
  except ValueError:
    message = f"got {text!r}, expected numbers such as 3,3,3."
    raise argparse.ArgumentTypeError(message) from None


def _pair(text: str) -> tuple[str, str]:
  key, equals, value = text.partition("=")
  if not (key and equals):
    raise argparse.ArgumentTypeError(f"got {text!r}, expected KEY=VALUE.")
  return key, value


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m jaxpose.convert",
    description="Converts a PyTorch checkpoint, without torch, into weights.",
    allow_abbrev=False,
  )
  path = pathlib.Path
  parser.add_argument("--model", required=True, help=f"one of {', '.join(LAYOUTS)}")
  parser.add_argument("--torch", required=True, type=path, help="checkpoint to read")
  parser.add_argument("--out", required=True, type=path, help="new folder for weights")
  parser.add_argument("--variant", help="named configuration; default by the joints")
  parser.add_argument("--graph", help="skeleton graph; default by the variant")
  parser.add_argument(
    "--filter_widths", type=_widths, help="temporal strides; default threes"
  )
  parser.add_argument("--heads", type=int, help="of GLoT's global attention; default 8")
  parser.add_argument("--local_heads", type=int, help="of its local attention")
  parser.add_argument(
    "--extract_body", action="store_true", help="also write the file's SMPL body"
  )
  parser.add_argument(
    "--info",
    type=_pair,
    action="append",
    default=[],
    metavar="KEY=VALUE",
    help="remark to keep with the weights, such as data=h36m_cpn; may be repeated",
  )
  return parser


def main(argv: Sequence[str] | None = None) -> None:
  """The command; a mistake ends it with one sentence and exit code 1."""
  args = _parser().parse_args(argv)
  names = ("variant", "graph", "filter_widths", "heads", "local_heads")
  given = {name: getattr(args, name) for name in names}
  options = {key: value for key, value in given.items() if value is not None}
  out = args.out.expanduser()
  try:
    weights, hints = convert_file(
      args.model,
      args.torch.expanduser(),
      out,
      info=dict(args.info),
      extract_body=args.extract_body,
      **options,
    )
  except (ValueError, OSError) as error:
    sys.exit(f"error: {error}")
  for hint in hints:
    print(hint, file=sys.stderr)
  print(summary(weights))
  print(f"weights: {out / pretrained.FILE}")
  if args.extract_body:
    print(f"body: {out / BODY_FILE}")
