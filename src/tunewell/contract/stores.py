"""The laws of a store. A new one is tested by a subclass that gives it:

class TestMyStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        with closing(MyStore(tmp_path / "my.store")) as store:
            yield store
"""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import ClassVar

import pytest

from tunewell.errors import Conflict, Stale, StoreError, StudyError, TunewellError
from tunewell.events import Act, Event, Failure, Job, Report, Result
from tunewell.owner import new_owner
from tunewell.protocols import Store

OPEN = Act("open", {"seed": 7, "space": {"lr": [0.1, 1.0]}, "note": None}, by="anna")
DONE = {"loss": 0.25}


def job(number: int, parent: int | None = None) -> Job:
    """The job with this id."""
    return Job({"lr": 0.1 + number, "net": {"layers": [8, 4]}, "flag": True}, until=3, parent=parent, id=number, seen=1)


def log(store: Store, study: str = "s", after: int = 0) -> list[Event]:
    """The events that a reader gets."""
    return [entry.event for entry in store.read(study, after)]


def dead_owner() -> str:
    """The name of an owner on this machine that has ended."""
    code = "from tunewell.owner import new_owner; print(new_owner())"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


class StoreContract:
    """The laws. `expires` is False for a store whose leases end only with their owner."""

    expires: ClassVar[bool] = True

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """The store under test, empty."""
        raise NotImplementedError("a contract is tested by a subclass with a fixture `store`")

    @pytest.fixture
    def opened(self, store: Store) -> Store:
        """The store with a study "s" of three jobs, number 0 ended."""
        store.append("s", OPEN)
        store.append("s", job(0), job(1), job(2), Result(0, "done", DONE))
        return store

    # --- the log -----------------------------------------------------------------------------------------------------

    def test_events_are_numbered_from_one(self, store: Store) -> None:
        """Numbers are 1, 2, … in the order of the commits; times are of now."""
        before = time.time()
        entries = [*store.append("s", OPEN), *store.append("s", job(0), job(1)), *store.append("s", Act("note"))]
        assert [entry.number for entry in entries] == [1, 2, 3, 4]
        assert [entry.event for entry in entries] == [OPEN, job(0), job(1), Act("note")]
        assert list(store.read("s")) == entries
        assert all(before - 60 < entry.time < time.time() + 60 for entry in entries)

    def test_studies_are_numbered_apart(self, opened: Store) -> None:
        """A second study starts with number 1 and job 0."""
        assert [entry.number for entry in opened.append("t", OPEN, job(0))] == [1, 2]
        assert len(log(opened)) == 5
        assert opened.studies() == ["s", "t"]

    def test_reading_goes_on_after_a_number(self, opened: Store) -> None:
        """`after` leaves out what was read already."""
        assert [entry.number for entry in opened.read("s", 3)] == [4, 5]
        assert log(opened, after=5) == []
        assert log(opened, after=99) == []

    def test_every_event_comes_back_equal(self, store: Store) -> None:
        """All fields of all kinds survive."""
        failure = Failure("oom", "too\nbig", "MemoryError")
        events: list[Event] = [
            OPEN,
            Job({"x": 1.5, "n": 2**40, "text": "a\x00b", "deep": [{"k": [1, "2", None]}]}, 9, None, ("b", 1), 4, 0, 1),
            Job({}, 18, parent=0, id=1, seen=3),
            Report(0, (1, 2), {"loss": (0.5, None), "f1": (None, 1e-300)}, 2, "step-2"),
            Result(0, "failed", {}, 2, 1.5, 2, failure, "step-2", {"l": 0.1}, {"x": -1.0}),
            Result(1, "cancelled", made="abc"),
        ]
        assert [entry.event for entry in store.append("s", *events)] == events
        assert log(store) == events

    def test_numbers_that_are_not_finite(self, opened: Store) -> None:
        """NaN and infinity survive in metrics and curves; where anything may stand they become text."""
        inf, nan = math.inf, math.nan
        opened.append("s", Report(1, (1, 2, 3, 4), {"loss": (nan, inf, -inf, None)}))
        opened.append("s", Result(1, "done", {"a": nan, "b": -inf}, seconds=inf, std={"a": inf}, gradient={"x": nan}))
        opened.append("s", Act("note", {"a": [inf], "b": {"c": nan}, "d": "nan"}))
        report, result, act = log(opened, after=5)
        assert isinstance(report, Report)
        assert isinstance(result, Result)
        assert isinstance(act, Act)
        assert repr(report.values) == "{'loss': (nan, inf, -inf, None)}"
        assert repr((result.metrics, result.seconds)) == "({'a': nan, 'b': -inf}, inf)"
        assert repr((result.std, result.gradient)) == "({'a': inf}, {'x': nan})"
        assert act.data == {"a": ["inf"], "b": {"c": "nan"}, "d": "nan"}

    def test_text_stays_text(self, opened: Store) -> None:
        """Words that look like numbers or nothing are not changed where text stands."""
        words = {"a": "nan", "b": "1", "c": "true", "d": "null", "e": "inf"}
        events: list[Event] = [
            Job(dict(words), 1, tag=("1", 1), id=3),
            Result(1, "failed", error=Failure("crashed", "nan", "1"), saved="null", made="true"),
            Report(2, (1,), {"nan": (1.0,)}, saved="1"),
            Act("note", dict(words), by="null"),
        ]
        opened.append("s", *events)
        assert log(opened, after=5) == events

    def test_what_is_not_json_is_refused(self, opened: Store) -> None:
        """Not kept half, and not silently changed."""
        for thing in (object(), 1j, "\ud800"):
            with pytest.raises(StoreError, match="JSON"):
                opened.append("s", Act("note", {"thing": thing}))
        assert len(log(opened)) == 5

    def test_readers_share_nothing(self, opened: Store) -> None:
        """What a caller or a reader changes in its own copy reaches nobody else."""
        config = {"lr": [1, 2]}
        (entry,) = opened.append("s", Job(config, 3, id=3))
        config["lr"].append(3)
        assert isinstance(entry.event, Job)
        entry.event.config["lr"] = "gone"
        (mine,) = log(opened, after=5)
        assert isinstance(mine, Job)
        mine.config.clear()
        assert log(opened, after=5) == [Job({"lr": [1, 2]}, 3, id=3)]

    def test_all_or_none(self, opened: Store) -> None:
        """One event that does not fit keeps out all of its batch."""
        for last in (job(3), Result(0, "done"), Result(7, "done"), OPEN):
            with pytest.raises(StoreError):
                opened.append("s", Act("note"), job(3), Report(3, (1,), {}), last)
            assert len(log(opened)) == 5
        assert [entry.number for entry in opened.append("s", job(3), Result(3, "done"))] == [6, 7]

    def test_nothing_to_append(self, opened: Store) -> None:
        """No event, no number."""
        assert list(opened.append("s")) == []
        assert len(log(opened)) == 5

    def test_a_large_batch(self, store: Store) -> None:
        """A log of thousands of events is read in order."""
        store.append("s", OPEN)
        for start in range(0, 4500, 1500):
            store.append("s", *(job(number) for number in range(start, start + 1500)))
        store.append("s", *(Result(number, "done") for number in range(4500)))
        entries = list(store.read("s"))
        assert [entry.number for entry in entries] == list(range(1, 9002))
        assert [entry.event.id for entry in entries if isinstance(entry.event, Job)] == list(range(4500))

    def test_large_events(self, store: Store) -> None:
        """A space, or a curve, may be long."""
        act = Act("open", {"seed": 0, "text": "å" * 10**6})
        report = Report(0, tuple(range(10**4)), {"loss": tuple(map(float, range(10**4)))})
        store.append("s", act, job(0), report)
        assert log(store) == [act, job(0), report]

    # --- conflicts ---------------------------------------------------------------------------------------------------

    def test_job_ids_count_up(self, opened: Store) -> None:
        """Who proposes at the same time as another loses."""
        for number in (2, 4, 0, -1):
            with pytest.raises(Conflict):
                opened.append("s", job(number))
        opened.append("s", job(3))

    def test_one_result_a_job(self, opened: Store) -> None:
        """The first one counts."""
        with pytest.raises(Conflict):
            opened.append("s", Result(0, "failed"))
        with pytest.raises(Conflict):
            opened.append("s", Result(1, "done"), Result(1, "done"))
        assert log(opened)[-1] == Result(0, "done", DONE)

    def test_a_study_is_opened_once(self, opened: Store) -> None:
        """By its first event."""
        with pytest.raises(Conflict):
            opened.append("s", OPEN)
        with pytest.raises(Conflict):
            opened.append("t", OPEN, OPEN)
        with pytest.raises(StoreError, match="no study 't'"):
            opened.append("t", job(0))
        assert opened.studies() == ["s"]

    def test_only_jobs_that_exist_speak(self, opened: Store) -> None:
        """A Report or Result belongs to a job of the study."""
        for event in (Report(3, (1,), {}), Result(3, "done"), Result(-1, "done")):
            with pytest.raises(StoreError):
                opened.append("s", event)

    def test_stale_attempts_are_refused(self, opened: Store) -> None:
        """Once a later attempt is claimed, the earlier one cannot say anything; the later one can."""
        opened.append("s", Report(1, (1,), {}))
        assert opened.leases.claim("s", 1, "a", 60) == 1
        opened.append("s", Report(1, (2,), {}))
        opened.leases.release("s", [1], "a")
        assert opened.leases.claim("s", 1, "b", 60) == 2
        for event in (Report(1, (3,), {}, attempt=1), Result(1, "done", attempt=1)):
            with pytest.raises(Stale):
                opened.append("s", event)
        opened.append("s", Report(1, (3,), {}, attempt=2), Result(1, "done", attempt=2))

    # --- studies -----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "name", ["résumé – 雪", "../../etc/passwd", "a'; DROP TABLE study", "%s ? :x", " ", "x" * 200]
    )
    def test_a_name_is_data(self, store: Store, name: str) -> None:
        """Any text names a study, and its files never leave their folder."""
        store.append(name, OPEN)
        assert store.studies() == [name]
        assert log(store, name) == [OPEN]
        files = store.files(name)
        assert files is None or (files.is_absolute() and ".." not in files.parts)

    @pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "a\x00b", "\ud800"])
    def test_names_that_are_refused(self, store: Store, name: str) -> None:
        """With a sentence, and nothing stored."""
        with pytest.raises(StudyError) as error:
            store.append(name, OPEN)
        assert error.value.hint
        assert store.studies() == []

    def test_rename(self, opened: Store) -> None:
        """The log, the leases and the files keep their place under another name."""
        opened.append("t", OPEN)
        files, events = opened.files("s"), log(opened)
        opened.leases.claim("s", 1, "a", 60)
        opened.rename("s", "new")
        assert sorted(opened.studies()) == ["new", "t"]
        assert (log(opened, "new"), log(opened, "s")) == (events, [])
        assert opened.files("new") == files
        assert opened.leases.owners("new") == {1: "a"}
        for name in ("t", "new"):
            with pytest.raises(Conflict if name == "t" else StoreError):
                opened.rename("new" if name == "t" else "s", name)
        with pytest.raises(StudyError):
            opened.rename("new", "")
        opened.rename("new", "new")
        assert len(log(opened, "new")) == 5

    def test_delete(self, opened: Store) -> None:
        """A study is gone with its leases; one of the same name starts anew, with other files."""
        opened.append("t", OPEN)
        files = opened.files("s")
        opened.leases.claim("s", 1, "a", 60)
        opened.delete("s")
        assert opened.studies() == ["t"]
        assert log(opened) == []
        assert opened.files("s") is None
        assert opened.leases.owners("s") == {}
        assert opened.leases.renew("s", {1: 1}, "a", 60) == [1]
        for action in (opened.delete, lambda study: opened.append(study, job(0))):
            with pytest.raises(StoreError, match="no study"):
                action("s")
        opened.append("s", OPEN, job(0), job(1))
        assert opened.leases.claim("s", 1, "b", 60) == 1
        assert files is None or opened.files("s") != files

    def test_a_reader_keeps_its_log(self, store: Store) -> None:
        """A study deleted and opened again under its name does not mix with what somebody is reading."""
        store.append("s", OPEN, *(job(number) for number in range(5000)))
        reader = store.read("s")
        assert next(reader).number == 1
        store.delete("s")
        store.append("s", OPEN, *(Act("note", {"new": number}) for number in range(6000)))
        assert all(isinstance(entry.event, Job) for entry in reader)

    # --- many at once ------------------------------------------------------------------------------------------------

    def test_reading_while_writing(self, store: Store) -> None:
        """A reader sees batches whole, in order and without gaps, and may append between two events."""
        store.append("s", OPEN)
        done = threading.Event()

        def write() -> None:
            for _ in range(200):
                store.append("s", Act("first"), Act("second"))
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        seen: list[Event] = []
        while not done.is_set() or log(store, after=len(seen)):
            for entry in store.read("s", len(seen)):
                assert entry.number == len(seen) + 1
                seen.append(entry.event)
        writer.join()
        assert seen == [OPEN, *[Act("first"), Act("second")] * 200]
        for entry in store.read("s", 300):
            if entry.number == 400:
                store.append("s", Act("third"))
        assert log(store, after=401) == [Act("third")]

    def test_threads_race_for_ids(self, store: Store) -> None:
        """Each id has one winner, however many propose."""
        store.append("s", OPEN)
        wins: list[int] = []

        def propose() -> None:
            for number in range(25):
                try:
                    store.append("s", job(number))
                    wins.append(number)
                except Conflict:
                    pass

        threads = [threading.Thread(target=propose) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(wins) == list(range(25))
        assert [entry.number for entry in store.read("s")] == list(range(1, 27))

    # --- leases ------------------------------------------------------------------------------------------------------

    def test_claims_exclude_each_other(self, opened: Store) -> None:
        """One owner a job; releasing keeps the count of attempts."""
        assert opened.leases.claim("s", 1, "a", 60) == 1
        assert opened.leases.claim("s", 1, "b", 60) is None
        assert opened.leases.claim("s", 2, "b", 60) == 1
        assert opened.leases.owners("s") == {1: "a", 2: "b"}
        opened.leases.release("s", [1], "b")
        assert opened.leases.owners("s") == {1: "a", 2: "b"}
        opened.leases.release("s", [1], "a")
        assert opened.leases.owners("s") == {2: "b"}
        assert opened.leases.claim("s", 1, "b", 60) == 2

    def test_an_owner_claims_again(self, opened: Store) -> None:
        """For the next attempt of its own."""
        assert [opened.leases.claim("s", 1, "a", 60) for _ in range(3)] == [1, 2, 3]

    def test_one_thread_wins_a_claim(self, opened: Store) -> None:
        """Of many that claim at once."""
        claims: list[int | None] = []
        threads = [
            threading.Thread(target=lambda owner=owner: claims.append(opened.leases.claim("s", 1, owner, 60)))
            for owner in "abcdef"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(claims, key=str) == [1, None, None, None, None, None]

    def test_an_ended_job_is_not_claimed(self, opened: Store) -> None:
        """Nobody runs it again."""
        assert opened.leases.claim("s", 0, "a", 60) is None
        assert opened.leases.owners("s") == {}

    def test_claims_need_a_study(self, store: Store) -> None:
        """Not a silent None."""
        with pytest.raises(StoreError, match="no study 's'"):
            store.leases.claim("s", 0, "a", 60)

    def test_renewal(self, opened: Store) -> None:
        """Says which leases are lost: another's, an older attempt, a released one, one never claimed."""
        leases = opened.leases
        for number, owner in ((1, "a"), (2, "b")):
            leases.claim("s", number, owner, 60)
        assert list(leases.renew("s", {1: 1}, "a", 60)) == []
        assert sorted(leases.renew("s", {0: 1, 1: 1, 2: 1}, "a", 60)) == [0, 2]
        assert list(leases.renew("s", {1: 2}, "a", 60)) == [1]
        leases.release("s", [1], "a")
        assert list(leases.renew("s", {1: 1}, "a", 60)) == [1]
        assert list(leases.renew("s", {}, "a", 60)) == []

    def test_a_continuation_is_reserved(self, opened: Store) -> None:
        """The holder of the parent has the first right to a job, for as long as it holds it."""
        assert opened.leases.claim("s", 1, "a", 60) == 1
        opened.append("s", Result(1, "done"), job(3, parent=1))
        assert opened.leases.claim("s", 3, "b", 60, parent=1) is None
        assert opened.leases.claim("s", 3, "b", 60, parent=0) == 1
        opened.leases.release("s", [3], "b")
        assert opened.leases.claim("s", 3, "a", 60, parent=1) == 2
        opened.leases.release("s", [3], "a")
        opened.leases.release("s", [1], "a")
        assert opened.leases.claim("s", 3, "b", 60, parent=1) == 3

    def test_a_lease_expires(self, opened: Store) -> None:
        """Then anybody may take the job over, and what the first one says is stale."""
        assert opened.leases.claim("s", 1, "a", 0.05) == 1
        if not self.expires:
            time.sleep(0.1)
            assert opened.leases.claim("s", 1, "b", 60) is None
            return
        assert opened.leases.claim("s", 2, "a", 60) == 1
        assert list(opened.leases.renew("s", {2: 1}, "a", 0.05)) == []
        time.sleep(0.1)
        assert opened.leases.owners("s") == {}
        assert opened.leases.claim("s", 1, "b", 60, parent=2) == 2
        assert list(opened.leases.renew("s", {1: 1}, "a", 60)) == [1]
        assert list(opened.leases.renew("s", {2: 1}, "a", 60)) == []
        with pytest.raises(Stale):
            opened.append("s", Result(1, "done"))
        assert opened.leases.owners("s") == {1: "b", 2: "a"}

    def test_a_dead_owner_holds_nothing(self, opened: Store) -> None:
        """A process of this machine that has ended is known to be gone at once."""
        dead, alive = dead_owner(), new_owner()
        assert opened.leases.claim("s", 1, dead, 3600) == 1
        assert opened.leases.owners("s") == {}
        assert opened.leases.claim("s", 2, alive, 3600, parent=1) == 1
        assert opened.leases.claim("s", 1, alive, 3600) == 2
        assert opened.leases.claim("s", 1, new_owner(), 3600) is None

    # --- the rest ----------------------------------------------------------------------------------------------------

    def test_nothing_there(self, store: Store) -> None:
        """A study that does not exist has no events, no files and no owners."""
        assert store.studies() == []
        assert log(store) == []
        assert store.files("s") is None
        assert store.leases.owners("s") == {}
        for action in (lambda: store.delete("s"), lambda: store.rename("s", "t"), lambda: store.append("s", job(0))):
            with pytest.raises(TunewellError) as error:
                action()
            assert error.value.hint

    def test_closing_twice(self, opened: Store) -> None:
        """Is no error."""
        opened.close()
        opened.close()
