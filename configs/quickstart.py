r"""A small GLA-GCN on synthetic motion, in minutes on two CPU cores; no download.

Run: python -m jaxpose.train --config=configs/quickstart.py
"""

from jaxpose.config import base_config


def get_config(variant: str = "full"):
  config = base_config()
  config.model = dict(
    name="gla_gcn",
    variant="gla_gcn",
    width=48,
    filter_widths=(3, 3),
    global_blocks=1,
    dropout=0.0,
    graph_dropout=0.0,
  )
  config.data.name = "synthetic_motion"
  config.data.window = 9
  config.data.batch_size = 128
  config.augment.virtual_camera = True
  config.losses = dict(
    joints=dict(fn="mpjpe", key="joints_3d", weight=1.0),
    sequence=dict(fn="mpjpe", key="joints_3d_sequence", weight=1.0),
  )
  config.optimizer = dict(name="adamw", weight_decay=1e-4, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=4e-3, final=1e-5, warmup_steps=50)
  config.total_steps = 700
  config.eval_every = 350
  config.save_every = 350
  config.evals = dict(
    validation=dict(split="validation", protocols=("cmu_p1",), every=4),
    test=dict(split="test", when="end"),
  )
  if variant == "smoke":
    config.data.builder_config = "tiny"
    config.data.batch_size = 16
    config.model.width = 8
    config.schedule.warmup_steps = 1
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
    config.evals.test.every = 1
  elif variant != "full":
    raise ValueError(f"got the variant {variant!r}, expected 'full' or 'smoke'.")
  return config
