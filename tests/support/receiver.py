"""A receiver of webhooks on the loopback, in a thread of its own."""

import http.server
import json
import threading

MAX_EVENTS = 1000
MAX_BODY = 64 * 1024


class Receiver:
    """Keeps what it is sent. answers: status codes of the first requests; 200 from then on."""

    def __init__(self, answers=(), port=0):
        self.answers = list(answers)
        self.requests = []  # (status that was given, headers, body as JSON)
        self._lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self):
                length = min(int(self.headers.get("Content-Length", 0)), MAX_BODY)
                status = receiver._take(dict(self.headers), self.rfile.read(length))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hooks/secret-path"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def _take(self, headers, body):
        with self._lock:
            status = self.answers.pop(0) if self.answers else 200
            if len(self.requests) < MAX_EVENTS:
                self.requests.append((status, headers, json.loads(body)))
            return status

    def events(self, kind=None):
        """Those that were taken, of one kind or of all."""
        with self._lock:
            return [body for status, _, body in self.requests
                    if status == 200 and kind in (None, body["event"])]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
