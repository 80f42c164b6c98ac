r"""GLA-GCN, 27 frames, for keypoints of a detector: the lifter of `predict`.

Run: python -m jaxpose.train --config=configs/lift_27.py:unframed \
       --workdir=runs/lift_27_unframed
     python -m jaxpose.train --config=configs/lift_27.py:framed \
       --workdir=runs/lift_27_framed --config.init_from=runs/lift_27_unframed
     python -m jaxpose.train --config=configs/lift_27.py \
       --workdir=runs/lift_27_first --config.init_from=runs/lift_27_framed
     python -m jaxpose.train --config=configs/lift_27.py --workdir=runs/lift_27 \
       --config.init_from=runs/lift_27_first

Goes on from gla_gcn_cmu_27, which knows exact keypoints alone, on CMU motion capture
with the errors of a detector (`jaxpose.detector_errors`): noise, hidden joints, left
and right exchanged, joints in other places. From the second part on windows are framed
(`jaxpose.framing`), under cameras from near and far, high and low; before, cameras are
level and see the whole picture. A quarter of the windows stays exact in the first two
parts, half in the last two.

Test subjects, seed 0, two CPU cores that were busy besides:

|             | minutes | detector's errors: MPJPE, PA-MPJPE (mm) | exact 2D |
|-------------|--------:|-----------------------------------------|----------|
| unframed    |      54 | 57.4, 45.1                              | 48.2, 37.8 |
| framed      |      46 | 58.0, 44.7                              | 46.4, 36.3 |
| first       |      72 | 57.6, 44.6                              | 44.7, 34.6 |
| lift-27     |      44 | 57.6, 44.4                              | 44.5, 34.3 |

The variant lift_27.py:causal is for live use: it predicts the last frame of its window.
It goes on from runs/lift_27_framed: 66.7 and 50.5 mm with errors, 56.2 and 43.0 mm
exact, after 16 minutes; released as lift-27-causal.
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
  config.losses = dict(
    joints=dict(fn="mpjpe", key="joints_3d", weight=1.0),
    sequence=dict(fn="mpjpe", key="joints_3d_sequence", weight=1.0),
  )
  config.optimizer = dict(name="adamw", weight_decay=1e-4, clip=1.0)
  config.schedule = dict(name="warmup_cosine", base=2e-3, final=1e-6, warmup_steps=200)
  config.total_steps = 8_000
  config.eval_every = 2000
  config.save_every = 500
  config.evals = dict(
    detector=dict(
      split="validation", protocols=("cmu_p1", "cmu_p2"), every=8, detector=True
    ),
    exact=dict(split="validation", protocols=("cmu_p1", "cmu_p2"), every=8),
    test_detector=dict(split="test", detector=True, when="end"),
    test_exact=dict(split="test", when="end"),
  )
  if variant == "unframed":
    config.init_from = "gla_gcn_cmu_27"
    config.data.framed = False
    config.augment.wide_cameras = False
    config.augment.exact_share = 0.25
    config.schedule.base = 3e-3
    config.eval_every = 1000
  elif variant == "framed":
    config.augment.exact_share = 0.25
    config.total_steps = 7_000
  elif variant == "causal":
    config.init_from = "runs/lift_27_framed"
    config.data.lookahead = 0
    config.augment.exact_share = 0.25
    config.schedule.base = 1e-3
    config.total_steps = 2_000
    config.eval_every = 1000
  elif variant == "smoke":
    config.data.batch_size = 8
    config.model.width = 8
    config.schedule.warmup_steps = 1
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
  elif variant != "full":
    raise ValueError(
      f"got the variant {variant!r}, expected 'full', 'unframed', 'framed', 'causal' "
      "or 'smoke'."
    )
  return config
