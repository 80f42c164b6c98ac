"""Checks that joints are in metres and have the proportions of a person.

Five lengths over the length of the leg, which is thigh and shank from joint to joint:
`torso` from the middle of the hips to the middle of the shoulders, `forearm`,
`upper_arm`, and `shoulders` and `hips` from the left to the right joint.

                                 torso  forearm  upper arm  shoulders  hips
  de Leva 1996, men              .602    .314      .329
  de Leva 1996, women            .622    .330      .344
  Drillis and Contini 1966       .587    .297      .379       .527*    .389*
  ANSUR II 2012, men             .652*   .324*     .405*      .502*    .333*
  ANSUR II 2012, women           .626*   .308*     .398*      .467*    .349*
  CMU motion capture, mean       .619    .336      .357       .441     .225
  of 18 people, least            .574    .254      .323       .385     .197
  most                           .670    .380      .399       .504     .279

  * between surface marks: acromion, radiale, stylion, trochanter, crests of the ilium.
    Joints lie some 4 cm below and inside of the acromia, which is .05 of the leg, and
    hips are two thirds as far apart as the crests or less.

De Leva, Journal of Biomechanics 29(9), table 4; Drillis and Contini, TR 1166-03, as in
Winter's "Biomechanics and Motor Control of Human Movement"; ANSUR II: Gordon et al.,
Natick/TR-15/007, quotients of the means of 4,082 men and 1,986 women; CMU: takes of
ASF/AMC files, joints as in datasets/cmu_mocap. The share of sitting height in stature
has a standard deviation of .0135 in ANSUR II, which makes .04 of the torso's ratio.

Children have shorter legs: at four, sitting height is .575 of stature, .52 in adults
(Snyder et al. 1977, UM-HSRI-77-17), so that legs from hip to ankle are .44 and .485 of
it. Shoulders are .228 of stature then, which is .52* of the leg, arms to the wrist .32
or .73*, and .71* in adults. The torso is .68, by the shoulders of NHTSA's Hybrid III
dummy of a child of three, whose own ratio is .70 to .73.

`USUAL` reaches from two standard deviations below adults' mean to two above that of
children of four, with room for skeletons that have shoulders and hips elsewhere; about
one person in twenty has something outside. `POSSIBLE` is what no person of four or more
is known to pass; what remains when a bone is lost, or a joint is taken for another, is
mostly beyond it.
"""

import math
import warnings

import numpy as np
from jaxtyping import Float

from jaxpose import skeletons

SHORTEST, LONGEST = 0.35, 1.4  # metres from hip to ankle
USUAL = dict(
  torso=(0.53, 0.78),
  forearm=(0.26, 0.39),
  upper_arm=(0.28, 0.43),
  shoulders=(0.32, 0.56),
  hips=(0.16, 0.36),
)
POSSIBLE = dict(
  torso=(0.50, 0.90),
  forearm=(0.24, 0.45),
  upper_arm=(0.23, 0.50),
  shoulders=(0.24, 0.68),
  hips=(0.08, 0.45),
)
_NAMES = dict(
  torso="a torso",
  forearm="a forearm",
  upper_arm="an upper arm",
  shoulders="a shoulder width",
  hips="a hip width",
)
_SIDES = ("left", "right")


def measure(joints: Float[np.ndarray, "t j 3"], skeleton: str) -> dict[str, float]:
  """Each length over that of the leg: medians over the frames, means of both sides.

  Args:
    joints: of the skeleton, in any unit; frames with NaN do not count.
    skeleton: with hips, knees, ankles (or feet, as h36m17 calls them), shoulders,
      elbows and wrists.

  Returns:
    The keys of `USUAL`; empty if no frame is whole.
  """
  names = skeletons.get(skeleton)
  ankle = "ankle" if "left_ankle" in names.joints else "foot"
  at = {
    (side, part): joints[:, names.index(f"{side}_{part}")].astype(np.float64)
    for side in _SIDES
    for part in ("hip", "knee", ankle, "shoulder", "elbow", "wrist")
  }
  whole = np.all([np.isfinite(points).all(-1) for points in at.values()], 0)
  if not whole.any():
    return {}
  at = {key: points[whole] for key, points in at.items()}

  def bone(start, end):
    return np.mean([_length(at[s, end] - at[s, start]) for s in _SIDES])

  def middle(part):
    return (at["left", part] + at["right", part]) / 2

  leg = bone("hip", "knee") + bone("knee", ankle)
  lengths = dict(
    torso=_length(middle("shoulder") - middle("hip")),
    forearm=bone("elbow", "wrist"),
    upper_arm=bone("shoulder", "elbow"),
    shoulders=_length(at["left", "shoulder"] - at["right", "shoulder"]),
    hips=_length(at["left", "hip"] - at["right", "hip"]),
  )
  return {name: float(length / leg) for name, length in lengths.items()}


