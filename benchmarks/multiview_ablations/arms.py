"""The arms: what each changes in the base config, and the groups they are shown in."""

import fnmatch
import json
import re
from typing import NamedTuple

import ml_collections

from jaxpose import models
from jaxpose.models.multiview_network import MultiView
from jaxpose.tasks.view_scoring import CAMERAS

# Group -> what its table says of it.
GROUPS = dict(
  attention="Windowed and global attention, with as many blocks in every arm.",
  keep=(
    "Share of the patches that stay, and what chooses them. Scores `head` and `mix` "
    "are trained by the relevance loss, the others have none."
  ),
  relations=(
    "Who is related, in the image relations and in the 3D stage alike; 2D shows the "
    "first alone."
  ),
  frames="Frames of a window, with as many frames in every step.",
  views=(
    "Views of a training window, with about as many images in every step; scored with "
    "all choices of 1 to all views."
  ),
  view_embedding=(
    "What tells views apart, in the image relations and in the 3D stage. Every clip "
    "has another rig and views come in random order; all but `camera` see no cameras "
    "and give poses in the axes of the first view. With cameras the 3D stage also has "
    "offsets in world axes and triangulated joints, but not in `camera alone`. A fixed "
    "rig is not in the data."
  ),
  occlusion="Rectangles over training pictures, by the chance that one is covered.",
  head="How joints are read off an image.",
  view_dropout="Chance that a view is hidden in training; one always stays.",
)

ALL_PATCHES = {"model.keep": (), "model.keep_at": (), "model.score": ()}
KEEP = (0.9, 0.7, 0.5, 0.3)
VIEWS = 4  # of a clip of synthetic_multiview


class Arm(NamedTuple):
  """One network that is trained, with several seeds.

  Attributes:
    name: of its files.
    overrides: dotted knobs of the base config and their values.
  """

  name: str
  overrides: dict


class Plan(NamedTuple):
  """What is trained, and where it is shown.

  Attributes:
    base: the config that arms change.
    arms: each once, the default first.
    groups: group -> (label, name of the arm) of its rows.
  """

  base: ml_collections.ConfigDict
  arms: tuple[Arm, ...]
  groups: dict[str, list[tuple[str, str]]]


def plan(
  base: ml_collections.ConfigDict,
  only: tuple[str, ...] = (),
  skip: tuple[str, ...] = (),
) -> Plan:
  """The arms of some groups, of all if none is named. Equal arms are one.

  Args:
    base: the config that arms change.
    only: groups.
    skip: patterns of names of arms to leave out, such as "keep-0.9-*".

  Raises:
    ValueError: no such group, or the config is not of the multi-view network.
  """
  unknown = [group for group in only if group not in GROUPS]
  if unknown:
    raise ValueError(
      f"got the group {', '.join(unknown)}, expected some of {', '.join(GROUPS)}."
    )
  if base.model.get("name") != "multiview":
    raise ValueError(
      f"got a config of the model {base.model.get('name')!r}, expected 'multiview', "
      "the network on images; choose a config such as configs/mpstrt_quickstart.py."
    )
  arms = {_text(configured(base, {})): Arm("default", {})}
  groups = {}
  for group, rows in _groups(base).items():
    if only and group not in only:
      continue
    groups[group] = []
    for label, overrides in rows.items():
      slug = re.sub(r"[^a-z0-9.]+", "-", f"{group} {label}".lower()).strip("-")
      if any(fnmatch.fnmatch(slug, pattern) for pattern in skip):
        continue
      text = _text(configured(base, overrides))
      groups[group].append((label, arms.setdefault(text, Arm(slug, overrides)).name))
  return Plan(base, tuple(arms.values()), groups)


