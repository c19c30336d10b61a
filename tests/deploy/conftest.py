"""Tools as fixtures: Helm 3, Helm 4, and what checks Dockerfiles and Kubernetes objects."""

from pathlib import Path

import pytest
from deploy import tools


@pytest.fixture(scope="session")
def helm() -> Path:
    return tools.helm_3()


@pytest.fixture(scope="session")
def helm_4() -> Path:
    """A Python with Helm 4's library."""
    return tools.helm_4()


@pytest.fixture(scope="session")
def validator() -> Path:
    """A Python with kubernetes-validate."""
    return tools.checkers()


@pytest.fixture(scope="session")
def hadolint() -> Path:
    return tools.checkers().with_name("hadolint")
