"""A line between the daemon and a server that can be made to fail: it stalls, breaks, cuts packets in two, or is slow."""

import contextlib
import random
import socket
import struct
import threading
import time

CHUNK = 64 * 1024


class _Pipe:
    """One connection of the daemon, and the one to the server behind it."""

    def __init__(self, proxy, client, server, limit):
        self.proxy = proxy
        self.sockets = (client, server)
        self.left = limit  # bytes that the server may still send, None: no limit
        for source, sink in (self.sockets, self.sockets[::-1]):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _cut(self, data, source):
        """What of it passes, and whether the line breaks behind it."""
        if source is not self.sockets[1] or self.left is None:
            return data, False
        data, breaks = data[:self.left], len(data) >= self.left
        self.left -= len(data)
        return data, breaks

    def _pump(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self.proxy.passes.wait()
                if self.proxy.delay_s:
                    time.sleep(self.proxy.delay_s)
                data, breaks = self._cut(data, source)
                sink.sendall(data)
                if breaks:
                    break
        self.close()

    def close(self, reset=False):
        for s in self.sockets:
            with contextlib.suppress(OSError):
                if reset:  # no FIN: what was sent and not read is void
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # It lives on as long as a thread waits for it.
                s.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
            s.close()
        self.proxy.forget(self)


class Proxy:
    """Listens on a port of its own; whatever it was told lasts until restore()."""

    pipe = _Pipe

    def __init__(self, server, seed=1):
        self.target = server.port
        self.random = random.Random(seed)
        self.passes = threading.Event()
        self.passes.set()
        self.delay_s = 0
        self.broken = None  # what becomes of a new connection: None, "reset", or (least, most) bytes
        self.pipes = set()
        self.lock = threading.Lock()
        self.connections = 0  # so many came
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self._connect(client)

    def _connect(self, client):
        if self.broken == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            return
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        limit = self.random.randint(*self.broken) if self.broken else None
        with self.lock:
            self.pipes.add(self.pipe(self, client, server, limit))

    def forget(self, pipe):
        with self.lock:
            self.pipes.discard(pipe)

    def break_all(self, reset=True):
        """Ends all connections that there are: by RST, or as if the server had closed them."""
        with self.lock:
            pipes = list(self.pipes)
        for pipe in pipes:
            pipe.close(reset)

    # ---- What goes wrong ----

    def stall(self):
        """Connections stay, new ones come about, and nothing passes any more: a black hole."""
        self.passes.clear()

    def reset(self):
        """All that there are break, and all that come."""
        self.broken = "reset"
        self.break_all()

    def truncate(self, least=1, most=3000):
        """Each connection breaks, at any byte, after the server has sent so many."""
        self.broken = (least, most)
        self.break_all(reset=False)

    def slow(self, seconds):
        """Each packet takes so long, either way."""
        self.delay_s = seconds

    def restore(self):
        self.broken = None
        self.delay_s = 0
        self.passes.set()

    def close(self):
        self.restore()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.break_all()
