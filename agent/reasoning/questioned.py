"""From a question to its answer: asks back or says what is not there, where that is all there is to say; else answers what is
wanted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from agent.domain.finding import Diagnosis, Finding
from agent.reasoning.answers import (
    at_that_time,
    how_it_is,
    is_ill,
    not_there,
    summary,
    what_changed,
    what_suffers,
    which_one,
    who_may,
)
from agent.reasoning.answers.beginning import when_it_began
from agent.reasoning.answers.hunch import borne_out
from agent.reasoning.answers.listing import what_runs, which_ones
from agent.reasoning.answers.manners import greeted, noted
from agent.reasoning.answers.needs import what_it_needs
from agent.reasoning.answers.owners import who_owns
from agent.reasoning.answers.reply import listed, where
from agent.reasoning.focus import Focus
from agent.reasoning.judging import Case, judge, led_by
from agent.reasoning.ranking import explains, rank
from agent.reasoning.topics import no_such_place, of_topic, speaks_of_dns, unheard_of
from agent.topology import Topology


def of_question(case: Case) -> Diagnosis:
    """Asks back or says what is not there, where that is all there is to say; else the answer to what is wanted."""
    focus, topology, asked = case.focus, case.topology, case.asked
    greeting = greeted(asked, case.missing)
    if greeting is not None:
        return greeting
    notes = noted(asked, found=bool(focus.objects or focus.namespaces or focus.elsewhere))
    notes += [f"{said} is taken for {ref}." for said, ref in focus.taken]
    if asked.besides:
        case = replace(case, findings=besides(case.findings, asked.besides, topology))
        judged = judge(case)
        if judged.outcome == "healthy":
            words = f"Besides {listed(asked.besides)} nothing is wrong in {where(focus.namespaces)}, as far as can be seen."
            return led_by(notes, replace(judged, statement=words))
        return led_by([*notes, f"Besides {listed(asked.besides)}:"], judged)
    nowhere = no_such_place(asked, focus.namespaces) if focus.objects and topology.saw("Namespace") else ""
    if nowhere:
        notes.append(f"There is no namespace {nowhere}.")
    if speaks_of_dns(asked) and asked.intent in ("why", "health") and not of_topic(asked, topology):
        notes.append("The cluster's own DNS is not among what could be seen.")
    if focus.rivals and asked.intent != "access":
        of_space = {one.namespace: [other for other in focus.objects if other.namespace == one.namespace] for one in focus.rivals}
        ill = [one for one in focus.rivals if any(is_ill(topology, it, case.findings) for it in of_space[one.namespace])]
        if asked.intent not in ("why", "health") or len(ill) > 1:
            return which_one(asked, focus, topology, case.findings, case.missing)
        if ill:  # whoever asks what is wrong means the one that has something wrong
            others = ", ".join(one.namespace for one in focus.rivals if one not in ill)
            notes.append(f"{ill[0]} is meant, as nothing is wrong with the one in {others}.")
            mine = tuple(one for one in focus.objects if one.namespace in ("", ill[0].namespace))
            case = replace(case, focus=replace(focus, objects=mine or tuple(ill), namespaces=(ill[0].namespace,)))
    if not (focus.objects or focus.elsewhere or focus.absent or focus.unknown_namespaces) and asked.intent in ("why", "health"):
        meant = tuple(
            one for one in of_topic(asked, topology) if not focus.namespaces or one.namespace in ("", *focus.namespaces)
        )
        word = unheard_of(asked)
        if meant:
            case = replace(case, focus=replace(focus, objects=meant))
        elif word and word not in focus.namespaces and not topology.unseen.get("Deployment"):
            notes.append(f"Nothing is called {word}; taken as a question about {where(focus.namespaces)}.")
    if not focus.objects and focus.elsewhere:
        found = listed(focus.elsewhere, most=3)
        notes.append(f"{focus.elsewhere[0].name} is not in {where(focus.namespaces)}; it is in another namespace: {found}.")
        case = replace(case, focus=replace(focus, objects=focus.elsewhere, namespaces=()))
    elif asked.intent == "access":
        pass  # accounts and resources are no objects that something can be wrong with
    elif not focus.objects and (focus.unknown_namespaces or focus.absent):
        sure = bool(focus.unknown_namespaces) or any(one.sure for one in focus.absent) or not focus.namespaces
        if sure or asked.intent in ("impact", "needs"):
            wants = () if focus.unknown_namespaces else case.unread
            ranking = rank(case.findings, topology, Focus(namespaces=focus.namespaces))
            wrong = [one.finding for one in ranking.causes] if asked.intent in ("why", "health") else []
            return not_there(focus, topology, wrong, case.missing, wants)
        notes.append(f"Nothing is called {focus.absent[0].name}; taken as a question about {where(focus.namespaces)}.")
        reply = led_by(notes, _wanted_to_know(case))
        return replace(reply, wants=tuple(dict.fromkeys((*reply.wants, *case.unread))))  # it may be elsewhere
    elif focus.unknown_namespaces:
        notes.append(f"There is no namespace {focus.unknown_namespaces[0]}.")
    return led_by(notes, _wanted_to_know(case))


def _wanted_to_know(case: Case) -> Diagnosis:
    focus, topology, asked = case.focus, case.topology, case.asked
    match asked.intent:
        case "access":
            return who_may(asked, focus, topology, case.missing)
        case "impact":
            return replace(what_suffers(asked, focus, topology, case.missing), wants=case.unread)
        case "needs" if focus.objects:
            return what_it_needs(focus, topology, case.findings, case.missing)
        case "changed":
            ranking = rank(case.findings, topology, focus)
            return what_changed(asked, focus, topology, ranking.causes, case.missing)
        case "owner":
            return who_owns(focus, topology, case.missing)
        case "runs" if (told := what_runs(focus, topology, case.missing)) is not None:
            return told
        case "when":
            return when_it_began(judge(case), focus, topology, case.findings)
        case "which":
            return which_ones(asked, judge(case), focus, topology, case.findings)
        case "health" | "why" | "needs" | "runs":
            found = judge(case)
            hunch = borne_out(asked.guess, found) if asked.guess else ""
            if hunch:
                found = led_by([hunch], found)
            if found.outcome == "healthy" or (found.outcome == "fault" and asked.intent == "health"):
                state = how_it_is(focus, topology, case.findings)
                then = at_that_time(asked.period, focus, topology) if found.outcome == "healthy" else ""
                more = " ".join(one for one in (summary(state) if found.outcome == "healthy" else "", then) if one)
                return replace(found, statement=f"{found.statement} {more}".strip(), answer=state)
            return found
        case _:
            assert_never(asked.intent)


def besides(findings: Sequence[Finding], names: Sequence[str], topology: Topology) -> tuple[Finding, ...]:
    """Those that have nothing to do with the objects or namespaces of these names, nor are accounted for by what has."""

    def is_known(one: Finding) -> bool:
        units = [topology.unit(ref) for ref in (one.subject, *one.affects)]
        return any(
            said in names for unit in units for said in (unit.name, unit.namespace, f"{unit.namespace}/{unit.name}") if said
        )

    known = [one for one in findings if is_known(one)]
    active = [one for one in known if one.state == "active"]
    return tuple(one for one in findings if one not in known and not any(explains(other, one, topology) for other in active))
