"""The store in memory and the one in a file answer alike, whatever is asked of them in whatever order."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tunewell.errors import TunewellError
from tunewell.events import Act, Job, Report, Result
from tunewell.stores.memory import MemoryStore
from tunewell.stores.sql import SqlStore

names = st.sampled_from(["a", "b", "ä b", ""])
owners = st.sampled_from(["x", "y"])
jobs = st.integers(-1, 4)
attempts = st.integers(1, 3)
numbers = st.floats() | st.none()
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
data = st.dictionaries(st.text(max_size=3), values, max_size=3)
events = st.one_of(
    st.builds(Act, st.sampled_from(["open", "note"]), data),
    st.builds(Job, data, st.integers(1, 9), st.none() | jobs, id=jobs, tag=st.tuples(st.text(max_size=2))),
    st.builds(
        Report, jobs, st.just((1, 2)), st.dictionaries(st.text(max_size=2), st.tuples(numbers, numbers)), attempts
    ),
    st.builds(Result, jobs, st.just("done"), st.dictionaries(st.text(max_size=2), st.floats()), attempt=attempts),
)


class Stores(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.stores = [MemoryStore(), SqlStore(Path(self.folder.name, "tune.db"))]
        self.jobs = {}

    def both(self, ask):
        """Ask both; the answers, or the kinds of error, are the same."""
        answers = [answer(ask, store) for store in self.stores]
        assert repr(answers[0]) == repr(answers[1])
        return answers[0]

    @rule(study=names)
    def open(self, study):
        self.both(lambda store: plain(store.append(study, Act("open", {}))))

    @rule(study=names, batch=st.lists(events, max_size=3))
    def append(self, study, batch):
        self.both(lambda store: plain(store.append(study, *batch)))

    @rule(study=names, ends=st.booleans(), attempt=attempts)
    def append_next(self, study, ends, attempt):
        known = sum(isinstance(entry.event, Job) for entry in self.stores[0].read(study))
        batch = [Job({}, 1, id=known), *([Result(known, "done", attempt=attempt)] if ends else [])]
        self.both(lambda store: plain(store.append(study, *batch)))

    @rule(study=names, job=jobs, attempt=attempts)
    def end(self, study, job, attempt):
        self.both(lambda store: plain(store.append(study, Result(job, "done", attempt=attempt))))

    @rule(study=names, job=st.integers(0, 4), owner=owners, parent=st.none() | st.integers(0, 4))
    def claim(self, study, job, owner, parent):
        self.both(lambda store: store.leases.claim(study, job, owner, 999, parent=parent))

    @rule(study=names, held=st.dictionaries(jobs, attempts), owner=owners)
    def renew(self, study, held, owner):
        self.both(lambda store: list(store.leases.renew(study, held, owner, 999)))

    @rule(study=names, job=jobs, owner=owners)
    def release(self, study, job, owner):
        self.both(lambda store: store.leases.release(study, [job], owner))

    @rule(study=names, name=names)
    def rename(self, study, name):
        self.both(lambda store: store.rename(study, name))

    @rule(study=names)
    def delete(self, study):
        self.both(lambda store: store.delete(study))

    @rule(study=names, after=st.integers(0, 9))
    def read(self, study, after):
        self.both(lambda store: plain(store.read(study, after)))

    @rule()
    def close(self):
        for store in self.stores:
            store.close()

    @invariant()
    def agree(self):
        for study in self.both(lambda store: list(store.studies())):
            self.both(lambda store, study=study: sorted(store.leases.owners(study).items()))

    def teardown(self):
        for study in self.stores[0].studies():
            self.both(lambda store, study=study: plain(store.read(study)))
        for store in self.stores:
            store.close()
        self.folder.cleanup()


def answer(ask, store):
    try:
        return ask(store)
    except TunewellError as error:
        return type(error), error.message


def plain(entries):
    """Without the times, which differ."""
    return [(entry.number, entry.event) for entry in entries]


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=40, stateful_step_count=30)
