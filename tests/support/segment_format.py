"""A second decoder of aggregate segments, written from docs/segment-format.md alone: the page must be enough. Names are those of the page.

decode(body) gives dictionaries as `weir decode` prints them. Nothing is checked here: it is for good segments.
"""
import ctypes
import math
import struct

ZSTD = ctypes.CDLL("libzstd.so.1")
ZSTD.ZSTD_decompress.restype = ctypes.c_size_t
(RUN_SHARED, RUN_SUFFIX, RUN_TYPE, RUN_WINDOW, RUN_COUNT, RUN_GRID, NAMES, TEXTS, TEXT_INDEX, START, N, BAD, FLAGS, QUALITY, FORM, SUM_FORM,
 SUM_EXTRA, ULPS, FINE, SUM_FINE, ENDS, FIRST, LOW, HIGH, LAST, SUM) = range(26)
FLOAT, INT, UINT, BOOL, SYMBOL = range(1, 6)
FRACTION, AS_FLOAT, AS_DOUBLE, AS_INTEGER = 23, 24, 25, 26
FLT_MAX = 3.4028234663852886e38


def signed(value, bits=64):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def zigzag(value):
    return (value >> 1) ^ -(value & 1)


def towards_zero(a, b):
    return -(-a // b) if a < 0 else a // b


def ordered(value, formats="<q<d"):
    bits = struct.unpack(formats[:2], struct.pack(formats[2:], value))[0]
    return bits ^ (1 << 8 * struct.calcsize(formats[:2]) - 1) - 1 if bits < 0 else bits


def unordered(code, formats="<q<d"):
    size = 8 * struct.calcsize(formats[:2])
    code = signed(code, size)
    return struct.unpack(formats[2:], struct.pack(formats[:2], code ^ (1 << size - 1) - 1 if code < 0 else code))[0]


class Column:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, n):
        self.at += n
        return self.data[self.at - n:self.at]

    def byte(self):
        return self.take(1)[0]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def zigzag(self):
        return zigzag(self.varint())


class Average:
    def __init__(self):
        self.a = None

    def learn(self, w):
        self.a = 16 * w if self.a is None else self.a - self.a // 4 + 4 * w

    def expects(self):
        return ((self.a or 0) + 8) // 16