def unusual(joints: Float[np.ndarray, "t j 3"], skeleton: str) -> dict[str, float]:
  """Those of `measure`'s ratios that lie outside of `USUAL`."""
  return {
    name: got
    for name, got in measure(joints, skeleton).items()
    if not USUAL[name][0] <= got <= USUAL[name][1]
  }


def check(joints: Float[np.ndarray, "t j 3"], skeleton: str, source: str) -> str:
  """Refuses joints that nobody has, and warns of unusual ones.

  Args:
    joints: of one person; the rest as in `measure`.
    skeleton: of the joint axis.
    source: person or sequence, for messages.

  Returns:
    The warning it gave, or "".

  Raises:
    ValueError: a ratio is outside of `POSSIBLE`.
  """
  far = {
    name: f"{got:.3g}"
    for name, got in measure(joints, skeleton).items()
    if not POSSIBLE[name][0] <= got <= POSSIBLE[name][1]
  }
  if far:
    raise ValueError(
      f"{_told(source, far)}, as people have; bones are lost or joints are not where "
      "their names say, correct the file or the map of its joints."
    )
  return warn(joints, skeleton, source)


def warn(joints: Float[np.ndarray, "t j 3"], skeleton: str, source: str) -> str:
  """As `check`, but warns at most: of data that is scored as it is."""
  found = {}
  for name, got in unusual(joints, skeleton).items():
    # To the hundredth outside, so that it shows, and that one person is told of once.
    outside = math.floor if got < USUAL[name][0] else math.ceil
    found[name] = f"about {outside(100 * got) / 100}"
  if not found:
    return ""
  text = (
    f"{_told(source, found)}, as most people have; look whether the joints are right."
  )
  warnings.warn(text, stacklevel=2)
  return text


def require_metres(
  joints: Float[np.ndarray, "t j 3"], skeleton: str, source: str
) -> None:
  """Refuses joints whose legs are not those of a person.

  Args:
    joints: of the skeleton; frames with NaN do not count.
    skeleton: with hips, knees and ankles (or feet, as h36m17 calls them).
    source: file or sequence, for the message.

  Raises:
    ValueError: the median leg is too short or too long.
  """
  names = skeletons.get(skeleton)
  ankle = "ankle" if "left_ankle" in names.joints else "foot"
  legs = []
  for side in _SIDES:
    chain = [names.index(f"{side}_{part}") for part in ("hip", "knee", ankle)]
    bones = np.diff(joints[:, chain].astype(np.float64), axis=1)
    legs.append(np.linalg.norm(bones, axis=-1).sum(-1))
  leg = np.concatenate(legs)
  leg = leg[np.isfinite(leg)]
  if len(leg) and not SHORTEST < np.median(leg) < LONGEST:
    raise ValueError(
      f"{source}: got legs of {np.median(leg):.3g} m, expected about 0.8 m; the unit "
      "of length is another than the format's, rescale the file."
    )


def _length(steps: np.ndarray) -> float:
  return np.median(np.linalg.norm(steps, axis=-1))


def _told(source: str, found: dict[str, str]) -> str:
  got = " and ".join(f"{_NAMES[name]} of {ratio}" for name, ratio in found.items())
  expected = " and ".join("{} to {}".format(*USUAL[name]) for name in found)
  return f"{source}: got {got} of the leg (thigh and shank), expected {expected}"
