"""Labels are right or neutral: the meaning of axes, followed through operations."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from attnsci.errors import InvalidInput, RecordingError
from attnsci.recording import Recorder, Site, open_recording, record
from attnsci.recording.axes import Origin, fresh, kind, names, regroup
from attnsci.recording.tokens import token_coords, tokens_text

IMAGES = torch.rand(6, 3, 8, 10, generator=torch.Generator().manual_seed(1))
ROWS = torch.rand(6, 4, 5, generator=torch.Generator().manual_seed(2))


class Apply(nn.Module):
    """A convolution, then any function of its output."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.function, self.last = nn.Conv2d(3, 4, 1), function, nn.Identity()

    def forward(self, x):
        return self.last(self.function(self.conv(x)))


def dims(function, images=IMAGES, **options):
    """Return the names of the axes after `function` of a map (N, channel 4, y 8, x 10)."""
    got = record(Apply(function), images, Site("last", **options), batch_size=4)["last"]
    return got.dims[2:]


SPATIAL = ("channel", "y", "x")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda t: t, SPATIAL),
        (lambda t: t.permute(0, 2, 3, 1), ("y", "x", "channel")),
        (lambda t: t.mT, ("channel", "x", "y")),
        (lambda t: t.contiguous(memory_format=torch.channels_last), SPATIAL),
        (lambda t: t.flatten(2), ("unit", "token")),
        (lambda t: t.flatten(2).mT, ("token", "unit")),
        (lambda t: t.flatten(1), ("unit",)),
        (lambda t: t.flatten(1).unflatten(1, (4, 8, 10)), SPATIAL),
        (lambda t: t.mean((2, 3)), ("unit",)),
        (lambda t: t.mean((2, 3), keepdim=True), SPATIAL),
        (lambda t: t.mean(1), ("y", "x")),
        (lambda t: t.amax(3), ("channel", "y")),
        (lambda t: t + t.permute(0, 1, 3, 2).permute(0, 1, 3, 2).relu_(), SPATIAL),
        (lambda t: torch.cat([t, t], 1), SPATIAL),
        (lambda t: t[:, :2, ::2, 1:], SPATIAL),
        (lambda t: t[:, None], ("axis1", *SPATIAL)),
        (lambda t: t.unsqueeze(1).squeeze(1), SPATIAL),
        (lambda t: t * t.mean((2, 3), keepdim=True).sigmoid(), SPATIAL),
        (lambda t: nn.functional.interpolate(t, scale_factor=2), SPATIAL),
        (lambda t: nn.functional.pad(t, (1, 1, 2, 2)), SPATIAL),
        (lambda t: nn.functional.pixel_shuffle(t, 2), SPATIAL),
        (lambda t: nn.functional.layer_norm(t, t.shape[1:]), SPATIAL),
        (lambda t: torch.einsum("nchw->nhwc", t), ("y", "x", "channel")),
        (lambda t: torch.stack([t, t], 1), ("axis1", *SPATIAL)),
        (lambda t: t.roll((2, 2), (2, 3)).roll((-2, -2), (2, 3)), SPATIAL),
        # Here a name would be wrong.
        (lambda t: t[:, :, :8, :8] + t[:, :, :8, :8].mT, ("unit", "axis2", "axis3")),
        (lambda t: t.roll(1, 2), ("channel", "axis2", "x")),
        (lambda t: t.flip(3), ("channel", "y", "axis3")),
        (lambda t: torch.sort(t, 1).values, ("axis1", "axis2", "axis3")),
        (lambda t: t.reshape(len(t), 10, 8, 4), ("axis1", "axis2", "axis3")),
        (lambda t: t.flatten(2) @ t.flatten(2).mT, ("axis1", "axis2")),
    ],
)
@pytest.mark.filterwarnings("ignore:The model does not tell")
def test_operations(function, expected):
    assert dims(function) == expected


def test_values_stay_where_the_labels_say():
    got = record(Apply(lambda t: t.permute(3, 2, 0, 1)), IMAGES, "last", batch_size=4)["last"]
    assert got.dims == ("stimulus", "time", "x", "y", "channel")
    model = Apply(lambda t: t)
    with torch.no_grad():
        truth = torch.cat([model.conv(part) for part in IMAGES.split(4)])
    np.testing.assert_array_equal(got[:, 0].transpose("stimulus", *SPATIAL), truth)


