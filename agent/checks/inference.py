"""Inference servers (vLLM and its kin): models that cannot be fetched or do not fit, settings that cannot work, probes that end
the load, and shared memory."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.checks.applications import Told, told
from agent.checks.containers import rollback_params
from agent.checks.probes import killed_by_probe, killed_while_starting
from agent.checks.registry import check, quote_field, quote_log
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.signals.logs import time_of
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import at, items, mapping, text
from agent.topology.quantities import quantity
from agent.topology.workloads import is_serving, live_pods, rollback, workloads
from sidecar.contract import Json

_DENIED = re.compile(
    r"gatedrepoerror|gated repo|access to model \S+ is restricted|40[13] client error[^\n]{0,200}(?:huggingface|hf\.co)"
    r"|(?:huggingface|hf\.co)[^\n]{0,200}40[13] (?:client error|unauthorized|forbidden)|invalid user"
    " token|hf_token[^\n]{0,60}(?:not set|missing|invalid)",
    re.I,
)
_NO_MODEL = re.compile(
    r"repositorynotfounderror|repository not found for url|is not a local folder and is not a valid model identifier"
    r"|revisionnotfounderror|does not appear to have a file named|entrynotfounderror|model path \S+ does not exist",
    re.I,
)
_NO_DOWNLOAD = re.compile(
    r"429 client error[^\n]{0,200}(?:huggingface|hf\.co)|we couldn't connect to 'https?://huggingface|localentrynotfounderror"
    r"|(?:huggingface\.co|hf\.co|cas-bridge|cdn-lfs)[^\n]{0,300}(?:max retries|timed? ?out|connection"
    " (?:refused|reset)|name resolution|no route)"
    r"|(?:max retries|connectionerror)[^\n]{0,200}(?:huggingface\.co|hf\.co)|error (?:while )?downloading"
    " (?:model|shard|weights)",
    re.I,
)
_MODEL = re.compile(
    r"(?:huggingface\.co/(?:api/models/)?|model |repo(?:sitory)? |['\"])([A-Za-z0-9][\w.-]+/[\w.-]+?)(?:['\"/ :]|\.$|$)"
)
_KV_SMALL = re.compile(
    r"max(?:imum)? seq(?:uence)? len\w* \((\d+)\) is larger than the maximum number of tokens that can be stored in"
    " (?:the )?KV cache"
    r" \((\d+)\)|KV cache is needed, which is larger than the available KV cache memory|no available memory for the cache blocks"
    r"|not enough memory[^\n]{0,80}mem-fraction-static",
    re.I,
)
_TOO_LONG = re.compile(r"max_model_len \((\d+)\) is greater than the derived max_model_len \([^)]*?=(\d+)", re.I)
_FEW_GPUS = re.compile(
    r"(?:world size|tensor.parallel.size)[^\n]{0,80}(?:is larger than|exceeds|is greater"
    " than)[^\n]{0,60}(?:available|number of)? ?gpus?"
    r"|invalid device ordinal|the number of required gpus exceeds the total number of available gpus",
    re.I,
)
_SHM = re.compile(
    r"insufficient shared memory|unable to (?:write to file|open shared memory object) <?/torch_|/dev/shm[^\n]{0,80}(?:no"
    " space|too small|nccl)"
    r"|(?:no space left|error)[^\n]{0,120}/dev/shm"
    r"|resize shared memory segment[^\n]{0,160}no space|error while creating shared memory segment|unexpected bus error",
    re.I,
)
_SHM_PATH = "/dev/shm"  # noqa: S108  where containers mount it, no file of ours
_LOADING = re.compile(
    r"loading (?:safetensors|pt|model|weights|checkpoint)|starting to load model|downloading (?:shards|model|weights)"
    r"|fetching \d+ files|capturing cuda graph|torch\.compile|model loading",
    re.I,
)
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_TOKEN", "HF_API_TOKEN")


@check("model-access-denied", weight=0.95)
def may_not_fetch(topology: Topology) -> Iterator[Finding]:
    """The model hub refuses: a gated model whose terms nobody accepted, or a token that is missing or wrong."""
    for one in told(topology, _DENIED, ("gated", "is restricted", "huggingface", "hf.co", "hf_token", "invalid user token")):
        token = next((name for name in _TOKENS if name in _environment(topology, one.unit)), "")
        hint = f"its token comes from {token}" if token else "no access token is among its environment variables"
        yield _told("model-access-denied", one, f"may not fetch its model ({hint})", has_token=bool(token))


@check("model-not-found", weight=0.93)
def no_such_model(topology: Topology) -> Iterator[Finding]:
    for one in told(
        topology, _NO_MODEL, ("repository not found", "notfounderror", "not a local folder", "have a file named", "model path")
    ):
        if not _DENIED.search(one.last.text):
            yield _told("model-not-found", one, "names a model, revision or file that is not there", topology=topology)


@check("model-download-failed", weight=0.9)
def cannot_download(topology: Topology) -> Iterator[Finding]:
    """The hub answers 429, or cannot be reached."""
    needles = ("huggingface", "hf.co", "cdn-lfs", "cas-bridge", "localentry", "downloading")
    for one in told(topology, _NO_DOWNLOAD, needles):
        yield _told("model-download-failed", one, "cannot download its model")


def _environment(topology: Topology, unit: Ref) -> set[str]:
    spec = pod_spec_of(topology.objects.get(unit, {})) or next((pod_spec_of(pod) for pod in topology.pods_of(unit)), {})
    return {text(variable, "name") for box in items(spec, "containers") for variable in items(box, "env")}


def _told(cause: str, one: Told, what: str, *, topology: Topology | None = None, **params: Json) -> Finding:
    model = _MODEL.search(one.last.text) or _MODEL.search(one.first.text)
    back = rollback_params(rollback(topology, one.unit, one.first.at)) if topology is not None else {}
    return Finding(
        cause=cause,
        subject=one.unit,
        since=one.first.at,
        params={"model": model[1] if model else "", "count": one.count, **back, **params},
        quotes=one.quotes[-1:],
        statement=f"{one.unit} {what}{f' {model[1]}' if model else ''}: {one.last.text.strip()[:300]}.",
    )


@check("kv-cache-too-small", weight=0.95)
@check("model-context-too-long", weight=0.96)
def context_does_not_fit(topology: Topology) -> Iterator[Finding]:
    """The wanted context is longer than the model's own, or than the KV cache that is left beside the weights."""
    needles = ("max_model_len", "kv cache", "cache blocks", "mem-fraction-static")
    for pattern, cause in ((_TOO_LONG, "model-context-too-long"), (_KV_SMALL, "kv-cache-too-small")):
        for one in told(topology, pattern, needles):
            numbers = [int(group) for group in one.match.groups() if group and group.isdigit()] if one.match.re.groups else []
            fits = min(numbers) if len(numbers) == 2 else 0
            params: dict[str, Json] = {"fits": fits, **rollback_params(rollback(topology, one.unit, one.first.at))}
            place = argument(topology, one.unit, ("--max-model-len", "--max_model_len", "--context-length"))
            if fits and place:
                lower = fits if cause == "model-context-too-long" else fits // 256 * 256
                params |= {"argument_path": place[0], "suggested_argument": f"{place[1]}{lower}"}
            limit = "the model's own" if cause == "model-context-too-long" else "what the GPU memory beside the weights holds"
            yield Finding(
                cause=cause,
                subject=one.unit,
                since=one.first.at,
                params=params,
                quotes=one.quotes[-1:],
                statement=f"{one.unit} asks for a context longer than {limit}{f' ({fits} tokens)' if fits else ''}:"
                f" {one.last.text.strip()[:300]}.",
            )


