"""Architectures of others: values bit-equal to cloned hooks, labels as their code has them."""

import numpy as np
import pytest
import torch
from torch import nn

from attnsci._torchvision import load_torchvision
from attnsci.recording import Site, record

load_torchvision()  # before other libraries import it
BATCH = 3
SPATIAL = ("channel", "y", "x")
LAST = ("y", "x", "channel")
TOKENS = ("token", "unit")


def cloned(model, images, layers):
    """Return each layer's output by plain hooks, (calls, N, ...) for each batch."""
    modules, values = dict(model.named_modules()), {layer: [] for layer in layers}
    for batch in images.split(BATCH):
        calls = {layer: [] for layer in layers}
        handles = [modules[layer].register_forward_hook(keep(calls[layer])) for layer in layers]
        with torch.no_grad():
            model(batch)
        for handle in handles:
            handle.remove()
        for layer in layers:
            values[layer].append(torch.stack(calls[layer]))
    return values


def keep(calls):
    def hook(module, args, out):
        if not isinstance(out, torch.Tensor):
            out = out[0] if isinstance(out, tuple) else next(iter(out.values()))
        calls.append(out.clone())

    return hook


def agree(model, images, dims):
    """Record `dims`' layers; compare each with cloned hooks, and its labels with `dims`."""
    model = model.eval()
    got = record(model, images, list(dims), batch_size=BATCH)
    truth = cloned(model, images, list(dims))
    for layer, names in dims.items():
        array = got[layer]
        assert array.dims[2:] == names, layer
        rows = []
        for part in truth[layer]:
            n = min(BATCH, len(images) - sum(map(len, rows)))
            inner = [array.sizes[name] for name in names]
            rows.append(part.reshape(len(part), n, *inner).movedim(0, 1))
        np.testing.assert_array_equal(array.values, torch.cat(rows).numpy(), err_msg=layer)
    return got


def images(side=32, n=5):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(1))


def zoo():
    torch.manual_seed(0)
    return load_torchvision().models


def test_resnet():
    names = ["conv1", "layer1.0.bn1", "layer1.0.relu", "layer2.0.downsample.0", "layer4", "avgpool"]
    agree(zoo().resnet18(), images(), {**dict.fromkeys(names, SPATIAL), "fc": ("unit",)})


def test_resnet_in_channels_last_memory():
    model = zoo().resnet18().to(memory_format=torch.channels_last)
    shown = images().contiguous(memory_format=torch.channels_last)
    agree(model, shown, {"conv1": SPATIAL, "layer3": SPATIAL, "avgpool": SPATIAL})


def test_alexnet():
    names = {"features.2": SPATIAL, "features.12": SPATIAL, "avgpool": SPATIAL}
    agree(zoo().alexnet(), images(64), {**names, "classifier.1": ("unit",)})


def test_mobilenet_and_efficientnet():
    squeeze = {"features.1.block.1.avgpool": SPATIAL, "features.1.block.1.fc1": SPATIAL}
    squeeze |= {"features.4.block.0.2": SPATIAL, "features.12": SPATIAL}
    agree(zoo().mobilenet_v3_small(), images(), {**squeeze, "classifier.1": ("unit",)})
    names = ["features.0.2", "features.2.0.block.2", "features.2.0", "features.8"]
    agree(zoo().efficientnet_b0(), images(), dict.fromkeys(names, SPATIAL))


def test_shufflenet_whose_channels_are_split_and_joined():
    agree(zoo().shufflenet_v2_x0_5(), images(), {"stage2.1": SPATIAL, "stage3": SPATIAL})


def test_convnext_is_channels_last_inside_its_blocks():
    block = "features.1.0.block"
    names = {f"{block}.0": SPATIAL, f"{block}.2": LAST, f"{block}.3": LAST, f"{block}.5": LAST}
    names |= {f"{block}.6": SPATIAL, "features.1": SPATIAL, "features.2.0": SPATIAL}
    agree(zoo().convnext_tiny(), images(), {**names, "classifier.2": ("unit",)})


