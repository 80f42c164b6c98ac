r"""A tiny multi-view network on rendered people, in minutes.

Run: python -m jaxpose.train --config=configs/mpstrt_quickstart.py

All stages at once: the 2D losses train the 2D network, and the 3D losses the lifter on
the 2D poses that it is given, for no gradient goes from the lifter to the 2D network.
Two frames to a window: with as many images a step, more people are seen than with four.
"""

from jaxpose.config import base_config


def get_config(variant: str = "full"):
  config = base_config()
  config.model = dict(name="multiview", variant="tiny", keep=(0.5,), view_dropout=0.3)
  config.inputs = (
    *("images", "view_mask"),
    *("camera_rotation", "camera_position", "crop_intrinsics"),
  )
  config.data.name = "synthetic_multiview"
  config.data.window = 2
  config.data.crop_size = 48
  config.data.batch_size = 16
  config.augment_views.zoom = 0.1
  config.augment_views.shift = 0.05
  config.augment_views.color = 0.2
  config.losses = dict(
    points=dict(fn="views_2d", key="keypoints_2d", weight=1.0),
    points_alone=dict(fn="views_2d", key="keypoints_2d_spatial", weight=0.5),
    relevance=dict(fn="relevance", key="relevance_0", weight=0.1),
    confidence=dict(fn="confidence", key="score_logits", weight=0.05),
    joints=dict(fn="views_3d", key="joints_3d", weight=1.0),
    joints_direct=dict(fn="views_3d", key="joints_3d_direct", weight=1.0),
    velocity=dict(fn="views_velocity_3d", key="joints_3d", weight=0.1),
  )
  config.optimizer = dict(name="adamw", weight_decay=0.02, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=3e-3, final=1e-6, warmup_steps=50)
  config.total_steps = 1200
  config.log_every = 50
  config.eval_every = 600
  config.save_every = 600
  config.evals = dict(
    validation=dict(split="validation", protocols=("cmu_p1",)),
    test=dict(split="test", protocols=("cmu_p1", "cmu_p2"), when="end"),
  )
  if variant == "smoke":
    config.data.builder_config = "tiny"
    config.data.batch_size = 2
    config.model.width = 16
    config.model.lifter_width = 16
    config.schedule.warmup_steps = 1
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
  elif variant != "full":
    raise ValueError(f"got the variant {variant!r}, expected 'full' or 'smoke'.")
  return config
