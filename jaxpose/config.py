"""Every setting of a training run, with its default.

A config file starts from `base_config()`, which is locked: it can set a field but not
add one. The contents of `model`, `schedule`, `optimizer`, `call_schedules`, `losses`
and `evals` are arguments of what they name, so a config replaces them whole, and what
is wrong in them is an error where they are used.
"""

import ml_collections


def base_config() -> ml_collections.ConfigDict:
  """The locked defaults; steps count optimiser updates, batches are global."""
  config = ml_collections.ConfigDict()
  config.seed = 0  # of the weights, the order of the windows, and the augmentations
  config.model = dict(name="gla_gcn", variant="s_agcn")  # fields of models.build
  config.inputs = ("keypoints_2d",)  # batch keys, in the order of the model's arguments

  config.data = ml_collections.ConfigDict()
  config.data.name = "synthetic_motion"  # folder under datasets/
  config.data.builder_config = ml_collections.config_dict.placeholder(str)
  config.data.data_dir = ml_collections.config_dict.placeholder(str)  # TFDS_DATA_DIR
  config.data.manual_dir = ml_collections.config_dict.placeholder(str)  # raw files
  config.data.split = "train"  # TFDS split, slices too: "train[:10%]"
  config.data.window = 27  # frames of the input
  # Frames of it after the one that is predicted: 0 for live use, None for the half. Of
  # data of joints alone.
  config.data.lookahead = ml_collections.config_dict.placeholder(int)
  # See each window turned and zoomed to the person (`jaxpose.skeletons.framing`);
  # joints alone.
  config.data.framed = False
  config.data.batch_size = 128  # windows
  config.data.sampling = "frames"  # or "windows", "actions"; pose_data.TrainingOrder
  # In place of name and split, ((windows of a batch, ("NAME/CONFIG", ...)), ...): what
  # the batch is mixed from. Scores are still those of name.
  config.data.mix = ()
  config.data.without_smpl = ()  # "NAME/CONFIG" of which only joints are used
  config.data.device_resident = True  # sequences on the accelerator, cut there
  # Of multi-view data: cameras of a window, None for all of a data set of pictures; of
  # motion, from one camera each if None. Crops have crop_size pixels; motion is taken
  # every stride frames.
  config.data.views = ml_collections.config_dict.placeholder(int)
  config.data.crop_size = 64
  config.data.stride = 1

  config.augment = ml_collections.ConfigDict()
  config.augment.flip = True  # each window a second time, mirrored
  config.augment.virtual_camera = False  # film each window by a new random camera
  config.augment.wide_cameras = False  # near, far, high, low and rolled: see rigs.draw
  # Other people than those who were captured, see people.Variety; of h36m17 alone.
  config.augment.stature = 0.0  # standard deviation of the logarithm of the size
  config.augment.limbs = 0.0  # likewise of each pair of bones
  config.augment.children = 0.0  # share of windows
  config.augment.turns = 0.0  # factor on turns of limbs, trunk and head
  config.augment.tilts = 0.0  # share of windows that are pitched or rolled
  config.augment.exchange = 0.0  # share of windows with another's upper body
  config.augment.rising = 0.0  # standard deviation of a vertical speed, m/s
  config.augment.speed = (1.0, 1.0)  # slowest and fastest playback
  config.augment.low_rates = 1.0  # the rate of the data over the lowest of the input
  config.augment.detector_noise = 0.0  # factor on the errors of a 2D detector
  config.augment.joint_dropout = 0.0  # share of 2D joints hidden for short spans
  config.augment.side_swaps = 0.0  # share of frames with left and right exchanged
  config.augment.joint_places = 0.0  # factor on the offsets of a detector's joints
  config.augment.exact_share = 0.0  # share of windows without these four
  config.augment.label_jitter = False  # GLA-GCN's rotation and scaling of the targets
  config.augment.label_rounding = False  # GLoT's rounding of the targets to float16
  config.augment.random_shape = False  # each window by a person of another shape
  config.augment.body = "free"  # whose shapes these are

  config.augment_views = ml_collections.ConfigDict()  # of multi-view data
  config.augment_views.rigs = False  # film motion by new random cameras
  config.augment_views.mirror = True  # scenes of half of the windows
  config.augment_views.turn = True  # the world about its vertical axis
  config.augment_views.zoom = 0.0  # of crops, as a share
  config.augment_views.shift = 0.0  # of crops, as a share of their side
  config.augment_views.color = 0.0  # changes of brightness, contrast and tint
  config.augment_views.erase = 0.0  # chance that a rectangle of a picture is covered
  config.augment_views.drop_views = 0.0  # chance that a view is missing
  config.augment_views.keypoint_noise = 1.0  # factor on a lifter's 2D errors
  config.augment_views.keypoint_places = 0.0  # on the offsets of a detector's joints
  config.augment_views.keypoint_hidden = 0.0  # share of joints that are guessed
  config.augment_views.keypoint_swaps = 0.0  # share of frames with exchanged sides

  config.losses = dict(joints=dict(fn="mpjpe", key="joints_3d", weight=1.0))
  config.optimizer = dict(name="adamw", weight_decay=1e-4)
  config.schedule = dict(name="warmup_cosine", base=1e-3, final=1e-5, warmup_steps=100)
  config.call_schedules = dict()  # model argument -> schedule, such as bn_momentum
  config.total_steps = ml_collections.config_dict.placeholder(int)  # this or the next
  config.total_epochs = ml_collections.config_dict.placeholder(int)
  config.log_every = 20
  config.eval_every = 1000
  config.save_every = 1000
  config.evals = dict()  # name -> arguments of scoring.Evaluation
  config.init_from = ml_collections.config_dict.placeholder(str)  # weights to start at
  # Parts of the model, names of its top-level parameters: that start anew though there
  # is init_from, and that start from weights of their own, such as lifting=LIFTER.
  config.init_new = ()
  config.init_parts = dict()
  config.lr_factors = dict()  # part -> factor on its learning rate
  config.init_spin = ml_collections.config_dict.placeholder(str)  # SPIN's, for GLoT
  return config.lock()
