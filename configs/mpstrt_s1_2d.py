r"""Stage 1 of the multi-view network: 2D poses of single images, on rendered people.

Run: python -m jaxpose.train --config=configs/mpstrt_s1_2d.py --workdir=runs/mpstrt_s1

The motion of the rendered people is that of cmu_mocap, which is built first; see
datasets/synthetic_multiview/README.md, also for photographs as backdrops.

Of mpstrt-small it is three runs in a row, seed 0, each from the one before it
(--config.init_from), on one CPU core that was shared. They differ in the weights of
points and points_alone, and of the two terms *_either:

| steps | base | points, alone | either, alone | minutes |
| 1,000 of 2,000 | 2e-3, warm-up 150 | 1, 0.5 | none | 29 |
| 593 of 850 | 1.5e-3, 30 | 0.3, 0.15 | 1, 0.5 (as here) | 10 |
| 430 | 1.5e-3, 20 | 1, 0.5 | 0.5, 0.25 | 11 |

The first left all limbs in the middle of the body, for the network could not tell the
front from the back; see `keypoints_2d_either`. The second found the limbs, the third
began to tell left from right. The settings below were not run as a whole.
"""

from jaxpose.config import base_config


def get_config(variant: str = "full"):
  config = base_config()
  config.model = dict(
    name="multiview",
    variant="small",
    image_size=64,
    layout="off",
    time_embedding="none",
    view_embedding="none",
    view_dropout=0.0,
    lifter="none",
  )
  config.inputs = ("images", "view_mask")
  config.data.name = "synthetic_multiview"
  config.data.builder_config = "cmu"
  config.data.window = 1
  config.data.views = 1
  config.data.crop_size = 64
  config.data.batch_size = 64
  config.augment_views.zoom = 0.15
  config.augment_views.shift = 0.08
  config.augment_views.color = 0.3
  config.augment_views.erase = 0.2
  config.losses = dict(
    points=dict(fn="views_2d", key="keypoints_2d", weight=0.3),
    points_alone=dict(fn="views_2d", key="keypoints_2d_spatial", weight=0.15),
    points_either=dict(fn="views_2d_either", key="keypoints_2d", weight=1.0),
    points_alone_either=dict(
      fn="views_2d_either", key="keypoints_2d_spatial", weight=0.5
    ),
    relevance=dict(fn="relevance", key="relevance_0", weight=0.1),
    confidence=dict(fn="confidence", key="score_logits", weight=0.05),
  )
  config.optimizer = dict(name="adamw", weight_decay=0.05, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=2e-3, final=1e-6, warmup_steps=150)
  config.total_steps = 2000
  config.log_every = 50
  config.eval_every = 1000
  config.save_every = 250
  config.evals = dict(
    validation=dict(split="validation", protocols=("cmu_p1",)),
    test=dict(split="test", protocols=("cmu_p1",), when="end"),
  )
  if variant == "smoke":
    config.data.builder_config = "tiny"
    config.data.batch_size = 4
    config.model.width = 16
    config.schedule.warmup_steps = 1
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
  elif variant != "full":
    raise ValueError(f"got the variant {variant!r}, expected 'full' or 'smoke'.")
  return config
