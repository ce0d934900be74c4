"""Whether a report's intervals hold the truth about a simulated judge and simulated people.

Pairs are written, judged and voted on by the simulator's own pure functions, without a server.
The truth of every figure is its value on a very large sample of the same population; that of the
main ones is known in closed form too, which tests compare.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations

import numpy as np

from calibration.report.model import Report
from judge.answer_style import style_of
from judge.audit import gather, report_of
from judge.identity import messages_to_json
from judge.ledger.bare_votes import BareVote
from judge.ledger.facts import AnswerFacts, JudgedPair
from judge.ledger.runs import Run, RunJudge
from judge.policy import BOTH_ORDERS
from judge.records import Candidate, Message, Order, Pair, Prompt, Reading, Status
from judge.simulator.draws import digest, uniform
from judge.simulator.faults import Flaw, draw_delivery
from judge.simulator.opinion import ShownPair, decide_verdict
from judge.simulator.quality import hidden_quality, human_votes
from judge.simulator.settings import SimulatorSettings
from tests.benchmarks.bench import Bench
from tests.benchmarks.figures import Figure
