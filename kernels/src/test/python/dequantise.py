"""Writes src/test/resources/dequant/<type>.txt: random blocks of each weight type and the floats that the Python package
`gguf` makes of them. Run with `python dequantise.py` where `gguf` (0.19) and `numpy` are installed; the outputs are committed.

Line 1: the bytes of two blocks in hexadecimal. Line 2: the floats as hexadecimal bit patterns.
"""
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

# Where a block keeps half-precision scales: random bits there would often be infinite or not a number.
HALVES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
    T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
}


def main():
    out = pathlib.Path(__file__).parent.parent / "resources" / "dequant"
    rng = np.random.default_rng(7)
    for kind in [T.F32, T.F16, T.BF16, *HALVES]:
        _, size = GGML_QUANT_SIZES[kind]
        if kind in HALVES:
            blocks = rng.integers(0, 256, (2, size), dtype=np.uint8)
            for at in HALVES[kind]:
                blocks[:, at : at + 2] = rng.normal(0, 0.1, (2, 1)).astype("<f2").view(np.uint8)
            data = blocks.reshape(1, -1)
        else:
            values = rng.normal(0, 3, (1, 8)).astype("<f4")
            if kind == T.F16:
                values = values.astype("<f2")
            data = values.view(np.uint8)
            if kind == T.BF16:
                data = values.view("<u4").__rshift__(16).astype("<u2").view(np.uint8)
        floats = np.asarray(dequantize(data, kind), dtype="<f4").reshape(-1)
        bits = " ".join(f"{b:08x}" for b in floats.view("<u4"))
        (out / f"{kind.name}.txt").write_text(data.tobytes().hex() + "\n" + bits + "\n")


if __name__ == "__main__":
    main()
