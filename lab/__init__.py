"""A laboratory: simulated Kubernetes, Prometheus and Loki APIs with scripted faults. Knows neither agent nor sidecar."""
