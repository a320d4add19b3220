"""Pairs of tables as a test sees them: what a link maps to what, the values
behind the cipher, and whether both sides say the same."""

import base64
import dataclasses
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Cipher:
    """The auth service's own: base64(nonce | ciphertext | tag). Written against the
    format's description with another library, so that both must agree on it."""

    def __init__(self, key=None, encoding="base64"):
        self.key = key or os.urandom(32)
        self.encoding = encoding

    def seal(self, plain):
        if plain is None:
            return None
        nonce = os.urandom(12)
        sealed = nonce + AESGCM(self.key).encrypt(nonce, plain.encode(), None)
        return sealed.hex() if self.encoding == "hex" else base64.b64encode(sealed).decode()

    def open(self, text):
        if text is None:
            return None
        sealed = bytes.fromhex(text) if self.encoding == "hex" else base64.b64decode(text, validate=True)
        return AESGCM(self.key).decrypt(sealed[:12], sealed[12:], None).decode()

    def nonce(self, text):
        return (bytes.fromhex(text) if self.encoding == "hex" else base64.b64decode(text))[:12]


@dataclasses.dataclass
class Column:
    left: str
    right: str = ""
    sealed_side: str = ""  # "left" or "right": where it stands encrypted
    key_env: str = ""
    # How the value is read for a comparison, {} being the column: text whatever its type.
    read: str = "{}"
    # Labels of a SET may stand in another order on the other side.
    is_set: bool = False

    def __post_init__(self):
        self.right = self.right or self.left

    def config(self):
        c = {"left": self.left, "right": self.right}
        if self.sealed_side:
            c["cipher"] = {"side": self.sealed_side, "algorithm": "aes-256-gcm", "encoding": "base64",
                           "key_env": self.key_env}
        return c


@dataclasses.dataclass
class Link:
    name: str
    left_table: str
    right_table: str
    columns: list
    key: list = dataclasses.field(default_factory=lambda: ["id"])
    cipher: Cipher = None
    left_server: str = "auth"
    right_server: str = "customer"
    authority: str = "left"
    delete_vs_update: str = "keep"
    version: str = "sync_version"
    updated_at: str = "updated_at"
    synced_at: str = "last_sync_at"
    more: dict = dataclasses.field(default_factory=dict)  # goes into the section as it is

    def config(self):
        return {
            "name": self.name,
            "left": {"server": self.left_server, "table": self.left_table},
            "right": {"server": self.right_server, "table": self.right_table},
            "key": Array(self.key),
            "columns": [c.config() for c in self.columns],
            "version": self.version, "updated_at": self.updated_at, "synced_at": self.synced_at,
            "conflict": {"authority": self.authority, "delete_vs_update": self.delete_vs_update},
            "initial_sync": True,
            **self.more,
        }

    def table(self, side):
        return self.left_table if side == "left" else self.right_table

    def select(self, side):
        """The key columns, then every mapped column and the sync fields."""
        columns = [c.read.format(f"`{getattr(c, side)}`") for c in self.columns]
        key = [f"`{getattr(c, side)}`" for k in self.key for c in self.columns if c.left == k]
        return (f"SELECT {', '.join(columns)}, {self.version}, {self.updated_at} FROM {self.table(side)} "
                f"ORDER BY {', '.join(key)}")

    def read(self, server, side):
        """All rows of a side, in plain text, in the order of the key."""
        rows = server.rows(self.select(side))
        for i, column in enumerate(self.columns):
            if column.sealed_side == side:
                rows = [(*row[:i], self._open(row[i]), *row[i + 1:]) for row in rows]
            if column.is_set:
                rows = [(*row[:i], row[i] and ",".join(sorted(row[i].split(","))), *row[i + 1:]) for row in rows]
        return list(rows)

    def _open(self, text):
        try:
            return self.cipher.open(text)
        except (InvalidTag, ValueError) as e:
            return f"<not to be opened: {e!r}: {text}>"

    def difference(self, left, right):
        """"" if both servers hold the same, else what differs."""
        rows = {side: self.read(server, side) for side, server in (("left", left), ("right", right))}
        if rows["left"] == rows["right"]:
            return ""
        lines = []
        for side, peer in (("left", "right"), ("right", "left")):
            others = set(rows[peer])
            only = [row for row in rows[side] if row not in others]
            lines.append(f"{side} has {len(rows[side])} rows, {len(only)} of them only there:")
            lines += [f"  {row}" for row in only[:8]]
        return "\n".join(lines)


def numbers(count):
    """SQL that stands for a table of 1 to count, in its column n, on any server."""
    digits = "(" + " UNION ALL ".join(f"SELECT {n} AS d" for n in range(10)) + ")"
    places = range(len(str(count)))
    value = " + ".join(f"{10 ** i} * p{i}.d" for i in places)
    tables = " JOIN ".join(f"{digits} AS p{i}" for i in places)
    return f"(SELECT 1 + {value} AS n FROM {tables} WHERE {value} < {count})"


class Array(list):
    """A libconfig array, [ ], where a list would be ( )."""


def libconfig(value, depth=0):
    """Python's dicts, lists and scalars as libconfig text."""
    pad = "  " * depth
    if isinstance(value, dict):
        lines = [f"{pad}{k} = {libconfig(v, depth + 1)};\n" for k, v in value.items()]
        return "".join(lines) if depth == 0 else "{\n" + "".join(lines) + "  " * (depth - 1) + "}"
    if isinstance(value, Array):
        return "[" + ", ".join(libconfig(v, depth + 1) for v in value) + "]"
    if isinstance(value, list):
        return "(" + ", ".join(libconfig(v, depth + 1) for v in value) + ")"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
