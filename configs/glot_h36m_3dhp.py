r"""GLoT for Human3.6M and MPI-INF-3DHP (table 1 of the paper).

Data, hyper-parameters and schedule of the authors' table1_h36m_mpii3d.
Not trained here: build the data sets from the files that their owners license (see the
READMEs under datasets/), put the neutral SMPL into the folder JAXPOSE_SMPL_DIR
(docs/body.md), and name SPIN's checkpoint.

Run: python -m jaxpose.train --config=configs/glot_h36m_3dhp.py \
  --config.data.manual_dir=DB \
  --config.init_spin=spin_model_checkpoint.pth.tar

Hardware of the authors: not known to us.
Published, mm: Human3.6M 46.3 PA-MPJPE, 67.0 MPJPE, 3.6 acceleration; MPI-INF-3DHP 61.5,
93.9, 7.9. Ours: -.
"""

from jaxpose.config import base_config

EPOCHS, STEPS_PER_EPOCH, WARMUP_EPOCHS = 75, 1000, 8
# Term -> key of its prediction in either branch, and weight.
TERMS = dict(
  keypoints_2d=("keypoints_2d", 100.0),
  joints_3d=("joints_3d", 150.0),
  velocity_2d=("keypoints_2d", 10.0),
  velocity_3d=("joints_3d", 100.0),
  rotations=("rotations", 60.0),
  betas=("betas", 0.06),
)


def get_config(variant: str = "full"):
  config = base_config()
  config.seed = 1
  config.model = dict(name="glot", variant="glot", body="smpl")
  config.inputs = ("features",)
  config.data.name = "threedpw"
  config.data.builder_config = "glot"
  config.data.window = 16
  config.data.batch_size = 64
  config.data.sampling = "windows"
  config.data.mix = (
    (38, ("insta_variety/glot",)),
    (26, ("threedpw/glot", "mpi_inf_3dhp/glot", "human36m/glot")),
  )
  config.augment.flip = False
  config.augment.label_rounding = True
  config.losses = {
    f"{branch}{fn}": dict(fn=fn, key=f"{branch}{key}", weight=weight)
    for branch in ("global_", "")
    for fn, (key, weight) in TERMS.items()
  }
  config.optimizer = dict(name="adam_l2", weight_decay=1e-5)
  config.schedule = dict(
    name="warmup_cosine_per_epoch",
    base=1e-4,
    final=1e-5,
    warmup_epochs=WARMUP_EPOCHS,
    epochs=EPOCHS,
    steps_per_epoch=STEPS_PER_EPOCH,
  )
  config.total_steps = EPOCHS * STEPS_PER_EPOCH
  config.eval_every = STEPS_PER_EPOCH
  config.save_every = STEPS_PER_EPOCH
  config.evals = dict(
    validation=dict(split="validation", protocols=("mesh14_p2", "mesh14_p1")),
    test=dict(
      split="test",
      data="human36m/glot",
      protocols=("mesh14_p2", "mesh14_p1", "mesh14_accel"),
      reversed_tail=7,
      when="end",
    ),
    test_3dhp=dict(
      split="test",
      data="mpi_inf_3dhp/glot",
      protocols=("mpi3dhp_mesh_p2", "mpi3dhp_mesh_p1", "mpi3dhp_mesh_accel"),
      reversed_tail=7,
      when="end",
    ),
  )
  if variant == "smoke":
    # Keypoints of generated motion in place of licensed features; half a batch as 2D.
    config.model = dict(
      name="glot",
      variant="glot_keypoints",
      body="free_small",
      feat_dim=16,
      keypoint_hidden=16,
      width=16,
      depth=1,
      heads=2,
      decoder_width=8,
      mask_hidden=(8, 16),
      local_width=8,
      local_depth=1,
      local_heads=2,
      regressor_hidden=16,
      hscr_hidden=16,
    )
    config.inputs = ("keypoints_crop",)
    config.data.name = "synthetic_motion"
    config.data.builder_config = "mesh_tiny"
    config.data.batch_size = 8
    config.data.mix = (
      (5, ("synthetic_motion/mesh_tiny",)),
      (3, ("synthetic_motion/mesh_tiny",)),
    )
    config.augment.label_rounding = False
    config.schedule.steps_per_epoch = 1
    config.total_steps = 4
    config.log_every = 1
    config.eval_every = 2
    config.save_every = 2
    for name in list(config.evals):
      if name != "validation":
        del config.evals[name]
  elif variant != "full":
    raise ValueError(f"got the variant {variant!r}, expected 'full' or 'smoke'.")
  return config
