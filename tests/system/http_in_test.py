"""Writes over HTTP as real clients send them: curl, InfluxDB's own client library, requests shaped as Telegraf's documentation says; and rude ones.
What was answered with 204 is in the ledger once, and nothing else is.
"""
import gzip
import http.client
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time

import influxdb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness  # noqa: E402
import lab as laboratory  # noqa: E402
from lab import wait_for  # noqa: E402

TOKEN = "a-token-of-this-test"
CONFIG = """
node: {{id: gw-http}}
sources:
  - {{name: web, kind: http, token_file: tokens, max_body: 1MB, bodies: 4MB, json: {{measurement: device, time: at, time_format: s, tags: [id]}}}}
  - {{name: floor, kind: line, listen: "tcp://127.0.0.1:{line}"}}
windows:
  - {{name: s1, every: 1s, of: "*", lateness: 100ms}}
rules: ["rules.yaml"]
store: {{path: store, budget: 16MB, max_loss: 500ms}}
http: {{listen: "127.0.0.1:{http}", max_connections: 50}}
log: {{format: json}}
"""
RULES = """
weir: 1
rules:
  - {rule: hot, when: "cpu.usage_idle < 1", by: host, severity: high, respond: "look", consequence: "none", time_to_respond: 1h}
"""


class Gateway:
    def __init__(self, lab):
        self.port, self.line = laboratory.free_port(), laboratory.free_port()
        self.reloaded = False
        directory = lab.directory / "agent"
        directory.mkdir()
        (directory / "rules.yaml").write_text(RULES)
        self.tokens = directory / "tokens"
        self.tokens.write_text(f"# of the tests\n{TOKEN}\n")
        self.tokens.chmod(0o600)
        self.agent = lab.add(laboratory.Agent(lab.weir, directory, CONFIG.format(http=self.port, line=self.line))).start()

    def ask(self, method, target, body=None, headers=None, token=TOKEN):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, target, body, {"Authorization": f"Token {token}", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def received(self):
        return self.source()["received"]

    def source(self):
        return next(source for source in self.agent.status()["sources"] if source["name"] == "web")

    def stop(self, expected):
        """The ledger has what the clients were told, and balances."""
        if not self.reloaded:  # a source that has changed counts anew; its accounts go on
            assert self.received() == expected, f"{self.received()} received, {expected} answered"
        assert self.agent.stop() == 0
        audit = self.agent.audit()
        assert audit["balanced"]
        account = next(a for a in audit["accounts"] if a["source"] == "web" and a["window"] == "s1")
        assert account["held"] == expected, account


def curl(gateway, *words, text=None):
    done = subprocess.run(["curl", "-sS", "-m", "20", "-w", "\n%{http_code}", *words[:-1], f"http://127.0.0.1:{gateway.port}{words[-1]}"],
                          input=text, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    body, _, code = done.stdout.decode().rpartition("\n")
    return int(code), body


# -- clients ---------------------------------------------------------------------------------------------------------------------------------


def test_curl(lab):
    gateway = Gateway(lab)
    auth = ("-H", f"Authorization: Token {TOKEN}")
    lines = "".join(f"m,host=a value={i} {1700000000 + i}\n" for i in range(5000)).encode()
    assert curl(gateway, "/ping") == (204, "")
    assert curl(gateway, *auth, "--data-binary", "@-", "/write?db=x&precision=s", text=lines)[0] == 204  # with Expect: 100-continue, and a form's type
    assert curl(gateway, *auth, "-H", "Transfer-Encoding: chunked", "--data-binary", "@-", "/write?db=x&precision=s", text=lines)[0] == 204
    assert curl(gateway, *auth, "-H", "Content-Encoding: gzip", "--data-binary", "@-", "/api/v2/write?bucket=b&org=o&precision=s",
                text=gzip.compress(lines))[0] == 204
    assert curl(gateway, "-u", f"any:{TOKEN}", "--data-binary", "m v=1", "/write")[0] == 204
    assert curl(gateway, "--data-binary", "m v=1", f"/write?u=any&p={TOKEN}")[0] == 204
    code, body = curl(gateway, "--data-binary", "m v=1", "/write")
    assert code == 401 and "error" in json.loads(body)
    code, body = curl(gateway, *auth, "--data-binary", "m v=1\nm v=\nm v=3\n", "/api/v2/write?org=o&bucket=b")
    error = json.loads(body)
    assert code == 400 and error["code"] == "invalid" and error["line"] == 2 and "line 2, column 5" in error["message"], body
    assert curl(gateway, *auth, "-H", "Content-Type: application/json", "--data-binary", '[{"id": "x", "at": 1700000000, "t": 1.5, "on": true}]',
                "/api/json")[0] == 204
    code, body = curl(gateway, *auth, "--data-binary", '{"id": "x", "at": "never", "t": 1.5}', "/api/json")
    assert code == 400 and "line 1" in json.loads(body)["error"], body
    gateway.stop(3 * 5000 + 2 + 2 + 2)


def test_the_client_library_of_influxdb_1(lab):
    gateway = Gateway(lab)
    client = influxdb.InfluxDBClient("127.0.0.1", gateway.port, "any", TOKEN, "plant", retries=1)
    assert client.ping() == f"weir-{json.loads(subprocess.run([str(lab.weir), 'version', '--json'], capture_output=True, check=True).stdout)['version']}"
    client.create_database("plant")
    assert client.get_list_database()
    points = [{"measurement": "boiler", "tags": {"unit": str(i % 3)}, "time": 1700000000 + i, "fields": {"temp": 20.5 + i, "on": True, "state": "ok", "n": i}}
              for i in range(100)]
    assert client.write_points(points, time_precision="s")
    assert client.write_points(points, time_precision="ms", batch_size=30)
    assert client.write_points(["boiler,unit=9 temp=1"], protocol="line")
    packed = influxdb.InfluxDBClient("127.0.0.1", gateway.port, "any", TOKEN, "plant", retries=1, gzip=True)
    assert packed.write_points(points, time_precision="s")
    try:
        client.write_points(["boiler temp=oops"], protocol="line")
        raise AssertionError("a bad line was not refused")
    except influxdb.exceptions.InfluxDBClientError as error:
        assert error.code == 400 and "partial write" in str(error)
    try:
        influxdb.InfluxDBClient("127.0.0.1", gateway.port, "any", "wrong", "plant", retries=1).write_points(points)
        raise AssertionError("a wrong password was not refused")
    except influxdb.exceptions.InfluxDBClientError as error:
        assert error.code == 401
    gateway.stop(3 * 400 + 1)


def chunked(body):
    """As Go's client writes a body of unknown length: in chunks of at most 4 KB here."""
    pieces = [body[i:i + 4096] for i in range(0, len(body), 4096)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def telegraf(method, target, body, headers):
    """A request as Telegraf's HTTP client puts it on the wire: User-Agent, Accept-Encoding, chunks for what it packs on the fly."""
    head = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "User-Agent: Telegraf/1.28.5 Go/1.21.4"]
    body = body.encode() if isinstance(body, str) else body
    if headers.get("Content-Encoding") == "gzip":
        body = chunked(gzip.compress(body))
        head.append("Transfer-Encoding: chunked")
    elif body is not None:
        head.append(f"Content-Length: {len(body)}")
    head += [f"{name}: {value}" for name, value in headers.items()] + ["Accept-Encoding: gzip", "", ""]
    return "\r\n".join(head).encode() + (body or b"")


def metrics_of_telegraf(n, begin):
    """Lines as Telegraf's serializer writes them: escaped tags, several fields of each type, stamps in nanoseconds."""
    lines = []
    for i in range(n):
        stamp = (begin + i) * 10**9
        lines.append(f"cpu,cpu=cpu{i % 4},host=edge\\ 1 usage_idle=97.5,usage_user=1.25,usage_steal=0 {stamp}")
        lines.append(f'disk,device=mmcblk0p2,fstype=ext4,host=edge\\ 1,mode=rw,path=/ free=1234567890i,used_percent=42.1,label="root \\"a\\"" {stamp}')
        lines.append(f"internal_write,host=edge\\ 1,output=influxdb,version=1.28.5 metrics_added={i}i,errors=0i,ok=true {stamp}")
    return "\n".join(lines) + "\n", 9 * n


def test_requests_of_telegraf(lab):
    """outputs.influxdb: creates its database, then writes with db, consistency and a password; outputs.influxdb_v2: bucket, org, token. Both keep one
    connection, and pack bodies unless content_encoding is identity."""
    gateway = Gateway(lab)
    basic = {"Authorization": "Basic " + __import__("base64").b64encode(f"telegraf:{TOKEN}".encode()).decode()}
    token = {"Authorization": f"Token {TOKEN}"}
    text = {"Content-Type": "text/plain; charset=utf-8"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    packed = {"Content-Encoding": "gzip"}
    lines, readings = metrics_of_telegraf(1000, 1700000000)
    requests = [
        (200, 0, telegraf("POST", "/query", "q=CREATE+DATABASE+%22telegraf%22", {**form, **basic})),
        (204, readings, telegraf("POST", "/write?consistency=any&db=telegraf", lines, {**text, **basic, **packed})),
        (204, readings, telegraf("POST", "/write?db=telegraf&rp=weekly", lines, {**text, **basic})),
        (204, readings, telegraf("POST", "/api/v2/write?bucket=b&org=o", lines, {**text, **token, **packed})),
        (204, readings, telegraf("POST", "/api/v2/write?bucket=b&org=o&precision=ns", lines, {**text, **token})),
        (204, 0, telegraf("GET", "/ping", None, {})),
        (401, 0, telegraf("POST", "/api/v2/write?bucket=b&org=o", lines[:200], {**text, "Authorization": "Token none"})),
        (400, 3, telegraf("POST", "/write?db=telegraf", "cpu,host=a usage_idle=1,usage_user=2\ncpu,host=a usage_idle=\ncpu,host=a usage_idle=3\n",
                          {**text, **basic})),
    ]
    expected = 0
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    connection.connect()
    for piece in (1 << 20, 1000):
        for code, readings, request in requests:
            for i in range(0, len(request), piece):
                connection.sock.sendall(request[i:i + piece])
            answer = http.client.HTTPResponse(connection.sock)
            answer.begin()
            body = answer.read().decode()
            assert answer.status == code, f"{answer.status} {body}"
            assert answer.headers["Connection"] == "keep-alive"
            if code == 400:  # the words by which Telegraf tells that sending it again is of no use
                assert "partial write" in json.loads(body)["error"] and "dropped=1" in body
            expected += readings
    connection.close()
    assert gateway.agent.alarms() == {}
    gateway.stop(expected)


# -- rude clients ----------------------------------------------------------------------------------------------------------------------------


def pss_kb(agent):
    for line in pathlib.Path(f"/proc/{agent.process.pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("no Pss")


def raw(port, data, read=True):
    """Sends bytes, returns all that comes back until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(data)
            if not read:
                return b""
            connection.shutdown(socket.SHUT_WR)
            back = b""
            while piece := connection.recv(65536):
                back += piece
            return back
        except ConnectionError:
            return b""


def test_rude_clients_cost_nobody_anything(lab):
    gateway = Gateway(lab)
    before_kb = pss_kb(gateway.agent)
    bomb = gzip.compress(bytes(200 << 20), 9)
    packed = {"Content-Encoding": "gzip"}
    for _ in range(5):
        assert gateway.ask("POST", "/write", bomb, packed)[0] == 413
    if lab.build.name not in ("asan", "tsan"):  # which keep what is freed
        assert pss_kb(gateway.agent) < before_kb + 8192
    whole = gzip.compress(b"m value=1\n" * 1000)
    assert gateway.ask("POST", "/write", whole[:-5], packed)[0] == 400
    assert gateway.ask("POST", "/write", whole[:100] + b"x" + whole[101:], packed)[0] in (400, 413)
    assert gateway.ask("POST", "/write", b"m value=1\n", packed)[0] == 400
    assert gateway.ask("POST", "/write", b"m value=1\n", {"Content-Encoding": "br"})[0] == 415
    assert gateway.ask("POST", "/write", bytes(2 << 20))[0] == 413
    post = b"POST /write HTTP/1.1\r\nHost: a\r\nAuthorization: Token " + TOKEN.encode() + b"\r\n"
    for rubbish, code in ((b"\x16\x03\x01\x02\x00\x01\x00\x01", b"400"), (b"GET\r\n\r\n", b"400"), (b"GET / HTTP/3.0\r\n\r\n", b"505"),
                          (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", b"431"), (post + b"X: " + b"y" * 20000 + b"\r\n\r\n", b"431"),
                          (post + b"Content-Length: -5\r\n\r\n", b"400"), (post + b"Content-Length: 99999999999999999999\r\n\r\n", b"413"),
                          (post + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"), (post + b"\r\n", b"411"),
                          (post + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", b"400"), (b"PATCH /write HTTP/1.1\r\nHost: a\r\n\r\n", b"405")):
        back = raw(gateway.port, rubbish)
        assert back[9:12] in (code, b""), (rubbish[:60], back[:200])  # what is too long may be reset before it is read
    raw(gateway.port, post + b"Content-Length: 1000\r\n\r\nm value=1\nm value=2\n", read=False)  # breaks off: nothing of it
    held = [socket.create_connection(("127.0.0.1", gateway.port), timeout=20) for _ in range(120)]  # more than there may be
    assert gateway.ask("GET", "/healthz")[0] == 200
    for connection in held:
        connection.close()
    code, _, body = gateway.ask("POST", "/write", b"m value=1\nbad\nm value=2\n\xff\xfe\nm value=3\n")
    assert code == 400 and "dropped=2" in body
    gateway.stop(3)


def test_tokens_change_without_a_restart(lab):
    gateway = Gateway(lab)
    assert gateway.ask("POST", "/write", b"m v=1", token="second")[0] == 401
    gateway.tokens.write_text(f"{TOKEN}\nsecond\n")
    wait_for("the new token", lambda: gateway.ask("POST", "/write", b"m v=1", token="second")[0] == 204)
    gateway.tokens.write_text("second\n")
    wait_for("the old token to be gone", lambda: gateway.ask("POST", "/ping")[0] == 204 and gateway.ask("POST", "/write", b"")[0] == 401)
    gateway.stop(1)


class Writer(threading.Thread):
    """Writes one line after the other, each until it is answered with 204; no answer at all means that nothing was taken."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.written, self.codes, self.ending = port, 0, set(), threading.Event()

    def run(self):
        connection = None
        while not self.ending.is_set():
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                connection.request("POST", "/write", f"m,w={self.written % 7} value={self.written}i", {"Authorization": f"Token {TOKEN}"})
                answer = connection.getresponse()
                answer.read()
                self.codes.add(answer.status)
                self.written += answer.status == 204
            except (OSError, http.client.HTTPException):
                connection = None
                time.sleep(0.01)

    def stop(self):
        self.ending.set()
        self.join(20)

    close = stop


def test_reloads_while_clients_write(lab):
    gateway = Gateway(lab)
    writers = [lab.add(Writer(gateway.port)) for _ in range(4)]
    for writer in writers:
        writer.start()
    text = gateway.agent.config.read_text()
    moved = laboratory.free_port()
    for change in (("max_body: 1MB", "max_body: 900KB"), ("max_connections: 50", "max_connections: 60"),
                   (f"127.0.0.1:{gateway.port}", f"127.0.0.1:{moved}"), (f"127.0.0.1:{moved}", f"127.0.0.1:{gateway.port}")):
        before = sum(writer.written for writer in writers)
        if str(moved) not in text:
            wait_for("some writes", lambda: sum(writer.written for writer in writers) > before + 50)
        assert change[0] in text
        text = text.replace(*change)
        gateway.agent.config.write_text(text)
        assert gateway.agent.reload()["msg"] == "done"
        gateway.reloaded = True
    before = sum(writer.written for writer in writers)
    wait_for("writes after the last reload", lambda: sum(writer.written for writer in writers) > before + 50)
    for writer in writers:
        writer.stop()
    assert set().union(*(writer.codes for writer in writers)) <= {204, 503}
    gateway.stop(sum(writer.written for writer in writers))


def test_metrics_pass_promtool(lab):
    gateway = Gateway(lab)
    assert gateway.ask("POST", "/write", b"m v=1")[0] == 204
    code, _, text = gateway.ask("GET", "/metrics")
    assert code == 200
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    status = gateway.agent.status()["http"]
    assert status["requests"]["204"] == 1 and status["requests"]["200"] >= 1, status
    assert "1 with 204" in gateway.agent.run("status", check=0).stdout
    metrics = gateway.agent.metrics(gateway.port)
    assert metrics['weir_http_requests_total{code="204"}'] == 1 and metrics['weir_source_received_total{source="web"}'] == 1
    gateway.stop(1)


if __name__ == "__main__":
    harness.main()