def argument(topology: Topology, unit: Ref, names: tuple[str, ...]) -> tuple[str, str, str] | None:
    """(JSON Pointer, prefix before the value, value) of a command line option of the workload's containers."""
    prefix = "/spec" if unit.kind == "Pod" else "/spec/template/spec"
    for number, box in enumerate(items(pod_spec_of(topology.objects.get(unit, {})), "containers")):
        for field in ("args", "command"):
            words = [str(word) for word in items(box, field)]
            for index, word in enumerate(words):
                name, equals, value = word.partition("=")
                if name not in names:
                    continue
                if equals:
                    return f"{prefix}/containers/{number}/{field}/{index}", f"{name}=", value
                if index + 1 < len(words):
                    return f"{prefix}/containers/{number}/{field}/{index + 1}", "", words[index + 1]
    return None


@check("tensor-parallel-exceeds-gpus", weight=0.95)
def more_ranks_than_gpus(topology: Topology) -> Iterator[Finding]:
    """--tensor-parallel-size above the GPUs of the container, in a workload that does not come up (a pool of nodes under Ray
    or a leader-worker set may well have more)."""
    said = {one.unit: one for one in told(topology, _FEW_GPUS, ("gpus", "device ordinal"))}
    for workload in workloads(topology):
        unit = Ref(text(workload, "kind"), text(workload, "metadata", "namespace"), text(workload, "metadata", "name"))
        found = argument(topology, unit, ("--tensor-parallel-size", "-tp", "--tp", "--tp-size"))
        if found is None or not found[2].isdigit() or (is_serving(topology, unit) and unit not in said):
            continue
        gpus = sum(_gpus(box) for box in items(pod_spec_of(workload), "containers"))
        spread = argument(topology, unit, ("--distributed-executor-backend", "--nnodes"))
        if not gpus or int(found[2]) <= gpus or (spread is not None and unit not in said) or not live_pods(topology, unit):
            continue
        one = said.get(unit)
        back = rollback(topology, unit, one.first.at if one else None)
        yield Finding(
            cause="tensor-parallel-exceeds-gpus",
            subject=unit,
            since=one.first.at if one else None,
            params={"argument_path": found[0], "suggested_argument": f"{found[1]}{gpus}", "gpus": gpus, "wanted": int(found[2]),
                    **rollback_params(back)},
            quotes=(quote_field(unit, "spec", f"tensor parallel size {found[2]}, GPUs of the container"
                f" {gpus}"), *(one.quotes[-1:] if one else ())),
            statement=f"{unit} wants to spread its model over {found[2]} GPUs and its containers have {gpus}, so it"
                f" cannot start.",
        )  # fmt: skip


