"""Trains the weights of digits.cc: make_digits.py digits.gguf digits.txt

An 8 x 8 picture, 24 hidden numbers, 10 digits. The pictures are a small font,
moved about and with some pixels changed; digits.txt gets ten that were not
trained on, 0 to 9. Plain Python, about half a minute.
"""
import math
import random
import struct
import sys

GLYPHS = [
    ".###. #...# #...# #...# #...# #...# .###.",
    "..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###.",
    ".###. #...# ....# ...#. ..#.. .#... #####",
    "####. ....# ....# .###. ....# ....# ####.",
    "...#. ..##. .#.#. #..#. ##### ...#. ...#.",
    "##### #.... ####. ....# ....# #...# .###.",
    "..##. .#... #.... ####. #...# #...# .###.",
    "##### ....# ...#. ..#.. ..#.. .#... .#...",
    ".###. #...# #...# .###. #...# #...# .###.",
    ".###. #...# #...# .#### ....# ...#. .##..",
]
PIXELS, HIDDEN, DIGITS = 64, 24, 10


def picture(rng, digit, noise):
    rows = GLYPHS[digit].split()
    dx, dy = rng.randrange(4), rng.randrange(2)
    pixels = [0.0] * PIXELS
    for y, row in enumerate(rows):
        for x, ink in enumerate(row):
            pixels[(y + dy) * 8 + x + dx] = float(ink == "#")
    for _ in range(rng.randrange(noise + 1)):
        at = rng.randrange(PIXELS)
        pixels[at] = 1 - pixels[at]
    return pixels


def forward(net, x):
    w1, b1, w2, b2 = net
    ink = [i for i, v in enumerate(x) if v]
    h = [max(0.0, b + sum(row[i] for i in ink)) for row, b in zip(w1, b1)]
    return ink, h, [b + sum(map(float.__mul__, row, h))
                    for row, b in zip(w2, b2)]


def train(rng, steps):
    def matrix(rows, columns):
        deviation = math.sqrt(2 / columns)
        return [[rng.gauss(0, deviation) for _ in range(columns)]
                for _ in range(rows)]

    net = (matrix(HIDDEN, PIXELS), [0.0] * HIDDEN, matrix(DIGITS, HIDDEN),
           [0.0] * DIGITS)
    w1, b1, w2, b2 = net
    for step in range(steps):
        rate = 0.03 * (1 - step / steps)
        digit = step % DIGITS
        ink, h, scores = forward(net, picture(rng, digit, 4))
        most = max(scores)
        p = [math.exp(s - most) for s in scores]
        total = sum(p)
        error = [v / total - (k == digit) for k, v in enumerate(p)]
        back = [sum(error[k] * w2[k][j] for k in range(DIGITS)) if h[j] else 0.0
                for j in range(HIDDEN)]
        for k, e in enumerate(error):
            b2[k] -= rate * e
            for j in range(HIDDEN):
                w2[k][j] -= rate * e * h[j]
        for j, e in enumerate(back):
            if e:
                b1[j] -= rate * e
                for i in ink:
                    w1[j][i] -= rate * e
    return net


def write_gguf(path, net):
    """Version 3, one key, four f32 tensors."""
    def string(text):
        return struct.pack("<Q", len(text)) + text.encode()

    w1, b1, w2, b2 = net
    tensors = [("hidden.weight", [PIXELS, HIDDEN], sum(w1, [])),
               ("hidden.bias", [HIDDEN], b1),
               ("output.weight", [HIDDEN, DIGITS], sum(w2, [])),
               ("output.bias", [DIGITS], b2)]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), 1)
    head += string("general.architecture") + struct.pack("<I", 8)
    head += string("digits")
    data = b""
    for name, dims, values in tensors:
        head += string(name) + struct.pack("<I", len(dims))
        head += struct.pack(f"<{len(dims)}Q", *dims)
        head += struct.pack("<IQ", 0, len(data))
        data += struct.pack(f"<{len(values)}f", *values)
        data += bytes(-len(data) % 32)
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % 32) + data)


def main(weights, pictures):
    rng = random.Random(7)
    net = train(rng, 12000)
    tests = [(d, picture(rng, d, 4)) for d in list(range(10)) * 50]
    right = sum(d == max(range(DIGITS), key=forward(net, x)[2].__getitem__)
                for d, x in tests)
    print(f"{right} of {len(tests)} right")
    write_gguf(weights, net)
    with open(pictures, "w", encoding="ascii") as file:
        for digit in range(10):
            x = picture(rng, digit, 3)
            for y in range(8):
                file.write("".join(".#"[int(v)] for v in x[y * 8:y * 8 + 8]))
                file.write("\n")
            file.write("\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