@pytest.mark.parametrize("reduce", ["mean_xy", "max_xy", (slice(2, 5), slice(1, 3))])
def test_reductions_over_space_never_touch_channels(reduce):
    model, images = Apply(lambda t: t.permute(0, 2, 3, 1)), IMAGES
    got = record(model, images, Site("last", reduce=reduce), batch_size=4)["last"]
    first = record(Apply(lambda t: t), images, Site("last", reduce=reduce), batch_size=4)["last"]
    assert set(got.dims) == set(first.dims)
    np.testing.assert_allclose(got, first.transpose(*got.dims), rtol=1e-5)
    unknown = Apply(lambda t: torch.sort(t, 1).values)
    message = r"\('axis1', 'axis2', 'axis3'\).*needs y and x.*dims=\('channel', 'y', 'x'\)"
    with pytest.raises(RecordingError, match=message):
        record(unknown, images, Site("last", reduce=reduce))
    named = Site("last", reduce=reduce, dims=SPATIAL)
    assert "channel" in record(unknown, images, named)["last"].dims


def test_one_warning_names_the_line_to_write():
    model = Apply(lambda t: torch.sort(t, 1).values)
    with pytest.warns(UserWarning, match="axes of 2 layers") as caught:
        got = record(model, IMAGES, ["conv", "last", ""], batch_size=2)
    assert len(caught) == 1
    assert "Site('last', dims=('axis1', 'axis2', 'axis3'))" in str(caught[0].message)
    assert got["conv"].dims[2:] == SPATIAL
    assert got["last"].dims == ("stimulus", "time", "axis1", "axis2", "axis3")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record(model, IMAGES, Site("last", dims=SPATIAL))


def test_images_that_a_model_takes_with_channels_last():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.entry, self.conv = nn.Identity(), nn.Conv2d(3, 4, 1)

        def forward(self, x):
            return self.conv(self.entry(x).permute(0, 3, 1, 2))

    with pytest.warns(UserWarning, match="Site\\('entry'"):
        got = record(
            Last(), IMAGES.permute(0, 2, 3, 1).contiguous(), ["entry", "conv"],
            forward=lambda model, image, coords: model(image),
        )  # fmt: skip
    assert got["entry"].dims[2:] == ("axis1", "axis2", "axis3")  # not (N, C, H, W) after all
    assert got["conv"].dims[2:] == SPATIAL


def test_frames_and_windows_are_split_off_the_stimuli():
    def frames(t):  # (N, T, C) at once through a layer of (N·T, C)
        return t.mean(3).transpose(1, 2).reshape(-1, 4)

    got = record(Apply(frames), IMAGES, "last", batch_size=4)["last"]
    assert got.dims == ("stimulus", "time", "y", "channel")
    truth = Apply(lambda t: t.mean(3)).eval()
    with torch.no_grad():
        np.testing.assert_allclose(got[:, 0], truth(IMAGES).transpose(1, 2), atol=1e-6)


def test_stimuli_in_front_of_or_behind_what_is_merged_with_them():
    def behind(t):
        return t.mean(3).permute(2, 0, 1).reshape(-1, 4)  # (y·N, C)

    got = record(Apply(behind), IMAGES, "last", batch_size=4)["last"]
    truth = Apply(lambda t: t.mean(3)).eval()
    assert got.dims == ("stimulus", "time", "y", "channel")
    with torch.no_grad():
        np.testing.assert_allclose(got[:, 0], truth(IMAGES).transpose(1, 2), atol=1e-6)


# --- the batch axis ----------------------------------------------------------------------------


def through_numpy(t):
    """Return `t` by a way that nobody can follow."""
    return torch.from_numpy(t.detach().numpy().copy())


class Opaque(nn.Module):
    """Gives (T, N, U), and says nothing about it; counts its calls."""

    def __init__(self):
        super().__init__()
        self.calls, self.last = 0, nn.Identity()

    def forward(self, x):
        self.calls += 1
        return self.last(through_numpy(x.transpose(0, 1)) + torch.rand(()) * 0)


@pytest.mark.filterwarnings("ignore:The model does not tell")
def test_another_number_of_stimuli_tells_the_axis_where_lengths_are_equal():
    model = Opaque()
    got = record(model, ROWS[:4], "last", batch_size=4)["last"]  # (4, 4, 5)
    np.testing.assert_array_equal(got[:, 0], ROWS[:4])
    assert model.calls == 2
    model = Opaque()
    got = record(model, ROWS, "last", batch_size=4)["last"]
    np.testing.assert_array_equal(got[:, 0], ROWS)
    assert model.calls == 3  # two batches, and once more
    one = record(Opaque(), ROWS[:1], "last", batch_size=4)["last"]
    np.testing.assert_array_equal(one[:, 0], ROWS[:1])


