"""Catch: the ball falls as the rules say, walls and floor included, and chance is what it is."""

import numpy as np
import pytest
import torch

from attnsci.data.catch import ACTIONS, LEFT, PADDLE, RIGHT, SIZE, STAY, Catch
from attnsci.errors import InvalidInput


def stay(game: Catch) -> torch.Tensor:
    return torch.full((len(game),), STAY)


def played(game: Catch, act=stay) -> list[Catch]:
    """Return all moments of games in which `act` says what to do."""
    moments = [game]
    while not moments[-1].over:
        moments.append(moments[-1].step(act(moments[-1])))
    return moments


def toward(column: torch.Tensor, paddle: torch.Tensor) -> torch.Tensor:
    """Return the action that brings the paddle under a column."""
    away = column - paddle
    return torch.where(away < 0, LEFT, torch.where(away >= PADDLE, RIGHT, STAY))


def test_a_game_has_23_steps_and_binary_frames():
    moments = played(Catch.start(300, seed=1))
    assert len(moments) == 24
    assert [m.row for m in moments] == list(range(24))
    assert [m.n_steps for m in moments] == list(range(23, -1, -1))
    for moment in moments[:-1]:
        frames = moment.frames
        assert frames.shape == (300, 1, SIZE, SIZE) and frames.dtype == torch.float32
        assert frames.unique().tolist() == [0, 1]
        # One pixel in the ball's row and two neighbours on the floor, and nothing else.
        assert (frames.sum((1, 3)) == torch.eye(24)[moment.row] + 2 * torch.eye(24)[23]).all()
        assert torch.equal(frames[:, 0, moment.row].argmax(1), moment.column)
        assert torch.equal(frames[:, 0, -1].argmax(1), moment.paddle)
        assert torch.equal(frames[:, 0, -1].cumsum(1).argmax(1), moment.paddle + 1)
        assert torch.equal(moment.ball[:, 0], moment.column + 0.5)
        assert (moment.ball[:, 1] == moment.row + 0.5).all()
    end = moments[-1]
    assert torch.equal(end.frames.sum((1, 2, 3)), torch.where(end.caught, 2.0, 3.0))


def test_starts_are_spread_as_the_rules_say():
    game, n = Catch.start(48_000, seed=2), 48_000
    for values, kinds in ((game.column, 24), (game.paddle, 23)):
        counts = np.bincount(values.numpy(), minlength=kinds)
        assert len(counts) == kinds
        assert ((counts - n / kinds) ** 2 / (n / kinds)).sum() < 55  # χ², p > .0002
    assert game.x.min() >= 0 and game.x.max() < SIZE
    # The angle is uniform, so that its cosine is not: P(|dx| < ½) = 2 asin(½ cos 45°) / 90°.
    assert game.dx.abs().max() <= 1 + 1e-6 and game.dx.abs().max() > 0.999
    share = 2 * np.degrees(np.arcsin(0.5 * np.cos(np.pi / 4))) / 90
    assert (game.dx.abs() < 0.5).double().mean().item() == pytest.approx(share, abs=0.01)
    assert game.dx.mean().item() == pytest.approx(0, abs=0.01)


def test_balls_bounce_off_the_walls():
    x = torch.tensor([1.25, 22.75, 0.5, 23.0, 0.0])
    dx = torch.tensor([-0.75, 0.75, -1.0, 1.0, 0.0])
    moments = played(Catch(x, dx, torch.zeros(5, dtype=torch.long), 18, SIZE))
    columns = torch.stack([m.column for m in moments], 1).tolist()
    assert columns[0] == [1, 0, 0, 0, 1, 2]  # 1.25, .5, −.25 (beyond, drawn at 0), .5, 1.25, 2
    assert columns[1] == [22, 23, 23, 23, 22, 22]  # 22.75, 23.5, 24.25, 23.5, 22.75, 22
    assert columns[2] == [0, 0, 0, 1, 2, 3]  # .5, −.5, .5, 1.5
    assert columns[3] == [23, 23, 23, 22, 21, 20]  # 23, 24 is beyond, 23, 22
    assert columns[4] == [0] * 6


@pytest.mark.parametrize("seed", range(3))
def test_paths_agree_with_a_ball_followed_by_hand(seed):
    game = Catch.start(50, seed=seed)
    columns = torch.stack([m.column for m in played(game)], 1).numpy()
    for i in range(50):
        x, dx = game.x[i].numpy(), game.dx[i].numpy()
        for t in range(24):
            assert columns[i, t] == min(max(int(np.floor(x)), 0), 23)
            x = x + dx
            if x < 0 or x >= 24:
                dx = -dx


def test_paddles_stop_at_the_walls():
    game = Catch.start(400, seed=3)
    for action, wall in ((LEFT, 0), (RIGHT, SIZE - PADDLE)):
        moments = played(game, lambda m, a=action: torch.full((len(m),), a))
        assert (moments[-1].paddle == wall).all()
        moved = (moments[1].paddle - game.paddle).unique().tolist()
        assert moved == sorted({0, action - STAY})
    assert torch.equal(played(game)[-1].paddle, game.paddle)


