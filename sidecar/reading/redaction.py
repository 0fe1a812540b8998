"""Takes the values of Secrets and whatever looks like a credential out of an answer's objects: pure.

Keys stay, since whether a key is there is what a diagnosis asks. It holds for every object in whatever it is wrapped: lists,
tables, watch events, templates of pods, copies in annotations.
"""

import base64
import binascii
import json
from typing import Any

from sidecar.reading.shapes import Mask, holds_a_credential, names_a_credential

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_BOOKKEEPING = frozenset({"managedFields", "uid", "resourceVersion", "creationTimestamp", "containerID", "imageID"})
# Files of nothing but credentials, by the names that they go by as keys of a ConfigMap.
_FILES = (".pgpass", "pgpass", ".netrc", "netrc", ".htpasswd", "htpasswd", ".git-credentials")
_PACKED = ("H4sI", "UEsDB")  # gzip and zip in base64
_SHORT = 128
_KINDS = {"secrets": "Secret", "configmaps": "ConfigMap"}


class Redaction:
    """For the objects of one resource (its name in URLs; "" where each says its kind): items of a list do not say it. Everything
    is changed in place. Raises RecursionError for a document that is nested deeper than any object is."""

    def __init__(self, mask: Mask, resource: str = "") -> None:
        self._mask = mask
        self._kind = _KINDS.get(resource, "")
        self._columns: dict[int, str] = {}  # of a table, by place: said once, before its first row

    def clear(self, document: Any) -> Any:
        return self._cleared(document, self._kind)

    def _cleared(self, node: Any, kind: str) -> Any:
        if isinstance(node, dict):
            self._map(node, kind)
        elif isinstance(node, list):
            self._list(node, kind)
        elif isinstance(node, str):
            return self._mask.text(node)
        return node

    def _list(self, node: list[Any], kind: str) -> None:
        if node and all(isinstance(word, str) for word in node):
            node[:] = self._mask.arguments(node)
            return
        for index, item in enumerate(node):
            node[index] = self._cleared(item, kind)

    def _map(self, node: dict[str, Any], kind: str) -> None:
        if kind != "Secret":  # what stands within a Secret stays one
            own = node.get("kind")
            # SealedSecret, ExternalSecret: what they make a Secret of stands in them under the same names.
            kind = "Secret" if isinstance(own, str) and own.endswith("Secret") else "ConfigMap" if own == "ConfigMap" else kind
        named = node.get("name") or node.get("key")
        for key, value in node.items():
            if key in _BOOKKEEPING:
                continue
            if isinstance(value, str):
                node[key] = self._text(key, value, named if isinstance(named, str) else "", kind)
            elif isinstance(value, dict):
                if key in ("data", "stringData") and kind == "Secret":
                    node[key] = dict.fromkeys(value, "")
                elif key in ("data", "binaryData") and kind == "ConfigMap":
                    node[key] = {name: self._entry(name, entry, binary=key == "binaryData") for name, entry in value.items()}
                elif key == "annotations":
                    self._annotations(value, kind)
                else:
                    self._map(value, kind)
            elif isinstance(value, int) and value >= 1000 and holds_a_credential(key):
                node[key] = self._mask.mark(str(value))
            elif isinstance(value, list):
                if key == "columnDefinitions":
                    self._columns = {at: str(c.get("name")) for at, c in enumerate(value) if isinstance(c, dict)}
                elif key == "cells" and self._columns:
                    self._cells(value)
                self._list(value, kind)

    def _cells(self, cells: list[Any]) -> None:
        """What a column shows goes by the column's name."""
        for at, name in self._columns.items():
            if at < len(cells) and isinstance(cells[at], str):
                cells[at] = self._mask.field(name, cells[at])

    def _text(self, key: str, value: str, named: str, kind: str) -> str:
        if kind == "Secret" and key in ("data", "stringData"):
            return ""
        shown = self._mask.named(named, value) if key == "value" and named else self._mask.field(key, value)
        return self._mask.settings(shown) if "\n" in shown and key != "message" else shown

    def _entry(self, name: str, value: Any, *, binary: bool) -> Any:
        """One key of a ConfigMap: a value, or a whole file."""
        if not isinstance(value, str):
            return value
        if name == "release" and len(value) > 256 and "\n" not in value:
            return self._mask.mark(value)  # Helm's own record of a release: every value and manifest of it, packed
        if name in _FILES:
            return self._mask.mark(value)
        if names_a_credential(name) and (binary or "\n" not in value.strip()):
            return self._mask.named(name, value)
        if not binary:
            return self._mask.settings(value)
        try:
            text = base64.b64decode(value, validate=True).decode("latin-1")
        except (binascii.Error, ValueError):
            return self._mask.mark(value)
        return value if self._mask.settings(text) == text else self._mask.mark(value)

    def _annotations(self, node: dict[str, Any], kind: str) -> None:
        copied = node.pop(LAST_APPLIED, None)
        for name, value in node.items():
            if isinstance(value, str):
                node[name] = self._annotation(name, value, kind)
        if isinstance(copied, str) and kind != "Secret":
            node[LAST_APPLIED] = self._copy(copied, kind)

    def _annotation(self, name: str, value: str, kind: str) -> str:
        """Tools keep copies of whole objects here, each in its own form: of a Secret only what is short and plain is shown."""
        copied = value.startswith(("{", "["))
        if value.startswith(_PACKED) or (kind == "Secret" and (copied or len(value) > _SHORT or "\n" in value)):
            return self._mask.mark(value)
        if kind == "Secret":
            return self._mask.named(name, value)
        return self._copy(value, kind) if copied else self._mask.field(name.rpartition("/")[2], value)

    def _copy(self, text: str, kind: str) -> str:
        """An object within a text, cleared as the object itself is."""
        try:
            document = json.loads(text)
            return json.dumps(self._cleared(document, kind), separators=(",", ":"), ensure_ascii=False)
        except (ValueError, RecursionError):
            return self._mask.settings(text)