@pytest.mark.filterwarnings("ignore:The model does not tell")
def test_the_extra_run_leaves_no_trace_in_time_order_and_draws():
    class Draws(nn.Module):
        def __init__(self, opaque):
            super().__init__()
            self.opaque, self.noise, self.last = opaque, nn.Identity(), nn.Identity()

        def forward(self, x):
            noise = self.noise(torch.rand_like(x))
            return self.last(through_numpy(x + noise) if self.opaque else x + noise)

    shown = torch.zeros(6, 2, 5)
    sites = ["last", "noise"]
    plain, odd = (record(Draws(o), shown, sites, batch_size=2) for o in (False, True))
    for layer in ("noise", "last"):
        np.testing.assert_array_equal(odd[layer], plain[layer])
        assert odd[layer].sizes["time"] == 1


def test_what_no_run_can_tell_is_refused():
    class Constant(nn.Module):
        def forward(self, x):
            return through_numpy(torch.eye(4))

    message = r"shape \(4, 4\).*not certain which axis holds the 4 stimuli.*batch_axis=\.\.\."
    with pytest.raises(RecordingError, match=message):
        record(Constant(), ROWS[:4], "")
    with (
        pytest.raises(RecordingError, match=message),
        Recorder(Opaque(), "last") as recorder,
    ):
        recorder.batch(n=4)
        recorder._session.model(ROWS[:4, :, :1].squeeze(-1))
    with Recorder(Opaque(), Site("last", batch_axis=1, dims=("step", "unit"))) as recorder:
        recorder.batch(n=4)
        recorder._session.model(ROWS[:4])
    np.testing.assert_array_equal(recorder.recording["last"][:, 0], ROWS[:4])


def test_lstm_that_takes_stimuli_for_steps():
    message = r"shape \(4, 4, 3\).*LSTM\(batch_first=False\) takes the stimuli for steps"
    with pytest.raises(RecordingError, match=message):
        record(nn.LSTM(5, 3), ROWS[:4], "")
    with Recorder(nn.LSTM(5, 3), "") as recorder:  # in one's own loop it gets its steps first
        recorder.batch(n=4)
        recorder._session.model(ROWS[:4].transpose(0, 1))
    assert recorder.recording["output"].dims == ("stimulus", "time", "step", "unit")


def test_a_later_batch_contradicts():
    class Fixed(nn.Module):
        def forward(self, x):
            return x if len(x) == 4 else x.transpose(0, 1)

    with pytest.raises(RecordingError, match=r"shape \(4, 2, 5\), and axis 0 does not hold the 2"):
        record(Fixed(), ROWS, Site("", dims=("a", "b")), batch_size=4)


def test_hook_free_models_are_left_without_hooks():
    model = Apply(lambda t: t)
    record(model, IMAGES, "last")
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())

    def fails(t):
        raise ZeroDivisionError

    model = Apply(fails)
    with pytest.raises(ZeroDivisionError):
        record(model, IMAGES, "last")
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    from torch.utils._python_dispatch import _get_current_dispatch_mode

    assert _get_current_dispatch_mode() is None


# --- patterns ----------------------------------------------------------------------------------


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.stage = nn.ModuleList(
            nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sequential(nn.ReLU(), nn.Identity()))
            for _ in range(2)
        )
        self.idle, self.head = nn.Linear(1, 1), nn.Linear(3, 2)

    def forward(self, x):
        for block in self.stage:
            x = block(x)
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize(
    ("pattern", "exclude", "expected"),
    [
        ("stage.*", (), ["stage.0", "stage.1"]),
        ("stage.*.*", (), ["stage.0.0", "stage.0.1", "stage.1.0", "stage.1.1"]),
        ("stage.0.**", (), ["stage.0.0", "stage.0.1.0", "stage.0.1.1", "stage.0.1"]),
        ("stage.**", ["**.1", "stage.0.**"], ["stage.0", "stage.1.0", "stage.1.1.0"]),
        ("**.[!1]", "stage.?", ["stage.0.0", "stage.0.1.0", "stage.1.0", "stage.1.1.0"]),
        ("*", "idle", ["head"]),
    ],
)
def test_star_stays_within_a_dot(pattern, exclude, expected):
    got = record(Tower(), IMAGES, Site(pattern, exclude=exclude))
    assert got.layers == expected


def test_one_pattern_meets_several_ranks_and_reports_what_never_ran():
    with pytest.warns(UserWarning, match=r"'\*\*' also matches modules.*not called.*: idle\.$"):
        got = record(Tower(), IMAGES, "**", batch_size=4)
    assert got["stage.0.0"].dims[2:] == SPATIAL
    assert got["head"].dims[2:] == ("unit",)
    assert "idle" not in got
    assert "stage" not in got
    with pytest.raises(RecordingError, match=r"'idle'.*not called in the first batch"):
        record(Tower(), IMAGES, "idle")
    with pytest.raises(RecordingError, match=r"None of the modules that 'i\*' matches was called"):
        record(Tower(), IMAGES, "i*")
    with pytest.raises(InvalidInput, match="leaves no module"):
        record(Tower(), IMAGES, Site("stage.*", exclude="**"))


