"""Writes src/test/resources/dequant/<type>.txt: random blocks of each weight type and the floats that the Python package
`gguf` makes of them; of 8-bit floats all codes, and what PyTorch makes of them. Run with `python dequantise.py` where
`gguf` (0.19), `numpy` and `torch` are installed; the outputs are committed.

Line 1: the bytes of two blocks (eight of 8-bit floats) in hexadecimal. Line 2: the floats as hexadecimal bit patterns.
"""
import pathlib

import numpy as np
import torch
from gguf import GGMLQuantizationType as T
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

# Where a block keeps half-precision scales: random bits there would often be infinite or not a number.
HALVES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
    T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
}


def write(out, name, data, floats):
    bits = " ".join(f"{b:08x}" for b in floats.view("<u4"))
    (out / f"{name}.txt").write_text(data.tobytes().hex() + "\n" + bits + "\n")


def float8(rng):
    codes = np.arange(256, dtype=np.uint8).reshape(8, 32)
    scales = rng.normal(0, 0.1, (8, 1)).astype("<f4")
    numbers = torch.from_numpy(codes).view(torch.float8_e4m3fn).float().numpy()
    return np.concatenate([scales.view(np.uint8), codes], axis=1), (numbers * scales).reshape(-1)


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
        write(out, kind.name, data, floats)
    write(out, "F8_E4M3", *float8(rng))


if __name__ == "__main__":
    main()
