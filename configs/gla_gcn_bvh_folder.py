r"""GLA-GCN-skip with the sequence head, 27 frames, on your own motion capture.

Run: python -m jaxpose.train --config=configs/gla_gcn_bvh_folder.py \
  --config.data.manual_dir=FOLDER --config.data.builder_config=NAME --workdir=runs/NAME

FOLDER holds BVH files as datasets/bvh_folder/README.md says; NAME is yours. Each clip
is filmed by four cameras, and each training window by a new random one. The network is
that of configs/gla_gcn_cmu.py (ours, not the paper's; see docs/results.md), so
--config.init_from=gla_gcn_cmu_27 starts from its weights. No score is given here, for
the data are yours.

Variant "all" is for fewer than three subjects, who all train; its score is of them, so
it says only that training works.
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
  config.data.name = "bvh_folder"
  config.data.builder_config = "mine"
  config.data.window = 27
  config.data.batch_size = 48
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
  if variant == "all":
    config.evals = dict(train=dict(split="train", protocols=("cmu_p1",), every=64))
  elif variant == "smoke":
    # Generated people in place of the user's.
    config.data.name = "synthetic_motion"
    config.data.builder_config = "tiny"
    config.data.batch_size = 8
    config.model.width = 8
    config.schedule.warmup_steps = 1
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
  elif variant != "full":
    raise ValueError(f"got the variant {variant!r}, expected 'full', 'all' or 'smoke'.")
  return config
