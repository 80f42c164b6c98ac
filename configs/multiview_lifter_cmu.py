r"""Keypoints of several cameras to 3D: the lifter of the multi-view network, on CMU.

Run: python -m jaxpose.train --config=configs/multiview_lifter_cmu.py \
       --workdir=runs/multiview_lifter_cmu

Each window is filmed by a new random rig of four cameras, of which on average 40 % are
missing, and the input are 2D poses with the errors of a detector. It is stage 3 of the
multi-view network (configs/mpstrt_s3_lifter.py) for rigs that nobody knows in advance.

multiview_lifter_cmu_8 was made in two runs, seed 0, 28 and 17 minutes on two busy CPU
cores: 5,000 steps with --config.model.lifter_reweighted=False, and from there
(--config.init_from) 3,000 with --config.init_new='("misfit", "line_weight",
"correction")'. Scores: docs/multiview.md.
"""

from jaxpose.config import base_config


def get_config(variant: str = "full"):
  config = base_config()
  config.model = dict(name="multiview_lifter", variant="small", lifter_reweighted=True)
  config.inputs = (
    *("keypoints_input", "scores_input", "view_mask"),
    *("camera_rotation", "camera_position", "crop_intrinsics"),
  )
  config.data.name = "cmu_mocap"
  config.data.window = 8
  config.data.views = 4
  config.data.stride = 4  # 12.5 frames a second
  config.data.batch_size = 128
  config.data.sampling = "actions"
  config.augment_views.rigs = True
  config.augment_views.zoom = 0.1
  config.augment_views.shift = 0.05
  config.augment_views.drop_views = 0.4
  config.augment_views.keypoint_noise = 1.5
  config.augment_views.keypoint_places = 1.0
  config.augment_views.keypoint_hidden = 0.1
  config.augment_views.keypoint_swaps = 0.03
  config.losses = dict(
    joints=dict(fn="views_3d", key="joints_3d", weight=1.0),
    joints_direct=dict(fn="views_3d", key="joints_3d_direct", weight=1.0),
    velocity=dict(fn="views_velocity_3d", key="joints_3d", weight=0.1),
  )
  config.optimizer = dict(name="adamw", weight_decay=0.02, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=1e-3, final=1e-6, warmup_steps=200)
  config.total_steps = 10_000
  config.log_every = 100
  config.eval_every = 2500
  config.save_every = 1000
  config.evals = dict(
    validation=dict(split="validation", protocols=("cmu_p1",)),
    test=dict(split="test", protocols=("cmu_p1", "cmu_p2"), when="end"),
  )
  if variant == "smoke":
    config.model.variant = "tiny"
    config.model.lifter_width = 16
    config.data.name = "synthetic_motion"
    config.data.builder_config = "tiny"
    config.data.window = 4
    config.data.batch_size = 8
    config.schedule.warmup_steps = 1
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
  elif variant != "full":
    raise ValueError(f"got the variant {variant!r}, expected 'full' or 'smoke'.")
  return config
