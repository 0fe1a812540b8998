"""What an investigation keeps between two turns: ids of looks mean one thing through the whole run."""

from types import SimpleNamespace

from agent.domain.document import from_document
from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis
from agent.inquest import Inquest, Memo
from agent.stages.settle import Advice, Settled

CHECKED = Diagnosis(outcome="unknown", statement="nothing is known", reasoner="offline")


class Recalling(Inquest):
    """Remembers a conclusion that cites the third look of another run."""

    def __init__(self) -> None:
        self._store = SimpleNamespace(put_evidence=self._put)
        self.kept: list[str] = []

    async def _put(self, run, pieces):
        self.kept += [one.id for one in pieces]

    async def _case(self, state, row, sight):
        return SimpleNamespace(run=row.id, rounds=(), diagnosis=CHECKED)

    async def _recalled(self, case, tell):
        piece = Evidence(id="look-3", source="kubernetes: logs", about=None, text="it is not set", sha256="0" * 64)
        return Settled(diagnosis=CHECKED, evidence=(piece,), advice=Advice())


async def test_looks_after_a_recalled_conclusion_take_no_id_that_it_brought_along():
    async def tell(text, data=None):
        pass

    inquest = Recalling()
    after = await inquest.investigate({}, SimpleNamespace(id="run-1"), None, tell)

    assert inquest.kept == ["look-3"]
    assert from_document(Memo, after["inquest"]).looks == 3
