"""Population-based training: the laws, who copies whom, what a copy is, and the toy of the paper."""

import tunewell as tw
from tunewell.contract.methods import MethodContract


class TestPBT(MethodContract):
    method = tw.PBT(population=6, period=2)


class TestPBTOfSobol(MethodContract):
    method = tw.PBT(population=8, of=tw.Sobol(), share=0.5)


class TestSelectionAlone(MethodContract):
    method = tw.PBT(population=5, explore=False)


class TestSeveralPeriods(MethodContract):
    method = tw.PBT(population=12, periods=(1, 2, 4))


class TestMoreMembersThanTrials(MethodContract):
    method = tw.PBT(population=40)
    trials = 10


class TestNested(MethodContract):
    first = tw.Take(4, tw.PBT(population=4))
    method = tw.Then(tw.Take(6, tw.Random()), tw.Then(first, tw.PBT(population=4, of=tw.TPE())))
