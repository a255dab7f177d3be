"""A store's pages, served by a thread; and studies that are written event by event instead of being trained."""

import sqlite3
import threading

import requests
import uvicorn

from fairlane.store import Decision, next_epoch, written
from fairlane.trials import Trial, TrialStarted, Variant
from fairlane.ui.app import application
from fairlane.ui.board import Board
from fairlane.ui.serving import address, hosts_of, listen
from store._stores import run

HOSTS = hosts_of("127.0.0.1")
HOSTILE = "</script><img src=x onerror=alert(1)>"


class Served:
    """The real server, on a free port of this machine.

    Attributes:
        url: of the page of all studies.
    """

    def __init__(self, store, hosts=HOSTS, token=None):
        self._socket = listen("127.0.0.1", 0)
        self.url = address(*self._socket.getsockname())
        app = application(Board(store), hosts, token)
        self._server = uvicorn.Server(
            uvicorn.Config(app, lifespan="off", log_config=None, log_level="warning")
        )
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})
        self._thread.start()

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def request(self, method, path, **options):
        with requests.Session() as session:
            session.trust_env = False  # no proxy
            return session.request(method, self.url + path, **{"timeout": 60, **options})

    def close(self):
        self._server.should_exit = True
        self._thread.join(60)
        assert not self._thread.is_alive(), "the server does not end"
        self._socket.close()


class Written:
    """A study that this process writes.

    Attributes:
        trials: those of all variants, each with every seed.
    """

    def __init__(self, store, name, variants=2, seeds=2, epochs=4, spec=None, names=None):
        self._open = lambda: written(store, name, spec or {}, {"keras": "3"}, "auto")
        self._seeds, self._epochs, self._names = seeds, epochs, names or (lambda n: {"units": 8 + n})
        self._store, self._variants, self.trials = self._open(), [], []
        self._plan(variants)

    def add(self, variants):
        """Train it again, with more variants."""
        self._store.close()
        self._store = self._open()
        self._plan(variants)

    def _plan(self, variants):
        first = len(self._variants)
        self._variants += [Variant(n, self._names(n)) for n in range(first, first + variants)]
        pairs = [(variant, seed) for variant in self._variants for seed in range(self._seeds)]
        planned = [Trial(n, *pair) for n, pair in enumerate(pairs)]
        self.trials = self._store.adopt(planned, [self._epochs] * len(planned))
        for trial in self.trials:
            epoch = next_epoch(self._store[trial])
            self._store.write(TrialStarted(trial, "lanes", "", 0, "scan×8", epoch))
        self._store.flush()

    def train(self, first, last, **logs):
        """Epochs ``first`` to ``last``, without the latter, of all trials."""
        for trial in self.trials:
            run(self._store, trial, first, last, val_loss=1.0 + trial.number / 10, **logs)
        self._store.flush()

    def write(self, *events):
        for event in events:
            self._store.write(event)
        self._store.flush()

    def decide(self, about, **content):
        """As a search does, with its next epoch."""
        self._store.decide(Decision(about, content))
        self._store.flush()

    def close(self):
        self._store.close()


def kill_writer(store):
    """Leave a store as a process leaves it that was killed on another machine, an hour ago."""
    with sqlite3.connect(store) as connection:
        connection.execute(
            "UPDATE fairlane_studies SET writer = 'x', writer_host = 'gone', writer_pid = 1, "
            "writer_place = '', heartbeat = 0, revision = revision + 1"
        )
    connection.close()
