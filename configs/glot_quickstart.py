r"""A small GLoT fed by 2D keypoints on synthetic motion, in minutes on two CPU cores.

Run: python -m jaxpose.train --config=configs/glot_quickstart.py

Test subjects, seed 0: 36.6 mm PA-MPJPE (mean pose 95.0, global branch alone 38.4) after
4 minutes 27 seconds on two CPU cores, dataset included.
"""

from jaxpose.config import base_config

# Term of jaxpose.tasks.mesh_losses -> key of its prediction and weight, for both
# branches.
TERMS = dict(
  keypoints_2d=("keypoints_2d", 10.0),
  joints_3d=("joints_3d", 300.0),
  velocity_3d=("joints_3d", 100.0),
  rotations=("rotations", 60.0),
  betas=("betas", 0.06),
)


def losses() -> dict:
  """The authors' terms; every frame counts, velocities are relative to the hips."""
  found = {}
  for fn, (key, weight) in TERMS.items():
    options = dict(masking="elementwise", centred=True) if fn == "velocity_3d" else {}
    found[fn] = dict(fn=fn, key=key, weight=weight, **options)
    found[f"global_{fn}"] = found[fn] | dict(key=f"global_{key}", supervise="all")
  return found


def get_config(variant: str = "full"):
  config = base_config()
  config.model = dict(
    name="glot",
    variant="glot_keypoints",
    body="free_small",
    window=8,
    nearby=2,
    feat_dim=128,
    keypoint_hidden=128,
    width=128,
    heads=4,
    decoder_width=64,
    mask_hidden=(64, 128),
    mask_ratio=0.125,  # one frame of eight: a short run learns little from half of them
    local_width=128,
    local_depth=2,
    local_heads=4,
    regressor_hidden=256,
    hscr_hidden=256,
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
  config.data.name = "synthetic_motion"
  config.data.builder_config = "mesh"
  config.data.window = 8
  config.data.batch_size = 64
  config.augment.virtual_camera = True
  config.losses = losses()
  config.optimizer = dict(name="adamw", weight_decay=1e-4, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=2e-3, final=1e-6, warmup_steps=100)
  config.total_steps = 1800
  config.log_every = 100
  config.eval_every = 900
  config.save_every = 900
  config.evals = dict(
    validation=dict(split="validation", protocols=("mesh14_p2",), every=4),
    test=dict(
      split="test",
      protocols=("mesh14_p1", "mesh14_p2", "mesh_vertices", "mesh14_accel"),
      when="end",
    ),
  )
  if variant == "smoke":
    config.data.builder_config = "mesh_tiny"
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
    raise ValueError(f"got the variant {variant!r}, expected 'full' or 'smoke'.")
  return config
