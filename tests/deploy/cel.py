"""A MutatingAdmissionPolicy without an API server: its conditions and mutations, evaluated by cel-python.

That library has no Kubernetes types, so `Object.spec{name: …}` is read as a map, `{"name": …}`; the outcome is laid
over the pod as server-side apply lays it: maps key by key, lists of named things thing by thing, new ones at the end.
"""

import copy
import json
import re
from typing import Any

import celpy

Pod = dict[str, Any]

TEXT = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")
#: What the API server knows list items by; all other lists are taken whole.
KEYS = {"containers": "name", "initContainers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath"}


class Policy:
    """One policy, compiled once."""

    def __init__(self, found: dict[str, Any]) -> None:
        spec = found["spec"]
        self._environment = celpy.Environment()
        self._conditions = {one["name"]: self._program(one["expression"]) for one in spec["matchConditions"]}
        self._variables = {one["name"]: self._program(one["expression"]) for one in spec["variables"]}
        (mutation,) = spec["mutations"]
        assert mutation["patchType"] == "ApplyConfiguration"
        self._mutation = self._program(mutation["applyConfiguration"]["expression"])

    def _program(self, text: str) -> celpy.Runner:
        return self._environment.program(self._environment.compile(plain(text)))

    def refusals(self, pod: Pod) -> list[str]:
        """The names of the conditions that a pod does not meet."""
        given = {"object": celpy.json_to_cel(pod)}
        return [name for name, condition in self._conditions.items() if not condition.evaluate(given)]

    def applied(self, pod: Pod) -> Pod:
        """The pod after the policy: itself where a condition says no."""
        if self.refusals(pod):
            return pod
        given = {"object": celpy.json_to_cel(pod)}
        made = {name: variable.evaluate(given) for name, variable in self._variables.items()}
        outcome = self._mutation.evaluate({**given, "variables": celpy.celtypes.MapType(_keyed(made))})
        merged: Pod = merge(copy.deepcopy(pod), json.loads(json.dumps(outcome, cls=celpy.CELJSONEncoder)))
        return merged


def plain(text: str) -> str:
    """CEL without the types of Kubernetes: objects as maps. What stands in quotation marks stays."""
    parts = TEXT.split(text)
    for index in range(0, len(parts), 2):
        parts[index] = re.sub(r"\bObject(\.\w+)*(?=\{)", "", parts[index])
        parts[index] = re.sub(r"([{,]\s*)(\w+):(?=\s)", r'\1"\2":', parts[index])
    return "".join(parts)


def merge(there: Any, applied: Any, key: str = "") -> Any:
    if isinstance(there, dict) and isinstance(applied, dict):
        for name, value in applied.items():
            there[name] = merge(there[name], value, name) if name in there else value
        return there
    if isinstance(there, list) and isinstance(applied, list) and key in KEYS:
        places = {item[KEYS[key]]: index for index, item in enumerate(there)}
        for item in applied:
            if item[KEYS[key]] in places:
                index = places[item[KEYS[key]]]
                there[index] = merge(there[index], item)
            else:
                there.append(item)
        return there
    return applied


def _keyed(made: dict[str, Any]) -> dict[Any, Any]:
    return {celpy.celtypes.StringType(name): value for name, value in made.items()}
