"""A second decoder of raw readings, written from docs/segment-format.md and docs/store-format.md alone. Nothing is checked here: it is for good segments."""
import json
import pathlib
import struct

from segment_format import AS_INTEGER, BOOL, FLOAT, FRACTION, INT, SYMBOL, UINT, Average, Decoder, Run, signed, zigzag

(RUN_SHARED, RUN_SUFFIX, RUN_TYPE, RUN_COUNT, RUN_TIMES, RUN_GRID, NAMES, TEXTS, TEXT_INDEX, QUALITY, FORM, ULPS, FINE, TIME, VALUE) = range(15)
CONSTANT, NEIGHBOURS, STEPS = 1, 2, 4
UNITS = (1, 10**3, 10**6, 10**9)
TYPES = {FLOAT: "float", INT: "int", UINT: "uint", BOOL: "bool", SYMBOL: "string"}


def bodies(store):
    """The segments of raw readings that lie in a store, in their order."""
    for path in sorted((pathlib.Path(store) / "raw").glob("*.weir")):
        data, at = path.read_bytes(), 0
        while len(data) - at >= 96 and data[at:at + 4] == b"WEIR":
            length, = struct.unpack_from("<I", data, at + 8)
            if at + length > len(data):
                break
            seq, = struct.unpack_from("<q", data, at + 24)
            assert seq == 2**55 + int(path.stem, 16) * 2**24 + at, (path, at, seq)
            yield data[at:at + length]
            at += length


def as_kind(kind, bits):
    return bits % 2**64 if kind in (UINT, BOOL) else signed(bits)


def cut(a, b):
    return -(-a // b) if a < 0 else a // b


class Scale:
    def __init__(self, byte):
        self.byte, self.widths = byte, Average()

    def now(self):
        return self.byte if self.byte < 64 else max(0, self.widths.expects() - 2)


class RawDecoder(Decoder):
    COLUMNS = 17

    def scaled(self, byte, scale):
        """The number of a byte, and the scale that it had."""
        below = scale.now()
        number = byte << below | self.take(below) if byte < 128 else byte - 128 and 1 << byte - 129 | self.take(byte - 129)
        scale.widths.learn(number.bit_length())
        return number, below

    def take(self, n):
        value = self.bits & (1 << n) - 1
        self.bits >>= n
        return value

    def times(self, count, i, before):
        """All times of run number i; `before` has those of the runs before it."""
        column = self.columns[RUN_TIMES]
        back = column.varint()
        if back:
            return before[i - back]
        unit = UNITS[column.byte()]
        period, scale = column.zigzag(), Scale(column.byte())
        at, times = column.zigzag() + cut(self.start, unit), []
        for k in range(count):
            if k > 0:
                at += period + zigzag(self.scaled(self.columns[TIME].byte(), scale)[0])
            times.append(signed(at * unit))
        self.start = times[0]
        return times

    def values(self, run, count):
        """Of a run of numbers, one by one."""
        grid, neighbours = self.columns[RUN_GRID], self.neighbours()
        has = grid.byte()
        constant = int.from_bytes(grid.take(8), "little") if has & CONSTANT else 0
        usual = grid.byte() if run.kind == FLOAT else AS_INTEGER
        scale, step = Scale(grid.byte()), 0
        first = self.first if self.first and self.first[0] == run.kind else None
        run.before = first and (None, 0, 0, first[1])
        for _ in range(count):
            column = self.columns[VALUE + step]
            byte = column.byte()
            if byte == 255 and has & CONSTANT:
                yield struct.unpack("<d", struct.pack("<Q", constant))[0] if run.kind == FLOAT else as_kind(run.kind, constant)
                continue
            form = self.columns[FORM].byte() if byte == 254 else usual
            byte = column.byte() if byte == 254 else byte
            ulps = next(neighbours) if has & NEIGHBOURS and form <= 22 else 0
            fine = signed(self.columns[FINE].byte(), 8) if form == FRACTION and run.fine_bits else 0
            number, below = self.scaled(byte, scale)
            if has & STEPS:
                step = 0 if number >> below < 4 else 1 + number % 2
            if form == AS_INTEGER and first and run.before[0] is None:
                before = cut(signed(first[1]), run.step)
            else:
                before = run.last_before(form)
            code = signed(before + zigzag(number))
            value = run.value(form, code, fine, ulps + 2)
            if run.before is None or run.before[0] is None:
                self.first = (run.kind, value)
            run.before = (form, code, 0, value)
            yield value if run.kind == FLOAT else as_kind(run.kind, value)

    def neighbours(self):
        while True:
            byte = self.columns[ULPS].byte()
            yield (byte & 15) - 8
            yield (byte >> 4) - 8

    def decode(self):
        self.start, self.first = 0, None
        texts, column = [], self.columns[TEXTS]
        while column.at < len(column.data):
            texts.append(column.take(column.varint()).decode())
        key, before_times = b"", []
        for i, kind in enumerate(self.columns[RUN_TYPE].data):
            key = key[:self.columns[RUN_SHARED].varint()] + self.columns[NAMES].take(self.columns[RUN_SUFFIX].varint())
            run = Run(key, kind, 0, self.columns[RUN_GRID])
            before_times.append(self.times(self.columns[RUN_COUNT].varint(), i, before_times))
            measurement, field, *tags = key[:-1].decode().split("\0")
            values = self.values(run, len(before_times[-1])) if kind != SYMBOL else None
            for time_ns in before_times[-1]:
                quality = self.columns[QUALITY].byte()
                value = next(values) if values else texts[self.columns[TEXT_INDEX].varint()]
                yield {"time_ns": time_ns, "name": measurement, "field": field, "tags": json.dumps(dict(zip(tags[::2], tags[1::2])), separators=(",", ":")),
                       "type": TYPES[kind], "value": None if value != value else value, "quality": ("good", "uncertain", "bad")[quality & 3],
                       "historic": quality >> 2}


def decode(body):
    return RawDecoder(body).decode()
