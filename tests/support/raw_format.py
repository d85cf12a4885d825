"""A second decoder of raw readings, written from docs/segment-format.md and docs/store-format.md alone. Nothing is checked here: it is for good segments."""
import json
import pathlib
import struct

from segment_format import AS_INTEGER, BOOL, FLOAT, FRACTION, INT, SYMBOL, UINT, Average, Decoder, Run, signed, zigzag

(RUN_SHARED, RUN_SUFFIX, RUN_TYPE, RUN_COUNT, RUN_TIMES, RUN_GRID, NAMES, TEXTS, TEXT_INDEX, QUALITY, FORM, ULPS, FINE, TIME, VALUE) = range(15)
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


def cut(a, b):
    return -(-a // b) if a < 0 else a // b


class RawDecoder(Decoder):
    COLUMNS = 15

    def times(self, count, i, before):
        """All times of run number i; `before` has those of the runs before it."""
        column = self.columns[RUN_TIMES]
        back = column.varint()
        if back:
            return before[i - back]
        unit = UNITS[column.byte()]
        at = column.zigzag() + cut(self.start, unit)
        period, widths, times = column.zigzag(), Average(), []
        for k in range(count):
            if k > 0:
                off, width = self.number(TIME, widths.expects())
                widths.learn(width)
                at += period + zigzag(off)
            times.append(signed(at * unit))
        self.start = times[0]
        return times

    def value(self, run, before, widths):
        form = self.columns[FORM].byte() if run.kind == FLOAT else AS_INTEGER
        ulps = self.columns[ULPS].byte() if form & 32 else 2
        form &= ~32
        fine = signed(self.columns[FINE].byte(), 8) if form == FRACTION and run.fine_bits else 0
        run.before = before
        off, width = self.number(VALUE, widths.expects())
        if before:
            widths.learn(width)
        code = signed(run.last_before(form) + zigzag(off))
        value = run.value(form, code, fine, ulps)
        return value % 2**64 if run.kind in (UINT, BOOL) else value, (form, code, 0, value)

    def decode(self):
        self.start = 0
        texts, column = [], self.columns[TEXTS]
        while column.at < len(column.data):
            texts.append(column.take(column.varint()).decode())
        key, before_times = b"", []
        for i, kind in enumerate(self.columns[RUN_TYPE].data):
            key = key[:self.columns[RUN_SHARED].varint()] + self.columns[NAMES].take(self.columns[RUN_SUFFIX].varint())
            run = Run(key, kind, 0, self.columns[RUN_GRID])
            before_times.append(self.times(self.columns[RUN_COUNT].varint(), i, before_times))
            measurement, field, *tags = key[:-1].decode().split("\0")
            before, widths = None, Average()
            for time_ns in before_times[-1]:
                quality = self.columns[QUALITY].byte()
                if kind == SYMBOL:
                    value = texts[self.columns[TEXT_INDEX].varint()]
                else:
                    value, before = self.value(run, before, widths)
                yield {"time_ns": time_ns, "name": measurement, "field": field, "tags": json.dumps(dict(zip(tags[::2], tags[1::2])), separators=(",", ":")),
                       "type": TYPES[kind], "value": None if value != value else value, "quality": ("good", "uncertain", "bad")[quality & 3],
                       "historic": quality >> 2}


def decode(body):
    return RawDecoder(body).decode()
