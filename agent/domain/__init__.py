"""The nouns of an investigation: frozen, plain, free of any vendor. They may use `sidecar.contract`, nothing else of ours."""
