"""Gates and the checklist: conditions held against evidence, and how the outcome is written."""

from perfkit.gates.judging import Judged, Measures, judge, judge_all

__all__ = ["Judged", "Measures", "judge", "judge_all"]
