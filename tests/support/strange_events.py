"""A line to a server that adds events of its own to the binary log that passes: what a later server might send."""

import struct
import zlib

from support.proxy import Proxy, _Pipe

COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID = 18, 30
GTIDS = {33, 34, 42, 162}  # MySQL's three, MariaDB's
IGNORABLE = 0x80


class _LogPipe(_Pipe):
    """Knows packets (3 bytes of length, 1 of sequence) once the daemon has asked for the log."""

    def __init__(self, *args):
        self.is_log = False
        self.buffer = b""
        self.added = 0
        super().__init__(*args)

    def _cut(self, data, source):
        if source is not self.sockets[1]:
            self.is_log = self.is_log or (len(data) > 4 and data[3] == 0 and data[4] in (COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID))
            return data, False
        if not self.is_log:
            return data, False
        self.buffer += data
        out = b""
        while len(self.buffer) >= 4:
            size = int.from_bytes(self.buffer[:3], "little")
            if len(self.buffer) < 4 + size:
                break
            out += self._packet(self.buffer[4:4 + size], self.buffer[3])
            self.buffer = self.buffer[4 + size:]
        return out, False

    def _packet(self, body, sequence):
        out = b""
        # Between two transactions: in front of a GTID.
        if self.proxy.waiting and len(body) > 19 and body[0] == 0 and body[5] in GTIDS:
            kind, flags = self.proxy.waiting.pop(0)
            event, at = self._event(kind, flags, body[1:])
            self.proxy.sent.append((kind, at))
            out = self._frame(b"\0" + event, sequence)
            self.added += 1
        return out + self._frame(body, sequence)

    def _frame(self, body, sequence):
        return len(body).to_bytes(3, "little") + bytes([(sequence + self.added) % 256]) + body

    @staticmethod
    def _event(kind, flags, follower):
        """An event that stands where the follower stands in its file, with a checksum."""
        when, _, server, size, next_pos, _ = struct.unpack("<IBIIIH", follower[:19])
        body = b"what it means, nobody knows"
        at = next_pos - size
        length = 19 + len(body) + 4
        event = struct.pack("<IBIIIH", when, kind, server, length, at + length, flags) + body
        return event + struct.pack("<I", zlib.crc32(event)), at


class StrangeEvents(Proxy):
    """add() puts an event in front of the next transaction; `sent` says which were put where."""

    pipe = _LogPipe

    def __init__(self, server):
        self.waiting, self.sent = [], []
        super().__init__(server)

    def add(self, kind, flags=0):
        self.waiting.append((kind, flags))
