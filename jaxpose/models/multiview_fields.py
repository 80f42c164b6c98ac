"""Which fields of the multi-view network go together, and named initial weights."""

import flax.linen as nn

from jaxpose.models.attention import GLOROT
from jaxpose.models.multiview_embeddings import TIMES
from jaxpose.models.multiview_embeddings import VIEWS
from jaxpose.models.multiview_relations import LAYOUTS
from jaxpose.models.multiview_selection import SCORES

INITS = dict(
  glorot=GLOROT,
  normal=nn.initializers.truncated_normal(0.02),  # as the released trunk
  uniform=nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),  # PyTorch's
)
LIFTERS = ("fused", "poseformer", "dlt", "none")
DROPS = ("gather", "mask")


def require_fields(module) -> None:
  """Refuses a `MultiView` whose fields do not fit.

  Raises:
    ValueError: names the field, what it may be, and what to do.
  """
  m = module
  words = dict(
    layout=(m.layout, LAYOUTS),
    time_embedding=(m.time_embedding, TIMES),
    view_embedding=(m.view_embedding, (*VIEWS, "ray")),
    lifter=(m.lifter, LIFTERS),
    drop=(m.drop, DROPS),
    spatial_init=(m.spatial_init, tuple(INITS)),
    relation_init=(m.relation_init, tuple(INITS)),
  )
  words |= {f"score[{i}]": (score, SCORES) for i, score in enumerate(m.score)}
  for field, (got, known) in words.items():
    if got not in known:
      raise ValueError(f"got {field} {got!r}, expected one of {', '.join(known)}.")
  if not len(m.keep) == len(m.keep_at) == len(m.score):
    raise ValueError(
      f"got {len(m.keep)} keep, {len(m.keep_at)} keep_at and {len(m.score)} score, "
      "expected one of each for every time that patches are dropped."
    )
  places = tuple(sorted(set(m.keep_at)))
  if places != tuple(m.keep_at) or not set(places) <= set(range(m.global_depth)):
    raise ValueError(
      f"got keep_at {tuple(m.keep_at)}, expected ascending numbers of the "
      f"{m.global_depth} global blocks, from 0; without blocks set keep, keep_at and "
      "score to ()."
    )
  if not all(0 < share <= 1 for share in m.keep):
    raise ValueError(f"got keep {tuple(m.keep)}, expected shares in (0, 1].")
  if len(m.depths) != len(m.window_heads) or not m.depths:
    raise ValueError(
      f"got depths {tuple(m.depths)} and window_heads {tuple(m.window_heads)}, "
      "expected one number each for every stage."
    )
  if m.view_embedding == "relative" and not m.joint_tokens:
    raise ValueError(
      "got view_embedding 'relative' without joint tokens, expected joint_tokens: it "
      "compares the 2D poses that they find; set joint_tokens=True."
    )
