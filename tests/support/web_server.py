"""A web server for webhooks, plain or with a certificate, that keeps what it was sent and behaves as the path says."""
import http.server
import socket
import ssl
import threading
import time


class WebServer:
    """/good 204; /slow answers after a second; /hang never does; /flaky/N is 500 N times, then 200; /busy/N is 429 with Retry-After: N once;
    /redirect 302; /missing 404; /huge 200 with more than anybody wants to read; /cut ends in the middle of an answer; /garbage is no HTTP."""

    def __init__(self, cert=None, key=None):
        self.requests = []  # (time, method, path, headers, body)
        self.lock = threading.Lock()
        self.ended = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with outer.lock:
                    outer.requests.append((time.monotonic(), self.command, self.path, dict(self.headers), body))
                outer.answer(self)

            do_POST = do_PUT = do_GET = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # clients that leave early are what is tested

        self.server = Server(("127.0.0.1", 0), Handler)
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def of(self, path):
        with self.lock:
            return [request for request in self.requests if request[2] == path]

    def answer(self, handler):
        word, _, argument = handler.path.strip("/").partition("/")
        seen = len(self.of(handler.path))
        if word == "slow":
            time.sleep(1)
        if word == "hang":
            self.ended.wait()
            return
        if word == "garbage":
            handler.wfile.write(b"220 mail.example ESMTP\r\n")
            handler.close_connection = True
            return
        if word == "cut":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return
        status, headers, body = 204, {}, b""
        if word == "flaky":
            status, body = (500, b"try me again") if seen <= int(argument) else (200, b"thank you")
        elif word == "busy":
            status, headers = (429, {"Retry-After": argument}) if seen == 1 else (200, {})
        elif word == "redirect":
            status, headers = 302, {"Location": f"http://127.0.0.1:{self.port}/good"}
        elif word == "missing":
            status, body = 404, b'{"error": "no such\nhook"}'
        elif word == "huge":
            status, body = 200, b"x" * 20_000_000
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if status != 204:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()