def configured(
  base: ml_collections.ConfigDict, overrides: dict, seed: int | None = None
) -> ml_collections.ConfigDict:
  """The config of an arm: without the losses of what its network does not give."""
  config = base.copy_and_resolve_references()
  with config.unlocked():
    for key, value in overrides.items():
      *path, last = key.split(".")
      part = config
      for name in path:
        part = part[name]
      part[last] = value
    config.losses = _fitting(config)
    if seed is not None:
      config.seed = seed
  return config


def _groups(base) -> dict[str, dict[str, dict]]:
  """Group -> label -> overrides."""
  m: MultiView = models.build(**base.model.to_dict())
  places, blocks = len(m.keep), sum(m.depths) + m.global_depth
  windows = (*m.depths[:-1], m.depths[-1] + m.global_depth)
  only_windows = ALL_PATCHES | {"model.depths": windows, "model.global_depth": 0}
  only_global = {"model.depths": (0,) * len(m.depths), "model.global_depth": blocks}
  attention = {
    "both": {},
    "both, all patches": ALL_PATCHES,
    "windows only": only_windows,
    "global only": only_global,
    "global only, all patches": only_global | ALL_PATCHES,
  }
  keep = {"1, no score": ALL_PATCHES}
  if places:
    keep["1, head"] = _kept(places, 1.0, "head")
    for rate in KEEP:
      for score in ("head", "attn", "mix", "rand"):
        keep[f"{rate:g}, {score}"] = _kept(places, rate, score)
  layouts = ("off", "time_only", "view_only", "joint", "factorised")
  size, frames = base.data.batch_size, base.data.window
  dropout = sorted({0.0, 0.2, 0.4, m.view_dropout})
  return dict(
    attention=attention,
    keep=keep,
    relations={layout: {"model.layout": layout} for layout in layouts},
    frames={
      f"{t}": {"data.window": t, "data.batch_size": max(size * frames // t, 1)}
      for t in sorted({1, 2, 4, 8, frames})
    },
    views={
      **{
        f"{v}": {"data.views": v, "data.batch_size": round(VIEWS * size / v)}
        for v in range(1, VIEWS)
      },
      "all": {},
    },
    view_embedding={
      "camera": {"model.view_embedding": "camera"},
      "camera alone": {
        "model.view_embedding": "camera",
        "model.lifter_world_offsets": False,
        "model.lifter_triangulated": False,
      },
      **{
        view: {"model.view_embedding": view, "inputs": ("images", "view_mask")}
        for view in ("index", "reference", "none")
      },
    },
    occlusion={f"{p:g}": {"augment_views.erase": p} for p in (0.0, 0.3, 0.6)},
    head={"soft-argmax": {}, "regression": {"model.joint_tokens": False}},
    view_dropout={f"{p:g}": {"model.view_dropout": p} for p in dropout},
  )


def _kept(places: int, rate: float, score: str) -> dict:
  return {"model.keep": (rate,) * places, "model.score": (score,) * places}


def _fitting(config) -> dict[str, dict]:
  """The losses whose predictions the network makes, in the axes that it knows."""
  m: MultiView = models.build(**config.model.to_dict())
  absent = set()
  if not m.joint_tokens:
    absent |= {"keypoints_2d_spatial", "score_logits"}
  logits = {f"relevance_{i}" for i, s in enumerate(m.score) if s in ("head", "mix")}
  calibrated = set(CAMERAS) <= set(config.inputs)
  if not (calibrated and m.lifter_triangulated):
    absent.add("joints_3d_direct")
  losses = {}
  for name, term in config.losses.to_dict().items():
    key = term["key"]
    if key in absent or (term["fn"] == "relevance" and key not in logits):
      continue
    if key == "joints_3d" and not calibrated:
      term = term | dict(key="joints_3d_reference")
    losses[name] = term
  return losses


def _text(config) -> str:
  """Configs of the same text train the same network in the same way."""
  fields = config.to_dict()
  module = models.build(**fields.pop("model"))
  return repr(module) + json.dumps(fields, sort_keys=True, default=str)
