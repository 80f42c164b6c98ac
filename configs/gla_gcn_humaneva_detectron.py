r"""The released GLA-GCN, 27 frames, HumanEva-I, keypoints of Mask R-CNN.

With the training of the released code. Its network maps Mask R-CNN's 17 points to the
15 joints inside; the data set here has them mapped in the same way.
Not trained here: prepare the files that datasets/humaneva/README.md names.

Run: python -m jaxpose.train --config=configs/gla_gcn_humaneva_detectron.py \
  --config.data.manual_dir=FOLDER

Hardware: two GPUs are the released code's default; times are not known to us.
Published: a table by person and action that is not at hand. It may count the last chunk
of each action alone, which the protocol humaneva_p1_last_chunk does. Ours: -.
"""

from jaxpose.config import base_config


def get_config(variant: str = "full"):
  config = base_config()
  config.seed = 1234
  config.model = dict(
    name="gla_gcn", variant="s_agcn_humaneva_mrcnn", filter_widths=(3, 3, 3)
  )
  config.data.name = "humaneva"
  config.data.builder_config = "detectron"
  config.data.window = 27
  config.data.batch_size = 1024
  config.augment.label_jitter = True
  config.optimizer = dict(name="ranger")
  config.schedule = dict(name="cosine_per_epoch", base=0.01, final=1e-5)
  config.call_schedules = dict(
    bn_momentum=dict(name="bn_momentum_decay", start=0.1, end=0.001)
  )
  config.total_epochs = 1000
  config.evals = dict(
    test=dict(
      split="test",
      protocols=("humaneva_p1", "humaneva_p2", "humaneva_p1_last_chunk"),
      flip=True,
      when="end",
    )
  )
  if variant == "smoke":
    # Generated people in place of licensed files.
    config.data.name = "synthetic_motion"
    config.data.builder_config = "tiny"
    config.data.window = 9
    config.data.batch_size = 8
    config.model = dict(name="gla_gcn", variant="s_agcn", width=8, filter_widths=(3, 3))
    config.total_epochs = None
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
    config.evals = dict(validation=dict(split="validation", protocols=("cmu_p1",)))
  elif variant != "full":
    raise ValueError(f"got the variant {variant!r}, expected 'full' or 'smoke'.")
  return config
