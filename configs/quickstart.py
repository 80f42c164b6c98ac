r"""A small GLA-GCN-skip of 3 frames on synthetic motion, in minutes on two CPU cores.

Run: python -m jaxpose.train --config=configs/quickstart.py

GLA-GCN-skip is ours: the released layers with `linear_skip`, `graph_scale` 1 and no
global blocks. The paper's network has neither of the first two; see docs/results.md.
"""

from jaxpose.config import base_config


def get_config(variant: str = "full"):
  config = base_config()
  config.model = dict(
    name="gla_gcn",
    variant="s_agcn",
    width=48,
    filter_widths=(3,),
    dropout=0.0,
    graph_dropout=0.0,
    graph_scale=1.0,
    linear_skip=True,
  )
  config.data.name = "synthetic_motion"
  config.data.window = 3
  config.data.batch_size = 64
  config.optimizer = dict(name="adamw", weight_decay=1e-4, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=8e-3, final=1e-6, warmup_steps=50)
  config.total_steps = 4000
  config.log_every = 100
  config.eval_every = 2000
  config.save_every = 2000
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
