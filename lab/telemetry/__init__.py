"""Telemetry of the laboratory: metrics sampled from the world in lab time, and the Prometheus and Loki HTTP APIs over them."""
