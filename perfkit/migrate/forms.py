"""The forms that a plan is emitted in; a module of its own, because options name them."""

from enum import StrEnum

__all__ = ["Emitted"]


class Emitted(StrEnum):
    """What a plan can be written as."""

    TERRAFORM = "terraform"
    CLOUDFORMATION = "cloudformation"
