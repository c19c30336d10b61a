"""How a metric is to be shown: whether less or more of it is better, as the run said by `define_metric`, else by its
name; and whether it is to be shown at all. Pure.
"""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from .answers import Goal

_MORE = re.compile(
    r"(^|[^a-z])(acc|accuracy|auc|auroc|bleu|f1|iou|map|mfu|mrr|ndcg|precision|psnr|recall|return|reward|rouge.?|score"
    r"|ssim|success|tflops|throughput|win)([^a-z]|$)|_per_s(ec(ond)?)?($|[^a-z])"
)
_LESS = re.compile(
    r"loss|(^|[^a-z])(bpb|bpc|brier|cer|error|fid|latency|mae|mape|mse|nll|perplexity|ppl|rmse|wer)([^a-z]|$)"
)


def goal_of(name: str, definitions: Iterable[Mapping[str, Any]]) -> Goal | None:
    """By the data of `define_metric` events, the last that fits and says it counting; None where nothing tells."""
    found: Goal | None = None
    for one in definitions:
        if fnmatchcase(name, str(one.get("name", ""))):
            told = f"{one.get('goal', '')} {one.get('summary', '')}"
            found = "max" if "max" in told else ("min" if "min" in told else found)
    if found is not None:
        return found
    lower = name.lower()
    return "min" if _LESS.search(lower) else ("max" if _MORE.search(lower) else None)


def is_hidden(name: str, definitions: Iterable[Mapping[str, Any]]) -> bool:
    """By the data of `define_metric` events, the last that fits and says it counting."""
    told = [one["hidden"] for one in definitions if "hidden" in one and fnmatchcase(name, str(one.get("name", "")))]
    return bool(told) and told[-1] is True
