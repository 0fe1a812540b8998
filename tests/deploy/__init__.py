"""What is installed: manifests as kustomize builds them, images as their files say, monitoring as Prometheus reads it."""
