"""Tables that the server reads: the resources of Kubernetes v1.36 and the shapes of their types."""
