"""The book of what models cost, on both databases: a day's budget is taken before it is spent, and by one run only."""

import asyncio
from datetime import UTC, datetime, timedelta

from agent.ports.model import PaidCall, Spent
from agent.store import Database, SqlModelBook

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SINCE, SOON = NOW - timedelta(hours=24), NOW + timedelta(minutes=5)
DAY = Spent(tokens=1000, cost=1.0)
ANSWER = Spent(tokens=300, cost=0.3)


def paid(run: str, request: str = "a", *, tokens: int = 300) -> PaidCall:
    return PaidCall(run=run, request=request, reply="{}", tokens=tokens, cost=tokens / 1000)


async def reserved(book: SqlModelBook, run: str, wanted: Spent = ANSWER) -> bool:
    return await book.reserve(run, wanted, most=DAY, since=SINCE, until=SOON)


async def test_eight_runs_at_once_in_two_processes_do_not_spend_more_than_a_day_has(url):
    databases = [await Database.open(url, now=lambda: NOW) for _ in range(2)]
    books = [SqlModelBook(one) for one in databases]

    async def work(number: int) -> int:
        book, answers = books[number % 2], 0
        for turn in range(3):
            if await reserved(book, f"run-{number}"):
                answers += 1
                await asyncio.sleep(0)
                await book.enter(paid(f"run-{number}", str(turn)))
        return answers

    answers = await asyncio.gather(*(work(number) for number in range(8)))
    spent = await books[0].spent_since(SINCE)
    for database in databases:
        await database.close()

    assert sum(answers) == 3  # of 300 tokens each
    assert spent.tokens == 900


async def test_what_is_reserved_is_free_again_with_the_answer_or_without_one(url):
    database = await Database.open(url, now=lambda: NOW)
    book = SqlModelBook(database)

    taken = [await reserved(book, f"run-{number}") for number in range(4)]
    again = await reserved(book, "run-0")  # the same run asks again: it has but one answer coming
    await book.give_back("run-0")
    freed = await reserved(book, "run-3")
    await book.enter(paid("run-3", tokens=10))
    cheaper = await reserved(book, "run-4")
    dear = await reserved(book, "run-5", Spent(tokens=1, cost=0.5))
    await database.close()

    assert (taken, again, freed, cheaper, dear) == ([True, True, True, False], True, True, True, False)


async def test_what_a_process_that_died_had_reserved_is_free_after_a_while(url):
    at = [NOW]
    database = await Database.open(url, now=lambda: at[0])
    book = SqlModelBook(database)
    for number in range(3):
        await reserved(book, f"run-{number}")

    before = await reserved(book, "run-9")
    at[0] = SOON + timedelta(seconds=1)
    after = await reserved(book, "run-9")
    await database.close()

    assert (before, after) == (False, True)
