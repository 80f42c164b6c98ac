r"""The lifter of `predict`, 27 frames: depths along the rays of a detector's keypoints.

Run: python -m jaxpose.train --config=configs/lift_27.py --workdir=runs/lift_27

Trained on CMU motion capture as other people might do it: other limbs, poses, speeds
and frame rates (`jaxpose.data.people`), cameras near and far, high and low, and half of
the windows with the errors of a detector (`jaxpose.data.detector_errors`).

Test subjects, seed 0, 28,000 steps in about an hour on one CPU core: 41.2 mm MPJPE and
31.5 mm PA-MPJPE from exact 2D, 72.0 and 55.5 mm with a detector's errors. Validation by
steps, exact MPJPE, PA-MPJPE / errors / unusual poses: 4,000 44.6, 36.9 / 71.9, 55.7 /
75.8, 55.5; 12,000 39.8, 31.8 / 71.1, 54.6 / 57.4, 44.7; 28,000 36.1, 28.9 / 67.6, 52.6
/ 48.9, 38.5. Released as lift-27.

The variant lift_27.py:causal predicts the last frame of its window, for live use. It
goes on from the former: --config.init_from=runs/lift_27. 52.3 and 41.7 mm exact, 83.6
and 64.3 mm with errors, after 15 minutes on one core; released as lift-27-causal.
"""

from jaxpose.config import base_config


def get_config(variant: str = "full"):
  config = base_config()
  config.model = dict(
    name="ray_lifter",
    channels=512,
    filter_widths=(3, 3, 3),
    blocks=3,
    block_width=1024,
    dropout=0.05,
  )
  config.data.name = "cmu_mocap"
  config.data.window = 27
  config.data.framed = True
  config.data.batch_size = 128
  config.data.sampling = "actions"
  config.augment.virtual_camera = True
  config.augment.wide_cameras = True
  config.augment.stature = 0.06
  config.augment.limbs = 0.06
  config.augment.children = 0.05
  config.augment.turns = 1.0
  config.augment.tilts = 0.3
  config.augment.exchange = 0.25
  config.augment.rising = 1.0
  config.augment.speed = (0.5, 2.0)
  config.augment.low_rates = 2.0
  config.augment.detector_noise = 1.0
  config.augment.joint_dropout = 0.05
  config.augment.side_swaps = 0.02
  config.augment.joint_places = 1.0
  config.augment.exact_share = 0.5
  config.losses = dict(joints=dict(fn="mpjpe", key="joints_3d", weight=1.0))
  config.optimizer = dict(name="adamw", weight_decay=1e-4, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=1e-3, final=1e-6, warmup_steps=200)
  config.total_steps = 28_000
  config.log_every = 100
  config.eval_every = 4000
  config.save_every = 1000
  scores = ("cmu_p1", "cmu_p2")
  config.evals = dict(
    detector=dict(split="validation", protocols=scores, every=8, detector=True),
    exact=dict(split="validation", protocols=scores, every=8),
    unusual=dict(split="unusual", protocols=scores, every=8),
    test_detector=dict(split="test", detector=True, when="end"),
    test_exact=dict(split="test", when="end"),
  )
  if variant == "causal":
    config.model.frame = 26
    config.data.lookahead = 0
    config.total_steps = 6_000
    config.eval_every = 3000
  elif variant == "smoke":
    config.data.batch_size = 8
    config.model.update(channels=8, blocks=1, block_width=8)
    config.schedule.warmup_steps = 1
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
  elif variant != "full":
    raise ValueError(
      f"got the variant {variant!r}, expected 'full', 'causal' or 'smoke'."
    )
  return config
