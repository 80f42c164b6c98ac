"""The joints of each skeleton, in order: `joint < parent`; the root has no parent."""

# Human3.6M's 17 joints of VideoPose3D and its successors.
H36M17 = """
  hip
  right_hip < hip
  right_knee < right_hip
  right_foot < right_knee
  left_hip < hip
  left_knee < left_hip
  left_foot < left_knee
  spine < hip
  thorax < spine
  neck < thorax
  head < neck
  left_shoulder < thorax
  left_elbow < left_shoulder
  left_wrist < left_elbow
  right_shoulder < thorax
  right_elbow < right_shoulder
  right_wrist < right_elbow
"""

# HumanEva-I as prepared by VideoPose3D.
HUMANEVA15 = """
  pelvis
  thorax < pelvis
  left_shoulder < thorax
  left_elbow < left_shoulder
  left_wrist < left_elbow
  right_shoulder < thorax
  right_elbow < right_shoulder
  right_wrist < right_elbow
  left_hip < pelvis
  left_knee < left_hip
  left_ankle < left_knee
  right_hip < pelvis
  right_knee < right_hip
  right_ankle < right_knee
  head < thorax
"""

# MPI-INF-3DHP's 17 joints in the order of its test set; the root is joint 14.
MPI3DHP17 = """
  head_top < neck
  neck < spine
  right_shoulder < neck
  right_elbow < right_shoulder
  right_wrist < right_elbow
  left_shoulder < neck
  left_elbow < left_shoulder
  left_wrist < left_elbow
  right_hip < pelvis
  right_knee < right_hip
  right_ankle < right_knee
  left_hip < pelvis
  left_knee < left_hip
  left_ankle < left_knee
  pelvis
  spine < pelvis
  head < neck
"""

# MPI-INF-3DHP's 28 annotated joints.
MPI3DHP28 = """
  spine3 < spine2
  spine4 < spine3
  spine2 < spine
  spine < pelvis
  pelvis
  neck < spine4
  head < neck
  head_top < head
  left_clavicle < spine4
  left_shoulder < left_clavicle
  left_elbow < left_shoulder
  left_wrist < left_elbow
  left_hand < left_wrist
  right_clavicle < spine4
  right_shoulder < right_clavicle
  right_elbow < right_shoulder
  right_wrist < right_elbow
  right_hand < right_wrist
  left_hip < pelvis
  left_knee < left_hip
  left_ankle < left_knee
  left_foot < left_ankle
  left_toe < left_foot
  right_hip < pelvis
  right_knee < right_hip
  right_ankle < right_knee
  right_foot < right_ankle
  right_toe < right_foot
"""

COCO17 = """
  nose
  left_eye < nose
  right_eye < nose
  left_ear < left_eye
  right_ear < right_eye
  left_shoulder < nose
  right_shoulder < nose
  left_elbow < left_shoulder
  right_elbow < right_shoulder
  left_wrist < left_elbow
  right_wrist < right_elbow
  left_hip < left_shoulder
  right_hip < right_shoulder
  left_knee < left_hip
  right_knee < right_hip
  left_ankle < left_knee
  right_ankle < right_knee
"""

BLAZEPOSE33 = """
  nose
  left_eye_inner < nose
  left_eye < left_eye_inner
  left_eye_outer < left_eye
  right_eye_inner < nose
  right_eye < right_eye_inner
  right_eye_outer < right_eye
  left_ear < left_eye_outer
  right_ear < right_eye_outer
  left_mouth < nose
  right_mouth < nose
  left_shoulder < nose
  right_shoulder < nose
  left_elbow < left_shoulder
  right_elbow < right_shoulder
  left_wrist < left_elbow
  right_wrist < right_elbow
  left_pinky < left_wrist
  right_pinky < right_wrist
  left_index < left_wrist
  right_index < right_wrist
  left_thumb < left_wrist
  right_thumb < right_wrist
  left_hip < left_shoulder
  right_hip < right_shoulder
  left_knee < left_hip
  right_knee < right_hip
  left_ankle < left_knee
  right_ankle < right_knee
  left_heel < left_ankle
  right_heel < right_ankle
  left_foot_index < left_ankle
  right_foot_index < right_ankle
"""

# OpenPose's COCO model, as in 3DPW; the neck is between the shoulders.
OPENPOSE18 = """
  nose < neck
  neck
  right_shoulder < neck
  right_elbow < right_shoulder
  right_wrist < right_elbow
  left_shoulder < neck
  left_elbow < left_shoulder
  left_wrist < left_elbow
  right_hip < neck
  right_knee < right_hip
  right_ankle < right_knee
  left_hip < neck
  left_knee < left_hip
  left_ankle < left_knee
  right_eye < nose
  left_eye < nose
  right_ear < right_eye
  left_ear < left_eye
"""

