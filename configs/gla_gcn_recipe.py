r"""The authors' training recipe for the released network, on any dataset here.

Ranger at 0.01 with a cosine per epoch, batch-norm momentum decaying from 0.1 to 0.001,
every window also mirrored, label jitter (on in their code, not in the paper), and the
centre frame's error alone. They train 80 epochs of Human3.6M with batches of 512. Not
measured here.

Run: python -m jaxpose.train --config=configs/gla_gcn_recipe.py --config.data.name=NAME
"""

from jaxpose.config import base_config


def get_config(variant: str = "full"):
  config = base_config()
  config.seed = 1234
  config.model = dict(name="gla_gcn", variant="s_agcn", filter_widths=(3, 3, 3))
  config.data.window = 27
  config.data.batch_size = 512
  config.augment.label_jitter = True
  config.optimizer = dict(name="ranger")
  config.schedule = dict(name="cosine_per_epoch", base=0.01, final=1e-5)
  config.call_schedules = dict(
    bn_momentum=dict(name="bn_momentum_decay", start=0.1, end=0.001)
  )
  config.total_epochs = 80
  config.evals = dict(
    validation=dict(split="validation", protocols=("cmu_p1", "cmu_p2"), every=8),
    test=dict(split="test", when="end"),
  )
  if variant == "smoke":
    config.data.builder_config = "tiny"
    config.data.batch_size = 16
    config.model.filter_widths = (3, 3, 3)
    config.total_epochs = None
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
  elif variant != "full":
    raise ValueError(f"got the variant {variant!r}, expected 'full' or 'smoke'.")
  return config
