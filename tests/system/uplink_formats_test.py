"""The same sensors through agents that send in every format: what each receiver reads is what the JSON records say, user properties and all. Line protocol is
read back by `weir decode`, SenML by tests/support/payload_reader.py.
"""
import collections
import json
import pathlib
import re
import subprocess
import sys
import threading
import time

import paho.mqtt.client as mqtt

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
import payload_reader  # noqa: E402
from lab import wait_for  # noqa: E402

CONFIG = """
node: {{id: {name}, site: riga}}
sources:
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 300ms}}
  - {{name: s2, every: 2s, of: "count.*", lateness: 300ms}}
  - {{name: doors, forward: changes, of: "door.*"}}
rules: ["rules.yaml"]
store: {{path: store, budget: 16MB, max_loss: 300ms}}
uplink: {{broker: "mqtt://127.0.0.1:{broker}", format: {form}}}
control: {{socket: weir.sock}}
log: {{format: json}}
"""
RULES = """
weir: 1
rules:
  - {rule: hot, when: "beat > 50", auto_ack: true, then: [{at: [raised], mqtt: {topic: "mine/hot", qos: 1}}]}
"""
FORMS = {"json": "application/json", "influx": "text/plain; charset=utf-8", "senml+json": "application/senml+json",
         "senml+cbor": "application/senml+cbor", "segment": "application/vnd.weir.segment"}
TRACE = re.compile(r"00-([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-01")
UNSTAMPED = ("beat", "door")  # at another time for each agent
Message = collections.namedtuple("Message", "topic payload properties content_type")


class Inbox:
    """All messages, as they come."""

    def __init__(self, port):
        self.messages = []
        ready = threading.Event()
        self.client = mqtt.Client(client_id="inbox", protocol=mqtt.MQTTv5)
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = self._take
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(10)

    def _take(self, _client, _user, message):
        properties = getattr(message.properties, "UserProperty", [])
        assert len(dict(properties)) == len(properties), "a property twice"
        self.messages.append(Message(message.topic, message.payload, dict(properties), getattr(message.properties, "ContentType", None)))

    def of(self, topic):
        return [message for message in list(self.messages) if message.topic == topic]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def lines(start_ns, second):
    at = start_ns + second * 10 ** 9
    return "".join(f"{text} {at + i * 10 ** 8}\n" for i, text in enumerate((
        f"room\\ temp,room=A\\,1,q\\=x=\u00e9\\ \u2603 value={20 + second}.25", "room\\ temp,room=A\\,1,q\\=x=\u00e9\\ \u2603 value=nan",
        f"count,node=n1,window=left total={second * 3 + 9007199254740993}i,up=t", f"count,node=n1,window=left total={-second}i,up=f",
        f'mode,site=here value="say \\"{second}\\", \\\\ok"', f"big,a=1 value={2 ** 63 + second}u", "beat#\\,x v=-0.5")))


def key_of(measurement, field, tags, time_ns, window_ns):
    return measurement, field, tuple(sorted(tags.items())), round(time_ns / 10 ** 6), window_ns


def merge(rows):
    """Statistics by series and window; parts of the same window are put together."""
    merged = {}
    for key, values in rows:
        into = merged.setdefault(key, {"n": 0, "bad": 0})
        for name, value in values.items():
            if value is None:
                continue
            if name in ("n", "bad", "sum"):
                into[name] = into.get(name, 0) + value
            elif name in ("min", "max"):
                into[name] = {"min": min, "max": max}[name](into.get(name, value), value)
    return merged


def read_json(inbox, _lab):
    records = [record for message in inbox.of("weir/1/riga/json/agg") for record in json.loads(message.payload)["records"]]
    return merge((key_of(r["measurement"], r["field"], r["tags"], r["time_ns"], r["window_ns"]),
                  {name: r[name] for name in ("n", "bad", "sum", "min", "max")}) for r in records)


