r"""GLoT fed by 2D keypoints, on CMU motion capture with the free body.

Run: python -m jaxpose.train --config=configs/glot_cmu.py --workdir=runs/glot_cmu

The variant glot_cmu.py:detector trains without masking, half of the windows with a
detector's errors (`jaxpose.data.detector_errors`), under cameras from near and far,
high and low; released as mesh-16, which went on from its earlier weights:
--config.init_from=mesh-16 --config.schedule.base=1e-3 --config.total_steps=6500
--config.eval_every=3250, seed 0, 85 minutes with its scores on one busy CPU core.
Test subjects, MPJPE, PA-MPJPE and MPVPE in mm: 56.4, 39.9, 75.9 from exact 2D,
78.3, 50.8, 102.3 with errors.
"""

from jaxpose.config import base_config

WEIGHTS = dict(
  keypoints_2d=10.0,
  joints_3d=300.0,
  velocity_2d=1.0,
  velocity_3d=100.0,
  rotations=60.0,
  betas=0.06,
)


def terms(branch: str) -> dict:
  """Loss terms of a branch, "" or "global_"."""
  keys = dict(velocity_2d="keypoints_2d", velocity_3d="joints_3d")
  found = {
    f"{branch}{fn}": dict(fn=fn, key=f"{branch}{keys.get(fn, fn)}", weight=weight)
    for fn, weight in WEIGHTS.items()
  }
  # Ours: masked frame by frame and relative to the hips, and visible frames count too.
  found[f"{branch}velocity_3d"].update(masking="elementwise", centred=True)
  if branch:
    for term in found.values():
      term["supervise"] = "all"
  return found


def get_config(variant: str = "full"):
  config = base_config()
  config.model = dict(
    name="glot",
    variant="glot_keypoints",
    body="free",
    feat_dim=256,
    keypoint_hidden=256,
    width=256,
    decoder_width=128,
    mask_hidden=(128, 256),
    mask_ratio=0.5,
    local_width=128,
    regressor_hidden=512,
    hscr_hidden=512,
    dropout=0.0,
    drop_path=0.0,
    local_dropout=0.0,
    local_drop_path=0.0,
    regressor_dropout=0.0,
    hscr_dropout=0.0,
    keypoint_dropout=0.0,
    head_gain=0.01,
  )
  config.inputs = ("keypoints_crop",)
  config.data.name = "cmu_mocap"
  config.data.builder_config = "mesh"
  config.data.window = 16
  config.data.batch_size = 64
  config.data.sampling = "actions"
  config.augment.virtual_camera = True
  config.augment.random_shape = True
  config.losses = terms("") | terms("global_")
  config.optimizer = dict(name="adamw", weight_decay=1e-4, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=1e-3, final=1e-6, warmup_steps=500)
  config.total_steps = 5000
  config.eval_every = 2500
  config.save_every = 1000
  config.evals = dict(
    validation=dict(split="validation", protocols=("mesh14_p1", "mesh14_p2"), every=8),
    test=dict(
      split="test",
      protocols=("mesh14_p1", "mesh14_p2", "mesh_vertices", "mesh14_accel"),
      when="end",
    ),
  )
  if variant == "detector":
    config.model.mask_ratio = 0.0
    config.augment.wide_cameras = True
    config.augment.detector_noise = 1.0
    config.augment.joint_dropout = 0.05
    config.augment.side_swaps = 0.02
    config.augment.joint_places = 1.0
    config.augment.exact_share = 0.5
    config.schedule.update(warmup_steps=200)
    config.total_steps = 5500
    config.log_every = 50
    config.eval_every = 2750
    config.save_every = 250
    config.evals = dict(
      detector=dict(**config.evals.validation, detector=True),
      exact=config.evals.validation,
      test_detector=dict(**config.evals.test, detector=True),
      test_exact=config.evals.test,
    )
  elif variant == "smoke":
    config.data.batch_size = 8
    config.model.update(
      feat_dim=16,
      keypoint_hidden=16,
      width=16,
      depth=1,
      heads=2,
      decoder_width=8,
      mask_hidden=(8, 16),
      local_width=8,
      local_depth=1,
      local_heads=2,
      regressor_hidden=16,
      hscr_hidden=16,
    )
    config.schedule.warmup_steps = 1
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
  elif variant != "full":
    raise ValueError(
      f"got the variant {variant!r}, expected 'full', 'detector' or 'smoke'."
    )
  return config