@pytest.mark.filterwarnings("ignore:.* also matches")
def test_a_module_that_is_first_called_in_a_later_batch():
    class Late(Tower):
        def forward(self, x):
            if float(x[0, 0, 0, 0]) > 0:
                self.idle(x[:, :1, 0, 0])
            return super().forward(x)

    shown = IMAGES.clone()
    shown[:4, 0, 0, 0] = 0
    with pytest.raises(RecordingError, match="'idle' was not called in the first batch and is"):
        record(Late(), shown, "*", batch_size=4)


def test_tables_without_stimuli_are_left_out_of_a_pattern():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.position, self.mix = nn.Embedding(4, 5), nn.Linear(5, 5)

        def forward(self, x):
            return self.mix(x + self.position(torch.arange(4)[None]))

    for n in (3, 1, 4, 5):  # also where one of its axes happens to be as long as the batch
        with pytest.warns(UserWarning, match=r"hold no stimuli.*position"):
            got = record(Model(), ROWS[:n], "*", batch_size=n)
        assert got.layers == ["mix"]


# --- coordinates of tokens ---------------------------------------------------------------------


class Patches(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.last = nn.Conv2d(3, 4, 2, stride=2), nn.Identity()
        self.cls_token = nn.Parameter(torch.rand(1, 1, 4))
        self.register_tokens = nn.Parameter(torch.rand(1, 2, 4))

    def forward(self, x):
        x = self.conv(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        registers = self.register_tokens.expand(len(x), -1, -1)
        return self.last(torch.cat([x[:, :1], registers, x[:, 1:]], 1))


def test_tokens_keep_their_kind_and_place_also_in_files(tmp_path):
    record(Patches(), IMAGES, "last", batch_size=4, store=tmp_path / "run.zarr")
    stored = open_recording(tmp_path / "run.zarr")
    stored.save(tmp_path / "run.nc")
    for got in (stored["last"], open_recording(tmp_path / "run.nc")["last"]):
        assert got.token_kind.values.tolist() == ["class"] + ["register"] * 2 + ["patch"] * 20
        assert got.patch_y.values.tolist() == [-1] * 3 + [y for y in range(4) for _ in range(5)]
        assert got.patch_x.values.tolist() == [-1] * 3 + list(range(5)) * 4
    conv = record(Patches(), IMAGES, "conv", batch_size=4)["conv"]
    cell = got.isel(time=0).sel(token=(got.patch_y == 2) & (got.patch_x == 3))
    np.testing.assert_array_equal(cell.values[..., 0, :], conv[:, 0, :, 2, 3])


def test_tokens_as_text():
    runs = (("class", 1, 0), ("patch", 6, 3), ("other", 2, 0))
    coords = token_coords("key", tokens_text(runs))
    assert list(coords) == ["key_kind", "key_patch_y", "key_patch_x"]
    assert coords["key_patch_y"][1].tolist() == [-1, 0, 0, 0, 1, 1, 1, -1, -1]
    with pytest.raises(RecordingError, match="does not describe tokens"):
        token_coords("token", "class x")


# --- axes by themselves ------------------------------------------------------------------------


def test_regroup_splits_and_merges_and_knows_when_it_cannot():
    y, x, channel = fresh(6, "y"), fresh(4, "x"), fresh(5, "feature")
    parts = regroup((y, x, channel), (3, 2, 2, 2, 5))
    windows = regroup(tuple(parts[i] for i in (0, 2, 1, 3, 4)), (6, 4, 5))
    assert [kind(axis) for axis in windows] == ["window", "token", "feature"]
    back = regroup(windows, (3, 2, 2, 2, 5))
    assert regroup(tuple(back[i] for i in (0, 2, 1, 3, 4)), (6, 4, 5)) == (y, x, channel)
    assert names(regroup((y, x, channel), (4, 6, 5))) == ("axis1", "axis2", "axis3")
    assert kind(fresh(3)) is None
    assert Origin("y", 3) != Origin("y", 3)


def test_axes_of_length_one_are_told_apart_by_their_place():
    stimulus, channel = fresh(1, "stimulus"), fresh(5, "feature")
    y, x = fresh(1, "y"), fresh(1, "x")
    flat = regroup((stimulus, channel, y, x), (1, 5))
    assert flat[0] == stimulus
    assert regroup(flat, (1, 5, 1, 1)) == (stimulus, channel, y, x)
    assert kind(regroup((channel, y, x), (5, 1))[1]) is None