def test_swin_is_channels_last():
    names = ["features.0", "features.1.1", "features.2", "features.1.1.attn", "features.3.0.mlp.0"]
    swin = load_torchvision().models.SwinTransformer
    torch.manual_seed(0)
    model = swin([4, 4], 12, [2, 2], [2, 4], [4, 4], num_classes=5)
    agree(model, images(), {**dict.fromkeys(names, LAST), "permute": SPATIAL, "head": ("unit",)})


def test_vision_transformer_tells_class_token_and_patches():
    model = zoo().VisionTransformer(32, 8, 2, 4, 16, 32, num_classes=7)
    layer = "encoder.layers.encoder_layer_1"
    names = {layer: TOKENS, f"{layer}.mlp": TOKENS, "encoder.ln": TOKENS}
    got = agree(model, images(), {"conv_proj": SPATIAL, **names, "heads": ("unit",)})[layer]
    assert got.token_kind.values.tolist() == ["class"] + ["patch"] * 16
    assert got.patch_y.values.tolist() == [-1] + [y for y in range(4) for _ in range(4)]
    assert got.patch_x.values.tolist() == [-1, *list(range(4)) * 4]


def test_timm_convnext():
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    names = ["stem", "stages.0.blocks.0.norm", "stages.1", "head.norm"]
    agree(timm.create_model("convnext_atto"), images(), dict.fromkeys(names, SPATIAL))
    last = timm.create_model("convnext_atto", conv_mlp=False)
    agree(last, images(), {"stages.0.blocks.0.mlp.fc1": LAST, "stages.0.blocks.0": SPATIAL})


def test_timm_mixer_whose_layers_mix_tokens():
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model("mixer_s32_224", img_size=64)
    names = ["stem", "blocks.0", "blocks.0.mlp_channels", "blocks.1.norm1", "norm"]
    agree(model, images(64), dict.fromkeys(names, TOKENS))


def test_timm_swin():
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=64, window_size=4, embed_dim=12, depths=(2, 2),
        num_heads=(2, 4),
    )  # fmt: skip
    names = dict.fromkeys(
        ["patch_embed", "layers.0", "layers.0.blocks.1", "layers.1", "norm"], LAST
    )
    windows = {"layers.0.blocks.1.attn.proj": ("window", "token", "unit")}
    agree(model, images(64), {**names, **windows, "layers.0.blocks.0.norm2": TOKENS})


def test_timm_vision_transformer_with_registers():
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2, embed_dim=16, num_heads=2,
        reg_tokens=4,
    )  # fmt: skip
    names = dict.fromkeys(["patch_embed", "blocks.0", "blocks.1.attn.qkv", "norm"], TOKENS)
    got = agree(model, images(), {**names, "head": ("unit",)})["blocks.0"]
    assert got.token_kind.values.tolist() == ["class"] + ["register"] * 4 + ["patch"] * 16
    assert got.patch_x.values.tolist() == [-1] * 5 + list(range(4)) * 4


@pytest.mark.parametrize(
    ("kind", "layer", "special"),
    [
        ("ViT", "layers.0", ["class"]),
        ("DeiT", "layers.1", ["class", "distillation"]),
        ("Dinov2", "encoder.layer.0", ["class"]),
        ("Dinov2WithRegisters", "encoder.layer.1", ["class"] + ["register"] * 4),
        ("CLIPVision", "encoder.layers.0", ["class"]),
    ],
)
def test_hugging_face_transformers(kind, layer, special):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        image_size=32, patch_size=8,
    )  # fmt: skip
    model = getattr(transformers, f"{kind}Model")(config)
    layer = next(name for name, _ in model.named_modules() if name.endswith(layer))
    got = agree(model, images(), {layer: TOKENS})[layer]
    assert got.token_kind.values.tolist() == special + ["patch"] * 16
    assert got.patch_y.values[len(special) :].reshape(4, 4)[:, 0].tolist() == [0, 1, 2, 3]


