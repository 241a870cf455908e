"""The claims: what an exercise says must be true afterwards, each judged by evidence from text and run.

A claim is a function from the evidence to parts, by the name that the manifest gives it.
"""

from functools import partial

from . import fixture, newdriver, orders, project, references, script, starter, suite, together, written_tests
from .evidence import Claim, Evidence, Unjudged

CLAIMS: dict[str, Claim] = {
    "first-test-gone": suite.first_test_gone,
    "other-tests-unchanged": suite.others_unchanged,
    "suite-whole": suite.whole,
    "tests-but-25-whole": suite.but_25,
    "tests-but-25-unchanged": partial(suite.whole, but=(suite.TEST_25,), passing=False),
    "fixture-async": fixture.is_async,
    "fixture-makes-client": fixture.makes_client,
    "fixture-as-it-was": fixture.as_it_was,
    "loop-given": fixture.loop_given,
    "tests-ask-base": references.tests_ask_base,
    "app-asks-base": references.app_asks_base,
    "script-ends-well": script.ends_well,
    "script-counts-twice": script.counts_twice,
    "asyncio-as-it-is": script.asyncio_as_it_is,
    "one-change-is-stored": orders.stored_alone,
    "orders-lose-nothing": orders.lose_nothing,
    "overtaken-tries-again": orders.tries_again,
    "gives-up-aloud": orders.gives_up,
    "replica-set-refuses-nobody": orders.refuses_nobody,
    "two-writes-together": orders.two_writes_together,
    "question-is-heard": orders.question_is_heard,
    "test-25-finds-loss": written_tests.finds_loss,
    "test-25-passes": written_tests.passes_when_whole,
    "left-out-test-passes": written_tests.left_out_passes,
    "left-out-lines-reached": written_tests.left_out_reached,
    "left-out-test-looks": written_tests.left_out_looks,
    "scopes-tests-pass": written_tests.scopes_pass,
    "scopes-fixture-inserts": written_tests.scopes_fixture_inserts,
    "scopes-tests-insert": written_tests.scopes_tests_insert,
    "project-tests-there": project.all_there,
    "project-together": project.pass_together,
    "project-alone": project.pass_alone,
    "project-any-order": project.pass_in_any_order,
    project.BY_FILE: project.pass_in_any_order,
    "project-patches-nothing": project.patches,
    "project-tests-notice": project.notice,
    "clients-closed": newdriver.closes,
    "clients-are-new": newdriver.makes_clients,
    "motor-gone": newdriver.imports_no_motor,
    "driver-works": newdriver.driver_works,
    "new-driver-two-writes": newdriver.together,
    "suite-whole-new-driver": newdriver.suite_whole,
    "suite-whole-on-both": newdriver.suite_whole_on_both,
    "all-pass-together": together.all_pass,
    "join-stores-a-user": together.join_stores,
    "starter-runs-tests": starter.runs_tests,
    "starter-uses-thread": starter.uses_thread,
    "starter-patches-nothing": starter.patches,
}

__all__ = ["CLAIMS", "Claim", "Evidence", "Unjudged"]