class Run:
    """One series and window, with its grid."""
    step, main, parts, digits, fine_bits = 1, AS_DOUBLE, 0, 0, 0

    def __init__(self, key, kind, window, column):
        self.key, self.kind, self.window = key, kind, window
        self.before = None  # form, last code, span, last value
        self.first, self.reach = Average(), Average()
        if kind != SYMBOL:
            self.step = column.varint()
        if kind == FLOAT:
            self.main, self.parts = column.byte(), column.varint()
            if self.parts:
                self.digits, self.fine_bits = column.byte(), column.byte()

    def step_of(self, form):
        return self.step if form in (self.main, AS_INTEGER) else 1

    def split(self, code, fine):
        parts = self.parts
        w, r = divmod(abs(code), parts)
        if self.fine_bits:
            unit = 1 << self.fine_bits
            w, r = divmod(w * unit + (r * unit + parts // 2) // parts + fine, unit)
            parts = unit
        return w, r, parts

    def rounded(self, code, fine, d):
        w, r, parts = self.split(code, fine)
        return w * 10 ** d + (r * 10 ** d + parts // 2) // parts

    def value(self, form, code, fine, ulps):
        code = signed(code * self.step_of(form))
        if form == AS_INTEGER:
            return code
        if form == AS_FLOAT:
            return unordered(code, "<i<f")
        if form == AS_DOUBLE:
            return unordered(code)
        if form != FRACTION:
            return unordered(ordered(code / float(10 ** form)) + ulps - 2)
        w = self.split(code, fine)[0]
        d = max(0, self.digits - (len(str(w)) if w else 0))
        return math.copysign(float(self.rounded(code, fine, d)) / float(10 ** d), code)

    def last_before(self, form):
        if not self.before:
            return 0
        before_form, code, _, value = self.before
        if before_form == form:
            return code
        if form == AS_FLOAT:
            return ordered(value, "<i<f") if abs(value) <= FLT_MAX else 0
        if form == AS_DOUBLE:
            return ordered(value)
        scaled = value * float(self.parts if form == FRACTION else 10 ** form)
        return towards_zero(int(scaled), self.step_of(form)) if abs(scaled) < 2 ** 52 else 0


class Decoder:
    COLUMNS = 26

    def __init__(self, body):
        self.n, raw_len = struct.unpack_from("<II", body, 32)
        bits_len, = struct.unpack_from("<I", body, 88)
        packed = body[96:len(body) - bits_len]
        raw = ctypes.create_string_buffer(raw_len)
        assert ZSTD.ZSTD_decompress(raw, ctypes.c_size_t(raw_len), packed, ctypes.c_size_t(len(packed))) == raw_len
        head = Column(raw.raw)
        lengths = [head.varint() for _ in range(self.COLUMNS)]
        self.columns = [Column(head.take(length)) for length in lengths]
        self.bits = int.from_bytes(body[len(body) - bits_len:], "little")

    def number(self, column, expected):
        """The number and its width."""
        width = (self.columns[column].byte() + expected) & 255
        if width == 0:
            return 0, 0
        value = 1 << width - 1 | self.bits & (1 << width - 1) - 1
        self.bits >>= width - 1
        return value, width

    def fine(self, wanted):
        return signed(self.columns[FINE].byte(), 8) if wanted else 0

    def values(self, run, form, ulps):
        """Codes and values of min, max, first, last."""
        ends = self.columns[ENDS].byte()
        has_fine = form == FRACTION and run.fine_bits > 0
        expected = 0 if not run.before else run.before[2] if run.first.a is None else run.first.expects()
        difference, width = self.number(FIRST, expected)
        if run.before:
            run.first.learn(width)
        first = low = high = (signed(run.last_before(form) + zigzag(difference)), self.fine(has_fine))
        if ends & 3 in (1, 2):
            difference, width = self.number(LOW, run.reach.expects())
            run.reach.learn(width)
            low = (signed(first[0] - difference), self.fine(has_fine))
        if ends & 3 in (0, 2):
            difference, width = self.number(HIGH, run.reach.expects())
            run.reach.learn(width)
            high = (signed(first[0] + difference), self.fine(has_fine))
        span = ((high[0] - low[0]) & (1 << 64) - 1).bit_length()
        last = {0: low, 1: high, 3: first}.get(ends >> 2 & 3)
        if last is None:
            last = (signed(low[0] + self.number(LAST, span)[0]), self.fine(has_fine))
        codes = (low, high, first, last)
        values = [run.value(form, code, fine, ulps >> 2 * i & 3) for i, (code, fine) in enumerate(codes)]
        run.before = (form, last[0], span, values[3])
        return [code for code, _ in codes], values, span

    def sum(self, run, form, n, codes, values, span):
        sum_form = self.columns[SUM_FORM].byte()
        has_extra = sum_form in (1, 2) or (sum_form == 0 and form == FRACTION)
        extra = self.columns[SUM_EXTRA].byte() if has_extra else 0
        difference = zigzag(self.number(SUM, span)[0])
        whole = towards_zero(signed(sum(codes) * n, 128), 4) + difference
        guess = (values[0] + values[1]) * 0.5 * float(n) if run.kind == FLOAT else 0.0
        if sum_form == 0 and form == FRACTION:
            fine = self.columns[SUM_FINE].zigzag() if run.fine_bits else 0
            scaled = run.rounded(signed(whole), fine, extra) * (-1 if signed(whole) < 0 else 1)
            return (scaled + self.columns[SUM_FINE].zigzag()) / 10 ** extra
        if sum_form == 0:
            scaled = signed(whole * run.step_of(form), 128)
            return scaled if form == AS_INTEGER else scaled / 10 ** form
        if sum_form == 1:
            scaled = guess * float(10 ** extra)
            return signed((int(scaled) if abs(scaled) < 1e30 else 0) + difference, 128) / 10 ** extra
        if sum_form == 2:
            return unordered(ordered(signed(whole * run.step_of(form)) / float(10 ** form)) + signed(extra, 8))
        return unordered(ordered(guess) + difference)

    def texts(self):
        column = self.columns[TEXTS]
        texts = []
        while column.at < len(column.data):
            texts.append(column.take(column.varint()).decode())
        return texts

    def record(self, run, texts, record):
        columns = self.columns
        if run.kind == SYMBOL:
            record["first"], record["last"] = texts[columns[TEXT_INDEX].varint()], texts[columns[TEXT_INDEX].varint()]
            return
        form, ulps = AS_INTEGER, 0xAA
        if run.kind == FLOAT:
            form = columns[FORM].byte()
            if form & 32:
                form, ulps = form - 32, columns[ULPS].byte()
        codes, values, span = self.values(run, form, ulps)
        record["sum"] = self.sum(run, form, record["n"], codes, values, span)
        if run.kind == UINT:
            values = [value & (1 << 64) - 1 for value in values]
        if run.kind == BOOL:
            values = [value != 0 for value in values]
        record.update(zip(("min", "max", "first", "last"), values))


def decode(body):
    decoder = Decoder(body)
    columns = decoder.columns
    texts = decoder.texts()
    unit = 1000 ** columns[START].byte()
    key, window, run_start, n = b"", 0, 0, 0
    for kind in columns[RUN_TYPE].data:
        key = key[:columns[RUN_SHARED].varint()] + columns[NAMES].take(columns[RUN_SUFFIX].varint())
        window += columns[RUN_WINDOW].zigzag()
        run = Run(key, kind, window, columns[RUN_GRID])
        words = key.decode().split("\0")[:-1]
        step = window // unit
        for i in range(columns[RUN_COUNT].varint()):
            difference = columns[START].zigzag()
            if i == 0:
                start = run_start = signed(run_start + difference)
            else:
                step = signed(step + difference)
                start = signed(start + step)
            n = (n + columns[N].zigzag()) & (1 << 64) - 1
            record = {"measurement": words[0], "field": words[1], "tags": dict(zip(words[2::2], words[3::2])), "time_ns": signed(start * unit),
                      "window_ns": window, "n": n, "sum": None, "min": None, "max": None, "first": None, "last": None,
                      "bad": columns[BAD].varint()}
            columns[FLAGS].byte()
            columns[QUALITY].byte()
            if n > 0:
                decoder.record(run, texts, record)
            yield record
