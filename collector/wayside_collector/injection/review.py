"""Kubernetes's AdmissionReview, `admission.k8s.io/v1`: a request in, an answer out that always lets the pod through."""

import base64
from typing import Any

import msgspec

from .plan import Plan
from .pod import inject

MAX_WARNING = 256  #: characters of one warning; Kubernetes cuts longer ones


class BadReview(Exception):
    """No AdmissionReview of a pod; the text says what is wrong."""


class _Request(msgspec.Struct):
    uid: str
    object: dict[str, Any]
    operation: str = "CREATE"


class _Review(msgspec.Struct):
    request: _Request
    apiVersion: str
    kind: str


def answer(body: bytes, plan: Plan) -> bytes:
    """The answer to a review. Raises BadReview."""
    try:
        review = msgspec.json.decode(body, type=_Review)
    except msgspec.DecodeError as problem:
        raise BadReview(f"this is no AdmissionReview: {problem}") from None
    if (review.apiVersion, review.kind) != ("admission.k8s.io/v1", "AdmissionReview"):
        raise BadReview(f"{review.apiVersion[:80]} {review.kind[:80]} is no admission.k8s.io/v1 AdmissionReview")
    response: dict[str, Any] = {"uid": review.request.uid, "allowed": True}
    if review.request.operation == "CREATE" and review.request.object.get("kind", "Pod") == "Pod":
        try:
            patch, warnings = inject(review.request.object, plan)
        except (AttributeError, TypeError, KeyError) as problem:
            raise BadReview(f"its pod is not shaped like one: {problem!r:.200}") from problem
        if patch:
            response["patchType"] = "JSONPatch"
            response["patch"] = base64.b64encode(msgspec.json.encode(patch)).decode()
        if warnings:
            response["warnings"] = [warning[:MAX_WARNING] for warning in warnings]
    return msgspec.json.encode({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