def test_a_ball_is_caught_on_either_half_of_the_paddle():
    columns = torch.arange(24).repeat_interleave(23)
    paddles = torch.arange(23).repeat(24)
    end = Catch(columns + 0.5, torch.zeros(552), paddles, 23, SIZE)
    wanted = (columns == paddles) | (columns == paddles + 1)
    assert torch.equal(end.caught, wanted) and end.caught.sum() == 46


def test_knowing_where_it_falls_catches_every_ball():
    game = Catch.start(20_000, seed=4)
    fall = played(game)[-1].column
    assert played(game, lambda m: toward(fall, m.paddle))[-1].caught.all()


def test_running_after_the_ball_is_not_enough():
    """A paddle that is under the ball is a step late; one that reads its speed is not."""
    game = Catch.start(20_000, seed=5)
    late = played(game, lambda m: toward(m.column, m.paddle))[-1].caught.double().mean()
    assert 0.4 < late < 0.65
    ahead = played(game, lambda m: toward(m.step(stay(m)).column, m.paddle))[-1].caught
    assert ahead.double().mean() > 0.95


def test_a_random_policy_catches_at_chance():
    n = 60_000
    generator = torch.Generator().manual_seed(0)
    end = played(
        Catch.start(n, seed=6),
        lambda m: torch.randint(len(ACTIONS), (len(m),), generator=generator),
    )[-1]
    # The ball by a fine grid of starts and angles, the paddle by its chain of moves.
    x, angle = np.meshgrid((np.arange(600) + 0.5) / 25, 45 + 90 * (np.arange(900) + 0.5) / 900)
    dx = np.cos(np.radians(angle)) / np.cos(np.pi / 4)
    for _ in range(23):
        x = x + dx
        dx = np.where((x < 0) | (x >= 24), -dx, dx)
    ball = np.bincount(np.floor(x).clip(0, 23).astype(int).ravel(), minlength=24) / x.size
    moves = sum(np.eye(23)[np.arange(23) + d if not d else (np.arange(23) + d).clip(0, 22)]
                for d in (-1, 0, 1)) / 3  # fmt: skip
    paddle = np.full(23, 1 / 23) @ np.linalg.matrix_power(moves, 23)
    chance = ball[:-1] @ paddle + ball[1:] @ paddle
    assert 0.08 < chance < 0.09
    error = np.sqrt(chance * (1 - chance) / n)
    assert end.caught.double().mean().item() == pytest.approx(chance, abs=4 * error)


def test_a_game_depends_on_the_seed_and_its_place_only():
    many, few = Catch.start(100, seed=(7, 3)), Catch.start(10, seed=(7, 3))
    act = torch.Generator().manual_seed(0)
    actions = torch.randint(3, (100, 23), generator=act)
    end = played(many, lambda m: actions[:, m.row])[-1]
    part = played(few, lambda m: actions[:10, m.row])[-1]
    chosen = played(many[40:45], lambda m: actions[40:45, m.row])[-1]
    for name in ("x", "dx", "paddle"):
        assert torch.equal(getattr(end, name)[:10], getattr(part, name))
        assert torch.equal(getattr(end, name)[40:45], getattr(chosen, name))
    assert torch.equal(end.frames[40:45], chosen.frames)
    assert not torch.equal(many.x, Catch.start(100, seed=(7, 4)).x)
    assert torch.equal(Catch.start(9, seed=7).x, Catch.start(9, seed=(7,)).x)


@pytest.mark.parametrize("size", [2, 5, 8, 31])
def test_rooms_of_other_sizes(size):
    end = played(Catch.start(2000, seed=8, size=size))[-1]
    assert end.row == size - 1 and end.frames.shape[-2:] == (size, size)
    assert end.column.max() == size - 1 and end.paddle.max() == size - PADDLE


def test_errors_teach():
    game = Catch.start(4)
    with pytest.raises(InvalidInput, match=r"shape \(4,\); got torch.int64 \(3,\)"):
        game.step(torch.ones(3, dtype=torch.long))
    with pytest.raises(InvalidInput, match=r"got torch.float32 \(4,\)"):
        game.step(torch.ones(4))
    with pytest.raises(InvalidInput, match="got -1 to 1"):
        game.step(torch.tensor([0, -1, 0, 1]))
    with pytest.raises(InvalidInput, match=r"known in row 23, after 23 more"):
        _ = game.caught
    with pytest.raises(InvalidInput, match="games are over"):
        played(game)[-1].step(stay(game))
    with pytest.raises(InvalidInput, match="larger room; got size 1"):
        Catch.start(4, size=1)
    with pytest.raises(InvalidInput, match="n must be"):
        Catch.start(0)
