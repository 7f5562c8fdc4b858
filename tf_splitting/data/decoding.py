"""Image files as `tf.io.decode_image(channels=3)` reads them, by Pillow.

BMP, GIF and PNG come out the same. JPEGs differ by up to 8 of 255 and 0.5 to 1.6 on
average (measured on gradients and on noise, qualities 50 to 95): TensorFlow takes a
faster and less exact transform.
"""

import numpy as np
from PIL import Image

from tf_splitting.data.folder import UNREADABLE
from tf_splitting.errors import DataError
from tf_splitting.support import in_a_line


def decode(path: str) -> np.ndarray:
    """Decodes an image file, the first frame of an animation.

    Alpha is dropped, not blended, and of 16 bits the upper 8 are kept.

    Returns:
        uint8 `[h, w, 3]`.

    Raises:
        DataError: the file is gone or broken.
    """
    try:
        with Image.open(path) as image:
            image.load()
            if image.format == "GIF":
                # TensorFlow leaves black what the first frame does not paint.
                pixels = np.asarray(image.convert("RGBA"))
                return pixels[..., :3] * (pixels[..., 3:] > 0)
            # Pillow would warn of a conversion that drops it.
            image.info.pop("transparency", None)
            if image.mode.startswith("I;16"):
                grey = (np.asarray(image) >> 8).astype(np.uint8)
                return np.repeat(grey[..., None], 3, axis=-1)
            return np.asarray(image.convert("RGB"))
    except UNREADABLE as error:
        raise DataError(
            f"{path!r} cannot be decoded: {in_a_line(error)}. It was an image when the "
            "set was loaded: put it back, or load the set again."
        ) from error
