"""Answers of an exported model for pictures, with NumPy, Pillow and onnxruntime: python predict.py m.onnx PICTURE..."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
facts = json.loads(session.get_modelmeta().custom_metadata_map["vistazo"])["facts"]
size = facts["preprocessing"]
for file in sys.argv[2:] or map(str.strip, sys.stdin):
    with Image.open(file) as image:
        turned = image.getexif().get(0x0112, 1) > 4
        wanted = (size["height"], size["width"]) if turned else (size["width"], size["height"])
        image.draft(
            "L" if size["channels"] == 1 and image.mode == "L" else None, wanted
        )  # JPEG shrinks in decoding
        upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        upright = Image.alpha_composite(
            Image.new("RGBA", upright.size, facts["background"]), upright.convert("RGBA")
        )
    pixels = np.asarray(upright.convert("L" if size["channels"] == 1 else "RGB"))
    (probabilities,) = session.run(None, {"pictures": pixels.reshape(1, *pixels.shape[:2], size["channels"])})
    best = int(probabilities[0].argmax())
    print(
        json.dumps(
            {"file": file, "class": facts["classes"][best], "probability": float(probabilities[0, best])}
        )
    )
