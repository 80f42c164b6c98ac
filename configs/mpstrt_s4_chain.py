r"""The whole chain of the multi-view network: stages 2 and 3 put together, and tuned.

Run: python -m jaxpose.train --config=configs/mpstrt_s4_chain.py
       --workdir=runs/mpstrt_s4

The lifter learns the errors of the 2D network's own poses, which stays as it is: no
gradient goes from the lifter to it, and without losses of its own a step takes less
than half of the time.

Of mpstrt-small it is 120 steps, seed 0, 2 minutes on a busy core, without stage 2: the
parts of stages 1 and 3 were put into a network with --config.model.depth=0, whose
embedding of times and cameras is 0, so that its 2D poses are those of stage 1 (with
--config.init_from of that file, --config.init_new='()', --config.init_parts='{}'). The
script that joined them is not kept, so these commands alone do not make it again. The
lengths and rates below are planned, not measured.
Scores: docs/multiview.md.
"""

from jaxpose.config import base_config


def get_config(variant: str = "full"):
  config = base_config()
  config.model = dict(
    name="multiview", variant="small", image_size=64, depth=3, lifter_reweighted=True
  )
  config.inputs = (
    *("images", "view_mask"),
    *("camera_rotation", "camera_position", "crop_intrinsics"),
  )
  config.init_from = "runs/mpstrt_s2"
  config.init_new = ("lifting",)
  config.init_parts = dict(lifting="runs/mpstrt_s3")
  config.lr_factors = dict(
    trunk=0.0, spatial=0.0, embedding=0.0, relations=0.0, head=0.0
  )
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
    joints=dict(fn="views_3d", key="joints_3d", weight=1.0),
    joints_direct=dict(fn="views_3d", key="joints_3d_direct", weight=1.0),
    velocity=dict(fn="views_velocity_3d", key="joints_3d", weight=0.1),
  )
  config.optimizer = dict(name="adamw", weight_decay=0.05, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=5e-4, final=1e-6, warmup_steps=100)
  config.total_steps = 1000
  config.log_every = 50
  config.eval_every = 500
  config.save_every = 250
  config.evals = dict(
    validation=dict(split="validation", protocols=("cmu_p1",)),
    test=dict(split="test", protocols=("cmu_p1", "cmu_p2"), when="end"),
  )
  if variant == "smoke":
    config.init_from = None
    config.init_new = ()
    config.init_parts = dict()
    config.data.builder_config = "tiny"
    config.data.window = 4
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
