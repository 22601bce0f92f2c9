"""Who went on from whom, and the schedule that was found."""

import pytest

import tunewell as tw
from tests.report.studies import filled, on_the_way
from tunewell.methods.schedule import schedule_of
from tunewell.report import lineage
from tunewell.report.page import page

pytest.importorskip("plotly")


@pytest.fixture(scope="module")
def study():
    return on_the_way(tw.PBT(population=4, period=2), steps=20)


def copied(study):
    """The jobs that went on from another member's state."""
    return [job for job in study.jobs.values() if job.parent is not None and study.jobs[job.parent].tag != job.tag]


def test_each_copy_is_a_dotted_line_to_the_state_that_was_taken_over(study):
    (jumps,) = [trace for trace in lineage.figure(study).data if trace.line.dash == "dot"]
    ends = list(zip(jumps.x, jumps.y, strict=True))[1::3]
    assert ends == [(study.jobs[job.parent].until, study.loss(job.parent)) for job in copied(study)]
    assert lineage.copies(study) == len(copied(study)) > 0


def test_every_job_ends_one_line(study):
    lines = [trace for trace in lineage.figure(study).data if trace.mode == "lines+markers"]
    ends = sorted(
        x for trace in lines for x, after in zip(trace.x, [*trace.x[1:], None], strict=True) if after is None and x
    )
    assert ends == sorted(job.until for job in study.jobs.values())


def test_the_schedule_is_the_one_that_can_be_run_again(study):
    assert lineage.schedule(study) == schedule_of(study).configs


def test_a_figure_for_each_number_holds_the_schedule_of_the_best(study):
    drawn = lineage.schedules(study)
    assert [figure.layout.yaxis.title.text for figure in drawn] == ["x", "lr"]
    own = drawn[0].data[-1]
    steps = [step for step, _ in lineage.schedule(study)]
    assert set(steps) <= set(own.x)
    assert own.y[-1] == study.best.config["x"]


def test_the_page_draws_it_for_populations_alone(study):
    html = page(study)
    assert "<h2>Lineage</h2>" in html
    assert "<h2>Schedules</h2>" in html
    assert "<h2>Rungs</h2>" not in html
    assert "<h2>Lineage</h2>" not in page(filled(10))
    assert lineage.table(filled(10)) is None