def read_influx(inbox, lab):
    text = b"".join(message.payload for message in inbox.of("weir/1/riga/influx/agg"))
    done = subprocess.run([lab.weir, "decode", "--format", "influx"], input=text, capture_output=True, check=True)
    assert not done.stderr, done.stderr
    rows = collections.defaultdict(dict)
    for reading in map(json.loads, done.stdout.decode().splitlines()):
        tags = dict(reading["tags"])
        own = {name: tags.pop(f"weir_{name}" if f"weir_{name}" in tags else name) for name in ("node", "site", "window")}
        assert (own["node"], own["site"]) == ("influx", "riga"), own
        field, _, statistic = reading["field"].rpartition("_")
        window_ns = int(own["window"].rstrip("s")) * 10 ** 9
        rows[(reading["time_ns"],) + key_of(reading["measurement"], field or "value", tags, reading["time_ns"] // 10 ** 6 * 10 ** 6, window_ns)][statistic] = reading["value"]
    assert all(abs(row["mean"] - row["sum"] / row["n"]) <= 1e-9 * abs(row["mean"]) for row in rows.values() if "sum" in row)
    return merge((key[1:], row) for key, row in rows.items())


def read_senml(inbox, form):
    rows = []
    for message in inbox.of(f"weir/1/riga/{form.replace('+', '-')}/agg"):
        packed = collections.defaultdict(list)
        for record in payload_reader.senml(message.payload, form == "senml+cbor"):
            words = [word.decode() for word in payload_reader.senml_words(record["name"])]
            assert words[0] == form.replace("+", "-")
            if words[-1] == "n":
                packed[tuple(words[1:-1]), record["time"]].append({})
            packed[tuple(words[1:-1]), record["time"]][-1][words[-1]] = record["value"]
        for (words, at), list_of_rows in packed.items():
            tags = dict(zip(words[2::2], words[3::2]))
            rows += [(key_of(words[0], words[1], tags, at * 10 ** 9, row["window"] * 10 ** 9), row) for row in list_of_rows]
    return merge(rows)


def check_properties(inbox, form):
    node = form.replace("+", "-")
    spans = set()
    for leaf, content_type in (("agg", FORMS[form]), ("alarm", "application/json"), ("event", "application/json")):
        messages = inbox.of(f"weir/1/riga/{node}/{leaf}")
        assert messages, f"nothing on {leaf} of {node}"
        for message in messages:
            properties = message.properties
            assert set(properties) == {"node", "epoch", "seq", "t0_ns", "t1_ns", "n", "lane", "traceparent"}, properties
            assert message.content_type == content_type, message.content_type
            assert properties["node"] == node and re.fullmatch("[0-9a-f]{16}", properties["epoch"])
            assert properties["lane"] == {"agg": "2", "alarm": "0", "event": "1"}[leaf]
            trace, span = TRACE.fullmatch(properties["traceparent"]).groups()
            assert trace == properties["epoch"] + f'{int(properties["seq"]):016x}', properties
            assert span not in spans
            spans.add(span)
            if content_type == "application/json":
                body = json.loads(message.payload)
                assert [str(body[name]) for name in ("node", "epoch", "seq", "t0_ns", "t1_ns", "lane")] == \
                    [properties[name] for name in ("node", "epoch", "seq", "t0_ns", "t1_ns", "lane")]
                assert len(body["records"]) == int(properties["n"])
                if leaf == "agg":
                    assert min(record["time_ns"] for record in body["records"]) == body["t0_ns"]
                    assert max(record["time_ns"] + record["window_ns"] for record in body["records"]) == body["t1_ns"]


def test_every_format_says_the_same(lab):
    certs = laboratory.make_certs(lab.directory / "certs")
    broker = lab.add(laboratory.Broker(lab.directory / "broker", certs)).start()
    inbox = lab.add(Inbox(broker.local_port))
    agents = []
    start_ns = (time.time_ns() // 10 ** 10 - 2) * 10 ** 10
    for form in FORMS:
        name, port = form.replace("+", "-"), laboratory.free_port()
        directory = lab.directory / name
        directory.mkdir()
        (directory / "rules.yaml").write_text(RULES)
        config = CONFIG.format(name=name, line=port, broker=broker.local_port, form=form)
        agents.append(lab.add(laboratory.Agent(lab.weir, directory, config)).start())
        sender = lab.add(laboratory.Sender(port))
        for second in range(4):
            sender.send(lines(start_ns, second))
        sender.send("beat value=99\ndoor open=t\n")
        sender.send(lines(start_ns, 0))  # too late: a second aggregate of the first window
        wait_for("the readings to be taken", lambda: agents[-1].status()["engine"]["taken"] >= 47, 10)
    wait_for("the action of each alarm", lambda: len(inbox.of("mine/hot")) == len(FORMS))
    for agent in agents:
        assert agent.stop() == 0  # what is open becomes partials, and goes at the next start
        agent.start()
        wait_for("the outbox to drain", agent.drained, 10)
        assert agent.stop() == 0
    wait_for("a goodbye of each", lambda: all(json.loads(inbox.of(f"weir/1/riga/{form.replace('+', '-')}/state")[-1].payload)["state"] == "offline"
                                              for form in FORMS))
    truth = read_json(inbox, lab)
    readings = sum(row["n"] + row["bad"] for row in truth.values())
    assert (len(truth), readings) == (30, 67), (len(truth), readings, list(truth))
    for other in (read_influx(inbox, lab), read_senml(inbox, "senml+json"), read_senml(inbox, "senml+cbor")):
        seen = {key: row for key, row in other.items() if key[0] not in UNSTAMPED}
        wanted = {key: row for key, row in truth.items() if key[0] not in UNSTAMPED}
        assert seen == wanted, [(key, seen.get(key), wanted.get(key)) for key in seen.keys() | wanted.keys() if seen.get(key) != wanted.get(key)][:3]
    for form in FORMS:
        check_properties(inbox, form)
    mine = inbox.of("mine/hot")
    assert len(mine) == len(FORMS) and all(TRACE.fullmatch(message.properties["traceparent"]) for message in mine)
    boot = bytes.fromhex(pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", ""))
    assert {message.payload[72:88] for message in inbox.of("weir/1/riga/segment/agg")} == {boot}, "each segment tells its boot"
    sizes = {form: sum(len(message.payload) for message in inbox.of(f"weir/1/riga/{form.replace('+', '-')}/agg")) for form in FORMS}
    print(f"bytes: {sizes}")


if __name__ == "__main__":
    harness.main()
