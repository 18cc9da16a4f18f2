import numpy as np
import pytest
import torch
from torch import nn

from attnsci.errors import InvalidInput
from attnsci.families.neva.task_networks import task_of
from attnsci.families.neva.tasks import (
    BlurEnergy,
    Classification,
    Embedding,
    Reconstruction,
    check_frozen,
    check_losses,
    fast_forwards,
    frozen,
)
from attnsci.sensors.foveation import Fovea, FoveatedView, mask


def _classifier() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5))


def test_frozen_is_in_evaluation_mode_without_trainable_parameters():
    model = frozen(_classifier().train())
    assert not any(module.training for module in model.modules())
    assert not any(each.requires_grad for each in model.parameters())


def test_classification_is_the_cross_entropy_with_the_model_s_own_label():
    task = Classification(_classifier())
    images = torch.rand(20, 1, 8, 8)
    target = task.target(images)
    logits = task.model(images).numpy().astype(float)
    assert target.tolist() == logits.argmax(1).tolist()
    want = np.log(np.exp(logits).sum(1)) - logits[np.arange(20), target]
    np.testing.assert_allclose(task.loss(images, target), want, atol=1e-5)


def test_classification_with_given_labels():
    labels = torch.tensor([4, 0, 1])
    task = Classification(_classifier(), labels)
    assert torch.equal(task.target(torch.rand(3, 1, 8, 8)), labels)
    with pytest.raises(InvalidInput, match="labels must have shape"):
        task.target(torch.rand(2, 1, 8, 8))


def test_a_look_leaves_the_model_as_it_was():
    from attnsci.families.neva.network import NeVA

    task = Classification(_classifier())
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    neva = NeVA(task, Fovea(3, 2, 5), search="sign-gradient", iterations=3)
    neva.look(torch.rand(2, 1, 8, 8), 2)
    for name, value in task.model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(each.grad is None for each in task.model.parameters())


def test_a_model_that_was_changed_afterwards_is_refused():
    from attnsci.families.neva.network import NeVA

    task = Classification(_classifier())
    check_frozen(task)
    task.model.train()
    with pytest.raises(InvalidInput, match=r"model of the task 'classification' is in training"):
        NeVA(task, Fovea(3, 2, 5)).look(torch.rand(1, 1, 8, 8), 1)
    task.model.eval().requires_grad_(True)
    with pytest.raises(InvalidInput, match="is trainable"):
        check_frozen(task)


def test_reconstruction_is_the_mean_square_over_channels_and_pixels():
    task = Reconstruction(nn.Conv2d(3, 3, 1))
    images, seen = torch.rand(4, 3, 6, 5), torch.rand(4, 3, 6, 5)
    want = ((task.model(seen) - images).numpy().reshape(4, -1) ** 2).mean(1)
    np.testing.assert_allclose(task.loss(seen, task.target(images)), want, rtol=1e-5)


@pytest.mark.parametrize("amplitude", [1.0, 0.6])
def test_the_map_of_blur_energy_equals_brute_force(amplitude):
    torch.manual_seed(1)
    images = torch.rand(2, 3, 14, 18).double()
    view = FoveatedView(images, Fovea(3.5, 2.0, 7, amplitude=amplitude))
    memory = (1 - amplitude) * torch.rand(2, 1, 14, 18).double()
    task = BlurEnergy()
    got = task.loss_map(view.residual, memory, 3.5, amplitude)
    for row in range(14):
        for column in range(18):
            xy = torch.tensor([column + 0.5, row + 0.5]).double().expand(2, 2)
            seen = view.perceive(memory + mask(xy, (14, 18), 3.5, amplitude))
            want = task.loss(seen, images)
            torch.testing.assert_close(got[:, row, column], want, rtol=0, atol=1e-14)


def test_the_map_is_a_bound_from_above_where_memory_and_mask_pass_one():
    torch.manual_seed(2)
    images = torch.rand(1, 1, 12, 12).double()
    view = FoveatedView(images, Fovea(3.0, 2.0, 7))
    memory = view.mask(torch.tensor([[6.5, 6.5]]).double())
    bound = BlurEnergy().loss_map(view.residual, memory, 3.0, 1.0)[0, 6, 6]
    exact = BlurEnergy().loss(view.perceive(2 * memory), images)[0]
    assert float(bound) > float(exact) > 0


def test_embedding_is_one_minus_cosine():
    def encode(images):
        return images.flatten(1)[:, :2]

    images = torch.tensor([[3.0, 4.0], [0.0, 2.0]]).view(2, 1, 1, 2)
    task = Embedding(encode, torch.tensor([1.0, 0.0]))
    np.testing.assert_allclose(task.loss(images, task.target(images)), [0.4, 1.0], atol=1e-6)
    own = Embedding(encode)
    np.testing.assert_allclose(own.loss(images, own.target(images)), [0, 0], atol=1e-6)


def test_the_drift_begins_at_the_start_and_never_quite_arrives():
    start, end = torch.tensor([1.0, 0.0]), torch.tensor([[0.0, 1.0]])
    task = Embedding(lambda images: images, end[0], start)
    assert torch.equal(task.drifted(end, 0, 10), start[None])
    torch.testing.assert_close(task.drifted(end, 9, 10), torch.tensor([[1 - 0.81, 0.81]]))
    assert Embedding(lambda images: images, end[0]).drifted(end, 3, 10) is end


def test_losses_that_are_no_numbers_name_the_image():
    losses = torch.tensor([[1.0, 2.0], [1.0, torch.nan], [torch.inf, 0.0]])
    with pytest.raises(InvalidInput, match=r"image 'b' \(2 of 3 images\)"):
        check_losses(losses, ["a", "b", "c"])
    assert check_losses(losses[0], ["a", "b"]) is not None


def test_fast_forwards_are_in_bfloat16_only_where_asked():
    linear = nn.Linear(2, 2)
    for enabled, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        with fast_forwards(enabled, torch.device("cpu")):
            assert linear(torch.rand(1, 2)).dtype == dtype


def test_tasks_that_come_with_their_networks():
    assert isinstance(task_of("classification"), Classification)
    assert isinstance(task_of("reconstruction"), Reconstruction)
    with pytest.raises(InvalidInput, match="'juggling'"):
        task_of("juggling")
