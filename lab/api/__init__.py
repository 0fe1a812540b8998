"""A simulated Kubernetes API server: HTTP over the laboratory's store. Knows no scenario and no controller."""
