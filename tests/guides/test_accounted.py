"""No snippet of a guide is passed over in silence."""

from importlib import import_module

import pytest
from guides.snippets import GUIDES, TEXTS, Left, Ran, bent, snippets

every_guide = pytest.mark.parametrize("guide", GUIDES)


@every_guide
def test_every_snippet_is_run_or_left_with_a_reason(guide: str):
    """Each Python and shell block of the guide is in the list, nothing else is, and what is left says why."""
    treatments = import_module(f"guides.{guide}").TREATMENTS
    assert set(treatments) == {block.line for block in snippets(guide)}
    for line, treatment in treatments.items():
        reasons = [treatment.why] if isinstance(treatment, Left) else [why for _, why in treatment.left]
        assert all(len(why) > 20 for why in reasons), f"{guide}, line {line}: say why"


@every_guide
def test_what_is_bent_is_there(guide: str):
    """A bend that matches nothing, or a command left that nobody asks for, would hide a change of the text."""
    treatments = import_module(f"guides.{guide}").TREATMENTS
    for block in snippets(guide):
        treatment = treatments[block.line]
        if isinstance(treatment, Ran):
            assert bent(block, treatment).strip()


def test_all_texts_are_guides():
    """A guide that is laid beside the others is asked like them."""
    assert sorted(path.stem for path in TEXTS.glob("*.txt")) == sorted(GUIDES)
