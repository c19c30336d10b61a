"""Puts the collector beside labelled pods as they are created, with no change to their image.

`pod` decides, purely: a pod and what to inject become a JSON patch. `plan` reads what to inject, from a file that the
chart writes. `review` speaks Kubernetes's AdmissionReview. `server` listens. Whatever goes wrong, the pod is let
through as it was: a training without metrics is better than no training.
"""
