"""hypothesis, the same runs each time."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def run_always(machine: type[RuleBasedStateMachine], examples: int, steps: int) -> None:
    """Run a state machine, the same runs each time. No shrinking: a mutant needs no small example."""
    always = settings(derandomize=True, deadline=None, database=None, phases=[Phase.generate], print_blob=False)
    sure = settings(always, report_multiple_bugs=False, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=settings(sure, max_examples=examples, stateful_step_count=steps))
