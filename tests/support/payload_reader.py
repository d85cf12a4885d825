"""Readers of the uplink's formats that share nothing with the agent's code: line protocol, SenML as JSON and as CBOR, from their specifications.

As a program: payload_reader.py DIR compares what tests/property/transport_payload_property_test.c wrote there.
"""
import json
import math
import pathlib
import struct
import sys

SENML_LABELS = {-2: "bn", -3: "bt", 0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb"}
NAME_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-:./_"


# -- CBOR (RFC 8949): what SenML needs of it ---------------------------------------------------------------------------------------------

def cbor(data):
    value, at = _cbor(data, 0)
    assert at == len(data), f"{len(data) - at} bytes behind the CBOR value"
    return value


def _cbor(data, at):
    major, short = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        if short in (20, 21):
            return short == 21, at
        size, form = {26: (4, ">f"), 27: (8, ">d")}[short]
        return struct.unpack(form, data[at:at + size])[0], at + size
    assert short < 28, "an indefinite length"
    size = 0 if short < 24 else 1 << (short - 24)
    number = short if short < 24 else int.from_bytes(data[at:at + size], "big")
    at += size
    if major in (0, 1):
        return (number if major == 0 else -1 - number), at
    if major == 3:
        return data[at:at + number].decode("utf-8", "strict"), at + number
    if major == 4:
        items = []
        for _ in range(number):
            item, at = _cbor(data, at)
            items.append(item)
        return items, at
    assert major == 5, f"major type {major}"
    pairs = {}
    for _ in range(number):
        key, at = _cbor(data, at)
        assert key not in pairs, f"label {key} twice"
        pairs[key], at = _cbor(data, at)
    return pairs, at


# -- SenML (RFC 8428) ----------------------------------------------------------------------------------------------------------------------

def senml(payload, binary):
    """The pack's records, resolved: dicts of name, time (None: none given), unit, value."""
    if binary:
        pack = [{SENML_LABELS[label]: value for label, value in record.items()} for record in cbor(payload)]
    else:
        pack = json.loads(payload, parse_constant=lambda word: 1 / 0)
    base_name, base_time, resolved = "", 0, []
    for record in pack:
        base_name, base_time = record.get("bn", base_name), record.get("bt", base_time)
        values = [key for key in ("v", "vs", "vb") if key in record]
        assert len(values) == 1, f"{len(values)} values in {record}"
        name = base_name + record["n"]
        assert name[0].isalnum() and all(byte in NAME_BYTES for byte in name.encode()), name
        assert isinstance(record[values[0]], {"v": (int, float), "vs": str, "vb": bool}[values[0]]) \
            and isinstance(record[values[0]], bool) == (values[0] == "vb"), record
        resolved.append({"name": name, "time": base_time or None, "unit": record.get("u"), "value": record[values[0]]})
    return resolved


def senml_words(name):
    """["gw-7", "room_temp", "value", "room", "A1", "mean"] as bytes."""
    assert name.startswith("weir:"), name
    words = []
    for word in name[len("weir:"):].split("/"):
        parts = word.encode().split(b":")
        words.append(parts[0] + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in parts[1:]))
    return words


# -- line protocol -------------------------------------------------------------------------------------------------------------------------

def influx(payload):
    """[(measurement, tags, fields, time_ns)]; an integer is an int, a float a float."""
    text = payload.decode("utf-8", "strict")
    assert text.endswith("\n")
    return [_line(line) for line in text[:-1].split("\n")]


def _line(line):
    head, at = _until(line, 0, ", ")
    tags = {}
    while line[at] == ",":
        name, at = _until(line, at + 1, "=")
        value, at = _until(line, at + 1, ", ")
        tags[name] = value
    fields = {}
    while line[at] in " ," and not (fields and line[at] == " "):
        name, at = _until(line, at + 1, "=")
        assert name not in fields, f"field {name} twice: {line}"
        fields[name], at = _field(line, at + 1)
    assert line[0] != "#", line
    return head, tags, fields, int(line[at + 1:])


def _until(line, at, ends):
    word = ""
    while line[at] not in ends:
        if line[at] == "\\" and line[at + 1] in ",= \\":
            at += 1
        word += line[at]
        at += 1
    assert word, f"an empty word in {line}"
    return word, at


def _field(line, at):
    if line[at] != '"':
        end = at
        while line[end] not in ", ":
            end += 1
        word = line[at:end]
        if word in ("true", "false"):
            return word == "true", end
        return (int(word[:-1]) if word[-1] in "iu" else float(word)), end
    text = ""
    at += 1
    while line[at] != '"':
        if line[at] == "\\":
            at += 1
        text += line[at]
        at += 1
    return text, at + 1


def influx_name(word):
    """What line protocol makes of a word (bytes)."""
    word = word.rstrip(b"\\")
    text = replaced(word)
    return "".join(" " if ord(c) < 32 or ord(c) == 127 else c for c in text) or "_"


def replaced(word):
    """As text; each byte that is no UTF-8 is U+FFFD."""
    text = ""
    while word:
        for size in (1, 2, 3, 4):
            try:
                text += word[:size].decode("utf-8", "strict")
                break
            except UnicodeDecodeError:
                pass
        else:
            text, size = text + "\ufffd", 1
        word = word[size:]
    return text


# -- what an aggregate should say ------------------------------------------------------------------------------------------------------------

