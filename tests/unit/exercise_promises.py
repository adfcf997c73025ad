"""What every exercise promises: its solution passes as it is shown, each wrong answer gets a question of its own."""

import pytest
import torch


def promises(exercises, wrong, right):
    """A class of tests, for a test file to name TestExercises.

    exercises  by name, as `mha_lab.checks` has them
    wrong      by (exercise, mistake) a learner's answer, or several, written without mha_lab.checks
    right      pairs of an exercise and another way to solve it
    """

    def messages(exercise):
        """The message of each known mistake, by the name of the function that computes it."""
        return {function.__name__: message for function, message in exercises[exercise].mistakes}

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
            assert all("?" in message for message in named.values())
            assert set(named) == {mistake for name, mistake in wrong if name == exercise}

        @pytest.mark.parametrize("exercise", exercises)
        def test_the_solution_passes_as_it_is_shown(self, exercise):
            task = exercises[exercise]
            shown = {"torch": torch}
            exec(task.source, shown)  # what a reader copies out of the card, and nothing else
            for solution in task.solution, shown[exercise]:
                assert task(solution).verdict == "passes on 5 shapes"

        @pytest.mark.parametrize("exercise, way", right)
        def test_another_right_way_passes_too(self, exercise, way):
            assert exercises[exercise](way).passed

    return TestExercises
