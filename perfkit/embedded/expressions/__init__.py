"""The expression language of DynamoDB: conditions, key conditions, projections and updates."""

from perfkit.embedded.expressions.conditions import Condition, parse_condition
from perfkit.embedded.expressions.key_conditions import KeyOperator, KeyTerm, parse_key_condition
from perfkit.embedded.expressions.placeholders import Placeholders
from perfkit.embedded.expressions.projections import Projection, parse_projection
from perfkit.embedded.expressions.updates import Update, parse_update

__all__ = [
    "Condition",
    "KeyOperator",
    "KeyTerm",
    "Placeholders",
    "Projection",
    "Update",
    "parse_condition",
    "parse_key_condition",
    "parse_projection",
    "parse_update",
]
