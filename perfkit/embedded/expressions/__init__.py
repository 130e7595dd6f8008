"""The expression language of DynamoDB: conditions, key conditions, projections and updates."""

from perfkit.embedded.expressions.conditions import (
    Comparison,
    Condition,
    condition_of,
    parse_condition,
)
from perfkit.embedded.expressions.key_conditions import KeyOperator, KeyTerm, parse_key_condition
from perfkit.embedded.expressions.placeholders import Placeholders
from perfkit.embedded.expressions.projections import (
    Projection,
    parse_projection,
    projection_of,
)
from perfkit.embedded.expressions.updates import (
    AttributeAction,
    Update,
    parse_update,
    update_of,
)

__all__ = [
    "AttributeAction",
    "Comparison",
    "Condition",
    "KeyOperator",
    "KeyTerm",
    "Placeholders",
    "Projection",
    "Update",
    "condition_of",
    "parse_condition",
    "parse_key_condition",
    "parse_projection",
    "parse_update",
    "projection_of",
    "update_of",
]
