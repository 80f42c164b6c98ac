"""Colours of large surfaces: patterns with stains, drawn at random."""

import colorsys
import dataclasses

import numpy as np

_COARSE, _FINE = 64, 4  # texels of a noise tile, and places to look it up in each
KINDS = ("plain", "checks", "stripes", "planks", "bricks")


@dataclasses.dataclass(frozen=True)
class Texture:
  """A pattern of two colours under noise.

  Attributes:
    kind: one of `KINDS`.
    colors: (2, 3) in [0, 1].
    size: metres of the pattern.
    noise: (256, 256) around 0, repeats without a seam after 64 texels.
    texel: metres of one of its texels.
    turn: radians of the pattern in the surface.
  """

  kind: str
  colors: np.ndarray
  size: float
  noise: np.ndarray
  texel: float
  turn: float


def color(rng: np.random.Generator, saturation, value) -> np.ndarray:
  """(3,) a random hue; saturation and value from the given ranges."""
  return np.array(
    colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
  )


def sample_noise(rng: np.random.Generator) -> np.ndarray:
  """(256, 256) float32 of standard deviation 1: clouds of up to 64 texels."""
  spectrum = np.fft.fft2(rng.normal(size=(_COARSE, _COARSE)))
  f = np.fft.fftfreq(_COARSE)
  spectrum /= np.maximum(np.hypot(f[:, None], f), 1 / _COARSE) ** rng.uniform(0.6, 1.4)
  spectrum[0, 0] = 0
  # With zeros for the frequencies above, the inverse is smooth between texels.
  at = np.rint(f * _COARSE).astype(int)
  whole = np.zeros((_COARSE * _FINE,) * 2, complex)
  whole[np.ix_(at, at)] = spectrum
  noise = np.fft.ifft2(whole).real
  return (noise / noise.std()).astype(np.float32)


def sample(
  rng: np.random.Generator, *, saturation=(0.0, 0.5), value=(0.3, 0.9), kinds=KINDS
) -> Texture:
  """A random texture."""
  first = color(rng, saturation, value)
  contrast = rng.uniform(0.06, 0.4)
  second = (1 - contrast) * first + contrast * color(rng, saturation, value)
  return Texture(
    str(rng.choice(kinds)),
    np.stack([first, second]).astype(np.float32),
    float(rng.uniform(0.25, 0.9)),
    sample_noise(rng) * np.float32(rng.uniform(0.015, 0.06)),
    float(rng.uniform(0.03, 0.12)),
    float(rng.uniform(0, np.pi)),
  )


def look_up(noise: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
  """The tile at places counted in texels; it repeats."""
  row, column = (np.floor(_FINE * x).astype(np.int32) % len(noise) for x in (v, u))
  return noise[row, column]


def paint(texture: Texture, u: np.ndarray, v: np.ndarray) -> np.ndarray:
  """(n, 3) colours of the places (n,), metres in the surface."""
  c, s = np.float32(np.cos(texture.turn)), np.float32(np.sin(texture.turn))
  if texture.kind == "bricks":  # level, as bricks are
    c, s = np.float32(1), np.float32(0)
  a, b = (c * u + s * v) / texture.size, (c * v - s * u) / texture.size
  if texture.kind == "checks":
    chosen = (np.floor(a) + np.floor(b)) % 2 > 0
  elif texture.kind == "stripes":
    chosen = a % 1 < 0.4
  elif texture.kind == "planks":
    chosen = (a * 3 % 1 < 0.08) | ((b / 2 + np.floor(a * 3) * 0.37) % 1 < 0.015)
  elif texture.kind == "bricks":
    chosen = (b * 3 % 1 < 0.14) | ((a + 0.5 * (np.floor(b * 3) % 2)) % 1 < 0.06)
  else:
    chosen = np.zeros(len(u), bool)
  grain = look_up(texture.noise, u / texture.texel, v / texture.texel)
  return np.take(texture.colors, chosen.astype(np.int8), 0) + grain[:, None]
