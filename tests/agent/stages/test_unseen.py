"""What a report says of what could not be seen: a role that lacks a dozen kinds is one line, and nothing is left out."""

from agent.stages.unseen import unseen


def refused(kind: str, place: str = "") -> str:
    return f'{kind} objects{f" in {place}" if place else ""}: no rights: {kind.lower()}s is forbidden: User "x" cannot list'


def test_kinds_that_one_role_lacks_are_one_line_after_what_else_could_not_be_seen():
    told = unseen(
        [refused("Secret", "shop"), "metrics: no Prometheus is configured", refused("Gateway"), refused("Secret", "shop")]
    )

    assert told == (
        "metrics: no Prometheus is configured",
        "2 kinds, the identity that reads has no right to list them: Secret (shop); Gateway",
    )


def test_kinds_that_are_missing_in_the_same_namespaces_stand_together():
    told = unseen([refused(kind, place) for place in ("shop", "data") for kind in ("Secret", "Gateway")] + [refused("Node")])

    assert told == ("3 kinds, the identity that reads has no right to list them: Secret, Gateway (shop, data); Node",)


def test_one_kind_in_several_namespaces_is_one_kind():
    assert unseen([refused("Secret", "shop"), refused("Secret", "data")]) == (
        "1 kind, the identity that reads has no right to list them: Secret (shop, data)",
    )


def test_one_kind_alone_keeps_what_was_said_of_it():
    assert unseen([refused("Secret", "shop")]) == (refused("Secret", "shop"),)


def test_different_reasons_are_different_lines():
    told = unseen([refused("Secret"), refused("Role"), "Pod objects: HTTP 500: broken", "Node objects: HTTP 500: broken"])

    assert told[1] == "2 kinds, HTTP 500: Pod, Node"
    assert len(told) == 2
