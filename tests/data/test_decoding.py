"""Image files as TensorFlow decodes them."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_splitting.data.decoding import decode
from tf_splitting.errors import DataError

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (40, 30, 4)).astype(np.uint8)
ROWS, COLUMNS = np.mgrid[:40, :30]
WAVES = np.stack(
    [127 + 120 * np.sin(ROWS / 9 + k) * np.cos(COLUMNS / 7 - k) for k in range(3)],
    axis=-1,
).astype(np.uint8)


def save(path, pixels: np.ndarray, **options) -> None:
    """Writes pixels, by the number of their channels."""
    Image.fromarray(pixels).save(path, **options)


def sixteen_bits(channels: int) -> bytes:
    """A PNG of 16 bits."""
    pixels = RNG.integers(0, 2**16, (9, 8, channels)).astype(np.uint16)
    return tf.io.encode_png(pixels).numpy()


def palette(colours: int = 64, pixels: np.ndarray = NOISE) -> Image.Image:
    return Image.fromarray(pixels[..., :3]).quantize(colours)


EXACT = {
    "rgb.png": lambda path: save(path, NOISE[..., :3]),
    "rgb.bmp": lambda path: save(path, NOISE[..., :3]),
    "rgba.png": lambda path: save(path, NOISE),
    "grey.png": lambda path: save(path, NOISE[..., 0]),
    "grey.bmp": lambda path: save(path, NOISE[..., 0]),
    "grey_alpha.png": lambda path: save(path, NOISE[..., :2].copy()),
    "bits.png": lambda path: Image.fromarray(NOISE[..., 0]).convert("1").save(path),
    "palette.png": lambda path: palette().save(path),
    "palette_4.png": lambda path: palette(16).save(path, bits=4),
    "transparent.png": lambda path: palette().save(path, transparency=3),
    "palette_alpha.png": lambda path: palette().save(
        path, transparency=bytes(range(64))
    ),
    "key.png": lambda path: save(path, NOISE[..., :3], transparency=(1, 2, 3)),
    "grey_16.png": lambda path: path.write_bytes(sixteen_bits(1)),
    "grey_alpha_16.png": lambda path: path.write_bytes(sixteen_bits(2)),
    "rgb_16.png": lambda path: path.write_bytes(sixteen_bits(3)),
    "rgba_16.png": lambda path: path.write_bytes(sixteen_bits(4)),
    "palette.gif": lambda path: palette().save(path),
    "grey.gif": lambda path: save(path, NOISE[..., 0]),
    "transparent.gif": lambda path: palette().save(path, transparency=3),
    "frames.gif": lambda path: palette().save(
        path, save_all=True, append_images=[palette(pixels=NOISE[::-1])]
    ),
}

JPEGS = {
    "rgb.jpg": lambda path: save(path, WAVES),
    "best.jpg": lambda path: save(path, WAVES, quality=95, subsampling=0),
    "noise.jpg": lambda path: save(path, NOISE[..., :3]),
    "progressive.jpg": lambda path: save(path, WAVES, progressive=True),
    "grey.jpg": lambda path: save(path, WAVES[..., 0]),
    "cmyk.jpg": lambda path: Image.fromarray(WAVES).convert("CMYK").save(path),
}


def both(path) -> tuple[np.ndarray, np.ndarray]:
    """What we decode and what TensorFlow does, as whole numbers."""
    ours = decode(str(path))
    assert ours.dtype == np.uint8
    theirs = tf.io.decode_image(
        tf.io.read_file(str(path)), channels=3, expand_animations=False
    ).numpy()
    assert ours.shape == theirs.shape
    return ours.astype(int), theirs.astype(int)


@pytest.mark.parametrize("name", EXACT)
def test_formats_without_loss_are_equal(tmp_path, name):
    EXACT[name](tmp_path / name)
    np.testing.assert_array_equal(*both(tmp_path / name))


@pytest.mark.parametrize("name", JPEGS)
def test_jpegs_differ_by_a_few_units(tmp_path, name):
    JPEGS[name](tmp_path / name)
    ours, theirs = both(tmp_path / name)
    difference = np.abs(ours - theirs)
    # Measured: 1 to 8, and 0.5 to 1.6.
    assert difference.max() <= 10
    assert difference.mean() <= 2


def test_a_file_that_broke_is_named(tmp_path):
    path = tmp_path / "a.png"
    save(path, NOISE)
    path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(DataError, match=r"a\.png' cannot be decoded.*load the set"):
        decode(str(path))
    with pytest.raises(DataError, match=r"b\.png' cannot be decoded"):
        decode(str(tmp_path / "b.png"))