# OpenPose's BODY-25; the hip is between the hips.
OPENPOSE25 = """
  nose < neck
  neck < hip
  right_shoulder < neck
  right_elbow < right_shoulder
  right_wrist < right_elbow
  left_shoulder < neck
  left_elbow < left_shoulder
  left_wrist < left_elbow
  hip
  right_hip < hip
  right_knee < right_hip
  right_ankle < right_knee
  left_hip < hip
  left_knee < left_hip
  left_ankle < left_knee
  right_eye < nose
  left_eye < nose
  right_ear < right_eye
  left_ear < left_eye
  left_big_toe < left_ankle
  left_small_toe < left_big_toe
  left_heel < left_ankle
  right_big_toe < right_ankle
  right_small_toe < right_big_toe
  right_heel < right_ankle
"""

# Halpe's 26 of AlphaPose and MMPose: COCO's 17, crown, neck, hip and feet.
HALPE26 = """
  nose < neck
  left_eye < nose
  right_eye < nose
  left_ear < left_eye
  right_ear < right_eye
  left_shoulder < neck
  right_shoulder < neck
  left_elbow < left_shoulder
  right_elbow < right_shoulder
  left_wrist < left_elbow
  right_wrist < right_elbow
  left_hip < hip
  right_hip < hip
  left_knee < left_hip
  right_knee < right_hip
  left_ankle < left_knee
  right_ankle < right_knee
  head < neck
  neck < hip
  hip
  left_big_toe < left_ankle
  right_big_toe < right_ankle
  left_small_toe < left_ankle
  right_small_toe < right_ankle
  left_heel < left_ankle
  right_heel < right_ankle
"""

# SMPL's kinematic tree.
SMPL24 = """
  pelvis
  left_hip < pelvis
  right_hip < pelvis
  spine1 < pelvis
  left_knee < left_hip
  right_knee < right_hip
  spine2 < spine1
  left_ankle < left_knee
  right_ankle < right_knee
  spine3 < spine2
  left_foot < left_ankle
  right_foot < right_ankle
  neck < spine3
  left_collar < spine3
  right_collar < spine3
  head < neck
  left_shoulder < left_collar
  right_shoulder < right_collar
  left_elbow < left_shoulder
  right_elbow < right_shoulder
  left_wrist < left_elbow
  right_wrist < right_elbow
  left_hand < left_wrist
  right_hand < right_wrist
"""

# Leeds Sports Pose order; it has no pelvis, so the neck is the root of the drawing.
LSP14 = """
  right_ankle < right_knee
  right_knee < right_hip
  right_hip < neck
  left_hip < neck
  left_knee < left_hip
  left_ankle < left_knee
  right_wrist < right_elbow
  right_elbow < right_shoulder
  right_shoulder < neck
  left_shoulder < neck
  left_elbow < left_shoulder
  left_wrist < left_elbow
  neck
  head_top < neck
"""

# SPIN's 49: the 25 of OpenPose's BODY-25 (`_op`), the 14 of LSP, and ten more of other
# data sets, for bodies in SMPL's layout. Several name one place, each as its data set
# marks it.
SPIN49 = """
  nose_op < neck_op
  neck_op < thorax
  right_shoulder_op < neck_op
  right_elbow_op < right_shoulder_op
  right_wrist_op < right_elbow_op
  left_shoulder_op < neck_op
  left_elbow_op < left_shoulder_op
  left_wrist_op < left_elbow_op
  hip_op < pelvis
  right_hip_op < hip_op
  right_knee_op < right_hip_op
  right_ankle_op < right_knee_op
  left_hip_op < hip_op
  left_knee_op < left_hip_op
  left_ankle_op < left_knee_op
  right_eye_op < nose_op
  left_eye_op < nose_op
  right_ear_op < right_eye_op
  left_ear_op < left_eye_op
  left_big_toe < left_ankle
  left_small_toe < left_ankle
  left_heel < left_ankle
  right_big_toe < right_ankle
  right_small_toe < right_ankle
  right_heel < right_ankle
  right_ankle < right_knee
  right_knee < right_hip
  right_hip < pelvis
  left_hip < pelvis
  left_knee < left_hip
  left_ankle < left_knee
  right_wrist < right_elbow
  right_elbow < right_shoulder
  right_shoulder < neck
  left_shoulder < neck
  left_elbow < left_shoulder
  left_wrist < left_elbow
  neck < thorax
  head_top < neck
  pelvis
  thorax < spine
  spine < pelvis
  jaw < neck
  head < neck
  nose < head
  left_eye < nose
  right_eye < nose
  left_ear < left_eye
  right_ear < right_eye
"""

JOINT_SETS: dict[str, str] = dict(
  h36m17=H36M17,
  humaneva15=HUMANEVA15,
  mpi3dhp17=MPI3DHP17,
  mpi3dhp28=MPI3DHP28,
  coco17=COCO17,
  blazepose33=BLAZEPOSE33,
  smpl24=SMPL24,
  lsp14=LSP14,
  spin49=SPIN49,
  openpose18=OPENPOSE18,
  openpose25=OPENPOSE25,
  halpe26=HALPE26,
)
