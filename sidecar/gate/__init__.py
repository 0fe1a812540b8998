"""The use cases of the sidecar: submit, answer, lease, perform, undo, settle, stop. Knows no HTTP and no vendor."""
