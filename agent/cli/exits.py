"""Exit codes of `lestrade`, in one place.

0    done: nothing is wrong, or it was repaired and seen to be repaired
1    a fault was found and is not repaired (or its cause is not known)
2    wrong input: arguments, files, settings; a question about what is not there, or what may be meant in more than one way
3    nobody let it: denied by policy, refused by a person, no answer, or no sidecar to ask
4    the cluster, or a service that looks at it for us, cannot be reached
5    runs cannot be kept (the store)
70   the run itself broke
130  interrupted
"""

from agent.errors import ClusterUnreachable, InputError, LestradeError, StoreUnavailable

WRONG_INPUT, UNREACHABLE, NO_STORE, BROKEN, INTERRUPTED = 2, 4, 5, 70, 130

OF_OUTCOME = {
    "repaired": 0,
    "healthy": 0,
    "answered": 0,
    "unclear": WRONG_INPUT,
    "absent": WRONG_INPUT,
    "resolved": 0,
    "silenced": 0,
    "diagnosed": 1,
    "joined": 1,
    "not-repaired": 1,
    "human-needed": 1,
    "unknown": 1,
    "denied": 3,
    "refused": 3,
    "no-answer": 3,
    "ungoverned": 3,
    "stopped": INTERRUPTED,
    "failed": BROKEN,
}

OF_REPLY = {**OF_OUTCOME, "waiting": 3, "no-sidecar": 3, "shown": 0, "told": 0}  # of one turn of a conversation

OF_SCAN = {"healthy": 0, "fault": 1, "unknown": 1}

EPILOG = (
    "Exit codes: 0 done, or nothing is wrong · 1 a fault was found and is not repaired · 2 wrong input · "
    "3 denied, refused, no answer, no sidecar · 4 cluster not reached · 5 runs cannot be kept · "
    "70 the run broke · 130 interrupted"
)


def of_error(exc: LestradeError) -> int:
    match exc:
        case InputError():
            return WRONG_INPUT
        case ClusterUnreachable():
            return UNREACHABLE
        case StoreUnavailable():
            return NO_STORE
        case _:
            return 1
