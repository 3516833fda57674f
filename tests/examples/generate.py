"""Text from a model, in Python without a compiler:

    generate.py libweft.so MODEL.gguf "Once upon a time"
"""
import ctypes as c
import sys


class Error(c.Structure):
    _fields_ = [("code", c.c_int32), ("message", c.c_char * 1020)]


class SamplerOptions(c.Structure):
    _fields_ = [("size", c.c_size_t), ("temperature", c.c_float),
                ("top_k", c.c_int32), ("top_p", c.c_float),
                ("min_p", c.c_float), ("repeat_penalty", c.c_float),
                ("repeat_last_n", c.c_int32), ("seed", c.c_uint64)]


Progress = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_int64, c.c_int64)


class Weft:
    """The functions of weft.h; an error raises RuntimeError."""

    def __init__(self, library):
        self.lib = c.CDLL(library)
        self.lib.weft_model_vocab_size.restype = c.c_int64
        self.lib.weft_model_vocab_size.argtypes = [c.c_void_p]
        for name in ("model", "session", "sampler"):
            getattr(self.lib, f"weft_{name}_free").argtypes = [c.c_void_p]
        assert self.lib.weft_abi_version() == 1

    def call(self, name, *args):
        error = Error()
        if getattr(self.lib, "weft_" + name)(*args, c.byref(error)) != 0:
            raise RuntimeError(error.message.decode())

    def make(self, name, *args):
        handle = c.c_void_p()
        self.call(name, *args, c.byref(handle))
        return handle

    def tokenize(self, model, text):
        data = text.encode()
        tokens, count = (c.c_int32 * 4096)(), c.c_size_t()
        self.call("tokenize", model, data, c.c_size_t(len(data)), 1, tokens,
                  c.c_size_t(len(tokens)), c.byref(count))
        return list(tokens[:count.value])

    def piece(self, model, token):
        text, size = c.create_string_buffer(256), c.c_size_t()
        self.call("token_piece", model, token, 0, text,
                  c.c_size_t(len(text)), c.byref(size))
        return text.raw[:size.value]


def main(library, path, prompt):
    weft = Weft(library)
    model = weft.make("model_load", path.encode(), None)
    session = weft.make("session_new", model, None)
    options = SamplerOptions()
    weft.lib.weft_sampler_defaults(c.byref(options),
                                   c.c_size_t(c.sizeof(options)))
    options.temperature = 0
    sampler = weft.make("sampler_new", c.byref(options))

    tokens = weft.tokenize(model, prompt)
    logits = c.POINTER(c.c_float)()
    steps = []

    @Progress
    def progress(_, done, total):
        steps.append((done, total))
        return 0

    weft.call("prefill", session, 0, (c.c_int32 * len(tokens))(*tokens),
              c.c_size_t(len(tokens)), progress, None, c.byref(logits))
    assert steps[-1] == (len(tokens), len(tokens))
    vocab = c.c_size_t(weft.lib.weft_model_vocab_size(model))
    token = c.c_int32()
    for _ in range(40):
        weft.call("sampler_sample", sampler, logits, vocab, c.byref(token))
        if weft.lib.weft_token_is_end(model, token):
            break
        sys.stdout.buffer.write(weft.piece(model, token))
        weft.call("decode", session, 0, token, c.byref(logits))
    sys.stdout.buffer.write(b"\n")
    weft.lib.weft_sampler_free(sampler)
    weft.lib.weft_model_free(model)  # in any order
    weft.lib.weft_session_free(session)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (RuntimeError, OSError) as error:
        sys.exit(f"generate.py: {error}")
