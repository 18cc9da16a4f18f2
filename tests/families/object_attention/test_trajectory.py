"""The record of a run."""

import torch

from attnsci.families.object_attention.trajectory import Trajectory, stack_levels


def test_the_prediction_is_read_off_the_last_step_of_each_phase():
    logits = torch.zeros(2, 3, 4, 5)
    logits[:, :, :3, 0] = 9
    for index in range(6):
        logits[index // 3, index % 3, 3, (index * 2) % 5] = 1
    run = Trajectory(logits=logits, gates=(), masked_input=torch.zeros(0), ior=())
    assert run.prediction.tolist() == [[0, 2, 4], [1, 3, 0]]


def test_levels_are_joined_along_a_new_second_axis():
    phases = [(torch.full((2, 1), float(p)), torch.full((2, 3), 10.0 * p)) for p in range(4)]
    first, second = stack_levels(phases)
    assert first.shape == (2, 4, 1)
    assert second.shape == (2, 4, 3)
    assert second[0, :, 0].tolist() == [0, 10, 20, 30]
