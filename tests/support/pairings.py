"""Which kinds of servers stand on the two sides of a test, and a worker's servers."""

import dataclasses
import itertools

from support.servers import HOME, KINDS, ServerError

SIDES = ("left", "right")


@dataclasses.dataclass(frozen=True)
class Pairing:
    left: str   # kinds of servers
    right: str

    def __str__(self):
        return f"{self.left}/{self.right}"

    def kind(self, side):
        return KINDS[self.left if side == "left" else self.right]

    @property
    def kinds(self):
        return self.left, self.right

    @classmethod
    def of(cls, text):
        """ValueError for what is none."""
        kinds = text.split("/")
        if len(kinds) != 2 or not set(kinds) <= set(KINDS):
            raise ValueError(f"no pairing {text}: LEFT/RIGHT, each of them {' or '.join(KINDS)}")
        return cls(*kinds)


AT_HOME = Pairing(HOME, HOME)
PAIRINGS = [Pairing(*kinds) for kinds in itertools.product(KINDS, repeat=2)]
# With AT_HOME, each kind is on each side in one of them.
EACH_KIND = [Pairing.of("mariadb-11.8/mysql-9.7"), Pairing.of("mysql-9.7/mariadb-11.8")]


class Pool:
    """One server of each kind for each side, made when first asked for. Only those of the
    pairing at hand run, so that the memory in use does not grow with the pairings."""

    # Times are stored in UTC whatever the server's own zone is.
    OPTIONS = {"left": {}, "right": {"default_time_zone": "-03:00"}}

    def __init__(self, servers):
        self.servers = servers
        self.made = {}

    def pair(self, pairing):
        """Both servers of a pairing, running."""
        wanted = {side: pairing.kind(side).name for side in SIDES}
        for (side, kind), server in self.made.items():
            if wanted[side] != kind and server.is_running():
                server.thaw()
                server.stop()
        return tuple(self._running(side, wanted[side]) for side in SIDES)

    def _running(self, side, kind):
        server = self.made.get((side, kind))
        if server is None:
            name = "auth" if side == "left" else "customer"
            server = self.servers.new(f"{name}-{kind}", SIDES.index(side) + 1, kind, **self.OPTIONS[side])
            self.made[side, kind] = server
        if not server.is_running():
            try:
                server.start()
            except ServerError:  # the test is told, the next one gets another server
                del self.made[side, kind]
                self.servers.drop(server)
                raise
        return server