def open_clip_model():
    open_clip = pytest.importorskip("open_clip")
    torch.manual_seed(0)
    vision = {"image_size": 32, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8}
    text = {"context_length": 6, "vocab_size": 20, "width": 16, "heads": 2, "layers": 2}
    return open_clip.model.CLIP(embed_dim=8, vision_cfg=vision, text_cfg=text)


def test_open_clip_tower_of_images():
    names = {"transformer.resblocks.0": TOKENS, "transformer": TOKENS, "conv1": SPATIAL}
    got = agree(open_clip_model().visual, images(), names)["transformer"]
    assert got.token_kind.values.tolist() == ["class"] + ["patch"] * 16


def test_open_clip_tower_of_texts():
    model = open_clip_model()

    class Text(nn.Module):
        def __init__(self):
            super().__init__()
            self.clip = model

        def forward(self, words):
            return self.clip.encode_text(words)

    words = torch.randint(1, 20, (5, 6), generator=torch.Generator().manual_seed(0))
    names = {"clip.transformer.resblocks.1": TOKENS, "clip.ln_final": TOKENS}
    agree(Text(), words, names)
    got = record(Text().eval(), words, "", batch_size=BATCH)["output"]
    with torch.no_grad():
        truth = torch.cat([model.eval().encode_text(part) for part in words.split(BATCH)])
    np.testing.assert_array_equal(got[:, 0], truth)


class Sequence(nn.Module):
    """Runs `core` on (N, T, U), turned round where it wants its steps first."""

    def __init__(self, core, steps_first):
        super().__init__()
        self.core, self.steps_first = core, steps_first

    def forward(self, x):
        out = self.core(x.transpose(0, 1) if self.steps_first else x)
        out = out[0] if isinstance(out, tuple) else out
        return out.transpose(0, 1) if self.steps_first else out


@pytest.mark.parametrize("steps_first", [False, True])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_with_as_many_steps_as_stimuli(kind, steps_first):
    torch.manual_seed(0)
    model = Sequence(kind(4, 6, batch_first=not steps_first), steps_first).eval()
    x = torch.rand(2 * BATCH, BATCH, 4)
    with torch.no_grad():
        truth = torch.cat([model(part) for part in x.split(BATCH)])
    hidden = (1, 0) if kind is nn.LSTM else 1
    got = record(
        model, x, ["core", Site("core", pick=hidden, label="hidden"), ""], batch_size=BATCH
    )
    for layer in ("core", "output"):
        assert got[layer].dims[2:] == ("step", "unit")
        np.testing.assert_array_equal(got[layer][:, 0], truth)
    assert got["hidden"].dims[2:] == ("layer", "unit")
    np.testing.assert_array_equal(got["hidden"][:, 0, 0], truth[:, -1])


@pytest.mark.parametrize("steps_first", [False, True])
def test_transformer_encoder_with_as_many_tokens_as_stimuli(steps_first):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=not steps_first)
    core = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    model = Sequence(core, steps_first).eval()
    x = torch.rand(2 * BATCH, BATCH, 4)
    got = record(model, x, ["core", "core.layers.0", ""], batch_size=BATCH)
    with torch.no_grad():
        truth = torch.cat([model(part) for part in x.split(BATCH)])
        one = torch.cat([Sequence(core.layers[0], steps_first)(part) for part in x.split(BATCH)])
    assert {got[name].dims[2:] for name in got} == {TOKENS}
    np.testing.assert_allclose(got["core"][:, 0], truth, atol=1e-6)  # a hook unfuses a layer
    np.testing.assert_allclose(got["core.layers.0"][:, 0], one, atol=1e-6)


def test_the_fused_transformer_layer_stays_fused_while_axes_are_followed():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.readout = nn.Linear(8, 2)

        def forward(self, x):
            return self.readout(self.encoder(x))

    model, x = Model().eval(), torch.rand(BATCH, 7, 8)
    with torch.no_grad():
        truth = model(x)
    got = record(model, x, "readout", batch_size=BATCH)["readout"]
    assert got.dims[2:] == TOKENS
    np.testing.assert_array_equal(got[:, 0], truth)
