r"""Draws docs/synthetic_multiview.png: clips of synthetic_multiview and their labels.

Run: python tools/multiview_sheet.py docs/synthetic_multiview.png

Each row is a clip: four cameras, and the same cameras half a second later with the
labels on them: the box, joints that the camera sees (filled) and hidden ones (rings).
"""

import argparse
import dataclasses
import importlib
import pathlib
import sys

import numpy as np
from PIL import Image
from PIL import ImageDraw

from jaxpose import skeletons
from jaxpose.data import view_records
from jaxpose.files import resources

LEFT, RIGHT, MIDDLE = (86, 180, 233), (255, 140, 60), (240, 240, 240)


def labelled(picture: Image.Image, record: dict, frame: int, view: int) -> Image.Image:
  """A picture with bones, joints and box, drawn at four times the size."""
  skeleton = skeletons.get("h36m17")
  points = 4 * record["keypoints_2d"][frame, view] + 2
  visible = record["visible"][frame, view]
  large = picture.resize((4 * picture.width, 4 * picture.height))
  pen = ImageDraw.Draw(large)
  cx, cy, w, h = 4 * record["boxes"][frame, view]
  box = (cx - w / 2 + 2, cy - h / 2 + 2, cx + w / 2 + 2, cy + h / 2 + 2)
  pen.rectangle(box, outline=(255, 230, 80), width=3)
  colors = [
    LEFT if j in skeleton.left else RIGHT if j in skeleton.right else MIDDLE
    for j in range(skeleton.num_joints)
  ]
  for parent, child in skeleton.bones:
    pen.line([*points[parent], *points[child]], fill=colors[child], width=5)
  for (x, y), seen, color in zip(points, visible, colors, strict=True):
    ring = (x - 8, y - 8, x + 8, y + 8)
    pen.ellipse(ring, fill=color if seen else (0, 0, 0), outline=color, width=4)
  return large.resize(picture.size, Image.Resampling.LANCZOS)


def main() -> None:
  """The command."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("path", type=pathlib.Path)
  parser.add_argument("--size", type=int, default=112)
  parser.add_argument(
    "--clips",
    default="S06_jumping,S10_sitting,S13_turning,S08_reaching",
    help="SUBJECT_ACTION of each row",
  )
  args = parser.parse_args()
  sys.path.append(str(resources.folder("datasets")))
  name = "synthetic_multiview"
  module = importlib.import_module(f"{name}.{name}_dataset_builder")
  config = module.Builder.builder_configs["default"]
  config = dataclasses.replace(config, size=args.size)
  rows = []
  for clip in args.clips.split(","):
    record = module.make_record(config, *clip.split("_"))
    tiles = []
    for frame in (1, config.frames - 1):
      for view in range(config.views):
        encoded = record["images"][frame * config.views + view]
        picture = view_records.decode(encoded)
        if frame > 1:
          picture = labelled(picture, record, frame, view)
        tiles.append(np.asarray(picture))
    rows.append(np.concatenate(tiles, 1))
  sheet = Image.fromarray(np.concatenate(rows))
  palette = sheet.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
  palette.save(args.path, optimize=True)
  print(f"{args.path}: {args.path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
  main()
