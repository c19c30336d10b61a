"""PEFT Studio's Weights & Biases service, below `/api/wandb`, with that guide's bodies; docs/peft-studio.md.

`studio` is what the service does, `bodies` what it takes, `routes` its HTTP.
"""

from .routes import peft_routes
from .studio import Studio, Surroundings

__all__ = ["Studio", "Surroundings", "peft_routes"]
