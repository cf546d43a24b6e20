"""Whatever is lost, late, twice or out of order: every request ends, once, after a bounded number of frames."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ingest.hj212.requests import Dialogue, Pace, Patience
from rules.readings import SECOND_NS
from tests.ingest.hj212_asking import FINAL, MN, NOON_NS, SPAN, asked, live, minute, qn_of, said

MNS = (MN, "OTHER-1")
PATIENCE = Patience(answer_s=4, again=2, work_s=6, whole_s=20, most_waiting=3)
COMMANDS: dict[str, dict[str, str]] = {"1061": {}, "1012": {}, "2012": {}, "2011": {}, "2051": SPAN}
LONGEST_S = 4 * (3 * 4 + 20)  # those that wait and one that is open, each as long as it may last

asks = st.tuples(st.just("ask"), st.sampled_from(MNS), st.sampled_from(sorted(COMMANDS)))
answers = st.tuples(
    st.just("answer"),
    st.integers(0, 5),  # which of the newest frames that were sent
    st.sampled_from(["9011", "9012", "9013", "9014", "data", "other data"]),
    st.sampled_from(["1", "2", "100", "4", ""]),
)
pauses = st.tuples(st.just("pause"), st.sampled_from([0, 1, 3, 7, 25]))


class Line:
    """A dialogue with somebody at the other end, and a count of what it did."""

    def __init__(self) -> None:
        self.dialogue = Dialogue(pace=Pace(20.0), patience=PATIENCE)
        self.now_ns = NOON_NS
        self.sent: list[tuple[str, str]] = []  # (MN, QN)
        self.asked: list[int] = []
        self.moved: list[tuple[int, str]] = []
        for mn in MNS:
            self.dialogue.heard(live(mn=mn), self.now_ns)

    def act(self, action: tuple[object, ...]) -> None:
        match action:
            case "ask", str(mn), str(cn):
                self.asked.append(len(self.asked))
                self.dialogue.ask(asked(cn, self.asked[-1], mn, COMMANDS[cn]), self.now_ns)
            case "answer", int(back), str(cn), str(code) if self.sent:
                mn, qn = self.sent[-1 - back % len(self.sent)]
                self.answer(mn, qn, cn, code)
            case "pause", int(seconds):
                self.now_ns += seconds * SECOND_NS
        self.step()

    def answer(self, mn: str, qn: str, cn: str, code: str) -> None:
        if cn == "data":
            frame = minute(qn, mn=mn)
        elif cn == "other data":
            frame = live(mn=mn)
        else:
            name = {"9011": "QnRtn", "9012": "ExeRtn"}.get(cn)
            frame = said(qn, cn, f"{name}={code}" if name else "", mn=mn)
        self.dialogue.heard(frame, self.now_ns)

    def step(self) -> None:
        for frame in self.dialogue.step(self.now_ns):
            mn = next(mn for mn in MNS if f"MN={mn};".encode() in frame)
            self.sent.append((mn, qn_of(frame)))
        self.moved += [(each.number, each.state) for each in self.dialogue.moved()]


@given(st.lists(asks | answers | pauses, max_size=60), st.booleans())
def test_every_request_ends_once_after_a_bounded_number_of_frames(
    actions: list[tuple[object, ...]],
    lost: bool,  # hypothesis gives it
) -> None:
    line = Line()
    for action in actions:
        line.act(action)
    if lost:
        line.dialogue.close(line.now_ns)
    for _ in range(LONGEST_S):
        line.now_ns += SECOND_NS
        line.step()
    ends = Counter(number for number, state in line.moved if state in FINAL)
    assert ends == Counter(line.asked)
    for number in line.asked:
        states = [state for told, state in line.moved if told == number]
        assert states[-1] in FINAL, "nothing is told after the end"
    assert max(Counter(line.sent).values(), default=0) <= 1 + PATIENCE.again
    assert len({qn for _, qn in line.sent}) <= len(line.asked)
    assert line.dialogue.next_ns is None
