r"""Stage 2 of the multi-view network: relations of images, after stage 1.

Run: python -m jaxpose.train --config=configs/mpstrt_s2_relations.py
       --config.init_from=runs/mpstrt_s1 --workdir=runs/mpstrt_s2

mpstrt-small is without: 28 steps, all that there was time for, made its 2D poses worse.
The length and rates below are planned, not measured.
"""

from jaxpose.config import base_config


def get_config(variant: str = "full"):
  config = base_config()
  config.model = dict(name="multiview", variant="small", image_size=64, lifter="none")
  config.inputs = (
    *("images", "view_mask"),
    *("camera_rotation", "camera_position", "crop_intrinsics"),
  )
  config.init_from = "runs/mpstrt_s1"
  config.init_new = ("embedding", "relations")
  config.lr_factors = dict(trunk=0.1, spatial=0.1)
  config.data.name = "synthetic_multiview"
  config.data.builder_config = "cmu"
  config.data.window = 8
  config.data.crop_size = 64
  config.data.batch_size = 4
  config.augment_views.zoom = 0.15
  config.augment_views.shift = 0.08
  config.augment_views.color = 0.3
  config.augment_views.erase = 0.2
  config.losses = dict(
    points=dict(fn="views_2d", key="keypoints_2d", weight=1.0),
    points_alone=dict(fn="views_2d", key="keypoints_2d_spatial", weight=0.5),
    points_either=dict(fn="views_2d_either", key="keypoints_2d", weight=0.5),
    points_alone_either=dict(
      fn="views_2d_either", key="keypoints_2d_spatial", weight=0.25
    ),
    relevance=dict(fn="relevance", key="relevance_0", weight=0.1),
    confidence=dict(fn="confidence", key="score_logits", weight=0.05),
  )
  config.optimizer = dict(name="adamw", weight_decay=0.05, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=1e-3, final=1e-6, warmup_steps=200)
  config.total_steps = 4000
  config.log_every = 50
  config.eval_every = 1000
  config.save_every = 500
  config.evals = dict(
    validation=dict(split="validation", protocols=("cmu_p1",)),
    test=dict(split="test", protocols=("cmu_p1",), when="end"),
  )
  if variant == "smoke":
    config.init_from = None
    config.init_new = ()
    config.data.builder_config = "tiny"
    config.data.window = 4
    config.data.batch_size = 2
    config.model.width = 16
    config.schedule.warmup_steps = 1
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
  elif variant != "full":
    raise ValueError(f"got the variant {variant!r}, expected 'full' or 'smoke'.")
  return config