class Aggregate:
    """As the property test tells it: two lines."""

    def __init__(self, words, numbers):
        words = [bytes.fromhex(word) for word in words.split()]
        self.measurement, self.field, self.tags = words[0], words[1], dict(zip(words[2::2], words[3::2]))
        self.key = words
        self.type, *numbers = numbers.split()
        self.flags, self.start, self.window, self.n, self.bad = (int(number) for number in numbers[:5])
        self.statistics = {"n": self.n}
        if self.n and self.type == "string":
            self.statistics.update(zip(("first", "last"), (bytes.fromhex(word) for word in numbers[5:])))
        elif self.n:
            self._numbers(numbers[5:])
        self.statistics["bad"] = self.bad

    def _numbers(self, numbers):
        def value(text):
            return float.fromhex(text) if self.type == "float" else text == "1" if self.type == "bool" else int(text)

        total, high, low = float.fromhex(numbers[0]), int(numbers[1]), int(numbers[2])
        self.statistics["mean"] = total / self.n
        self.statistics["min"], self.statistics["max"] = value(numbers[3]), value(numbers[4])
        if self.type == "float":
            self.statistics["sum"] = total
        elif high != -2 ** 63:
            exact = (high << 64) + low
            if (0 <= exact < 2 ** 64) if self.type == "uint" else (-2 ** 63 <= exact < 2 ** 63):
                self.statistics["sum"] = exact
        self.statistics["first"], self.statistics["last"] = value(numbers[5]), value(numbers[6])
        self.statistics = {name: v for name, v in self.statistics.items() if not isinstance(v, float) or math.isfinite(v)}

    def as_senml(self, node):
        words = [node, *self.key]
        base = "weir:" + "".join("".join(chr(c) if chr(c).isascii() and (chr(c).isalnum() or c in b"_-.") else f":{c:02X}" for c in word) + "/"
                                 for word in words)
        time = self.start / 10 ** 9 if self.start >= 2 ** 28 * 10 ** 9 else None
        counts = {"n": "count", "bad": "count", "window": "s"}
        statistics = dict(self.statistics)
        if self.window:
            statistics["window"] = self.window / 10 ** 9
        return [{"name": base + name, "time": time, "unit": counts.get(name), "value": replaced(v) if isinstance(v, bytes) else v}
                for name, v in statistics.items()]

    def as_fields(self):
        before = "" if self.field == b"value" else influx_name(self.field) + "_"
        return {before + name: replaced(v).replace("\n", " ").replace("\r", " ") if isinstance(v, bytes) else v
                for name, v in self.statistics.items()}


def check_senml(aggregates, payload, binary):
    records = senml(payload, binary)
    expected = [record for aggregate in aggregates for record in aggregate.as_senml(b"gw-7")]
    assert records == expected, next((f"{got} in place of {want}" for got, want in zip(records, expected) if got != want), "too many or few")
    for got, want in zip(records, expected):
        assert isinstance(got["value"], bool) == isinstance(want["value"], bool)
    at = 0
    for aggregate in aggregates:
        assert senml_words(records[at]["name"])[1:-1] == aggregate.key
        at += len(aggregate.as_senml(b"gw-7"))


def check_influx(aggregates, payload):
    lines = influx(payload)
    assert len(lines) == len(aggregates)
    before = None
    for aggregate, (measurement, tags, fields, time) in zip(aggregates, lines):
        name = influx_name(aggregate.measurement)
        if aggregate.measurement.startswith(b"#"):
            name = "\\" + name
        assert measurement == name, (measurement, name)
        theirs = {influx_name(tag): influx_name(value) for tag, value in aggregate.tags.items()}
        ours = {}
        for tag in ("node", "site", "window"):
            ours[tag] = tags.get(f"weir_{tag}" if tag.encode() in aggregate.tags else tag)
        assert ours["node"] == "gw-7" and ours["site"] in (None, "riga")
        assert ours["window"] == {0: None, 60: "1m", 300: "5m", 1.5: "1s500ms"}[aggregate.window / 1e9], ours
        expected = aggregate.as_fields()
        assert fields == expected and [type(v) for v in fields.values()] == [type(v) for v in expected.values()], (fields, expected)
        second = aggregate.flags & 3 or before == (aggregate.key, aggregate.start, aggregate.window)
        assert 1 <= time - aggregate.start < 10 ** 6 if second else time == aggregate.start, (time, aggregate.start)
        before = (aggregate.key, aggregate.start, aggregate.window)
        if len(theirs) < len(aggregate.tags):
            continue  # names that differ in what line protocol cannot hold
        if theirs.keys() == {replaced(tag) for tag in aggregate.tags} and "\ufffd" not in "".join(theirs):
            assert list(tags) == sorted(tags, key=str.encode), tags
        assert all(tags[tag] == value for tag, value in theirs.items() if tag not in ("node", "site", "window")), (tags, theirs)
        assert len(tags) == len(theirs) + sum(value is not None for value in ours.values()), (tags, theirs)


def main(directory):
    directory = pathlib.Path(directory)
    lines = iter((directory / "aggregates").read_text().splitlines())
    records = 0
    for line in lines:
        _, number, n = line.split()
        aggregates = [Aggregate(next(lines), next(lines)) for _ in range(int(n))]
        for check, form in ((lambda p: check_senml(aggregates, p, False), "senml+json"), (lambda p: check_senml(aggregates, p, True), "senml+cbor"),
                            (lambda p: check_influx(aggregates, p), "influx")):
            try:
                check((directory / f"{number}.{form}").read_bytes())
            except Exception:
                print(f"segment {number} as {form}", file=sys.stderr)
                raise
        records += len(aggregates)
    print(f"{records} aggregates read back in 3 formats")


if __name__ == "__main__":
    main(sys.argv[1])
