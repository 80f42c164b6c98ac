r"""GLA-GCN, 27 frames, for live use: predicts the last frame of its window.

Run: python -m jaxpose.train --config=configs/lift_27_causal.py --workdir=runs/causal

Goes on from lift-27, whose windows have the predicted frame in the middle.
"""

from jaxpose.config import base_config


def get_config(variant: str = "full"):
  config = base_config()
  config.model = dict(
    name="gla_gcn",
    variant="gla_gcn",
    width=64,
    filter_widths=(3, 3, 3),
    global_blocks=0,
    dropout=0.0,
    graph_dropout=0.0,
    graph_scale=1.0,
    linear_skip=True,
  )
  config.init_from = "lift-27"
  config.data.name = "cmu_mocap"
  config.data.window = 27
  config.data.lookahead = 0
  config.data.batch_size = 48
  config.data.sampling = "actions"
  config.augment.virtual_camera = True
  config.augment.detector_noise = 1.0
  config.augment.joint_dropout = 0.05
  config.augment.side_swaps = 0.02
  config.augment.joint_places = 1.0
  config.augment.exact_share = 0.25
  config.losses = dict(
    joints=dict(fn="mpjpe", key="joints_3d", weight=1.0),
    sequence=dict(fn="mpjpe", key="joints_3d_sequence", weight=1.0),
  )
  config.optimizer = dict(name="adamw", weight_decay=1e-4, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=3e-3, final=1e-6, warmup_steps=200)
  config.total_steps = 8_000
  config.eval_every = 1000
  config.save_every = 500
  config.evals = dict(
    detector=dict(
      split="validation", protocols=("cmu_p1", "cmu_p2"), every=8, detector=True
    ),
    exact=dict(split="validation", protocols=("cmu_p1", "cmu_p2"), every=8),
    test_detector=dict(split="test", detector=True, when="end"),
    test_exact=dict(split="test", when="end"),
  )
  if variant == "smoke":
    config.data.batch_size = 8
    config.model.width = 8
    config.init_from = None
    config.schedule.warmup_steps = 1
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
  elif variant != "full":
    raise ValueError(f"got the variant {variant!r}, expected 'full' or 'smoke'.")
  return config
