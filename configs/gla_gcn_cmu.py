r"""GLA-GCN with its sequence head, 27 frames, on CMU motion capture.

Run: python -m jaxpose.train --config=configs/gla_gcn_cmu.py --workdir=runs/gla_gcn_cmu

Test subjects, exact 2D, seed 0: 40.2 mm MPJPE, 31.9 mm PA-MPJPE (38.6 and 30.4 averaged
with the mirror image) after 83 minutes on two CPU cores, on the 99 training clips of
cmu_mocap 1.0.0. The weights are released as gla_gcn_cmu_27.
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
  config.data.name = "cmu_mocap"
  config.data.window = 27
  config.data.batch_size = 48
  config.data.sampling = "actions"
  config.augment.virtual_camera = True
  config.losses = dict(
    joints=dict(fn="mpjpe", key="joints_3d", weight=1.0),
    sequence=dict(fn="mpjpe", key="joints_3d_sequence", weight=1.0),
  )
  config.optimizer = dict(name="adamw", weight_decay=1e-4, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=6e-3, final=1e-6, warmup_steps=200)
  config.total_steps = 16_000
  config.eval_every = 1000
  config.save_every = 1000
  config.evals = dict(
    validation=dict(split="validation", protocols=("cmu_p1", "cmu_p2"), every=8),
    test=dict(split="test", when="end"),
  )
  if variant == "smoke":
    config.data.batch_size = 8
    config.model.width = 8
    config.schedule.warmup_steps = 1
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
  elif variant != "full":
    raise ValueError(f"got the variant {variant!r}, expected 'full' or 'smoke'.")
  return config