def _gpus(box: Mapping[str, Any]) -> int:
    limits = mapping(box, "resources", "limits")
    return int(sum(quantity(value) or 0 for name, value in limits.items() if name.endswith("/gpu") or "/mig-" in name))


@check("shared-memory-too-small", weight=0.93)
def small_shared_memory(topology: Topology) -> Iterator[Finding]:
    """The memory behind /dev/shm is 64 MiB unless a memory volume is mounted there."""
    for one in told(topology, _SHM, (_SHM_PATH, "shared memory", "unexpected bus error", "</torch_")):
        spec = pod_spec_of(topology.objects.get(one.unit, {})) or next(
            (pod_spec_of(pod) for pod in topology.pods_of(one.unit)), {}
        )
        mounted = [text(mount, "name") for box in items(spec, "containers") for mount in items(box, "volumeMounts")
                   if text(mount, "mountPath") == _SHM_PATH]  # fmt: skip
        size = next(
            (
                str(at(volume, "emptyDir", "sizeLimit") or "")
                for volume in items(spec, "volumes")
                if text(volume, "name") in mounted
            ),
            "",
        )
        has = f"a memory volume{f' of {size}' if size else ''}" if mounted else "the default of 64 MiB (nothing is mounted there)"
        yield Finding(
            cause="shared-memory-too-small",
            subject=one.unit,
            since=one.first.at,
            params={"mounted": bool(mounted), "size": size},
            quotes=one.quotes[-1:],
            statement=f"The shared memory of {one.unit} is too small: /dev/shm is {has}: {one.last.text.strip()[:250]}.",
        )


@check("model-load-outlasts-probe", weight=0.93)
def killed_while_loading(topology: Topology) -> Iterator[Finding]:
    """A liveness or startup probe ends the container while it still loads its model."""
    for found in (*killed_by_probe(topology), *killed_while_starting(topology)):
        line = _loading_line(topology, found.subject)
        if line is None:
            continue
        yield Finding(
            cause="model-load-outlasts-probe",
            subject=found.subject,
            state=found.state,
            since=found.since,
            affects=found.affects,
            params=found.params,
            quotes=(*found.quotes, line),
            statement=f"{found.subject} still loads its model when its probe gives up on it, so it is killed and begins anew:"
            f" {found.statement[:250]}",
        )


def _loading_line(topology: Topology, unit: Ref) -> Quote | None:
    """A line of the last ones of a log that speaks of loading."""
    for log in topology.logs_of(unit):
        lines = [line for line in log.text.splitlines()[-30:] if line.strip()]
        for line in reversed(lines):
            if _LOADING.search(line):
                return quote_log(Ref("Pod", log.namespace, log.pod), log.container, line, time_of(line), previous=log.previous)
    return None
