r"""Stage 3 of the multi-view network: the lifter alone, on captured motion.

Run: python -m jaxpose.train --config=configs/mpstrt_s3_lifter.py
       --workdir=runs/mpstrt_s3

Of mpstrt-small it is 300 steps, seed 0, 19 minutes on what other work left of a core.

No images: its input are true 2D poses with the errors of a 2D detector. Variant "tiny"
makes the lifter of configs/mpstrt_quickstart.py, on synthetic motion.
"""

from jaxpose.config import base_config


def get_config(variant: str = "full"):
  config = base_config()
  config.model = dict(name="multiview_lifter", variant="small", lifter_reweighted=True)
  config.inputs = (
    *("keypoints_input", "scores_input", "view_mask"),
    *("camera_rotation", "camera_position", "crop_intrinsics"),
  )
  config.init_from = "multiview_lifter_cmu_8"
  config.data.name = "cmu_mocap"
  config.data.window = 8
  config.data.views = 4
  config.data.stride = 4  # 12.5 frames a second, as synthetic_multiview
  config.data.batch_size = 128
  config.augment_views.rigs = True
  config.augment_views.zoom = 0.15
  config.augment_views.shift = 0.08
  config.augment_views.keypoint_noise = 2.0
  config.losses = dict(
    joints=dict(fn="views_3d", key="joints_3d", weight=1.0),
    joints_direct=dict(fn="views_3d", key="joints_3d_direct", weight=1.0),
    velocity=dict(fn="views_velocity_3d", key="joints_3d", weight=0.1),
  )
  config.optimizer = dict(name="adamw", weight_decay=0.02, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=5e-4, final=1e-6, warmup_steps=30)
  config.total_steps = 300
  config.log_every = 25
  config.eval_every = 300
  config.save_every = 150
  config.evals = dict(
    validation=dict(split="validation", protocols=("cmu_p1",)),
    test=dict(split="test", protocols=("cmu_p1", "cmu_p2"), when="end"),
  )
  if variant in ("tiny", "smoke"):
    config.model.variant = "tiny"
    config.model.lifter_reweighted = False
    config.init_from = None
    config.augment_views.rigs = False
    config.data.name = "synthetic_motion"
    config.data.window = 4
    config.data.batch_size = 32
    config.schedule.base = 2e-3
    config.total_steps = 2500
  if variant == "smoke":
    config.data.builder_config = "tiny"
    config.data.batch_size = 8
    config.model.lifter_width = 16
    config.schedule.warmup_steps = 1
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
  elif variant not in ("full", "tiny"):
    raise ValueError(
      f"got the variant {variant!r}, expected 'full', 'tiny' or 'smoke'."
    )
  return config
