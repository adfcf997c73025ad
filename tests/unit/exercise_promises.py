"""What every exercise promises: its solution passes as it is shown, each wrong answer gets a question of its own."""

from itertools import combinations

import pytest
import torch


def as_a_learner(solution):
    """The solution as a function that a learner wrote: the check notices its own one."""
    return lambda *given: solution(*given)


def no_two_mistakes_are_one(task):
    """No two mistakes with different questions, and none and the solution, compute the same in every case."""
    functions = [(task.solution, "")] + task.mistakes
    cases = task.cases()
    computed = [[task.run(function, case) for case in cases] for function, _ in functions]
    for outcomes, (function, _) in zip(computed, functions):
        assert any(outcome.parts for outcome in outcomes), function
    for (one, first), (other, second) in combinations(zip(computed, functions), 2):
        if first[1] != second[1]:
            assert not all(task.same(a, b) for a, b in zip(one, other)), (first, second)


def promises(exercises, wrong, right):
    """A class of tests, for a test file to name TestExercises.

    exercises  by name, as `mha_lab.checks` has them
    wrong      by (exercise, mistake) a learner's answer, or several, written without mha_lab.checks
    right      pairs of an exercise and another way to solve it
    """

    def messages(exercise):
        """The message of each known mistake, by the name of the function that computes it."""
        return {getattr(f, "__name__", None) or f.func.__name__: said for f, said in exercises[exercise].mistakes}

    class TestExercises:
        @pytest.mark.parametrize("exercise, mistake", wrong)
        def test_a_wrong_answer_gets_the_question_that_leads_on(self, exercise, mistake):
            answers = wrong[exercise, mistake]
            for answer in answers if isinstance(answers, list) else [answers]:
                result = exercises[exercise](answer)
                assert not result.passed and result.state == "wrong"
                assert result.lines[0] == messages(exercise)[mistake]

        @pytest.mark.parametrize("exercise", exercises)
        def test_every_known_mistake_has_its_own_message_and_a_learner_who_makes_it(self, exercise):
            named = messages(exercise)
            assert len(set(named.values())) == len(named)
            no_two_mistakes_are_one(exercises[exercise])
            assert all("?" in message for message in named.values())
            assert set(named) == {mistake for name, mistake in wrong if name == exercise}

        @pytest.mark.parametrize("exercise", exercises)
        def test_the_solution_passes_as_it_is_shown_and_is_noticed_when_it_is_handed_in(self, exercise):
            task = exercises[exercise]
            shown = {"torch": torch}
            exec(task.source, shown)  # what a reader copies out of the card, and nothing else
            assert task(shown[exercise]).verdict == f"passes on {len(task.cases())} shapes"
            assert task(task.solution).state == "ours"

        @pytest.mark.parametrize("exercise, way", right)
        def test_another_right_way_passes_too(self, exercise, way):
            assert exercises[exercise](way).passed

    return TestExercises
