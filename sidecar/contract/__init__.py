"""The wire between agent and sidecar: types only, the lowest floor. It must know neither side.

Requests forbid unknown fields, duplicate keys and non-finite numbers (`wire.parse`); fields are only ever added, with
defaults; an action kind is never reused for another meaning.
"""

from sidecar.contract.actions import (
    Action,
    ChangeFields,
    CordonNode,
    CreateObject,
    DeletePod,
    DrainNode,
    EvictPod,
    FieldChange,
    Matcher,
    RerunJob,
    RestartWorkload,
    RollbackWorkload,
    ScaleWorkload,
    SilenceAlert,
    UncordonNode,
    target_of,
)
from sidecar.contract.approval import Answer, ApprovalRequest, ApprovalView, ChangePreview
from sidecar.contract.decision import ApprovalsWanted, Decision, Fix, Reason, Verdict
from sidecar.contract.lease import Lease, Right, Settlement, StepResult, UndoResult
from sidecar.contract.plan import Cause, Citation, Plan, PlanState, PlanStatus, Step, Verification
from sidecar.contract.problem import Problem
from sidecar.contract.record import Record
from sidecar.contract.refs import ObjectRef
from sidecar.contract.wire import Json, MalformedMessage, Message, canonical, digest, parse

__all__ = [
    "Action",
    "Answer",
    "ApprovalRequest",
    "ApprovalView",
    "ApprovalsWanted",
    "Cause",
    "ChangeFields",
    "ChangePreview",
    "Citation",
    "CordonNode",
    "CreateObject",
    "Decision",
    "DeletePod",
    "DrainNode",
    "EvictPod",
    "FieldChange",
    "Fix",
    "Json",
    "Lease",
    "MalformedMessage",
    "Matcher",
    "Message",
    "ObjectRef",
    "Plan",
    "PlanState",
    "PlanStatus",
    "Problem",
    "Reason",
    "Record",
    "RerunJob",
    "RestartWorkload",
    "Right",
    "RollbackWorkload",
    "ScaleWorkload",
    "Settlement",
    "SilenceAlert",
    "Step",
    "StepResult",
    "UncordonNode",
    "UndoResult",
    "Verdict",
    "Verification",
    "canonical",
    "digest",
    "parse",
    "target_of",
]
