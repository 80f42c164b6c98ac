r"""GLA-GCN-skip with the sequence head, 27 frames, on CMU motion capture.

Run: python -m jaxpose.train --config=configs/gla_gcn_cmu.py --workdir=runs/gla_gcn_cmu

`linear_skip` and `graph_scale=1` are ours, and there are no global blocks: this is a
variant of the paper's network. It is trained on exact 2D of people of other limbs,
poses and speeds than those who were captured (`jaxpose.data.people`), under virtual
cameras.

gla_gcn_cmu_27 went on from its earlier weights, which were trained on people whose
torsos and forearms are too short: --config.init_from=gla_gcn_cmu_27
--config.schedule.base=2e-3 --config.total_steps=4200, seed 0, 48 minutes on one CPU
core. Test subjects, exact 2D: 43.4 mm MPJPE, 31.3 mm PA-MPJPE; validation by steps:
1,000 48.3, 33.0; 2,000 46.7, 31.7; 3,000 43.8, 30.7; 4,000 43.8, 30.1. The
length and rate below, from scratch, were not run on this data.
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
  config.augment.stature = 0.06
  config.augment.limbs = 0.06
  config.augment.children = 0.05
  config.augment.turns = 0.5
  config.augment.tilts = 0.2
  config.augment.exchange = 0.25
  config.augment.rising = 0.5
  config.augment.speed = (0.5, 2.0)
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
