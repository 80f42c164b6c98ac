r"""VideoPose3D's temporal convolutions, 27 frames: the baseline of lifters.

Run: python -m jaxpose.train --config=configs/baselines/videopose3d_27.py:exact \
       --workdir=runs/videopose3d_exact
     python -m jaxpose.train --config=configs/baselines/videopose3d_27.py:errors \
       --workdir=runs/videopose3d_errors --config.init_from=runs/videopose3d_exact
     python -m jaxpose.train --config=configs/baselines/videopose3d_27.py \
       --workdir=runs/videopose3d --config.init_from=runs/videopose3d_errors

As many parameters as gla_gcn_cmu. There is no sequence head, so that the loss is of one
frame. Not measured on cmu_mocap 2.0.0; scores of 1.0.0 were of people whose torsos and
forearms are too short.
"""

from jaxpose.config import base_config


def get_config(variant: str = "full"):
  config = base_config()
  config.model = dict(
    name="temporal_convolution",
    channels=210,
    filter_widths=(3, 3, 3),
    dropout=0.1,
  )
  config.data.name = "cmu_mocap"
  config.data.window = 27
  config.data.framed = True
  config.data.batch_size = 48
  config.data.sampling = "actions"
  config.augment.virtual_camera = True
  config.augment.wide_cameras = True
  config.augment.detector_noise = 1.0
  config.augment.joint_dropout = 0.05
  config.augment.side_swaps = 0.02
  config.augment.joint_places = 1.0
  config.augment.exact_share = 0.5
  config.losses = dict(joints=dict(fn="mpjpe", key="joints_3d", weight=1.0))
  config.optimizer = dict(name="adamw", weight_decay=1e-4, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=1e-3, final=1e-6, warmup_steps=200)
  config.total_steps = 16_000
  config.eval_every = 2500
  config.save_every = 500
  config.evals = dict(
    detector=dict(
      split="validation", protocols=("cmu_p1", "cmu_p2"), every=8, detector=True
    ),
    exact=dict(split="validation", protocols=("cmu_p1", "cmu_p2"), every=8),
    test_detector=dict(split="test", detector=True, when="end"),
    test_exact=dict(split="test", when="end"),
  )
  if variant == "exact":
    config.data.framed = False
    config.augment.wide_cameras = False
    config.augment.detector_noise = 0.0
    config.augment.joint_dropout = 0.0
    config.augment.side_swaps = 0.0
    config.augment.joint_places = 0.0
    config.augment.exact_share = 0.0
  elif variant == "errors":
    config.augment.exact_share = 0.25
    config.total_steps = 15_000
  elif variant == "smoke":
    config.data.batch_size = 8
    config.model.channels = 8
    config.schedule.warmup_steps = 1
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
  elif variant != "full":
    raise ValueError(
      f"got the variant {variant!r}, expected 'full', 'exact', 'errors' or 'smoke'."
    )
  return config
