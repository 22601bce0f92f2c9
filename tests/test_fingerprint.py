"""What made a result."""

from tunewell.fingerprint import differences, fingerprint
from tunewell.protocols import Objective


def train(run):
    return 1.0


def test_the_same_objective_has_the_same_fingerprint():
    assert fingerprint(Objective(train)) == fingerprint(Objective(train))
    assert differences(fingerprint(Objective(train)), fingerprint(Objective(train))) == []


def test_versions_of_imported_packages_are_recorded():
    assert "numpy" in fingerprint(Objective(train))["versions"]


def test_another_source_is_told():
    made = fingerprint(Objective(train)), fingerprint(Objective(lambda run: 2.0))
    assert differences(*made) == ["the objective's source"]
    assert made[0]["hash"] != made[1]["hash"]


def test_a_function_without_source_is_told_apart_by_its_code():
    made = [fingerprint(Objective(eval(f"lambda run: {value}"))) for value in (1.0, 2.0)]
    assert differences(*made) == ["the objective's source"]


def test_the_scripts_of_a_command_count(tmp_path):
    script = tmp_path / "train.py"
    script.write_text("print(1)")
    before = fingerprint(Objective(command=("python", str(script))))
    script.write_text("print(2)")
    assert differences(before, fingerprint(Objective(command=("python", str(script))))) == ["the objective's source"]


def test_changed_versions_are_told():
    assert differences({"versions": {"numpy": "1"}}, {"versions": {"numpy": "2"}}) == ["numpy 1 -> 2"]
