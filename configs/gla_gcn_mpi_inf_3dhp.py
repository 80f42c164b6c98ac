r"""GLA-GCN, 81 frames, MPI-INF-3DHP, annotated keypoints.

The network and training of the authors' script: width 256, the graph of Human3.6M on
the joints of MPI-INF-3DHP, which links the wrong ones (--config.model.graph=mpi3dhp
links the right ones), and Adam; the last epoch is scored, while the script keeps the
best on the tests.
Not trained here: prepare the files that datasets/mpi_inf_3dhp/README.md names.

Run: python -m jaxpose.train --config=configs/gla_gcn_mpi_inf_3dhp.py \
  --config.data.manual_dir=FOLDER

Hardware: eight processes in the authors' script; which GPUs is not known to us.
Published: a row whose numbers are not at hand in a text to quote. Ours: -.
"""

from jaxpose.config import base_config


def get_config(variant: str = "full"):
  config = base_config()
  config.seed = 1
  config.model = dict(name="gla_gcn", variant="gla_gcn_3dhp", graph="h36m")
  config.data.name = "mpi_inf_3dhp"
  config.data.builder_config = "pstmo"
  config.data.window = 81
  config.data.batch_size = 1200  # of 8 processes with 150 windows each
  config.losses = dict(
    joints=dict(fn="mpjpe", key="joints_3d", weight=1.0),
    sequence=dict(fn="mpjpe", key="joints_3d_sequence", weight=1.0),
  )
  config.optimizer = dict(name="amsgrad")
  config.schedule = dict(name="mpi3dhp_decay", base=1e-3 / 8)
  config.total_epochs = 49
  config.evals = dict(
    test=dict(split="test", protocols=("mpi3dhp",), flip=True, when="end")
  )
  if variant == "smoke":
    # Generated people in place of licensed files.
    config.data.name = "synthetic_motion"
    config.data.builder_config = "tiny"
    config.data.window = 9
    config.data.batch_size = 8
    config.model.width = 8
    config.model.filter_widths = (3, 3)
    config.total_epochs = None
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
    config.evals = dict(validation=dict(split="validation", protocols=("cmu_p1",)))
  elif variant != "full":
    raise ValueError(f"got the variant {variant!r}, expected 'full' or 'smoke'.")
  return config
