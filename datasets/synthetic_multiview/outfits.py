"""What people look like: bodies, hair, skin, clothes, drawn at random."""

import colorsys

import numpy as np

from . import person
from .person import GRIDS
from .person import SLICES

# Skin from light to dark, hair from black to grey; colours between two are mixed.
_SKIN = np.array(
  [[0.96, 0.80, 0.69], [0.87, 0.67, 0.53], [0.72, 0.50, 0.36], [0.45, 0.29, 0.20]]
)
_HAIR = np.array(
  [[0.07, 0.06, 0.06], [0.24, 0.15, 0.09], [0.45, 0.28, 0.14], [0.82, 0.66, 0.38]]
)
_DENIM = [
  [0.16, 0.22, 0.38],
  [0.30, 0.40, 0.58],
  [0.12, 0.12, 0.14],
  [0.66, 0.59, 0.46],
]
_SIDES = ("right", "left")


def _between(rng, colors):
  place = rng.uniform(0, len(colors) - 1)
  i = min(int(place), len(colors) - 2)
  part = place - i
  return (1 - part) * colors[i] + part * colors[i + 1]


def _dye(rng, saturation=(0.25, 0.9), value=(0.3, 0.97)):
  return np.array(
    colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
  )


def sample_figure(rng: np.random.Generator, height: float) -> person.Figure:
  """A random adult of a height in metres."""
  return person.Figure(
    height=height,
    girth=float(np.clip(rng.normal(1.04, 0.1), 0.88, 1.3)),
    shoulders=float(np.clip(rng.normal(1.0, 0.06), 0.88, 1.12)),
    hips=float(np.clip(rng.normal(1.0, 0.07), 0.88, 1.15)),
    belly=float(np.clip(rng.normal(1.08, 0.14), 0.88, 1.5)),
    sleeves=float(rng.uniform(1.0, 1.25)),
    legs=float(rng.uniform(0.97, 1.22)),
    hair=str(rng.choice(["short", "long", "none"], p=[0.52, 0.36, 0.12])),
    bag=bool(rng.random() < 0.15),
    gaze=float(np.clip(rng.normal(0, 0.2), -0.5, 0.5)),
  )


def sample_colors(rng: np.random.Generator, *, fronts: bool = True) -> np.ndarray:
  """(`person.NUM_VERTICES`, 3) colours in [0, 1] of a person's skin and clothes.

  Args:
    rng: source of the draws.
    fronts: all shirts are lighter in front than at the back; else none is for that, and
      one person in eight wears none.
  """
  out = np.zeros((person.NUM_VERTICES, 3))
  skin, hair = _between(rng, _SKIN), _between(rng, _HAIR)
  if rng.random() < 0.1:
    hair = np.full(3, rng.uniform(0.5, 0.8))
  shirt, trousers = _dye(rng), np.array(_DENIM[rng.integers(len(_DENIM))])
  if rng.random() < 0.5:
    trousers = _dye(rng, (0.1, 0.6), (0.12, 0.7))
  shoes = _dye(rng, (0.0, 0.7), (0.1, 0.95))
  for name in GRIDS:
    out[SLICES[name]] = skin
  for name in ("hair", "long_hair"):
    out[SLICES[name]] = hair
  out[SLICES["bag"]] = _dye(rng, (0.2, 0.8), (0.2, 0.8))
  _face(out, skin, hair)
  _torso(rng, out, shirt, trousers, fronts)
  stripped = not fronts and rng.random() < 1 / 8
  if stripped:
    _rings(out, "torso")[person.WAIST + 2 :] = skin

  short_trousers, long_sleeves = rng.random() < 0.25, rng.random() < 0.5
  bare = rng.random() < 0.12 or stripped  # no sleeves at all
  for side in _SIDES:
    _rings(out, f"{side}_thigh")[: 6 if short_trousers else None] = trousers
    if not short_trousers:
      _rings(out, f"{side}_shank")[:] = trousers
    if not bare:
      _rings(out, f"{side}_upper_arm")[: None if long_sleeves else 6] = shirt
      if long_sleeves:
        _rings(out, f"{side}_forearm")[:] = shirt
    shoe = _rings(out, f"{side}_shoe")
    shoe[:] = shoes
    shoe[:, 5:8] = 0.85 if rng.random() < 0.5 else 0.5 * shoes  # the sole
  return np.clip(out, 0, 1)


def _rings(colors, name):
  """A view (rings, segments, 3) of a part."""
  return colors[SLICES[name]].reshape(*GRIDS[name], 3)


def _face(out, skin, hair):
  """Eyes, brows and a mouth, where the nose is."""
  head = _rings(out, "head")
  rings, segments = GRIDS["head"]
  latitude = np.linspace(-88, 88, rings)
  angle = 360 * np.arange(segments) / segments - 90  # from the nose

  def mark(up, aside, color):
    ring = np.abs(latitude - up).argmin()
    for side in (-aside, aside):
      head[ring, np.abs(angle - side).argmin()] = color

  mark(8, 26, 0.55 * skin)
  mark(24, 26, 0.4 * hair + 0.5 * skin)
  mark(-40, 0, skin * [0.9, 0.6, 0.6])


def _torso(rng, out, shirt, trousers, fronts):
  """Trousers, a belt, and a shirt that is plain, striped, printed or a jacket.

  With `fronts` all shirts are lighter in front than at the back: at 48 pixels a face is
  four, too few for a small network to learn within minutes which side is left.
  """
  torso = _rings(out, "torso")
  segments = GRIDS["torso"][1]
  torso[: person.WAIST] = trousers
  torso[person.WAIST : person.WAIST + 2] = 0.35 * trousers
  torso[person.WAIST + 2 :] = shirt
  front = np.abs(np.arange(segments) - segments / 4)  # segments from the front
  front = np.minimum(front, segments - front)
  style = rng.choice(["plain", "stripes", "print", "jacket", "halves"])
  other = _dye(rng)
  if style == "stripes":
    torso[person.WAIST + 3 :: 2] = other
  elif style == "print":
    torso[person.WAIST + 4 : -3, front < 2] = other
  elif style == "jacket":
    torso[person.WAIST + 2 : -1, front < 1] = other
  elif style == "halves":
    torso[person.WAIST + 5 :] = other
  if not fronts:
    return
  cloth = torso[person.WAIST + 2 :]
  cloth[:, front > segments / 4] *= 0.5
  cloth[:, front < segments / 4] = 0.5 + 0.5 * cloth[:, front < segments / 4]
