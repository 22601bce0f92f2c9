"""Names of lease holders that tell whether they still live."""

import signal
import subprocess
import sys
import tempfile
import time

from tunewell.owner import is_gone, new_folder, new_owner


def test_this_process_is_not_gone():
    assert not is_gone(new_owner())


def test_two_coordinators_of_one_process_have_two_names():
    assert new_owner() != new_owner()


def test_a_process_that_ended_is_gone():
    script = "from tunewell.owner import new_owner; print(new_owner())"
    owner = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert is_gone(owner)


def test_a_process_that_was_not_reaped_yet_is_gone():
    script = "from tunewell.owner import new_owner; print(new_owner(), flush=True)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        owner = process.stdout.readline().strip()
        end = time.monotonic() + 10  # it ends, and nobody has waited for it
        while not is_gone(owner) and time.monotonic() < end:
            time.sleep(0.01)
        assert is_gone(owner)


def test_other_machines_are_never_certain():
    assert not is_gone("elsewhere:1:2:3")
    assert not is_gone("")


def test_the_temporary_folder_of_a_killed_process_goes_when_the_next_one_makes_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    script = "import time; from tunewell.owner import new_folder; print(new_folder(), flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        left = tmp_path / process.stdout.readline().strip()
        mine = new_folder()
        assert left.is_dir()
        process.send_signal(signal.SIGKILL)
    (tmp_path / "tunewell-of-somebody").mkdir()
    (tmp_path / "tunewell-link").symlink_to(left)
    new_folder()
    assert not left.exists()
    assert mine.is_dir()
    assert (tmp_path / "tunewell-of-somebody").is_dir()
